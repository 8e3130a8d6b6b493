#include "trail/format/wal_format.h"

#include <fmt/format.h>

#include "base/check.h"
#include "crypto/digest.h"
#include "trail/limits.h"

namespace vestige::trail {
namespace {

constexpr std::string_view file_magic = "VSTGWAL1";
constexpr std::uint32_t frame_magic = 0x31465756;  // "VWF1"
constexpr std::uint16_t version = 1;
constexpr std::uint32_t frame_nonce_domain = 1;
constexpr std::size_t header_hash_at = 480;
constexpr std::size_t frame_previous_at = 32;
constexpr std::size_t frame_hash_at = 64;
constexpr std::size_t record_bytes_min = 10;  // fingerprint, two lengths
constexpr std::size_t name_digits = 16;
constexpr std::string_view name_ending = ".wal";

static_assert(header_hash_at + sizeof(Hash) == wal_header_bytes);
static_assert(frame_hash_at + sizeof(Hash) == frame_header_bytes);

std::unexpected<Error> damaged(std::uint64_t offset, std::string what) {
  return corrupt("", offset, std::move(what));
}

}  // namespace

Bytes encode_wal_header(const WalHeader& header) {
  Bytes out;
  ByteWriter to(out);
  to.bytes(view(file_magic));
  to.u16(version);
  to.u8(static_cast<std::uint8_t>(header.kind));
  to.zeros(5);
  to.u64(header.generation);
  to.u64(header.first_sequence);
  to.u64(header.file_bytes);
  to.bytes(header.data_id);
  to.zeros(8);
  to.bytes(header.previous);
  to.bytes(header.wrapped_key);
  to.zeros(header_hash_at - out.size());
  to.bytes(crypto::sha256(out));
  CHECK(out.size() == wal_header_bytes);
  return out;
}

Result<WalHeader> decode_wal_header(ByteView block) {
  if (block.size() != wal_header_bytes) return damaged(block.size(), "the WAL header is cut short");
  const auto hash = crypto::sha256(block.first(header_hash_at));
  if (!std::ranges::equal(hash, block.subspan(header_hash_at)))
    return damaged(0, "the WAL header does not match its hash");
  ByteReader in(block);
  if (text(in.bytes(8)) != file_magic) return damaged(0, "this is no WAL file");
  if (const auto found = in.u16(); found != version)
    return damaged(8,
                   fmt::format("WAL version {} is not known; this build reads version {}", found, version));
  WalHeader header;
  const auto kind = in.u8();
  if (kind > 1) return damaged(10, "unknown kind of WAL file");
  header.kind = static_cast<WalFileKind>(kind);
  in.zeros(5);
  header.generation = in.u64();
  header.first_sequence = in.u64();
  header.file_bytes = in.u64();
  header.data_id = in.array<16>();
  in.zeros(8);
  header.previous = in.array<32>();
  header.wrapped_key = in.array<60>();
  in.zeros(header_hash_at - in.offset());
  if (!in.ok()) return damaged(11, "reserved bytes of the WAL header are not zero");
  return header;
}

std::string wal_key_context(const Block16& data_id, std::uint64_t generation) {
  Bytes context;
  ByteWriter to(context);
  to.bytes(view("wal "));
  to.bytes(data_id);
  to.u64(generation);
  return std::string(text(context));
}

std::string wal_file_name(std::uint64_t generation) {
  return fmt::format("{:016x}{}", generation, name_ending);
}

std::optional<std::uint64_t> parse_wal_file_name(std::string_view name) {
  if (name.size() != name_digits + name_ending.size() || !name.ends_with(name_ending)) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : name.substr(0, name_digits)) {
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return std::nullopt;
    value = value << 4 | static_cast<std::uint64_t>(digit);
  }
  return value;
}

Hash encode_frame(FrameKind kind, std::uint64_t generation, std::uint64_t sequence, const Hash& previous,
                  ByteView plain, crypto::Aead& aead, Bytes& out) {
  const std::size_t payload = plain.size() + crypto::tag_bytes;
  CHECK(payload <= frame_payload_bytes_max);
  out.clear();
  out.resize(align_frame(frame_header_bytes + payload));
  store_le(out.data(), frame_magic);
  out[4] = static_cast<std::uint8_t>(kind);
  store_le(out.data() + 8, generation);
  store_le(out.data() + 16, sequence);
  store_le(out.data() + 24, static_cast<std::uint32_t>(payload));
  std::memcpy(out.data() + frame_previous_at, previous.data(), previous.size());
  const ByteView bound = ByteView(out).first(frame_hash_at);
  const auto sealed = std::span(out).subspan(frame_header_bytes, payload);
  aead.seal(crypto::counter_nonce(frame_nonce_domain, sequence), bound, plain, sealed);
  const Hash hash = crypto::sha256({bound, sealed});
  std::memcpy(out.data() + frame_hash_at, hash.data(), hash.size());
  return hash;
}

