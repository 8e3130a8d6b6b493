// Properties:
// 1. Manifest and signer state decode to what was encoded; every flipped bit and every other length is
//    refused.
// 2. What no server writes is refused although its hash is right: gaps between segments, a size that they do
//    not give, names that are no directory names, two streams of one number or name.
#include "trail/format/manifest.h"

#include <gtest/gtest.h>

#include "base/testing/shared_data.h"
#include "crypto/digest.h"
#include "trail/testing/random_entries.h"

namespace vestige::trail {
namespace {

using testing::Random;
using vestige::testing::scaled;
using vestige::testing::seed;

FileDigest random_digest(Random& random) { return {random.next(), random.array<32>()}; }

Manifest random_manifest(Random& random) {
  Manifest manifest{.sequence = random.next(),
                    .data_id = random.array<16>(),
                    .created = UnixMs{static_cast<std::int64_t>(random.next())},
                    .wal_root = random.next(),
                    .streams = {},
                    .marks = {}};
  const auto streams = random.below(4);
  for (std::uint64_t number = 1; number <= streams; ++number) {
    StreamRecord stream{.number = static_cast<std::uint8_t>(number),
                        .tenant = "tenant-" + std::to_string(random.below(10)),
                        .name = "stream_" + std::to_string(number),
                        .proofs = random.chance(50),
                        .sealed_size = 0,
                        .frontier = {},
                        .segments = {}};
    for (auto left = random.below(5); left > 0; --left) {
      const auto end = stream.sealed_size + 1 + random.below(segment_rows_limit);
      stream.segments.push_back(
          {stream.sealed_size, end, random_digest(random), random_digest(random), random_digest(random)});
      stream.sealed_size = end;
    }
    for (auto left = std::popcount(stream.sealed_size); left > 0; --left)
      stream.frontier.push_back(random.array<32>());
    manifest.streams.push_back(std::move(stream));
  }
  for (auto left = random.below(5); left > 0; --left)
    manifest.marks.push_back(
        {static_cast<std::uint8_t>(random.next()), testing::random_text(random), random.next()});
  return manifest;
}

TEST(Manifest, RoundTripAndEveryFlippedBitRefused) {
  for (std::size_t round = 0; round < scaled(30); ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed() + round));
    Random random(seed() + round);
    const auto manifest = random_manifest(random);
    const auto bytes = encode_manifest(manifest);
    const auto again = decode_manifest(bytes);
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(encode_manifest(*again), bytes);
    EXPECT_EQ(again->sequence, manifest.sequence);
    EXPECT_EQ(again->wal_root, manifest.wal_root);
    ASSERT_EQ(again->streams.size(), manifest.streams.size());
    for (std::size_t i = 0; i < manifest.streams.size(); ++i) {
      EXPECT_EQ(again->streams[i].full_name(), manifest.streams[i].full_name());
      EXPECT_EQ(again->streams[i].segments, manifest.streams[i].segments);
      EXPECT_EQ(again->streams[i].frontier, manifest.streams[i].frontier);
    }
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      auto wrong = bytes;
      wrong[i] ^= static_cast<std::uint8_t>(1 << random.below(8));
      ASSERT_FALSE(decode_manifest(wrong)) << i;
      ASSERT_FALSE(decode_manifest(ByteView(bytes).first(i)));
    }
  }
}

Bytes with_hash(Bytes bytes) {
  bytes.resize(bytes.size() - sizeof(Hash));
  const auto hash = crypto::sha256(bytes);
  bytes.insert(bytes.end(), hash.begin(), hash.end());
  return bytes;
}

