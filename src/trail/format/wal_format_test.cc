// Properties:
// 1. Headers, frames, groups and end marks decode to what was encoded.
// 2. A flipped bit anywhere in a header or a frame is noticed: by the hash alone, without any key.
// 3. A frame opens only under its key and in its place; groups within their limits, and to their last byte.
#include "trail/format/wal_format.h"

#include <gtest/gtest.h>

#include "base/testing/shared_data.h"
#include "trail/testing/random_entries.h"

namespace vestige::trail {
namespace {

using testing::Random;
using vestige::testing::scaled;
using vestige::testing::seed;

WalHeader random_header(Random& random) {
  return {.kind = random.chance(50) ? WalFileKind::root : WalFileKind::continues,
          .generation = random.next(),
          .first_sequence = random.next(),
          .file_bytes = random.next(),
          .data_id = random.array<16>(),
          .previous = random.array<32>(),
          .wrapped_key = random.array<60>()};
}

TEST(WalHeader, RoundTripAndEveryFlippedBitRefused) {
  Random random(seed());
  for (std::size_t round = 0; round < scaled(20); ++round) {
    const auto header = random_header(random);
    const auto block = encode_wal_header(header);
    ASSERT_EQ(block.size(), wal_header_bytes);
    const auto again = decode_wal_header(block);
    ASSERT_TRUE(again);
    EXPECT_EQ(encode_wal_header(*again), block);
    EXPECT_EQ(again->first_sequence, header.first_sequence);
    EXPECT_EQ(again->wrapped_key, header.wrapped_key);
    for (std::size_t i = 0; i < block.size(); ++i) {
      auto wrong = block;
      wrong[i] ^= static_cast<std::uint8_t>(1 << random.below(8));
      ASSERT_FALSE(decode_wal_header(wrong)) << i;
    }
    EXPECT_FALSE(decode_wal_header(ByteView(block).first(511)));
  }
}

TEST(WalFileName, RoundTripAndOneSpelling) {
  Random random(seed());
  for (int i = 0; i < 200; ++i) {
    const auto generation = random.next() >> random.below(64);
    EXPECT_EQ(parse_wal_file_name(wal_file_name(generation)), generation);
  }
  EXPECT_EQ(wal_file_name(0x2a), "000000000000002a.wal");
  for (const std::string_view wrong : {"2a.wal", "000000000000002A.wal", "000000000000002a.wa", "spare-1.wal",
                                       "000000000000002g.wal", "0000000000000002a.wal", ".wal", ""})
    EXPECT_FALSE(parse_wal_file_name(wrong)) << wrong;
}

struct Sealed {
  FrameHeader header;
  Bytes bytes;
};

Sealed random_frame(Random& random, crypto::Aead& aead, const Bytes& plain) {
  Sealed frame;
  frame.header.kind = random.chance(50) ? FrameKind::group : FrameKind::end_mark;
  frame.header.generation = random.next();
  frame.header.sequence = random.next();
  frame.header.previous = random.array<32>();
  frame.header.hash = encode_frame(frame.header.kind, frame.header.generation, frame.header.sequence,
                                   frame.header.previous, plain, aead, frame.bytes);
  return frame;
}

// What the reader of a log does with the bytes at one place, before it uses a key.
std::optional<FrameHeader> check_frame(ByteView bytes) {
  const auto header = decode_frame_header(bytes);
  if (!header || align_frame(frame_header_bytes + header->payload_bytes) != bytes.size()) return std::nullopt;
  const auto payload = bytes.subspan(frame_header_bytes, header->payload_bytes);
  const auto padding = bytes.subspan(frame_header_bytes + header->payload_bytes);
  if (std::ranges::any_of(padding, [](auto byte) { return byte != 0; })) return std::nullopt;
  if (!frame_hash_matches(bytes, payload, *header)) return std::nullopt;
  return header;
}

TEST(Frame, RoundTripAndEveryFlippedBitNoticedByTheHash) {
  for (std::size_t round = 0; round < scaled(30); ++round) {
    Random random(seed() + round);
    const Key key = random.array<32>();
    crypto::Aead aead(key);
    const auto plain = random.bytes(random.below(1'500));
    const auto frame = random_frame(random, aead, plain);
    ASSERT_EQ(frame.bytes.size() % wal_alignment, 0U);
    const auto header = check_frame(frame.bytes);
    ASSERT_TRUE(header);
    EXPECT_EQ(header->sequence, frame.header.sequence);
    EXPECT_EQ(header->hash, frame.header.hash);
    const auto payload = ByteView(frame.bytes).subspan(frame_header_bytes, header->payload_bytes);
    const auto opened = open_frame(frame.bytes, payload, *header, aead);
    ASSERT_TRUE(opened);
    EXPECT_EQ(*opened, plain);

    for (std::size_t i = 0; i < frame.bytes.size(); ++i) {
      auto wrong = frame.bytes;
      wrong[i] ^= static_cast<std::uint8_t>(1 << random.below(8));
      const auto found = check_frame(wrong);
      ASSERT_FALSE(found && found->hash == frame.header.hash) << i;
    }
    crypto::Aead other(random.array<32>());
    EXPECT_FALSE(open_frame(frame.bytes, payload, *header, other));
    auto elsewhere = *header;
    ++elsewhere.sequence;
    EXPECT_FALSE(open_frame(frame.bytes, payload, elsewhere, aead));
  }
}

struct Group {
  struct Record {
    std::uint64_t fingerprint;
    Bytes entry;
    std::vector<Bytes> blobs;
  };
  struct Append {
    std::uint8_t stream;
    std::uint64_t first;
    std::vector<SeedRun> seeds;
    std::vector<Record> records;
  };
  std::vector<Append> appends;
  std::vector<Mark> marks;
};

Group random_group(Random& random) {
  Group group;
  for (auto left = random.below(4); left > 0; --left) {
    Group::Append append{static_cast<std::uint8_t>(random.next()), random.next(), {}, {}};
    for (auto runs = 1 + random.below(3); runs > 0; --runs) {
      append.seeds.push_back({static_cast<std::uint32_t>(1 + random.below(5)), random.array<16>()});
      for (std::uint32_t i = 0; i < append.seeds.back().count; ++i) {
        Group::Record record{random.next(), random.bytes(random.below(200)), {}};
        for (auto blobs = random.below(3); blobs > 0; --blobs)
          record.blobs.push_back(random.bytes(random.below(50)));
        append.records.push_back(std::move(record));
      }
    }
    group.appends.push_back(std::move(append));
  }
  for (auto left = random.below(4); left > 0; --left)
    group.marks.push_back(
        {static_cast<std::uint8_t>(random.next()), testing::random_text(random), random.next()});
  return group;
}

Bytes encode_group(const Group& group) {
  Bytes out;
  ByteWriter(out).varint(group.appends.size());
  for (const auto& append : group.appends) {
    Bytes records;
    for (const auto& record : append.records)
      encode_record(record.fingerprint, record.entry,
                    std::vector<ByteView>(record.blobs.begin(), record.blobs.end()), records);
    encode_append(append.stream, append.first, append.records.size(), append.seeds, records, out);
  }
  encode_marks(group.marks, out);
  return out;
}

void expect_equal(const Group& group, const GroupView& view) {
  ASSERT_EQ(view.appends.size(), group.appends.size());
  for (std::size_t i = 0; i < group.appends.size(); ++i) {
    const auto& append = group.appends[i];
    ASSERT_EQ(view.appends[i].stream, append.stream);
    ASSERT_EQ(view.appends[i].first, append.first);
    ASSERT_EQ(view.appends[i].seeds.size(), append.seeds.size());
    for (std::size_t j = 0; j < append.seeds.size(); ++j) {
      ASSERT_EQ(view.appends[i].seeds[j].count, append.seeds[j].count);
      ASSERT_EQ(view.appends[i].seeds[j].seed, append.seeds[j].seed);
    }
    ASSERT_EQ(view.appends[i].records.size(), append.records.size());
    for (std::size_t j = 0; j < append.records.size(); ++j) {
      const auto& record = view.appends[i].records[j];
      ASSERT_EQ(record.fingerprint, append.records[j].fingerprint);
      ASSERT_TRUE(std::ranges::equal(record.entry, append.records[j].entry));
      ASSERT_EQ(record.blobs.size(), append.records[j].blobs.size());
      for (std::size_t k = 0; k < record.blobs.size(); ++k)
        ASSERT_TRUE(std::ranges::equal(record.blobs[k], append.records[j].blobs[k]));
    }
  }
  ASSERT_EQ(view.marks.size(), group.marks.size());
  for (std::size_t i = 0; i < group.marks.size(); ++i) {
    ASSERT_EQ(view.marks[i].stream, group.marks[i].stream);
    ASSERT_EQ(view.marks[i].name, group.marks[i].name);
    ASSERT_EQ(view.marks[i].value, group.marks[i].value);
  }
}

TEST(WalGroup, RoundTripAndEveryPrefixRefused) {
  for (std::size_t round = 0; round < scaled(100); ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed() + round));
    Random random(seed() + round);
    const auto group = random_group(random);
    const auto plain = encode_group(group);
    const auto view = decode_group(plain);
    ASSERT_TRUE(view) << view.error().message;
    expect_equal(group, *view);
    for (std::size_t size = 0; size < plain.size(); ++size)
      ASSERT_FALSE(decode_group(ByteView(plain).first(size))) << size;
    auto longer = plain;
    longer.push_back(0);
    EXPECT_FALSE(decode_group(longer));
    if (HasFatalFailure()) return;
  }
}

TEST(WalGroup, FlippedBitsNeverCrash) {
  std::size_t parsed = 0;
  for (std::size_t round = 0; round < scaled(5'000); ++round) {
    Random random(seed() + round);
    auto plain = encode_group(random_group(random));
    plain[random.below(plain.size())] ^= static_cast<std::uint8_t>(1 << random.below(8));
    const auto view = decode_group(plain);
    if (view)
      ++parsed;
    else
      ASSERT_EQ(view.error().kind, ErrorKind::corrupt);
  }
  EXPECT_GT(parsed, 0U);
}

TEST(WalGroup, LimitsHold) {
  const Group::Record small{1, Bytes(10), {}};
  const SeedRun one{1, {}};
  const auto with = [&](const Group::Record& record) {
    return decode_group(encode_group({.appends = {{1, 0, {one}, {record}}}, .marks = {}})).has_value();
  };
  EXPECT_TRUE(with(small));
  EXPECT_TRUE(with({1, Bytes(entry_bytes_max), {}}));
  EXPECT_FALSE(with({1, Bytes(entry_bytes_max + 1), {}}));
  EXPECT_TRUE(with({1, Bytes(1), std::vector<Bytes>(blobs_max)}));
  EXPECT_FALSE(with({1, Bytes(1), std::vector<Bytes>(blobs_max + 1)}));
  // Seeds must cover the records exactly; an append has records.
  EXPECT_FALSE(decode_group(encode_group({.appends = {{1, 0, {{2, {}}}, {small}}}, .marks = {}})));
  EXPECT_FALSE(decode_group(encode_group({.appends = {{1, 0, {one}, {small, small}}}, .marks = {}})));
  EXPECT_FALSE(decode_group(encode_group({.appends = {{1, 0, {one, {0, {}}}, {small}}}, .marks = {}})));
  EXPECT_FALSE(decode_group(encode_group({.appends = {{1, 0, {}, {}}}, .marks = {}})));
}

TEST(WalGroup, ACountThatTheBytesCannotHoldTakesNoMemory) {
  // A million records of at least ten bytes each do not fit into one megabyte.
  Bytes plain;
  ByteWriter to(plain);
  to.varint(1);
  to.u8(1);
  to.u64(0);
  to.varint(1'000'000);
  to.varint(1);
  to.varint(1'000'000);
  to.bytes(Block16{});
  to.zeros(1'100'000);
  const auto view = decode_group(plain);
  ASSERT_FALSE(view);
  EXPECT_LT(view.error().where->offset, 100U) << "refused by its count, not after reading all records";
}

TEST(EndMark, RoundTripAndRefusal) {
  for (std::size_t round = 0; round < scaled(100); ++round) {
    Random random(seed() + round);
    EndMark mark{.sizes = {}, .clean = random.chance(50)};
    for (auto left = random.below(5); left > 0; --left)
      mark.sizes.push_back({static_cast<std::uint8_t>(random.next()), random.next()});
    const auto plain = encode_end_mark(mark);
    const auto again = decode_end_mark(plain);
    ASSERT_TRUE(again);
    EXPECT_EQ(encode_end_mark(*again), plain);
    EXPECT_EQ(again->clean, mark.clean);
    for (std::size_t size = 0; size < plain.size(); ++size)
      ASSERT_FALSE(decode_end_mark(ByteView(plain).first(size)));
    auto wrong = plain;
    wrong.back() = 2;
    EXPECT_FALSE(decode_end_mark(wrong));
    wrong = plain;
    wrong.push_back(0);
    EXPECT_FALSE(decode_end_mark(wrong));
  }
}

}  // namespace
}  // namespace vestige::trail
