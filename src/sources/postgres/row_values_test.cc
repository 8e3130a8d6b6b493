// Property: from the JSON that stands for a value, its type and whether its pointer is in `lossless` the text
// is had again, of jsonb an equal value, of what is too long or no text the digest; whatever the bytes are,
// it is JSON. Real texts of every built-in type become what another program says they become
// (tests/golden/postgres/values.sql).
#include "sources/postgres/row_values.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <fstream>
#include <set>

#include "sources/postgres/testing/way_back.h"

namespace vestige::sources::postgres {
namespace {

using testing::is_same_value;

std::string golden(const std::string& name) {
  return std::string(VESTIGE_SOURCE_DIR) + "/tests/golden/postgres/" + name;
}

std::string written(ObjectId type, std::string_view text) {
  ValueWriter values;
  const auto value = values.write(type, text);
  return (value.lossless ? "lossless " : "") + value.json;
}

// As COPY writes a text.
std::string unescaped(std::string_view copied) {
  std::string text;
  for (std::size_t i = 0; i < copied.size(); ++i) {
    if (copied[i] != '\\') {
      text += copied[i];
      continue;
    }
    const auto escape = copied[++i];
    text += escape == 'n' ? '\n' : escape == 't' ? '\t' : escape == 'r' ? '\r' : escape;
  }
  return text;
}

struct Sample {
  ObjectId type{};
  std::string text;
};
std::vector<Sample> samples() {
  std::vector<Sample> samples;
  std::ifstream file(golden("values.tsv"));
  for (std::string line; std::getline(file, line);) {
    const auto name = line.find('\t'), text = line.find('\t', name + 1);
    samples.push_back({ObjectId{static_cast<std::uint32_t>(std::stoul(line.substr(0, name)))},
                       unescaped(std::string_view(line).substr(text + 1))});
  }
  EXPECT_GT(samples.size(), 150u);
  return samples;
}

TEST(RowValues, WhatPostgresWritesBecomesWhatAnotherProgramSays) {
  std::ifstream expected(golden("values.json"));
  for (const auto& [type, text] : samples()) {
    std::string line;
    ASSERT_TRUE(std::getline(expected, line));
    EXPECT_EQ(written(type, text), line) << type.value << ' ' << text;
    ValueWriter values;
    EXPECT_TRUE(is_same_value(values.write(type, text), type, text)) << type.value << ' ' << text;
  }
  std::string line;
  EXPECT_FALSE(std::getline(expected, line)) << line;
}

TEST(RowValues, DifferentTextsOfATypeStayDifferent) {
  std::set<std::pair<std::uint32_t, std::string>> texts, all;
  for (const auto& [type, text] : samples()) {
    texts.emplace(type.value, text);
    all.emplace(type.value, written(type, text));
  }
  EXPECT_EQ(all.size(), texts.size());
}

std::string random_number() {
  switch (*rc::gen::inRange(0, 3)) {
    case 0:
      return fmt::format("{}", *rc::gen::arbitrary<std::int64_t>());
    case 1:
      return fmt::format("{}", *rc::gen::arbitrary<double>());
    default:
      return *rc::gen::container<std::string>(rc::gen::elementOf(std::string("0123456789.e+-")));
  }
}

TEST(RowValues, NumbersInAnySpelling) {
  EXPECT_TRUE(rc::check([] {
    const auto type =
        *rc::gen::elementOf(std::vector{type_ids::int2, type_ids::int4, type_ids::int8, type_ids::oid,
                                        type_ids::float4, type_ids::float8, type_ids::numeric});
    const auto text = random_number();
    ValueWriter values;
    const auto value = values.write(type, text);
    RC_ASSERT(is_same_value(value, type, text));
    RC_ASSERT(value.lossless == (value.json.front() == '"'));
  }));
}

// JSON of so many levels at most, some of whose numbers no double holds.
std::string random_document(int depth_max) {
  static const std::vector<std::string> scalars = {"null",        "true",      "1.50",
                                                   "-0",          "1e400",     "12345678901234567890",
                                                   R"("")",       R"("null")", R"("\u00e9 \" \u0001")",
                                                   "\"\xc3\xa9\""};
  static const std::vector<std::string> keys = {R"("bytes")", R"("sha256")", R"("a")", "\"\xc3\xa9\""};
  const auto kind = *rc::gen::inRange(0, depth_max == 0 ? 2 : 4);
  if (kind == 0) return *rc::gen::elementOf(scalars);
  if (kind == 1) return fmt::format("{}", *rc::gen::arbitrary<std::int64_t>());
  std::string list;
  for (int i = *rc::gen::inRange(0, 3); i > 0; --i) {
    if (!list.empty()) list += ", ";
    if (kind == 3) list += *rc::gen::elementOf(keys) + ": ";
    list += random_document(depth_max - 1);
  }
  return kind == 2 ? "[" + list + "]" : "{" + list + "}";
}

TEST(RowValues, Documents) {
  EXPECT_TRUE(rc::check([] {
    const auto text = random_document(4);
    ValueWriter values;
    const auto value = values.write(type_ids::jsonb, text);
    RC_ASSERT(is_same_value(value, type_ids::jsonb, text));
  }));
}

TEST(RowValues, AnyBytesBecomeJson) {
  EXPECT_TRUE(rc::check([] {
    const auto type =
        ObjectId{*rc::gen::elementOf(std::vector<std::uint32_t>{16, 17, 20, 25, 114, 1700, 3802, 99'999})};
    const auto text = *rc::gen::arbitrary<std::string>();
    ValueWriter values;
    const auto value = values.write(type, text);
    RC_ASSERT(is_same_value(value, type, text));
    RC_ASSERT(is_plain(value.json));
    RC_ASSERT(is_plain(text) || value.json == digest_of(text));
  }));
}

TEST(RowValues, WhatIsTooLongOrNoTextIsItsDigest) {
  const std::string longest(value_bytes_max, '7');
  for (const auto type :
       {type_ids::text, type_ids::numeric, type_ids::jsonb, type_ids::boolean, ObjectId{114}}) {
    EXPECT_NE(written(type, longest), digest_of(longest)) << type.value;
    EXPECT_EQ(written(type, longest + "7"), digest_of(longest + "7")) << type.value;
    for (const auto& text : {std::string("\0", 1), std::string("\xff"), std::string("\xc3\xa4\xc3")})
      EXPECT_EQ(written(type, text), digest_of(text)) << type.value;
  }
  EXPECT_EQ(digest_of("abc"),
            R"({"bytes":3,"sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"})");
  EXPECT_EQ(digest_of({}).size() + 9, digest_bytes_max);  // with the ten digits of 2^32
}

TEST(RowValues, ADocumentCannotPassForADigestOrForNothing) {
  const auto digest = digest_of("abc");
  ValueWriter values;
  EXPECT_TRUE(values.write(type_ids::jsonb, digest).lossless);
  EXPECT_TRUE(values.write(type_ids::jsonb, " null ").lossless);
  EXPECT_FALSE(values.write(type_ids::jsonb, "[null]").lossless);
  EXPECT_EQ(written(type_ids::jsonb, "[" + digest + "]"), "[" + digest + "]");
  EXPECT_EQ(written(type_ids::boolean, "true"), R"("true")");
}

}  // namespace
}  // namespace vestige::sources::postgres
