// Defends: every field of every row comes out as it was written, whatever the delimiter, the quoting, the
// line ends and the pieces of the input; each row becomes an object with one member for each field; a text
// that ends inside of a quoted field is an error.
#include "cli/import/internal/csv_records.h"

#include <fmt/format.h>

#include <random>

#include "cli/import/reader.h"
#include "cli/import/testing/sources.h"

namespace vestige::cli::importing {
namespace {

using testing::PiecesStream;

struct Read {
  std::vector<std::string> rows;
  std::vector<std::uint64_t> lines;
  std::string error;
  std::uint64_t uneven = 0;
};

Read read(std::string_view text, char delimiter = ',', std::size_t piece = 1'000) {
  PiecesStream stream(text, piece);
  CsvRecords records(stream, "in", delimiter);
  Read all;
  for (;;) {
    auto row = records.next();
    if (!row) all.error = row.error().message;
    if (!row || !*row) break;
    all.rows.emplace_back((*row)->json);
    all.lines.push_back((*row)->line);
  }
  all.uneven = records.uneven_rows();
  return all;
}

using Row = std::vector<std::string>;

std::string random_field(std::mt19937_64& random) {
  static const char* const pieces[] = {"a",  "b c", ",", ";", "\t", "\"",          "\r\n",
                                       "\n", "\r",  "é", "|", "{",  "\xEF\xBB\xBF"};
  std::string field;
  for (auto count = random() % 4; count > 0; --count) field += pieces[random() % std::size(pieces)];
  return field;
}

std::string written(std::mt19937_64& random, const Row& row, char delimiter) {
  std::string text;
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (i > 0) text += delimiter;
    const bool must = row[i].find_first_of(std::string("\"\r\n") + delimiter) != std::string::npos ||
                      row[i].empty() || row[i].starts_with("\xEF\xBB\xBF");
    if (!must && random() % 2 == 0) {
      text += row[i];
      continue;
    }
    text += '"';
    for (const char c : row[i]) text += c == '"' ? "\"\"" : std::string(1, c);
    text += '"';
  }
  return text;
}

std::string object_of(const Row& names, const Row& row) {
  std::string json = "{";
  for (std::size_t i = 0; i < row.size(); ++i) {
    json += i > 0 ? "," : "";
    json::append_quoted(json, names[i]);
    json += ':';
    json::append_quoted(json, row[i]);
  }
  return json + "}";
}

TEST(CsvRecords, RandomTablesComeBackFieldByField) {
  const auto seed = std::random_device()();
  std::mt19937_64 random(seed);
  for (int round = 0; round < 300 * testing::test_scale(); ++round) {
    const char delimiter = ",;\t|"[random() % 4];
    const std::string end = std::array{"\n", "\r\n", "\r"}[random() % 3];
    Row names;
    for (std::size_t i = 0, count = 1 + random() % 5; i < count; ++i)
      names.push_back(fmt::format("name {}", i));
    std::string text = random() % 3 == 0 ? "\xEF\xBB\xBF" : "";
    text += written(random, names, delimiter);
    std::vector<std::string> expected;
    for (auto count = random() % 6; count > 0; --count) {
      Row row;
      for (std::size_t i = 0; i < names.size(); ++i) row.push_back(random_field(random));
      text += end + (random() % 5 == 0 ? end : "") + written(random, row, delimiter);
      expected.push_back(object_of(names, row));
    }
    if (random() % 2 == 0) text += end;
    const auto got = read(text, delimiter, 1 + random() % 20);
    ASSERT_EQ(got.error, "") << "seed " << seed << "\n" << text;
    ASSERT_EQ(got.rows, expected) << "seed " << seed << "\n" << text;
    ASSERT_EQ(got.uneven, 0U);
  }
}

TEST(CsvRecords, NamesAndUnevenRows) {
  const auto got = read("a,,a,\"x\"\"y\"\n1,2,3,4\n1\n1,2,3,4,5,6\n");
  ASSERT_EQ(got.error, "");
  EXPECT_EQ(got.rows,
            (std::vector<std::string>{
                R"j({"a":"1","column 2":"2","a (2)":"3","x\"y":"4"})j", R"j({"a":"1"})j",
                R"j({"a":"1","column 2":"2","a (2)":"3","x\"y":"4","column 5":"5","column 6":"6"})j"}));
  EXPECT_EQ(got.uneven, 2U);
  EXPECT_EQ(got.lines, (std::vector<std::uint64_t>{2, 3, 4}));
  EXPECT_EQ(read("\xEF\xBB\xBF\"a\",b\n1,2").rows, std::vector<std::string>{R"j({"a":"1","b":"2"})j"});
  EXPECT_EQ(read("a,b\n\"1\n\n2\",x\n3,4\n").lines, (std::vector<std::uint64_t>{2, 5}));
  EXPECT_TRUE(read("").rows.empty());
  EXPECT_TRUE(read("a,b\n\n\n").rows.empty());
}

TEST(CsvRecords, WhatCannotBeReadIsNamedByItsLine) {
  for (const char* text : {"a,b\n1,\"2\n3,4\n", "a,b\n1,\"", "a,b\n\xff,1\n"}) {
    const auto got = read(text);
    EXPECT_NE(got.error.find("line 2"), std::string::npos) << text << got.error;
  }
  EXPECT_NE(read("a\n" + std::string(line_bytes_max + 1, 'x')).error.find("1048576"), std::string::npos);
  EXPECT_NE(read("\xff,b\n1,2\n").error.find("UTF-8"), std::string::npos);
  EXPECT_NE(read("a\n" + std::string(csv_columns_max + 1, ',')).error.find("10000"), std::string::npos);
}

TEST(CsvRecords, TheDelimiterIsTheOneThatCutsEvenly) {
  EXPECT_EQ(guess_delimiter("a,b\n1,2\n", true), ',');
  EXPECT_EQ(guess_delimiter("a;b,c;d\n1;2;3\n", true), ';');
  EXPECT_EQ(guess_delimiter("a\tb\n1\t2\n", true), '\t');
  EXPECT_EQ(guess_delimiter("a|b\r\n1|2\r\n", true), '|');
  EXPECT_EQ(guess_delimiter("\"a,x\";b\n1;\"2\n2\"\n", true), ';');
  EXPECT_EQ(guess_delimiter("a,b\n1,\"2", false), ',') << "the row may go on";
  EXPECT_EQ(guess_delimiter("hello\nworld\n", true), '\0');
  EXPECT_EQ(guess_delimiter("hello, world\n", true), '\0') << "a header alone is no table";
  EXPECT_EQ(guess_delimiter("a,b\n1,2,3\n", true), '\0');
  EXPECT_EQ(guess_delimiter("", true), '\0');
}

}  // namespace
}  // namespace vestige::cli::importing
