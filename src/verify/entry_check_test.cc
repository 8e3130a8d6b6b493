// Property: a time or id is accepted exactly where parsing it and writing it again gives the same text; an
// entry is accepted where every member that the format requires is there in its form.
#include "verify/internal/entry_check.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include "verify/testing/world.h"

namespace vestige::verify {
namespace {

bool is_written_again(std::string_view text) {
  const auto time = parse_time(text);
  return time && format_time(*time) == text;
}

TEST(EntryCheck, TimesAreThoseThatAreWrittenAgain) {
  std::mt19937_64 random(1);
  for (int year : {0, 1, 1900, 1999, 2000, 2023, 2024, 2100, 9999})
    for (int month = 0; month <= 13; ++month)
      for (int day = 0; day <= 32; ++day) {
        const auto text = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", year, month, day,
                                      random() % 25, random() % 61, random() % 62, random() % 1000);
        ASSERT_EQ(is_canonical_time(text), is_written_again(text)) << text;
      }
  for (int round = 0; round < 20'000; ++round) {
    std::string text = "2026-11-25T14:40:11.213Z";
    text[random() % text.size()] = "0123456789-:.TZtz+ "[random() % 19];
    ASSERT_EQ(is_canonical_time(text), is_written_again(text)) << text;
  }
  EXPECT_FALSE(is_canonical_time("2026-11-25T14:40:11.213"));
  EXPECT_FALSE(is_canonical_time(""));
}

TEST(EntryCheck, IdsAreThoseThatAreWrittenAgain) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 20'000; ++round) {
    Uuid wanted;
    for (auto& byte : wanted.bytes) byte = static_cast<std::uint8_t>(random());
    auto text = format_uuid(wanted);
    Uuid found;
    ASSERT_TRUE(take_canonical_uuid(text, found));
    ASSERT_EQ(found, wanted);
    text[random() % text.size()] = static_cast<char>(random());
    const auto parsed = parse_uuid(text);
    ASSERT_EQ(take_canonical_uuid(text, found), parsed && format_uuid(*parsed) == text) << text;
  }
}

TEST(EntryCheck, EveryRequiredMemberIsAskedFor) {
  EntryChecker checker{std::string(testing::tenant)};
  EntryFacts facts;
  const auto entry = testing::entry_text({.number = 3}, Uuid{}, UnixMs{1'700'000'000'000}, {}, "");
  EXPECT_EQ(checker.check(entry, facts), std::nullopt);
  EXPECT_EQ(facts.received_at, "2023-11-14T22:13:20.000Z");
  for (const std::string name :
       {"action", "id", "kind", "receivedAt", "salt", "schema", "tenant", "time", "v"}) {
    auto without = entry;
    // One letter more keeps the order of the members and the object canonical.
    without.replace(without.find("\"" + name + "\":"), name.size() + 1, "\"" + name + "0");
    const auto reason = checker.check(without, facts);
    ASSERT_TRUE(reason) << without;
    EXPECT_EQ(*reason, fmt::format("the entry has no member \"{}\"", name));
    auto wrong = entry;
    const auto value = wrong.find("\"" + name + "\":") + name.size() + 3;
    wrong.replace(value, wrong.find_first_of(",}", value) - value, "null");
    EXPECT_TRUE(checker.check(wrong, facts)) << wrong;
  }
}

}  // namespace
}  // namespace vestige::verify
