// Defends: reading without loss keeps every number: those that a double holds as numbers, the others as
// strings of their very text, and exactly the paths of the latter are told, in canonical order whatever the
// order of keys; texts without such numbers read as with parse().
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include "json/json.h"

namespace vestige::json {
namespace {

struct Spelled {
  std::string text;
  bool lossy;
};
const Spelled numbers[] = {{"1", false},      {"-0.5", false},
                           {"1e2", false},    {"9007199254740992", false},
                           {"1e400", true},   {"9007199254740993", true},
                           {"-1e-999", true}, {"0.10000000000000000001", true},
                           {"1e23", false},   {"123456789012345678901", true}};

// An object of members "k0", "k1", ... in random order, some of them arrays.
std::string random_text(std::mt19937_64& random, std::vector<std::string>& lossy_paths,
                        std::string& expected) {
  std::vector<std::string> members;
  expected = "{";
  for (std::uint64_t i = 0, count = random() % 10; i < count; ++i) {
    const auto& number = numbers[random() % std::size(numbers)];
    const bool in_array = random() % 2 == 0;
    Document document;
    Parser parser;
    EXPECT_TRUE(number.lossy || parser.parse(number.text, document));
    const auto kept = number.lossy ? "\"" + number.text + "\"" : canonical(document.root());
    expected += fmt::format("{}\"k{}\":{}", i == 0 ? "" : ",", i, in_array ? "[null," + kept + "]" : kept);
    members.push_back(
        fmt::format(" \"k{}\": {}", i, in_array ? "[null, " + number.text + " ]" : number.text));
    if (number.lossy) lossy_paths.push_back(fmt::format("/k{}{}", i, in_array ? "/1" : ""));
  }
  expected += "}";
  std::ranges::shuffle(members, random);
  return fmt::format("{{{} }}", fmt::join(members, ","));
}

TEST(Lossless, RandomTextsAgainstWhatTheyWereMadeOf) {
  const auto seed = std::random_device()();
  std::mt19937_64 random(seed);
  Parser parser;
  Document document;
  std::vector<std::string> lossless;
  for (int round = 0; round < 2'000; ++round) {
    std::vector<std::string> expected_paths;
    std::string expected;
    const auto text = random_text(random, expected_paths, expected);
    const auto read = parser.parse_lossless(text, document, lossless);
    ASSERT_TRUE(read) << "seed " << seed << ": " << text << read.error().message;
    ASSERT_EQ(canonical(document.root()), expected) << "seed " << seed << ": " << text;
    ASSERT_EQ(lossless, expected_paths) << "seed " << seed << ": " << text;
    ASSERT_EQ(parser.parse(text, document).has_value(), expected_paths.empty()) << text;
  }
}

TEST(Lossless, PathsAreEscapedAndAScalarHasTheEmptyOne) {
  Parser parser;
  Document document;
  std::vector<std::string> lossless = {"of before"};
  ASSERT_TRUE(parser.parse_lossless(R"({"a/b~":{"":1e400}})", document, lossless));
  EXPECT_EQ(lossless, std::vector<std::string>{"/a~1b~0/"});
  ASSERT_TRUE(parser.parse_lossless("9007199254740993", document, lossless));
  EXPECT_EQ(lossless, std::vector<std::string>{""});
  ASSERT_TRUE(parser.parse_lossless("[1]", document, lossless));
  EXPECT_TRUE(lossless.empty());
  for (const char* malformed : {"1e", "[01]", "1e400x", "{\"a\":1e400,}", "\"\xff\""})
    EXPECT_FALSE(parser.parse_lossless(malformed, document, lossless)) << malformed;
}

}  // namespace
}  // namespace vestige::json
