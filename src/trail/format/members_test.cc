// Properties:
// 1. For canonical objects the scanner finds the members that the JSON parser finds, in order, verbatim.
// 2. For anything else it never reads outside its text and its borders lie inside it.
#include "trail/format/members.h"

#include <gtest/gtest.h>

#include "base/testing/shared_data.h"
#include "json/json.h"
#include "trail/testing/random_entries.h"

namespace vestige::trail {
namespace {

using testing::Random;
using vestige::testing::scaled;
using vestige::testing::seed;

TEST(Members, AreThoseOfTheParser) {
  json::Parser parser;
  json::Document document;
  for (std::size_t round = 0; round < scaled(5'000); ++round) {
    Random random(seed() + round);
    const auto entry = testing::random_entry(random, random.array<16>());
    ASSERT_TRUE(parser.parse(entry, document)) << entry;
    const auto root = document.root();
    ASSERT_EQ(canonical(root), entry) << "the test made an object that is not canonical";
    MemberScanner members(entry);
    for (std::size_t i = 0; i < root.size(); ++i) {
      const auto member = members.next();
      ASSERT_TRUE(member) << entry;
      std::string key;
      json::append_quoted(key, root.key_at(i));
      ASSERT_EQ("\"" + std::string(member->key) + "\"", key);
      ASSERT_EQ(member->value, canonical(root.at(i)));
      ASSERT_EQ(entry.substr(member->start, member->end - member->start),
                key + ":" + std::string(member->value));
    }
    ASSERT_FALSE(members.next());
    ASSERT_TRUE(members.ok());
  }
}

TEST(Members, BordersLieInsideWhateverTheText) {
  for (std::size_t round = 0; round < scaled(20'000); ++round) {
    Random random(seed() + round);
    auto entry = testing::random_entry(random, random.array<16>());
    for (auto changes = 1 + random.below(4); changes > 0; --changes) {
      constexpr std::string_view letters = "{}[]\",:\\ x0";
      auto& byte = entry[random.below(entry.size())];
      byte = letters[random.below(letters.size())];
    }
    if (random.chance(30)) entry.resize(random.below(entry.size() + 1));
    MemberScanner members(entry);
    std::size_t end = 0;
    while (const auto member = members.next()) {
      ASSERT_GT(member->start, end);
      ASSERT_LT(member->start, member->end);
      ASSERT_LT(member->end, entry.size());
      end = member->end;
    }
    if (!members.ok()) ASSERT_FALSE(members.next());
  }
}

TEST(Members, WhatIsNoObjectIsRefused) {
  for (const std::string_view wrong :
       {"", "{", "}", "[]", "null", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,}", "{\"a\":1 }x", "{\"a\" :1}",
        "{\"a\":\"x}", "{\"a\\\":1}", "{a:1}", "{\"a\":[1}"}) {
    MemberScanner members(wrong);
    while (members.next()) continue;
    EXPECT_FALSE(members.ok()) << wrong;
  }
  MemberScanner none("{}");
  EXPECT_FALSE(none.next());
  EXPECT_TRUE(none.ok());
}

}  // namespace
}  // namespace vestige::trail
