// Defends: whatever JSON records stand in - lines, pretty-printed, arrays, objects around arrays, one after
// the other - and wherever the pieces of the input end, each comes out once, in order, with its bytes and the
// line where it begins; an object that says something of its own is a record and never taken for one around
// records; what is cut off or malformed is an error and never a shorter list.
#include "cli/import/internal/json_records.h"

#include <fmt/format.h>

#include <random>

#include "cli/import/reader.h"
#include "cli/import/testing/sources.h"

namespace vestige::cli::importing {
namespace {

using testing::PiecesStream;

struct Read {
  std::vector<std::string> texts;
  std::vector<std::uint64_t> lines;
  std::string error;
  std::set<std::string> beside;
};

Read read(std::string_view text, std::size_t piece = 1'000, std::string array_name = {}) {
  PiecesStream stream(text, piece);
  JsonRecords records(stream, "in", std::move(array_name));
  Read all;
  for (;;) {
    auto record = records.next();
    if (!record) all.error = record.error().message;
    if (!record || !*record) break;
    all.texts.emplace_back((*record)->text);
    all.lines.push_back((*record)->line);
  }
  all.beside = records.beside();
  return all;
}

std::string space(std::mt19937_64& random) {
  std::string text;
  while (random() % 3 == 0) text += " \t\r\n"[random() % 4];
  return text;
}

std::string random_value(std::mt19937_64& random, int depth) {
  static const char* const scalars[] = {"1",     "-2.5e3",          "true",         "null",
                                        R"("")", R"("a,]}\"[{\\")", R"("\u00e9 ü")"};
  if (depth == 0 || random() % 3 == 0) return scalars[random() % std::size(scalars)];
  const bool is_object = random() % 2 == 0;
  std::string text(1, is_object ? '{' : '[');
  for (std::uint64_t i = 0, count = random() % 4; i < count; ++i) {
    text += (i > 0 ? "," : "") + space(random);
    if (is_object) text += fmt::format(R"("k{}")", i) + space(random) + ":" + space(random);
    text += random_value(random, depth - 1) + space(random);
  }
  return text + (is_object ? '}' : ']');
}

// An object with a member that no object around records has.
std::string random_record(std::mt19937_64& random) {
  return R"({"n":)" + random_value(random, 2) + space(random) + R"(,"Records":)" + random_value(random, 2) +
         "}";
}

// The records in one container or between others, with the lines where they begin.
std::string contain(std::mt19937_64& random, const std::vector<std::string>& records,
                    std::vector<std::uint64_t>& lines) {
  std::string text = random() % 5 == 0 ? "\xEF\xBB\xBF" : "";
  const auto form = random() % 3;
  if (form == 1) text += space(random) + "[";
  if (form == 2) text += R"({"kind":"List","metadata":{"a":[1]},)" + space(random) + "\"items\" : [";
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (i > 0) text += form == 0 ? "\n" : space(random) + ",";
    text += space(random);
    lines.push_back(1 + static_cast<std::uint64_t>(std::ranges::count(text, '\n')));
    text += records[i];
  }
  if (form > 0) text += space(random) + "]";
  if (form == 2) text += R"(, "nextPageToken":"x"})";
  return text + space(random);
}

TEST(JsonRecords, RandomRecordsInRandomContainers) {
  const auto seed = std::random_device()();
  std::mt19937_64 random(seed);
  for (int round = 0; round < 300 * testing::test_scale(); ++round) {
    std::vector<std::string> expected;
    for (auto count = random() % 8; count > 0; --count) expected.push_back(random_record(random));
    std::vector<std::uint64_t> lines;
    const auto text = contain(random, expected, lines);
    const auto got = read(text, 1 + random() % 40);
    ASSERT_EQ(got.error, "") << "seed " << seed << "\n" << text;
    ASSERT_EQ(got.texts, expected) << "seed " << seed << "\n" << text;
    ASSERT_EQ(got.lines, lines) << "seed " << seed << "\n" << text;
  }
}

TEST(JsonRecords, ACutTextIsNeverAShorterOne) {
  const std::string whole = R"({"Records": [{"a":"x\"]}"}, {"b":[1,{"c":2}]} ], "next":null})";
  ASSERT_EQ(read(whole).texts.size(), 2U);
  for (std::size_t size = 1; size < whole.size(); ++size) {
    const auto got = read(whole.substr(0, size), 3);
    EXPECT_NE(got.error.find("truncated"), std::string::npos) << size << got.error;
  }
}

TEST(JsonRecords, WhatIsAroundRecordsAndWhatIsARecord) {
  const struct {
    const char* text;
    std::vector<std::string> records;
  } cases[] = {
      {R"({"Records":[{"a":1},{"b":2}]})", {R"({"a":1})", R"({"b":2})"}},
      {R"({"@odata.context":"u","value":[{"a":1}]}{"value":[{"b":2}]})", {R"({"a":1})", R"({"b":2})"}},
      {R"({"items":[]} [] [ ] {"a":1})", {R"({"a":1})"}},
      {R"([{"items":[{"a":1}]}])", {R"({"items":[{"a":1}]})"}},  // an element is a record
      {R"({"user":"u","items":[{"a":1}]})", {R"({"user":"u","items":[{"a":1}]})"}},
      {R"({"items":[1,2]})", {R"({"items":[1,2]})"}},
      {R"({"items":{"a":1}})", {R"({"items":{"a":1}})"}},
      {R"({"things":[{"a":1}]})", {R"({"things":[{"a":1}]})"}},
      {R"([1,"a,]",[2],null])", {"1", R"("a,]")", "[2]", "null"}},
      {"1 true\n\"x\"", {"1", "true", "\"x\""}},
      {" \n ", {}},
      {"", {}},
  };
  for (const auto& [text, records] : cases) {
    const auto got = read(text, 2);
    EXPECT_EQ(got.error, "") << text;
    EXPECT_EQ(got.texts, records) << text;
  }
  const auto named = read(R"({"user":"u","things":[{"a":1}]})", 5, "things");
  EXPECT_EQ(named.texts, std::vector<std::string>{R"({"a":1})"});
  EXPECT_EQ(named.beside, std::set<std::string>{"user"});
}

TEST(JsonRecords, MalformedTextsAreErrorsThatNameTheLine) {
  for (const char* text :
       {"[1 2]", "[1,]", "[,1]", "]", "{\"a\":1}}", R"({"items":[{"a":1}] 1})", R"({"items":[{"a":1}],1})",
        R"({"items":[{"a":1}],"b"})", R"({"items":[{"a":1}],"value":[{"b":2}]})", ":"}) {
    const auto got = read(std::string("\n\n") + text, 1);
    EXPECT_NE(got.error.find("line 3"), std::string::npos) << text << ": " << got.error;
  }
}

TEST(JsonRecords, ARecordHasALimit) {
  const std::string long_text(line_bytes_max, 'x');
  for (const auto& text : {"{\"a\":\"" + long_text + "\"}", "[\"" + long_text + "\"]",
                           "{\"a\":1}\n" + long_text + "x", "[" + std::string(line_bytes_max + 10, '[')}) {
    const auto got = read(text, 100'000);
    EXPECT_NE(got.error.find("longer"), std::string::npos) << text.substr(0, 20) << got.error;
  }
  EXPECT_EQ(read("\"" + std::string(line_bytes_max - 2, 'x') + "\"", 100'000).error, "");
}

}  // namespace
}  // namespace vestige::cli::importing
