// Properties: the text of a double is the shortest that reads back as it, as found by trying; a decimal text
// is accepted exactly when the shortest text of its nearest double denotes the same value, decided on digits
// by hand; whatever is accepted has one canonical text, which is accepted and its own canonical text.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>

#include "base/testing/shared_data.h"
#include "json/json.h"
#include "json/testing/model.h"

namespace vestige::json {
namespace {

std::string number_of(double value) {
  std::string text;
  append_number(text, value);
  return text;
}

// "123.4500e7" as "12345" and the power of ten of its last digit.
std::pair<std::string, long long> value_of(const std::string& text) {
  const auto e = std::min(text.find_first_of("eE"), text.size());
  long long power = e < text.size() ? std::atoll(text.c_str() + e + 1) : 0;
  std::string digits = text.substr(0, e);
  const bool negative = digits.front() == '-';
  if (negative) digits.erase(0, 1);
  if (const auto point = digits.find('.'); point != std::string::npos) {
    power -= static_cast<long long>(digits.size() - point - 1);
    digits.erase(point, 1);
  }
  digits.erase(0, digits.find_first_not_of('0'));
  if (digits.empty()) return {"0", 0};
  for (; digits.back() == '0'; ++power) digits.pop_back();
  return {(negative ? "-" : "") + digits, power};
}

std::string random_decimal(std::mt19937_64& random) {
  const auto digits = [&](std::size_t count) {
    std::string text;
    for (; count > 0; --count) text += static_cast<char>('0' + (random() % 3 == 0 ? 0 : random() % 10));
    return text;
  };
  std::string text = random() % 3 == 0 ? "-" : "";
  text += random() % 4 == 0 ? "0" : static_cast<char>('1' + random() % 9) + digits(random() % 20);
  if (random() % 2 == 0) text += "." + digits(1 + random() % 22);
  if (random() % 3 == 0) {
    text += random() % 2 == 0 ? "e" : "E";
    text += std::string(random() % 3 == 0 ? "-" : random() % 2 == 0 ? "+" : "") + digits(1 + random() % 3);
  }
  return text;
}

TEST(Number, TextOfADoubleIsTheShortest) {
  std::mt19937_64 random(vestige::testing::seed());
  for (std::size_t round = 0; round < vestige::testing::scaled(50'000); ++round) {
    auto value = std::bit_cast<double>(random());
    if (round % 3 == 0) value = static_cast<double>(random() % 1'000'000) / 1000;
    if (round % 7 == 0) value = static_cast<double>(static_cast<std::int64_t>(random()));
    if (round % 11 == 0) value = std::bit_cast<double>(random() % (std::uint64_t{1} << 53));
    if (!std::isfinite(value)) continue;
    const auto text = number_of(value);
    ASSERT_EQ(text, testing::naive_number(value));
    EXPECT_EQ(std::strtod(text.c_str(), nullptr), value);
  }
}

TEST(Number, DecimalIsAcceptedExactlyWhenItSurvives) {
  std::mt19937_64 random(vestige::testing::seed());
  Parser parser;
  Document document;
  std::size_t accepted = 0;
  std::size_t refused = 0;
  for (std::size_t round = 0; round < vestige::testing::scaled(50'000); ++round) {
    const auto text = random_decimal(random);
    const auto value = std::strtod(text.c_str(), nullptr);
    const bool survives = std::isfinite(value) && value_of(testing::naive_number(value)) == value_of(text);
    ASSERT_EQ(parser.parse(text, document).has_value(), survives) << text;
    if (!survives) {
      ++refused;
      continue;
    }
    ++accepted;
    const std::string written(document.root().number());
    EXPECT_EQ(written, testing::naive_number(value)) << text;
    EXPECT_EQ(document.root().number_value(), value);
    ASSERT_TRUE(parser.parse(written, document));
    EXPECT_EQ(document.root().number(), written);
  }
  EXPECT_GT(accepted, 1000u);
  EXPECT_GT(refused, 1000u);
}

TEST(Number, ShortestTextsOfAllDoublesAreAccepted) {
  std::mt19937_64 random(vestige::testing::seed());
  Parser parser;
  Document document;
  for (std::size_t round = 0; round < vestige::testing::scaled(20'000); ++round) {
    const auto value = std::bit_cast<double>(round % 4 == 0 ? random() >> 12 : random());
    if (!std::isfinite(value)) continue;
    const auto text = number_of(value);
    ASSERT_TRUE(parser.parse(text, document)) << text;
    EXPECT_EQ(document.root().number(), text);
  }
}

// RFC 8785, appendix B.
TEST(Number, Rfc8785Table) {
  const std::vector<std::pair<std::uint64_t, const char*>> table = {
      {0x0000000000000000, "0"},
      {0x8000000000000000, "0"},
      {0x0000000000000001, "5e-324"},
      {0x8000000000000001, "-5e-324"},
      {0x7fefffffffffffff, "1.7976931348623157e+308"},
      {0xffefffffffffffff, "-1.7976931348623157e+308"},
      {0x4340000000000000, "9007199254740992"},
      {0xc340000000000000, "-9007199254740992"},
      {0x4430000000000000, "295147905179352830000"},
      {0x44b52d02c7e14af5, "9.999999999999997e+22"},
      {0x44b52d02c7e14af6, "1e+23"},
      {0x44b52d02c7e14af7, "1.0000000000000001e+23"},
      {0x444b1ae4d6e2ef4e, "999999999999999700000"},
      {0x444b1ae4d6e2ef4f, "999999999999999900000"},
      {0x444b1ae4d6e2ef50, "1e+21"},
      {0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"},
      {0x3eb0c6f7a0b5ed8d, "0.000001"},
      {0x41b3de4355555553, "333333333.3333332"},
      {0x41b3de4355555554, "333333333.33333325"},
      {0x41b3de4355555555, "333333333.3333333"},
      {0x41b3de4355555556, "333333333.3333334"},
      {0x41b3de4355555557, "333333333.33333343"},
      {0xbecbf647612f3696, "-0.0000033333333333333333"},
      {0x43143ff3c1cb0959, "1424953923781206.2"},
  };
  for (const auto& [bits, text] : table) EXPECT_EQ(number_of(std::bit_cast<double>(bits)), text);
}

TEST(Number, Examples) {
  const std::vector<std::pair<const char*, const char*>> accepted = {
      {"1.50", "1.5"},
      {"-0", "0"},
      {"-0.0e-5", "0"},
      {"0e99999999999999999999999", "0"},
      {"1E2", "100"},
      {"1e21", "1e+21"},
      {"123456789012345680000", "123456789012345680000"},
      {"9007199254740992", "9007199254740992"},
      {"9007199254740994", "9007199254740994"},
      {"0.000001", "0.000001"},
      {"0.0000001", "1e-7"},
      {"5e-324", "5e-324"},
      {"100000000000000000000000e-23", "1"},
      {"-123.456e+3", "-123456"},
  };
  Parser parser;
  Document document;
  for (const auto& [text, expected] : accepted) {
    ASSERT_TRUE(parser.parse(text, document)) << text;
    EXPECT_EQ(document.root().number(), expected);
  }
  // The nearest double of each has another shortest text.
  for (const char* text :
       {"9007199254740993", "1e400", "-1e400", "1e-400", "3e-324", "0.10000000000000000001",
        "295147905179352825856", "1e99999999999999999999", "1e-99999999999999999999"}) {
    EXPECT_FALSE(parser.parse(text, document)) << text;
  }
  const auto zeros = "1" + std::string(100'000, '0') + "e-100000";
  ASSERT_TRUE(parser.parse(zeros, document));
  EXPECT_EQ(document.root().number(), "1");
}

TEST(Number, Integers) {
  for (const std::int64_t value :
       std::vector<std::int64_t>{0, 1, -1, 9'007'199'254'740'992, -9'007'199'254'740'992,
                                 9'007'199'254'740'993, INT64_MIN, INT64_MAX}) {
    std::string text;
    append_number(text, value);
    EXPECT_EQ(text, testing::naive_number(static_cast<double>(value)));
  }
}

}  // namespace
}  // namespace vestige::json
