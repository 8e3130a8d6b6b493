// Properties: whatever way a document is spelled, it parses to the same canonical bytes, which are those of a
// naive writer, and parsing these changes nothing; a damaged text is accepted only where Boost.JSON accepts
// it too, and refused where Boost.JSON accepts it only for one of the reasons by which this project is
// stricter; every refusal has a position inside the text. A parser and a document that were used for
// something else before, refused texts included, answer the same.
#include "json/json.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "base/encoding.h"
#include "base/testing/shared_data.h"
#include "json/testing/model.h"

namespace vestige::json {
namespace {

using testing::Model;

std::string damaged(std::mt19937_64& random, std::string text) {
  for (auto count = 1 + random() % 3; count > 0 && !text.empty(); --count) {
    const auto at = random() % text.size();
    const auto other = random() % text.size();
    switch (random() % 5) {
      case 0:
        text[at] = static_cast<char>(random());
        break;
      case 1:
        text[at] = "[]{}:,\"\\0123456789-+.eEtfnu \n"[random() % 30];
        break;
      case 2:
        text.erase(at, 1 + random() % 3);
        break;
      case 3:
        text.insert(at, text.substr(other, random() % 8));
        break;
      default:
        text.resize(at);
    }
  }
  return text;
}

bool boost_accepts(const std::string& text) {
  boost::system::error_code error;
  boost::json::parse_options options;
  options.max_depth = 70;
  boost::json::parse(text, error, {}, options);
  return !error;
}

bool is_stricter_rule(const Error& error) {
  return error.message.find("when read as a double") != std::string::npos ||
         error.message.find("a second time") != std::string::npos || error.limit == "depth_max = 64";
}

TEST(Json, EverySpellingHasTheNaiveCanonicalBytes) {
  std::mt19937_64 random(vestige::testing::seed());
  Parser parser;
  Document document;
  for (std::size_t round = 0; round < vestige::testing::scaled(2000); ++round) {
    const auto model = testing::random_model(random, 5);
    const auto text = testing::spell(random, model);
    const auto expected = testing::naive_canonical(model);
    const auto status = parser.parse(text, document);
    ASSERT_TRUE(status) << status.error().message << "\n" << text;
    const auto bytes = canonical(document.root());
    ASSERT_EQ(bytes, expected) << "round " << round << "\n" << text;
    ASSERT_TRUE(parser.parse(bytes, document));
    ASSERT_EQ(canonical(document.root()), bytes);
    ASSERT_TRUE(boost_accepts(bytes));
  }
}

TEST(Json, DamagedTextsAreJudgedAsByBoost) {
  std::mt19937_64 random(vestige::testing::seed() + 1);
  Parser parser;
  Document document;
  std::size_t accepted = 0;
  std::size_t refused = 0;
  for (std::size_t round = 0; round < vestige::testing::scaled(5000); ++round) {
    const auto text = damaged(random, testing::spell(random, testing::random_model(random, 4)));
    const auto status = parser.parse(text, document);
    if (status) {
      ++accepted;
      EXPECT_TRUE(boost_accepts(text)) << text;
      const auto bytes = canonical(document.root());
      ASSERT_TRUE(parser.parse(bytes, document)) << bytes;
      EXPECT_EQ(canonical(document.root()), bytes);
      continue;
    }
    ++refused;
    EXPECT_FALSE(document.root().exists());
    EXPECT_EQ(status.error().kind, ErrorKind::invalid);
    EXPECT_TRUE(status.error().position && *status.error().position <= text.size()) << text;
    EXPECT_TRUE(is_utf8(status.error().message)) << to_hex(view(text));
    EXPECT_TRUE(!boost_accepts(text) || is_stricter_rule(status.error())) << status.error().message << "\n"
                                                                          << text;
  }
  EXPECT_GT(accepted, 50u);
  EXPECT_GT(refused, 1000u);
}

void expect_same(const Value& value, const Model& model) {
  if (const auto* object = std::get_if<Model::Object>(&model.value)) {
    ASSERT_TRUE(value.is_object());
    ASSERT_EQ(value.size(), object->size());
    std::size_t i = 0;
    for (const auto& [key, member] : *object) {
      const auto name = testing::to_utf8(key);
      EXPECT_EQ(value.key_at(i), name);
      ASSERT_TRUE(value.find(name).exists()) << name;
      EXPECT_EQ(value.find(name).position(), value.at(i).position());
      EXPECT_EQ(value.find(name + "x").exists(), object->contains(key + u"x"));
      expect_same(value.at(i++), member);
    }
  } else if (const auto* array = std::get_if<Model::Array>(&model.value)) {
    ASSERT_TRUE(value.is_array());
    ASSERT_EQ(value.size(), array->size());
    for (std::size_t i = 0; i < array->size(); ++i) expect_same(value.at(i), (*array)[i]);
    EXPECT_FALSE(value.find("").exists());
  } else if (const auto* number = std::get_if<double>(&model.value)) {
    ASSERT_TRUE(value.is_number());
    EXPECT_EQ(value.number_value(), *number);
  } else if (const auto* text = std::get_if<std::u16string>(&model.value)) {
    ASSERT_TRUE(value.is_string());
    EXPECT_EQ(value.string(), testing::to_utf8(*text));
  } else if (const auto* boolean = std::get_if<bool>(&model.value)) {
    ASSERT_TRUE(value.is_boolean());
    EXPECT_EQ(value.boolean(), *boolean);
  } else {
    EXPECT_TRUE(value.is_null());
  }
}

TEST(Json, ValuesAreThoseOfTheModel) {
  std::mt19937_64 random(vestige::testing::seed() + 2);
  Parser parser;
  Document document;
  for (std::size_t round = 0; round < vestige::testing::scaled(500); ++round) {
    const auto model = testing::random_model(random, 4);
    ASSERT_TRUE(parser.parse(testing::spell(random, model), document));
    expect_same(document.root(), model);
  }
}

TEST(Json, CanonicalOrderIsThatOfUtf16) {
  std::mt19937_64 random(vestige::testing::seed() + 3);
  for (std::size_t round = 0; round < vestige::testing::scaled(20000); ++round) {
    const auto a = testing::random_text(random);
    const auto b = random() % 4 == 0 ? a + testing::random_text(random) : testing::random_text(random);
    EXPECT_EQ(canonical_less(testing::to_utf8(a), testing::to_utf8(b)), a < b);
    EXPECT_EQ(testing::to_utf16(testing::to_utf8(a)), a);
  }
}

struct Refusal {
  std::string text;
  std::string path;
  std::uint64_t position;
  std::string what;
};

TEST(Json, RefusalsNamePathAndPosition) {
  const std::vector<Refusal> refusals = {
      {"", "", 0, "no value up to its end"},
      {" \n", "", 2, "no value up to its end"},
      {"[1,2", "/1", 4, "its end too early"},
      {R"({"a":{"b":[1,x]}})", "/a/b/1", 13, "no value"},
      {R"({"a":1 "b":2})", "/a", 7, "no comma"},
      {R"({"a" 1})", "", 5, "no colon"},
      {R"({1:2})", "", 1, "no key"},
      {R"({"a":1,})", "", 7, "no key"},
      {R"([1,])", "/1", 3, "no value"},
      {"[1] 2", "", 4, "something behind its value"},
      {"1]", "", 1, "something behind its value"},
      {R"({"a":[0,{"x~/y":01}]})", "/a/1/x~0~1y", 16, "a malformed number"},
      {"[1.]", "/0", 1, "a malformed number"},
      {"[1\"a\"]", "/0", 1, "a malformed number"},
      {"[nul]", "/0", 1, "an unknown word"},
      {"[truer]", "/0", 1, "an unknown word"},
      {R"({"k":"a\x"})", "/k", 7, "a backslash before"},
      {R"({"k":"a\u12g4"})", "/k", 7, "without four hex digits"},
      {R"(["\ud800"])", "/0", 2, "a high surrogate"},
      {R"(["\ud800\u0041"])", "/0", 2, "a high surrogate"},
      {R"(["\udc00"])", "/0", 2, "a low surrogate"},
      {R"({"a":{"b":1,"c":2,"\u0062":3}})", "/a/b", 18, "a key a second time"},
      {"{\"k\":\"a\nb\"}", "/k", 7, "a control character"},
      {"{\"k\":\"a\xff\"}", "/k", 7, "not UTF-8"},
      {"{\"k\":\"abc}", "/k", 5, "without a closing quote"},
      {"{\"k\":\\\"a\"}", "/k", 5, "a backslash outside"},
      {"[\f1]", "/0", 1, "no value"},
      {"\xef\xbb\xbf{}", "", 0, "no value"},
      {"[1,9007199254740993]", "/1", 3, "9007199254740993 that would become 9007199254740992"},
      {"[1e400]", "/0", 1, "nothing that a double can hold"},
      {"[1e-400]", "/0", 1, "nothing that a double can hold"},
      {"[0.10000000000000000001]", "/0", 1, "that would become 0.1"},
  };
  Parser parser;
  Document document;
  for (const auto& refusal : refusals) {
    const auto status = parser.parse(refusal.text, document);
    ASSERT_FALSE(status) << refusal.text;
    EXPECT_EQ(status.error().kind, ErrorKind::invalid);
    EXPECT_EQ(status.error().path, refusal.path) << refusal.text;
    EXPECT_EQ(status.error().position, refusal.position) << refusal.text;
    EXPECT_NE(status.error().message.find(refusal.what), std::string::npos) << status.error().message;
    EXPECT_EQ(status.error().limit, "");
    EXPECT_FALSE(document.root().exists());
  }
}

std::string nested(std::size_t depth, bool objects) {
  std::string text;
  for (std::size_t i = 0; i < depth; ++i) text += objects ? "{\"a\":" : "[";
  text += objects ? "1" : "";
  return text + std::string(depth, objects ? '}' : ']');
}

TEST(Json, DepthIsLimitedBeforeItIsReached) {
  Parser parser;
  Document document;
  for (const bool objects : {false, true}) {
    EXPECT_TRUE(parser.parse(nested(64, objects), document));
    const auto status = parser.parse(nested(65, objects), document);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().limit, "depth_max = 64");
    EXPECT_EQ(status.error().position, objects ? 64u * 5 : 64u);
    EXPECT_FALSE(parser.parse(nested(1'000'000, objects), document));
    EXPECT_TRUE(parser.parse(nested(1'000, objects), document, {.depth_max = 4'000'000'000}));
    EXPECT_EQ(canonical(document.root()), nested(1'000, objects));
    EXPECT_FALSE(parser.parse(nested(2'000, objects), document, {.depth_max = 4'000'000'000}));
  }
  EXPECT_TRUE(parser.parse("1", document, {.depth_max = 0}));
  EXPECT_FALSE(parser.parse("[]", document, {.depth_max = 0}));
  EXPECT_FALSE(parser.parse(std::string(1'000'000, '['), document));
}

TEST(Json, SizeIsLimited) {
  Parser parser;
  Document document;
  EXPECT_TRUE(parser.parse("[1,2]", document, {.bytes_max = 5}));
  const auto status = parser.parse("[1,2] ", document, {.bytes_max = 5});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().limit, "bytes_max = 5");
  EXPECT_FALSE(document.root().exists());
}

TEST(Json, ManyMembersAreSortedAndSearched) {
  std::string text = "{";
  for (int i = 0; i < 20'000; ++i)
    text += fmt::format("{}\"key{}\":{}", i == 0 ? "" : ",", i * 7919 % 20'000, i);
  Parser parser;
  Document document;
  ASSERT_TRUE(parser.parse(text + "}", document));
  const auto root = document.root();
  for (std::size_t i = 1; i < root.size(); ++i) EXPECT_LT(root.key_at(i - 1), root.key_at(i));
  EXPECT_EQ(root.find("key7919").number(), "1");
  EXPECT_FALSE(root.find("key20000").exists());
  const auto status = parser.parse(text + ",\"key7919\":0}", document);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().path, "/key7919");
  EXPECT_EQ(status.error().position, text.size() + 1);
}

TEST(Json, ParserSurvivesLargeAndSmallTextsInTurn) {
  Parser parser;
  Document document;
  const auto large = "[" + std::string(3 << 20, ' ') + "\"" + std::string(1 << 20, 'x') + "\"]";
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(parser.parse(large, document));
    EXPECT_EQ(document.root().at(0).string().size(), 1u << 20);
    ASSERT_TRUE(parser.parse("[\"\\u0061\",1.0]", document));
    EXPECT_EQ(canonical(document.root()), "[\"a\",1]");
  }
}

TEST(Json, MovedDocumentsAndParsersWork) {
  Parser first;
  Document document;
  ASSERT_TRUE(first.parse("[1]", document));
  Document other = std::move(document);
  Parser second = std::move(first);
  EXPECT_EQ(canonical(other.root()), "[1]");
  EXPECT_FALSE(document.root().exists());
  ASSERT_TRUE(second.parse("[2]", document));
  EXPECT_EQ(canonical(document.root()), "[2]");
  EXPECT_EQ(canonical(other.root()), "[1]");
}

TEST(Json, PositionsAreWhereValuesStart) {
  Parser parser;
  Document document;
  ASSERT_TRUE(parser.parse(R"( { "b" : [ 1, "x" ], "a" : null } )", document));
  EXPECT_EQ(document.root().position(), 1u);
  EXPECT_EQ(document.root().find("b").position(), 9u);
  EXPECT_EQ(document.root().find("b").at(1).position(), 14u);
  EXPECT_EQ(document.root().find("a").position(), 27u);
  EXPECT_FALSE(Value().exists());
  EXPECT_FALSE(Value().find("a").exists());
}

}  // namespace
}  // namespace vestige::json