TEST(Manifest, ChangesUnderARightHashNeverCrash) {
  for (std::size_t round = 0; round < scaled(3'000); ++round) {
    Random random(seed() + round);
    auto bytes = encode_manifest(random_manifest(random));
    bytes[random.below(bytes.size() - sizeof(Hash))] ^= static_cast<std::uint8_t>(1 << random.below(8));
    const auto manifest = decode_manifest(with_hash(bytes));
    if (manifest)
      ASSERT_EQ(encode_manifest(*manifest), with_hash(bytes));
    else
      ASSERT_EQ(manifest.error().kind, ErrorKind::corrupt);
  }
}

TEST(Manifest, WhatNoServerWritesIsRefused) {
  const auto stream = [](std::uint8_t number, std::string name) {
    return StreamRecord{.number = number,
                        .tenant = "t",
                        .name = std::move(name),
                        .proofs = true,
                        .sealed_size = 20,
                        .frontier = {Hash{}, Hash{}},
                        .segments = {{0, 10, {}, {}, {}}, {10, 20, {}, {}, {}}}};
  };
  const auto accepted = [](const std::vector<StreamRecord>& streams) {
    Manifest manifest;
    manifest.streams = streams;
    return decode_manifest(encode_manifest(manifest)).has_value();
  };
  EXPECT_TRUE(accepted({stream(1, "a"), stream(2, "b")}));
  EXPECT_FALSE(accepted({stream(1, "a"), stream(1, "b")})) << "one number twice";
  EXPECT_FALSE(accepted({stream(1, "a"), stream(2, "a")})) << "one name twice";
  const auto changed = [&](auto change) {
    auto wrong = stream(1, "a");
    change(wrong);
    return accepted({wrong});
  };
  EXPECT_FALSE(changed([](auto& s) { s.number = 0; }));
  EXPECT_FALSE(changed([](auto& s) { s.sealed_size = 21; }));
  EXPECT_FALSE(changed([](auto& s) { s.segments[1].first = 11; }));
  EXPECT_FALSE(changed([](auto& s) { s.segments[0].first = 1; }));
  EXPECT_FALSE(changed([](auto& s) { s.segments[1].end = 10, s.sealed_size = 10; }));
  EXPECT_FALSE(changed([](auto& s) { s.segments[1].end = s.sealed_size = 11 + segment_rows_limit; }));
  for (const std::string name : {"", "..", "a/b", "A", "a b", "\xc3\xa9"}) {
    EXPECT_FALSE(changed([&](auto& s) { s.name = name; })) << name;
    EXPECT_FALSE(changed([&](auto& s) { s.tenant = name; })) << name;
  }
  EXPECT_FALSE(is_stream_name(std::string(65, 'a')));
  EXPECT_TRUE(is_stream_name(std::string(64, 'a')));
}

TEST(SignerState, RoundTripAndEveryFlippedBitRefused) {
  for (std::size_t round = 0; round < scaled(30); ++round) {
    Random random(seed() + round);
    const SignerState state{.counter = random.next(),
                            .size = random.next(),
                            .root = random.array<32>(),
                            .public_key = random.array<32>(),
                            .signed_at = UnixMs{static_cast<std::int64_t>(random.next())},
                            .data_id = random.array<16>(),
                            .origin = "log.example/" + std::string(random.below(100), 'x')};
    const auto bytes = encode_signer_state(state);
    const auto again = decode_signer_state(bytes);
    ASSERT_TRUE(again);
    EXPECT_EQ(encode_signer_state(*again), bytes);
    EXPECT_EQ(again->origin, state.origin);
    EXPECT_EQ(again->size, state.size);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      auto wrong = bytes;
      wrong[i] ^= static_cast<std::uint8_t>(1 << random.below(8));
      ASSERT_FALSE(decode_signer_state(wrong)) << i;
      ASSERT_FALSE(decode_signer_state(ByteView(bytes).first(i)));
      const auto forged = decode_signer_state(with_hash(wrong));
      if (forged && i < bytes.size() - sizeof(Hash))
        ASSERT_EQ(encode_signer_state(*forged), with_hash(wrong));
    }
  }
}

}  // namespace
}  // namespace vestige::trail
