// Bytes of segments, hash files and id runs. Formats: docs/formats/segment.md, ids.md.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "crypto/aead.h"
#include "trail/format/page.h"

namespace vestige::trail {

inline constexpr std::size_t segment_header_bytes = 512;
inline constexpr std::size_t chunk_row_bytes = 64;
inline constexpr std::size_t segment_trailer_bytes = 96;

// facts and filter are those of sidecars.
enum class ChunkType : std::uint32_t { page = 1, sections = 2, facts = 16, filter = 17 };

struct SegmentHeader {
  Block16 file_id{};
  Block16 data_id{};
  std::uint64_t first = 0;
  std::array<std::uint8_t, 60> wrapped_key{};
  std::string stream;
  Schema schema;
};

Bytes encode_segment_header(const SegmentHeader& header);
Result<SegmentHeader> decode_segment_header(ByteView block);
std::string segment_key_context(const Block16& file_id);

struct ChunkRow {
  ChunkType type = ChunkType::page;
  std::uint32_t first_row = 0;
  std::uint32_t rows = 0;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;  // tag included
  Hash hash{};
};

Bytes seal_chunk(crypto::Aead& aead, const Block16& file_id, ChunkType type, std::uint32_t number,
                 std::uint32_t first_row, ByteView plain);
// corrupt where the tag does not match (the caller adds file and offset).
Result<Bytes> open_chunk(crypto::Aead& aead, const Block16& file_id, const ChunkRow& row,
                         std::uint32_t number, ByteView sealed);

// Table and trailer; `digest` gets the segment's digest.
Bytes encode_segment_end(std::span<const ChunkRow> chunks, std::uint64_t table_offset, std::uint32_t rows,
                         const Hash& header_hash, Hash& digest);

struct SegmentEnd {
  std::uint64_t table_offset = 0;
  std::uint32_t rows = 0;
  Hash header_hash{};
  Hash digest{};
  std::vector<ChunkRow> chunks;
};
struct SegmentTrailer {
  std::uint64_t table_offset = 0;
  std::uint32_t chunks = 0;
  std::uint32_t rows = 0;
  Hash header_hash{};
  Hash digest{};
};
// From the last 96 bytes of a file of `file_bytes`; checks that table and trailer fill its end exactly.
Result<SegmentTrailer> decode_segment_trailer(ByteView trailer, std::uint64_t file_bytes);
// `table` and `trailer` as read; checks the digest and that chunks and rows are gapless.
Result<SegmentEnd> decode_segment_end(ByteView table, ByteView trailer, std::uint64_t file_bytes);

// "<first>-<end><ending>", 12 digits each.
std::string range_file_name(std::uint64_t first, std::uint64_t end, std::string_view ending);
struct IndexRange {
  std::uint64_t first;
  std::uint64_t end;
  auto operator<=>(const IndexRange&) const = default;
};
std::optional<IndexRange> parse_range_file_name(std::string_view name, std::string_view ending);
inline constexpr std::string_view segment_ending = ".seg";
inline constexpr std::string_view hashes_ending = ".hashes";
inline constexpr std::string_view ids_ending = ".ids";

// Hash file.
struct HashFile {
  std::uint64_t first = 0;
  std::uint64_t end = 0;
  std::vector<Hash> leaves;
  std::vector<Hash> tile_roots;
};
inline constexpr std::size_t hash_file_header_bytes = 64;
Bytes encode_hash_file(std::uint64_t first, std::span<const Hash> leaves, std::span<const Hash> tile_roots,
                       Hash& digest);
// How many level-0 tiles end inside first+1 .. end.
std::uint64_t tile_roots_between(std::uint64_t first, std::uint64_t end);
Result<HashFile> decode_hash_file(ByteView bytes);

// Id run.
struct IdEntry {
  std::uint64_t fingerprint;
  std::uint32_t offset;  // index - first
  auto operator<=>(const IdEntry&) const = default;
};
inline constexpr std::size_t id_header_bytes = 64;
inline constexpr std::size_t id_entry_bytes = 12;
// `entries` are sorted.
Bytes encode_id_run(std::uint64_t first, std::uint64_t end, std::span<const IdEntry> entries, Hash& digest);
struct IdRun {
  std::uint64_t first = 0;
  std::uint64_t end = 0;
  std::vector<IdEntry> entries;
};
Result<IdRun> decode_id_run(ByteView bytes);

}  // namespace vestige::trail
