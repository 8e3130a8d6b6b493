// Properties:
// 1. Header, table, trailer, hash file and id run decode to what was encoded; every flipped bit is refused,
//    and the digest covers table and trailer.
// 2. Chunks open only under their key, in their file, at their number and row.
// 3. A table with gaps, overlaps or wrong counts is refused although its digest is right, and no table
//    makes a reader crash.
// 4. File names of ranges have one spelling.
#include "trail/format/segment_format.h"

#include <gtest/gtest.h>

#include "base/testing/shared_data.h"
#include "crypto/digest.h"
#include "trail/testing/random_entries.h"

namespace vestige::trail {
namespace {

using testing::Random;
using vestige::testing::scaled;
using vestige::testing::seed;

SegmentHeader random_header(Random& random) {
  return {.file_id = random.array<16>(),
          .data_id = random.array<16>(),
          .first = random.next(),
          .wrapped_key = random.array<60>(),
          .stream = "tenant/stream",
          .schema = testing::test_schema()};
}

TEST(SegmentHeader, RoundTripAndReservedBytes) {
  Random random(seed());
  const auto header = random_header(random);
  const auto block = encode_segment_header(header);
  ASSERT_EQ(block.size(), segment_header_bytes);
  const auto again = decode_segment_header(block);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->schema, header.schema);
  EXPECT_EQ(again->stream, header.stream);
  EXPECT_EQ(encode_segment_header(*again), block);
  // The hash of the header stands in the trailer; here every change parses to itself or not at all.
  for (std::size_t i = 0; i < block.size(); ++i)
    for (unsigned bit = 0; bit < 8; ++bit) {
      auto wrong = block;
      wrong[i] ^= static_cast<std::uint8_t>(1 << bit);
      const auto parsed = decode_segment_header(wrong);
      if (parsed)
        ASSERT_EQ(encode_segment_header(*parsed), wrong) << i;
      else
        ASSERT_EQ(parsed.error().kind, ErrorKind::corrupt);
    }
}

TEST(Chunk, OpensOnlyInItsPlace) {
  Random random(seed());
  crypto::Aead aead(random.array<32>());
  const auto file = random.array<16>();
  const auto plain = random.bytes(300);
  const auto sealed = seal_chunk(aead, file, ChunkType::page, 4, 512, plain);
  const ChunkRow row{ChunkType::page, 512, 256, 1'000, sealed.size(), crypto::sha256(sealed)};
  const auto opened = open_chunk(aead, file, row, 4, sealed);
  ASSERT_TRUE(opened);
  EXPECT_EQ(*opened, plain);
  auto other = row;
  other.type = ChunkType::sections;
  EXPECT_FALSE(open_chunk(aead, file, other, 4, sealed));
  other = row;
  other.first_row = 256;
  EXPECT_FALSE(open_chunk(aead, file, other, 4, sealed));
  EXPECT_FALSE(open_chunk(aead, file, row, 5, sealed));
  EXPECT_FALSE(open_chunk(aead, random.array<16>(), row, 4, sealed));
  EXPECT_FALSE(open_chunk(aead, file, row, 4, ByteView(sealed).first(10)));
  crypto::Aead another(random.array<32>());
  EXPECT_FALSE(open_chunk(another, file, row, 4, sealed));
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    auto wrong = sealed;
    wrong[i] ^= static_cast<std::uint8_t>(1 << random.below(8));
    ASSERT_FALSE(open_chunk(aead, file, row, 4, wrong));
  }
}

struct Table {
  std::vector<ChunkRow> chunks;
  std::uint64_t offset = segment_header_bytes;
  std::uint32_t rows = 0;
};

Table random_table(Random& random) {
  Table table;
  for (auto pages = 1 + random.below(8); pages > 0; --pages) {
    const auto rows = static_cast<std::uint32_t>(1 + random.below(page_rows));
    for (std::uint32_t type = 1; type <= (random.chance(50) ? 2U : 1U); ++type) {
      const auto length = crypto::tag_bytes + random.below(5'000);
      table.chunks.push_back(
          {static_cast<ChunkType>(type), table.rows, rows, table.offset, length, random.array<32>()});
      table.offset += length;
    }
    table.rows += rows;
  }
  return table;
}

Result<SegmentEnd> decode_end(ByteView end, std::uint64_t table_offset) {
  const auto trailer = end.last(std::min(end.size(), segment_trailer_bytes));
  VESTIGE_CHECKED(decode_segment_trailer(trailer, table_offset + end.size()));
  return decode_segment_end(end.first(end.size() - trailer.size()), trailer, table_offset + end.size());
}

TEST(SegmentEnd, RoundTripAndEveryFlippedBitRefused) {
  for (std::size_t round = 0; round < scaled(60); ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed() + round));
    Random random(seed() + round);
    const auto table = random_table(random);
    Hash digest;
    const auto header_hash = random.array<32>();
    const auto bytes = encode_segment_end(table.chunks, table.offset, table.rows, header_hash, digest);
    const auto end = decode_end(bytes, table.offset);
    ASSERT_TRUE(end) << end.error().message;
    EXPECT_EQ(end->digest, digest);
    EXPECT_EQ(end->rows, table.rows);
    EXPECT_EQ(end->header_hash, header_hash);
    ASSERT_EQ(end->chunks.size(), table.chunks.size());
    for (std::size_t i = 0; i < table.chunks.size(); ++i) {
      EXPECT_EQ(end->chunks[i].offset, table.chunks[i].offset);
      EXPECT_EQ(end->chunks[i].hash, table.chunks[i].hash);
      EXPECT_EQ(end->chunks[i].first_row, table.chunks[i].first_row);
    }
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      auto wrong = bytes;
      wrong[i] ^= static_cast<std::uint8_t>(1 << random.below(8));
      ASSERT_FALSE(decode_end(wrong, table.offset)) << i;
    }
    EXPECT_FALSE(decode_end(bytes, table.offset + 1));
  }
}