std::optional<FrameHeader> decode_frame_header(ByteView bytes) {
  if (bytes.size() < frame_header_bytes) return std::nullopt;
  ByteReader in(bytes);
  if (in.u32() != frame_magic) return std::nullopt;
  FrameHeader header;
  const auto kind = in.u8();
  if (kind != static_cast<std::uint8_t>(FrameKind::group) &&
      kind != static_cast<std::uint8_t>(FrameKind::end_mark))
    return std::nullopt;
  header.kind = static_cast<FrameKind>(kind);
  in.zeros(3);
  header.generation = in.u64();
  header.sequence = in.u64();
  header.payload_bytes = in.u32();
  in.zeros(4);
  header.previous = in.array<32>();
  header.hash = in.array<32>();
  if (!in.ok() || header.payload_bytes < crypto::tag_bytes || header.payload_bytes > frame_payload_bytes_max)
    return std::nullopt;
  return header;
}

bool frame_hash_matches(ByteView header_bytes, ByteView payload, const FrameHeader& header) {
  return crypto::sha256({header_bytes.first(frame_hash_at), payload}) == header.hash;
}

Result<Bytes> open_frame(ByteView header_bytes, ByteView payload, const FrameHeader& header,
                         crypto::Aead& aead) {
  Bytes plain(payload.size() - crypto::tag_bytes);
  if (!aead.open(crypto::counter_nonce(frame_nonce_domain, header.sequence),
                 header_bytes.first(frame_hash_at), payload, plain))
    return damaged(0,
                   fmt::format("WAL frame {} does not decrypt: it was written under another key or changed",
                               header.sequence));
  return plain;
}

void encode_record(std::uint64_t fingerprint, ByteView entry, std::span<const ByteView> blobs, Bytes& out) {
  ByteWriter to(out);
  to.u64(fingerprint);
  to.sized(entry);
  to.varint(blobs.size());
  for (const auto blob : blobs) to.sized(blob);
}

void encode_append(std::uint8_t stream, std::uint64_t first, std::uint64_t count,
                   std::span<const SeedRun> seeds, ByteView records, Bytes& out) {
  ByteWriter to(out);
  to.u8(stream);
  to.u64(first);
  to.varint(count);
  to.varint(seeds.size());
  for (const auto& run : seeds) {
    to.varint(run.count);
    to.bytes(run.seed);
  }
  to.bytes(records);
}

void encode_marks(std::span<const Mark> marks, Bytes& out) {
  ByteWriter to(out);
  to.varint(marks.size());
  for (const auto& mark : marks) {
    to.u8(mark.stream);
    to.sized(std::string_view(mark.name));
    to.u64(mark.value);
  }
}

namespace {

bool read_record(ByteReader& in, RecordView& record) {
  record.fingerprint = in.u64();
  record.entry = in.sized();
  const auto blobs = in.varint();
  if (!in.ok() || record.entry.size() > entry_bytes_max || blobs > blobs_max) return false;
  record.blobs.reserve(blobs);
  for (std::uint64_t i = 0; i < blobs; ++i) record.blobs.push_back(in.sized());
  return in.ok();
}

bool read_append(ByteReader& in, AppendView& append) {
  append.stream = in.u8();
  append.first = in.u64();
  const auto count = in.varint();
  const auto runs = in.varint();
  if (!in.ok() || count == 0 || count > in.left() / record_bytes_min || runs > count) return false;
  std::uint64_t seeded = 0;
  for (std::uint64_t i = 0; i < runs; ++i) {
    const auto rows = in.varint();
    if (rows == 0 || rows > count - seeded) return false;
    append.seeds.push_back({static_cast<std::uint32_t>(rows), in.array<16>()});
    seeded += rows;
  }
  if (seeded != count) return false;
  append.records.resize(count);
  for (auto& record : append.records)
    if (!read_record(in, record)) return false;
  return true;
}

}  // namespace

Result<GroupView> decode_group(ByteView plain) {
  ByteReader in(plain);
  GroupView group;
  const auto appends = in.varint();
  if (appends > streams_max) return damaged(0, "a WAL group names too many streams");
  group.appends.resize(appends);
  for (auto& append : group.appends)
    if (!read_append(in, append)) return damaged(in.offset(), "a WAL group does not parse");
  const auto marks = in.varint();
  if (marks > marks_max) return damaged(in.offset(), "a WAL group has too many marks");
  for (std::uint64_t i = 0; i < marks && in.ok(); ++i) {
    Mark mark;
    mark.stream = in.u8();
    mark.name = in.sized_text();
    mark.value = in.u64();
    group.marks.push_back(std::move(mark));
  }
  if (!in.at_end()) return damaged(in.offset(), "a WAL group does not parse to its end");
  return group;
}

Bytes encode_end_mark(const EndMark& mark) {
  Bytes out;
  ByteWriter to(out);
  to.varint(mark.sizes.size());
  for (const auto& [stream, size] : mark.sizes) {
    to.u8(stream);
    to.u64(size);
  }
  to.u8(mark.clean ? 1 : 0);
  return out;
}

Result<EndMark> decode_end_mark(ByteView plain) {
  ByteReader in(plain);
  EndMark mark;
  const auto count = in.varint();
  if (count > streams_max) return damaged(0, "an end mark names too many streams");
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto stream = in.u8();
    mark.sizes.push_back({stream, in.u64()});
  }
  const auto clean = in.u8();
  if (!in.at_end() || clean > 1) return damaged(0, "an end mark does not parse");
  mark.clean = clean == 1;
  return mark;
}

}  // namespace vestige::trail
