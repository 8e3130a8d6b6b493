// Properties:
// 1. A page that has a token is always among those that a filter names; one that has not, rarely.
// 2. Header and facts come back as they were written, and no changed or cut byte of a header passes.
// 3. A page that is filled again is as if it had been filled so, and the others are as before.
#include "trail/format/sidecar_format.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "base/testing/shared_data.h"

namespace vestige::trail {
namespace {

using vestige::testing::scaled;
using vestige::testing::seed;

TEST(SidecarFormat, AFilterNamesEveryPageThatHasTheTokenAndFewOthers) {
  std::mt19937_64 random(seed());
  std::size_t false_answers = 0, questions = 0;
  for (const std::uint32_t pages : {1U, 7U, 8U, 9U, 100U, 512U}) {
    std::vector<std::vector<std::uint64_t>> tokens(pages);
    std::uint64_t all = 0;
    for (auto& page : tokens) {
      page.resize(random() % 200);
      for (auto& token : page) token = random() | 1;
      all += page.size();
    }
    const SidecarGroup group{pages, buckets_for(all, pages)};
    const std::vector<std::span<const std::uint64_t>> views(tokens.begin(), tokens.end());
    const auto buckets = fill_buckets(group, views);
    const auto bucket_bytes = filter_bucket_rows * group.row_bytes();
    ASSERT_EQ(buckets.size(), group.buckets * bucket_bytes);
    std::vector<std::uint8_t> named(group.row_bytes());
    const auto ask = [&](std::uint64_t token) {
      const auto place = filter_place(token, group.buckets);
      match_bucket(group, ByteView(buckets).subspan(place.bucket * bucket_bytes, bucket_bytes), place, named);
    };
    for (std::uint32_t page = 0; page < pages; ++page)
      for (const auto token : tokens[page]) {
        ask(token);
        ASSERT_TRUE(named[page / 8] >> (page % 8) & 1);
      }
    for (std::size_t i = 0; i < scaled(200); ++i) {
      ask(random() | 1);
      for (std::uint32_t page = 0; page < pages; ++page, ++questions)
        false_answers += named[page / 8] >> (page % 8) & 1;
    }
  }
  EXPECT_LT(false_answers * 50, questions) << "more than two in a hundred";
}

TEST(SidecarFormat, HeaderAndFactsComeBackAndDamageDoesNotPass) {
  std::mt19937_64 random(seed());
  for (std::size_t round = 0; round < scaled(50); ++round) {
    SidecarFacts facts;
    const auto pages = 1 + random() % 1'200;
    for (std::uint64_t i = 0; i < pages; ++i)
      facts.pages.push_back({static_cast<std::int64_t>(random()), static_cast<std::int64_t>(random()),
                             random() % 2 == 0, random() % 2 == 0});
    for (std::uint64_t left = pages; left > 0; left -= std::min<std::uint64_t>(left, filter_group_pages))
      facts.groups.push_back({static_cast<std::uint32_t>(std::min<std::uint64_t>(left, filter_group_pages)),
                              static_cast<std::uint32_t>(1 + random() % 100)});
    auto bytes = encode_sidecar_facts(facts);
    const auto back = decode_sidecar_facts(bytes);
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(encode_sidecar_facts(*back), bytes);
    ASSERT_FALSE(decode_sidecar_facts(ByteView(bytes).first(random() % bytes.size())));
    bytes.push_back(0);
    ASSERT_FALSE(decode_sidecar_facts(bytes));

    SidecarHeader header{.first = random() % 1'000, .end = 1'000 + random() % 1'000, .facts_bytes = random()};
    header.kind = sidecar_kinds[random() % 2];
    if (header.kind == SidecarKind::clear)
      for (auto& byte : header.wrapped_key) byte = static_cast<std::uint8_t>(random());
    const auto block = encode_sidecar_header(header);
    ASSERT_EQ(block.size(), sidecar_header_bytes);
    const auto read = decode_sidecar_header(block);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(encode_sidecar_header(*read), block);
    auto changed = block;
    changed[random() % changed.size()] ^= static_cast<std::uint8_t>(1 << random() % 8);
    EXPECT_FALSE(decode_sidecar_header(changed));
  }
}

TEST(SidecarFormat, APersonalOneHasNoKeyInItsHeader) {
  SidecarHeader header{.kind = SidecarKind::sealed, .first = 1, .end = 2};
  EXPECT_EQ(text(encode_sidecar_header(header)).substr(0, 8), "VSTGPER1");
  ASSERT_TRUE(decode_sidecar_header(encode_sidecar_header(header)));
  header.wrapped_key[7] = 1;
  EXPECT_FALSE(decode_sidecar_header(encode_sidecar_header(header)));
}

TEST(SidecarFormat, APageThatIsFilledAgainIsAsIfItHadBeenFilledSo) {
  std::mt19937_64 random(seed());
  for (std::size_t round = 0; round < scaled(60); ++round) {
    const auto pages = static_cast<std::uint32_t>(1 + random() % 40);
    std::vector<std::vector<std::uint64_t>> tokens(pages);
    for (auto& page : tokens) {
      page.resize(random() % 60);
      for (auto& token : page) token = random() | 1;
    }
    const SidecarGroup group{pages, static_cast<std::uint32_t>(1 + random() % 6)};
    const auto filled = [&] {
      return fill_buckets(group, std::vector<std::span<const std::uint64_t>>(tokens.begin(), tokens.end()));
    };
    auto buckets = filled();
    const auto page = random() % pages;
    tokens[page].resize(random() % 30);
    for (auto& token : tokens[page]) token = random() | 1;
    refill_page(group, page, tokens[page], buckets);
    ASSERT_EQ(buckets, filled());
  }
}

}  // namespace
}  // namespace vestige::trail
