#include "trail/format/manifest.h"

#include <fmt/format.h>

#include <set>

#include "base/check.h"
#include "crypto/digest.h"
#include "trail/limits.h"

namespace vestige::trail {
namespace {

constexpr std::string_view manifest_magic = "VSTGMAN1";
constexpr std::string_view signer_magic = "VSTGSIG1";
constexpr std::uint16_t version = 1;
constexpr std::size_t manifest_header_bytes = 40;
constexpr std::size_t origin_bytes_max = 512;
constexpr std::size_t frontier_max = 64;
constexpr std::size_t name_bytes_max = 64;

std::unexpected<Error> damaged(std::uint64_t offset, std::string what) {
  return corrupt("", offset, std::move(what));
}

void write_digest(const FileDigest& file, ByteWriter& to) {
  to.u64(file.bytes);
  to.bytes(file.digest);
}

FileDigest read_digest(ByteReader& in) {
  FileDigest file;
  file.bytes = in.u64();
  file.digest = in.array<32>();
  return file;
}

void write_stream(const StreamRecord& stream, ByteWriter& to) {
  to.u8(stream.number);
  to.sized(std::string_view(stream.tenant));
  to.sized(std::string_view(stream.name));
  to.u8(stream.proofs ? 1 : 0);
  to.u64(stream.sealed_size);
  to.varint(stream.frontier.size());
  for (const auto& hash : stream.frontier) to.bytes(hash);
  to.varint(stream.segments.size());
  for (const auto& segment : stream.segments) {
    to.u64(segment.first);
    to.u64(segment.end);
    write_digest(segment.segment, to);
    write_digest(segment.hashes, to);
    write_digest(segment.ids, to);
  }
}

bool read_stream(ByteReader& in, StreamRecord& stream) {
  stream.number = in.u8();
  stream.tenant = in.sized_text();
  stream.name = in.sized_text();
  const auto proofs = in.u8();
  stream.proofs = proofs == 1;
  stream.sealed_size = in.u64();
  const auto frontier = in.varint();
  if (!in.ok() || stream.number == 0 || proofs > 1 || frontier > frontier_max ||
      !is_stream_name(stream.tenant) || !is_stream_name(stream.name))
    return false;
  for (std::uint64_t i = 0; i < frontier; ++i) stream.frontier.push_back(in.array<32>());
  const auto segments = in.varint();
  if (segments > in.left()) return false;
  std::uint64_t next = 0;
  for (std::uint64_t i = 0; i < segments && in.ok(); ++i) {
    SegmentRecord segment;
    segment.first = in.u64();
    segment.end = in.u64();
    segment.segment = read_digest(in);
    segment.hashes = read_digest(in);
    segment.ids = read_digest(in);
    if (segment.first != next || segment.end <= segment.first ||
        segment.end - segment.first > segment_rows_limit)
      return false;
    next = segment.end;
    stream.segments.push_back(segment);
  }
  return in.ok() && next == stream.sealed_size;
}

bool are_distinct(std::span<const StreamRecord> streams) {
  std::set<std::uint8_t> numbers;
  std::set<std::string> names;
  return std::ranges::all_of(streams, [&](const auto& stream) {
    return numbers.insert(stream.number).second && names.insert(stream.full_name()).second;
  });
}

}  // namespace

bool is_stream_name(std::string_view name) {
  if (name.empty() || name.size() > name_bytes_max) return false;
  return std::ranges::all_of(
      name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'; });
}

Bytes encode_manifest(const Manifest& manifest) {
  Bytes payload;
  ByteWriter body(payload);
  body.u64(static_cast<std::uint64_t>(manifest.created.value));
  body.u64(manifest.wal_root);
  body.varint(manifest.streams.size());
  for (const auto& stream : manifest.streams) write_stream(stream, body);
  encode_marks(manifest.marks, payload);

  Bytes out;
  ByteWriter to(out);
  to.bytes(view(manifest_magic));
  to.u16(version);
  to.zeros(2);
  to.u32(static_cast<std::uint32_t>(payload.size()));
  to.u64(manifest.sequence);
  to.bytes(manifest.data_id);
  to.bytes(payload);
  to.bytes(crypto::sha256(out));
  CHECK(out.size() <= manifest_bytes_max);
  return out;
}

Result<Manifest> decode_manifest(ByteView bytes) {
  if (bytes.size() < manifest_header_bytes + sizeof(Hash))
    return damaged(bytes.size(), "the manifest is cut short");
  const auto content = bytes.first(bytes.size() - sizeof(Hash));
  if (!std::ranges::equal(crypto::sha256(content), bytes.last(sizeof(Hash))))
    return damaged(0, "the manifest does not match its hash");
  ByteReader in(content);
  if (text(in.bytes(8)) != manifest_magic) return damaged(0, "this is no manifest");
  if (const auto found = in.u16(); found != version)
    return damaged(
        8, fmt::format("manifest version {} is not known; this build reads version {}", found, version));
  in.zeros(2);
  Manifest manifest;
  const auto length = in.u32();
  manifest.sequence = in.u64();
  manifest.data_id = in.array<16>();
  if (!in.ok() || in.left() != length) return damaged(12, "the manifest's length is not its payload's");
  manifest.created = UnixMs{static_cast<std::int64_t>(in.u64())};
  manifest.wal_root = in.u64();
  const auto streams = in.varint();
  if (streams > streams_max) return damaged(in.offset(), "the manifest names too many streams");
  manifest.streams.resize(streams);
  for (auto& stream : manifest.streams)
    if (!read_stream(in, stream))
      return damaged(in.offset(), "the manifest's list of segments does not parse");
  if (!are_distinct(manifest.streams))
    return damaged(in.offset(), "the manifest gives one number or name to two streams");
  const auto marks = in.varint();
  if (marks > marks_max) return damaged(in.offset(), "the manifest has too many marks");
  for (std::uint64_t i = 0; i < marks && in.ok(); ++i) {
    Mark mark;
    mark.stream = in.u8();
    mark.name = in.sized_text();
    mark.value = in.u64();
    manifest.marks.push_back(std::move(mark));
  }
  if (!in.at_end()) return damaged(in.offset(), "the manifest does not parse to its end");
  return manifest;
}

Bytes encode_signer_state(const SignerState& state) {
  CHECK(state.origin.size() <= origin_bytes_max);
  Bytes out;
  ByteWriter to(out);
  to.bytes(view(signer_magic));
  to.u16(version);
  to.zeros(6);
  to.u64(state.counter);
  to.u64(state.size);
  to.bytes(state.root);
  to.bytes(state.public_key);
  to.u64(static_cast<std::uint64_t>(state.signed_at.value));
  to.bytes(state.data_id);
  to.u32(static_cast<std::uint32_t>(state.origin.size()));
  to.bytes(view(state.origin));
  to.bytes(crypto::sha256(out));
  return out;
}

Result<SignerState> decode_signer_state(ByteView bytes) {
  if (bytes.size() < sizeof(Hash)) return damaged(bytes.size(), "the signer's state is cut short");
  const auto content = bytes.first(bytes.size() - sizeof(Hash));
  if (!std::ranges::equal(crypto::sha256(content), bytes.last(sizeof(Hash))))
    return damaged(0, "the signer's state does not match its hash");
  ByteReader in(content);
  SignerState state;
  if (text(in.bytes(8)) != signer_magic || in.u16() != version)
    return damaged(0, "this is no signer state of a known version");
  in.zeros(6);
  state.counter = in.u64();
  state.size = in.u64();
  state.root = in.array<32>();
  state.public_key = in.array<32>();
  state.signed_at = UnixMs{static_cast<std::int64_t>(in.u64())};
  state.data_id = in.array<16>();
  const auto size = in.u32();
  if (size > origin_bytes_max) return damaged(120, "the signer's origin is too long");
  state.origin = text(in.bytes(size));
  if (!in.at_end()) return damaged(in.offset(), "the signer's state does not parse to its end");
  return state;
}

}  // namespace vestige::trail
