#include "trail/format/segment_format.h"

#include <fmt/format.h>

#include "base/check.h"
#include "crypto/digest.h"
#include "trail/limits.h"

namespace vestige::trail {
namespace {

constexpr std::string_view segment_magic = "VSTGSEG1";
constexpr std::string_view segment_end_magic = "VSTGSEGE";
constexpr std::string_view hashes_magic = "VSTGHSH1";
constexpr std::string_view ids_magic = "VSTGIDS1";
constexpr std::uint16_t version = 1;
constexpr std::size_t trailer_digest_at = 64;
constexpr std::size_t range_digits = 12;
constexpr std::uint64_t tile_leaves = 256;

std::unexpected<Error> damaged(std::uint64_t offset, std::string what) {
  return corrupt("", offset, std::move(what));
}

Bytes chunk_bound(const Block16& file_id, ChunkType type, std::uint32_t number, std::uint32_t first_row) {
  Bytes bound;
  ByteWriter to(bound);
  to.bytes(file_id);
  to.u32(static_cast<std::uint32_t>(type));
  to.u32(number);
  to.u32(first_row);
  return bound;
}

Bytes close_with_digest(Bytes bytes, Hash& digest) {
  digest = crypto::sha256(bytes);
  bytes.insert(bytes.end(), digest.begin(), digest.end());
  return bytes;
}

// The content before the digest, or damage.
Result<ByteView> open_digest(ByteView bytes, std::size_t header_bytes, std::string_view magic,
                             std::string_view what) {
  if (bytes.size() < header_bytes + sizeof(Hash))
    return damaged(bytes.size(), fmt::format("the {} is cut short", what));
  const auto content = bytes.first(bytes.size() - sizeof(Hash));
  if (!std::ranges::equal(crypto::sha256(content), bytes.last(sizeof(Hash))))
    return damaged(0, fmt::format("the {} does not match its digest", what));
  if (text(content.first(8)) != magic || load_le<std::uint16_t>(content.data() + 8) != version)
    return damaged(0, fmt::format("this is no {} of a known version", what));
  return content;
}

}  // namespace

Bytes encode_segment_header(const SegmentHeader& header) {
  Bytes names;
  ByteWriter name_writer(names);
  name_writer.sized(std::string_view(header.stream));
  name_writer.varint(header.schema.size());
  for (const auto& column : header.schema) {
    name_writer.sized(std::string_view(column.name));
    name_writer.u8(static_cast<std::uint8_t>(column.type));
    name_writer.u8(column.size);
  }
  Bytes out;
  ByteWriter to(out);
  to.bytes(view(segment_magic));
  to.u16(version);
  to.zeros(6);
  to.bytes(header.file_id);
  to.bytes(header.data_id);
  to.u64(header.first);
  to.bytes(header.wrapped_key);
  to.u32(static_cast<std::uint32_t>(names.size()));
  to.bytes(names);
  CHECK(out.size() <= segment_header_bytes);
  to.zeros(segment_header_bytes - out.size());
  return out;
}

Result<SegmentHeader> decode_segment_header(ByteView block) {
  if (block.size() != segment_header_bytes) return damaged(block.size(), "the segment header is cut short");
  ByteReader in(block);
  if (text(in.bytes(8)) != segment_magic) return damaged(0, "this is no segment");
  if (const auto found = in.u16(); found != version)
    return damaged(
        8, fmt::format("segment version {} is not known; this build reads version {}", found, version));
  in.zeros(6);
  SegmentHeader header;
  header.file_id = in.array<16>();
  header.data_id = in.array<16>();
  header.first = in.u64();
  header.wrapped_key = in.array<60>();
  const auto size = in.u32();
  ByteReader names(in.bytes(size));
  header.stream = names.sized_text();
  const auto columns = names.varint();
  if (!names.ok() || columns > columns_max) return damaged(116, "the segment header's schema does not parse");
  for (std::uint64_t i = 0; i < columns; ++i) {
    Column column;
    column.name = names.sized_text();
    const auto type = names.u8();
    if (type < 1 || type > 5) return damaged(116, "the segment header names a column type that is not known");
    column.type = static_cast<ColumnType>(type);
    column.size = names.u8();
    header.schema.push_back(std::move(column));
  }
  if (!names.at_end() || !in.zeros(in.left()))
    return damaged(116, "the segment header does not parse to its end");
  return header;
}

std::string segment_key_context(const Block16& file_id) { return "segment " + std::string(text(file_id)); }

Bytes seal_chunk(crypto::Aead& aead, const Block16& file_id, ChunkType type, std::uint32_t number,
                 std::uint32_t first_row, ByteView plain) {
  return aead.seal(crypto::counter_nonce(static_cast<std::uint32_t>(type), number),
                   chunk_bound(file_id, type, number, first_row), plain);
}

Result<Bytes> open_chunk(crypto::Aead& aead, const Block16& file_id, const ChunkRow& row,
                         std::uint32_t number, ByteView sealed) {
  if (sealed.size() < crypto::tag_bytes) return damaged(row.offset, "a chunk is shorter than its tag");
  Bytes plain(sealed.size() - crypto::tag_bytes);
  if (!aead.open(crypto::counter_nonce(static_cast<std::uint32_t>(row.type), number),
                 chunk_bound(file_id, row.type, number, row.first_row), sealed, plain))
    return damaged(row.offset,
                   fmt::format("chunk {} does not decrypt: it was changed or belongs elsewhere", number));
  return plain;
}

Bytes encode_segment_end(std::span<const ChunkRow> chunks, std::uint64_t table_offset, std::uint32_t rows,
                         const Hash& header_hash, Hash& digest) {
  Bytes out;
  ByteWriter to(out);
  for (const auto& chunk : chunks) {
    to.u32(static_cast<std::uint32_t>(chunk.type));
    to.u32(chunk.first_row);
    to.u32(chunk.rows);
    to.u32(0);
    to.u64(chunk.offset);
    to.u64(chunk.length);
    to.bytes(chunk.hash);
  }
  to.u64(table_offset);
  to.u32(static_cast<std::uint32_t>(chunks.size()));
  to.u32(rows);
  to.bytes(header_hash);
  to.bytes(view(segment_end_magic));
  to.zeros(8);
  return close_with_digest(std::move(out), digest);
}

Result<SegmentTrailer> decode_segment_trailer(ByteView trailer, std::uint64_t file_bytes) {
  const auto at = file_bytes - std::min<std::uint64_t>(file_bytes, segment_trailer_bytes);
  if (trailer.size() != segment_trailer_bytes) return damaged(at, "the segment's trailer is cut short");
  ByteReader in(trailer);
  SegmentTrailer out;
  out.table_offset = in.u64();
  out.chunks = in.u32();
  out.rows = in.u32();
  out.header_hash = in.array<32>();
  const bool magic = text(in.bytes(8)) == segment_end_magic;
  in.zeros(8);
  out.digest = in.array<32>();
  if (!magic || !in.at_end()) return damaged(at, "the segment's trailer does not parse");
  const auto table_bytes = std::uint64_t{out.chunks} * chunk_row_bytes;
  if (out.table_offset < segment_header_bytes || out.table_offset > file_bytes ||
      file_bytes - out.table_offset != table_bytes + segment_trailer_bytes)
    return damaged(at, "the segment's trailer names a table that does not fill the file's end");
  if (out.rows == 0 || out.rows > segment_rows_limit)
    return damaged(at, "the segment's row count is out of range");
  return out;
}

Result<SegmentEnd> decode_segment_end(ByteView table, ByteView trailer, std::uint64_t file_bytes) {
  VESTIGE_TRY(const auto about, decode_segment_trailer(trailer, file_bytes));
  if (crypto::sha256({table, trailer.first(trailer_digest_at)}) != about.digest)
    return damaged(about.table_offset, "the segment's table does not match its digest");
  SegmentEnd end{about.table_offset, about.rows, about.header_hash, about.digest, {}};
  ByteReader in(table);
  std::uint64_t offset = segment_header_bytes;
  std::uint32_t row = 0;
  for (std::uint32_t number = 0; number < about.chunks; ++number) {
    ChunkRow chunk;
    const auto type = in.u32();
    chunk.type = static_cast<ChunkType>(type);
    chunk.first_row = in.u32();
    chunk.rows = in.u32();
    in.zeros(4);
    chunk.offset = in.u64();
    chunk.length = in.u64();
    chunk.hash = in.array<32>();
    const bool is_page = type == static_cast<std::uint32_t>(ChunkType::page);
    const bool is_sections = type == static_cast<std::uint32_t>(ChunkType::sections);
    const bool follows_its_page =
        is_sections && !end.chunks.empty() && end.chunks.back().type == ChunkType::page &&
        end.chunks.back().first_row == chunk.first_row && end.chunks.back().rows == chunk.rows;
    if (!in.ok() || chunk.offset != offset || chunk.length < crypto::tag_bytes ||
        chunk.length > about.table_offset - offset || chunk.rows == 0 || chunk.rows > page_rows ||
        !(is_page ? chunk.first_row == row : follows_its_page))
      return damaged(about.table_offset + std::uint64_t{number} * chunk_row_bytes,
                     "the segment's table has a gap");
    offset += chunk.length;
    if (is_page) row += chunk.rows;
    end.chunks.push_back(chunk);
  }
  if (offset != about.table_offset || row != about.rows)
    return damaged(about.table_offset, "the segment's chunks do not fill it");
  return end;
}

std::string range_file_name(std::uint64_t first, std::uint64_t end, std::string_view ending) {
  return fmt::format("{:012}-{:012}{}", first, end, ending);
}

std::optional<IndexRange> parse_range_file_name(std::string_view name, std::string_view ending) {
  if (name.size() != 2 * range_digits + 1 + ending.size() || !name.ends_with(ending) ||
      name[range_digits] != '-')
    return std::nullopt;
  std::uint64_t numbers[2] = {0, 0};
  for (std::size_t i = 0; i < 2 * range_digits + 1; ++i) {
    if (i == range_digits) continue;
    if (name[i] < '0' || name[i] > '9') return std::nullopt;
    auto& number = numbers[i > range_digits];
    number = number * 10 + static_cast<std::uint64_t>(name[i] - '0');
  }
  if (numbers[0] >= numbers[1]) return std::nullopt;
  return IndexRange{numbers[0], numbers[1]};
}

std::uint64_t tile_roots_between(std::uint64_t first, std::uint64_t end) {
  return end / tile_leaves - first / tile_leaves;
}

Bytes encode_hash_file(std::uint64_t first, std::span<const Hash> leaves, std::span<const Hash> tile_roots,
                       Hash& digest) {
  Bytes out;
  out.reserve(hash_file_header_bytes + (leaves.size() + tile_roots.size() + 1) * sizeof(Hash));
  ByteWriter to(out);
  to.bytes(view(hashes_magic));
  to.u16(version);
  to.zeros(6);
  to.u64(first);
  to.u64(first + leaves.size());
  to.u64(tile_roots.size());
  to.zeros(24);
  for (const auto& leaf : leaves) to.bytes(leaf);
  for (const auto& root : tile_roots) to.bytes(root);
  return close_with_digest(std::move(out), digest);
}

Result<HashFile> decode_hash_file(ByteView bytes) {
  VESTIGE_TRY(const auto content, open_digest(bytes, hash_file_header_bytes, hashes_magic, "hash file"));
  ByteReader in(content.subspan(10));
  HashFile file;
  in.zeros(6);
  file.first = in.u64();
  file.end = in.u64();
  const auto roots = in.u64();
  in.zeros(24);
  if (!in.ok() || file.first >= file.end || file.end - file.first > segment_rows_limit ||
      roots != tile_roots_between(file.first, file.end) ||
      in.left() != (file.end - file.first + roots) * sizeof(Hash))
    return damaged(16, "the hash file's header and length do not agree");
  file.leaves.resize(file.end - file.first);
  for (auto& leaf : file.leaves) leaf = in.array<32>();
  file.tile_roots.resize(roots);
  for (auto& root : file.tile_roots) root = in.array<32>();
  return file;
}

Bytes encode_id_run(std::uint64_t first, std::uint64_t end, std::span<const IdEntry> entries, Hash& digest) {
  Bytes out;
  out.reserve(id_header_bytes + entries.size() * id_entry_bytes + sizeof(Hash));
  ByteWriter to(out);
  to.bytes(view(ids_magic));
  to.u16(version);
  to.zeros(6);
  to.u64(first);
  to.u64(end);
  to.zeros(32);
  for (const auto& entry : entries) {
    to.u64(entry.fingerprint);
    to.u32(entry.offset);
  }
  return close_with_digest(std::move(out), digest);
}

Result<IdRun> decode_id_run(ByteView bytes) {
  VESTIGE_TRY(const auto content, open_digest(bytes, id_header_bytes, ids_magic, "id run"));
  ByteReader in(content.subspan(10));
  IdRun run;
  in.zeros(6);
  run.first = in.u64();
  run.end = in.u64();
  in.zeros(32);
  if (!in.ok() || run.first >= run.end || run.end - run.first > segment_rows_limit ||
      in.left() != (run.end - run.first) * id_entry_bytes)
    return damaged(16, "the id run's header and length do not agree");
  run.entries.resize(run.end - run.first);
  for (auto& entry : run.entries) {
    entry.fingerprint = in.u64();
    entry.offset = in.u32();
    if (entry.offset >= run.entries.size())
      return damaged(in.offset(), "an id run names an index outside its range");
  }
  if (!std::ranges::is_sorted(run.entries)) return damaged(id_header_bytes, "the id run is not sorted");
  return run;
}

}  // namespace vestige::trail
