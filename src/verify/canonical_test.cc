// Property: the scanner accepts a text exactly where json::Parser reads an object and json::canonical writes
// it back unchanged, and then gives the object's own members. Held over random canonical objects, over the
// same with a few bytes changed, and over spellings that are nearly canonical.
#include "verify/internal/canonical.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "verify/limits.h"

namespace vestige::verify {
namespace {

using Random = std::mt19937_64;

bool is_canonical(std::string_view text) {
  json::Parser parser;
  json::Document document;
  if (!parser.parse(text, document, {.depth_max = limits::entry_depth_max})) return false;
  return document.root().is_object() && json::canonical(document.root()) == text;
}

std::uint64_t below(Random& random, std::uint64_t end) { return random() % end; }

std::string random_string(Random& random) {
  static const std::vector<std::string> pieces = {"a",
                                                  "Z",
                                                  "0",
                                                  " ",
                                                  "\"",
                                                  "\\",
                                                  "/",
                                                  "\n",
                                                  "\t",
                                                  "\b",
                                                  "\f",
                                                  "\r",
                                                  std::string(1, '\0'),
                                                  "\x01",
                                                  "\x1f",
                                                  "\x7f",
                                                  "ü",
                                                  "€",
                                                  "\ue000",
                                                  "\uffff",
                                                  "\U00010000",
                                                  "\U0010ffff",
                                                  "longer than a word of eight bytes"};
  std::string out;
  for (auto count = below(random, 6); count > 0; --count) out += pieces[below(random, pieces.size())];
  return out;
}

void append_random(std::string& out, Random& random, unsigned depth) {
  static const std::vector<std::string> scalars = {"true",
                                                   "false",
                                                   "null",
                                                   "0",
                                                   "-1",
                                                   "7",
                                                   "123456789012345",
                                                   "-999999999999999",
                                                   "9007199254740992",
                                                   "1e+21",
                                                   "1.5",
                                                   "-0.001",
                                                   "1e-7",
                                                   "5e-324",
                                                   "1.7976931348623157e+308",
                                                   "333333333.3333333",
                                                   "1234567890123456"};
  const auto kind = below(random, depth > 4 ? 2 : 4);
  if (kind == 0) {
    out += scalars[below(random, scalars.size())];
  } else if (kind == 1) {
    json::append_quoted(out, random_string(random));
  } else if (kind == 2) {
    out += '[';
    for (auto count = below(random, 4); count > 0; --count) {
      append_random(out, random, depth + 1);
      if (count > 1) out += ',';
    }
    out += ']';
  } else {
    out += '{';
    for (auto count = below(random, 4); count > 0; --count) {
      json::append_quoted(out, random_string(random) + std::to_string(count));
      out += ':';
      append_random(out, random, depth + 1);
      if (count > 1) out += ',';
    }
    out += '}';
  }
}

std::string random_object(Random& random) {
  std::string text = "{";
  for (int i = 0; i < 5; ++i) {
    json::append_quoted(text, std::to_string(i) + random_string(random));
    text += ':';
    append_random(text, random, 1);
    text += i < 4 ? "," : "}";
  }
  json::Parser parser;
  json::Document document;
  EXPECT_TRUE(parser.parse(text, document)) << text;
  return json::canonical(document.root());
}

TEST(Canonical, AcceptsWhatTheParserReadsAndWritesBackUnchanged) {
  const char* scale = std::getenv("VESTIGE_TEST_SCALE");
  const auto rounds = 3'000 * (scale == nullptr ? 1 : std::max(1L, std::strtol(scale, nullptr, 10)));
  const std::uint64_t seed = 20'261'125;
  SCOPED_TRACE(fmt::format("seed {}", seed));
  Random random(seed);
  CanonicalScanner scanner;
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;
  for (long round = 0; round < rounds; ++round) {
    auto text = random_object(random);
    ASSERT_TRUE(scanner.scan(text)) << text << " at " << scanner.bad_at();
    for (int change = 0; change < 8; ++change) {
      auto changed = text;
      constexpr std::string_view likely = "\"\\{}[],:0129.eE+-tfnu abAF\x01\x80\xc3\xff";
      const auto at = below(random, changed.size());
      const auto c = likely[below(random, likely.size())];
      switch (below(random, 3)) {
        case 0:
          changed[at] = c;
          break;
        case 1:
          changed.insert(at, 1, c);
          break;
        default:
          changed.erase(at, 1 + below(random, 3));
      }
      const bool wanted = is_canonical(changed);
      ASSERT_EQ(scanner.scan(changed), wanted) << changed << " at " << scanner.bad_at();
      ++(wanted ? accepted : refused);
    }
  }
  EXPECT_GT(accepted, 100U);
  EXPECT_GT(refused, 100U);
}

TEST(Canonical, SpellingsThatAreNearlyCanonical) {
  CanonicalScanner scanner;
  for (const std::string_view text : {R"({})",
                                      R"({"a":1})",
                                      R"({"a":1.0})",
                                      R"({"a":01})",
                                      R"({"a":-0})",
                                      R"({"a":0})",
                                      R"({"a":-})",
                                      R"({"a":1e3})",
                                      R"({"a":1E3})",
                                      R"({"a":100000000000000000000})",
                                      R"({"a":1e+21})",
                                      R"({"a":1e21})",
                                      R"({"a":.5})",
                                      R"({"a":9007199254740993})",
                                      R"({"a":9007199254740992})",
                                      R"({"a":+1})",
                                      R"({"a":"\u000b"})",
                                      R"({"a":"\u000B"})",
                                      R"({"a":"\u0008"})",
                                      R"({"a":"\/"})",
                                      R"({"a":"\u00fc"})",
                                      R"({"a":"\ud800"})",
                                      R"({"a":1,"a":1})",
                                      R"({"b":1,"a":1})",
                                      R"({"a":1,})",
                                      R"({"a":1}})",
                                      R"({"a":1} )",
                                      R"( {"a":1})",
                                      R"({"a": 1})",
                                      R"({"a":[1,]})",
                                      R"({"a":[]})",
                                      R"({"a":tru})",
                                      R"({"a":truex})",
                                      R"([])",
                                      R"("a")",
                                      "",
                                      "{",
                                      "{\"a\":\"\x1f\"}",
                                      "{\"a\":\"\xc0\x80\"}",
                                      "{\"a\":\"\xed\xa0\x80\"}",
                                      "{\"\uffff\":1,\"\U00010000\":1}",
                                      "{\"\U00010000\":1,\"\uffff\":1}",
                                      R"({"\n":1,"\r":1})",
                                      R"({"\r":1,"\n":1})",
                                      R"({"\n":1," ":1})",
                                      R"({" ":1,"\n":1})"})
    EXPECT_EQ(scanner.scan(text), is_canonical(text)) << text;
}

TEST(Canonical, NestingEndsWhereTheLimitSays) {
  CanonicalScanner scanner;
  for (const auto depth :
       {limits::entry_depth_max - 1, limits::entry_depth_max, limits::entry_depth_max + 1}) {
    const auto text = "{\"a\":" + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}";
    EXPECT_EQ(scanner.scan(text), depth <= limits::entry_depth_max);
    EXPECT_EQ(scanner.scan(text), is_canonical(text));
  }
  EXPECT_FALSE(scanner.scan("{\"a\":" + std::string(1 << 20, '[')));
}

TEST(Canonical, GivesTheMembersOfTheObjectItself) {
  CanonicalScanner scanner;
  ASSERT_TRUE(scanner.scan(R"({"a":{"x":1},"b":[2,{"y":3}],"c":"d\"e"})"));
  ASSERT_EQ(scanner.members().size(), 3U);
  EXPECT_EQ(scanner.members()[0].key, "a");
  EXPECT_EQ(scanner.members()[0].value, R"({"x":1})");
  EXPECT_EQ(scanner.members()[1].value, R"([2,{"y":3}])");
  EXPECT_EQ(scanner.members()[2].value, R"("d\"e")");
}

}  // namespace
}  // namespace vestige::verify