TEST(SegmentEnd, TablesThatDoNotAddUpAreRefused) {
  std::size_t refused = 0;
  for (std::size_t round = 0; round < scaled(500); ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed() + round));
    Random random(seed() + round);
    auto table = random_table(random);
    auto& chunk = table.chunks[random.below(table.chunks.size())];
    const auto before = chunk;
    switch (random.below(6)) {
      case 0:
        chunk.offset += 1;
        break;
      case 1:
        chunk.length -= 1;
        break;
      case 2:
        chunk.length = random.next();
        break;
      case 3:
        chunk.rows = random.chance(50) ? 0 : page_rows + 1;
        break;
      case 4:
        chunk.first_row ^= 1;
        break;
      default:
        chunk.type = static_cast<ChunkType>(random.below(5));
        break;
    }
    if (chunk.type == before.type && chunk.offset == before.offset && chunk.length == before.length &&
        chunk.rows == before.rows && chunk.first_row == before.first_row)
      continue;
    Hash digest;
    const auto bytes = encode_segment_end(table.chunks, table.offset, table.rows, Hash{}, digest);
    ASSERT_FALSE(decode_end(bytes, table.offset));
    ++refused;
  }
  EXPECT_GT(refused, 300U);
}

std::vector<Hash> random_hashes(Random& random, std::uint64_t count) {
  std::vector<Hash> out(count);
  for (auto& hash : out) hash = random.array<32>();
  return out;
}

TEST(HashFile, RoundTripAndEveryFlippedBitRefused) {
  for (const auto& [first, count] :
       {std::pair<std::uint64_t, std::uint64_t>{0, 1}, {0, 256}, {255, 1}, {200, 400}, {512, 3}}) {
    Random random(seed());
    const auto leaves = random_hashes(random, count);
    const auto roots = random_hashes(random, tile_roots_between(first, first + count));
    Hash digest;
    const auto bytes = encode_hash_file(first, leaves, roots, digest);
    const auto again = decode_hash_file(bytes);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->first, first);
    EXPECT_EQ(again->leaves, leaves);
    EXPECT_EQ(again->tile_roots, roots);
    EXPECT_TRUE(std::ranges::equal(ByteView(bytes).last(32), digest));
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      auto wrong = bytes;
      wrong[i] ^= static_cast<std::uint8_t>(1 << random.below(8));
      ASSERT_FALSE(decode_hash_file(wrong)) << i;
    }
    EXPECT_FALSE(decode_hash_file(ByteView(bytes).first(bytes.size() - 1)));
    if (!roots.empty()) {
      const auto fewer = encode_hash_file(first, leaves, std::span(roots).first(roots.size() - 1), digest);
      EXPECT_FALSE(decode_hash_file(fewer));
    }
  }
}

TEST(HashFile, TileRootsAreThoseOfTilesThatEndInside) {
  EXPECT_EQ(tile_roots_between(0, 255), 0U);
  EXPECT_EQ(tile_roots_between(0, 256), 1U);
  EXPECT_EQ(tile_roots_between(255, 256), 1U);
  EXPECT_EQ(tile_roots_between(256, 511), 0U);
  EXPECT_EQ(tile_roots_between(100, 1'100), 4U);
}

TEST(IdRun, RoundTripAndEveryFlippedBitRefused) {
  for (std::size_t round = 0; round < scaled(10); ++round) {
    Random random(seed() + round);
    const auto count = 1 + random.below(100);
    std::vector<IdEntry> entries;
    for (std::uint32_t i = 0; i < count; ++i) entries.push_back({random.chance(30) ? 7 : random.next(), i});
    std::ranges::sort(entries);
    Hash digest;
    const auto bytes = encode_id_run(50, 50 + count, entries, digest);
    const auto again = decode_id_run(bytes);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->entries, entries);
    EXPECT_EQ(again->end, 50 + count);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      auto wrong = bytes;
      wrong[i] ^= static_cast<std::uint8_t>(1 << random.below(8));
      ASSERT_FALSE(decode_id_run(wrong)) << i;
    }
    auto wrong = entries;
    wrong.front().offset = static_cast<std::uint32_t>(count);
    EXPECT_FALSE(decode_id_run(encode_id_run(50, 50 + count, wrong, digest)));
    EXPECT_FALSE(decode_id_run(encode_id_run(50, 51 + count, entries, digest)));
    if (count > 1 && entries.front() != entries.back()) {
      wrong = entries;
      std::swap(wrong.front(), wrong.back());
      EXPECT_FALSE(decode_id_run(encode_id_run(50, 50 + count, wrong, digest)));
    }
  }
}

TEST(RangeFileName, RoundTripAndOneSpelling) {
  EXPECT_EQ(range_file_name(0, 4'096, segment_ending), "000000000000-000000004096.seg");
  Random random(seed());
  for (int i = 0; i < 200; ++i) {
    const auto first = random.below(999'999'000'000);
    const auto end = first + 1 + random.below(segment_rows_limit);
    EXPECT_EQ(parse_range_file_name(range_file_name(first, end, ids_ending), ids_ending),
              (IndexRange{first, end}));
  }
  for (const std::string_view wrong :
       {"0-4096.seg", "000000000000-000000000000.seg", "000000000002-000000000001.seg", "",
        "00000000000x-000000004096.seg", "000000000000_000000004096.seg", "000000000000-000000004096.ids",
        "000000000000-000000004096.seg.tmp", "x000000000000-000000004096.seg"})
    EXPECT_FALSE(parse_range_file_name(wrong, segment_ending)) << wrong;
}

}  // namespace
}  // namespace vestige::trail
