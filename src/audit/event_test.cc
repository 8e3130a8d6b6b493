// Defends: of an event, exactly the members that the format lists are taken, with their types and sizes;
// every other text is refused with the path of what is wrong, its position in the body and the limit that it
// met.
#include "audit/event.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "audit/limits.h"
#include "audit/testing/tree.h"

namespace vestige::audit {
namespace {

const KindRegistry& kinds() {
  static const auto registry = KindRegistry::with_shipped_kinds();
  return **registry;
}

struct Outcome {
  std::string path = "ok";
  std::string limit;
  std::optional<std::uint64_t> position;
};

Outcome outcome_of(const std::string& text, bool system = false) {
  json::Parser parser;
  json::Document document;
  const auto parsed = parser.parse(text, document);
  EXPECT_TRUE(parsed) << text.substr(0, 300) << parsed.error().message;
  const auto event = read_event(document.root(), kinds(), system);
  if (event) return {};
  EXPECT_EQ(event.error().kind, ErrorKind::invalid) << text.substr(0, 300);
  EXPECT_FALSE(event.error().message.empty());
  EXPECT_TRUE(event.error().position) << "no position: " << text.substr(0, 300);
  return {event.error().path, event.error().limit, event.error().position};
}

// An event with these members beside the required ones.
std::string with(const std::string& members) {
  return R"({"kind":"data.change","action":"DID")" + (members.empty() ? "" : "," + members) + "}";
}

std::string letters(std::size_t count) { return "\"" + std::string(count, 'x') + "\""; }

std::string list(std::size_t count, const auto& element) {
  std::string out = "[";
  for (std::size_t i = 0; i < count; ++i) out += std::string(i > 0 ? "," : "") + element(i);
  return out + "]";
}

TEST(Event, WhatIsTaken) {
  for (const std::string& members : {
           std::string(),
           std::string(R"("id":"3FA85F64-5717-4562-b3fc-2c963f66afa6")"),
           std::string(R"("id":"00000000-0000-0000-0000-000000000000")"),
           std::string(R"("time":"2026-11-25T14:40:11+05:30")"),
           std::string(R"("time":"0000-01-01T00:00:00Z")"),
           std::string(R"("sourceType":"A","sourceId":"b","targetType":"C","targetId":"d")"),
           std::string(R"("subject":"p")"),
           std::string(R"("subject":["p"])"),
           std::string(R"("subject":["p","q"])"),
           std::string(R"("subject":[])"),
           std::string(R"("detail":{})"),
           std::string(R"("changes":[])"),
           std::string(R"("changes":[{"field":"a","old":null,"new":{"b":[1]},"reason":null}])"),
           std::string(R"("context":{"anything":1,"location":{"city":"x"}})"),
           std::string(R"("sourceEntityMeta":{"a":1},"targetEntityMeta":{"b":2})"),
           std::string(R"("lossless":["/detail/a"],"detail":{"a":"9007199254740993"})"),
           // Null counts as not sent, for every member that need not be there.
           std::string(
               R"("id":null,"time":null,"sourceType":null,"sourceId":null,"sourceEntityMeta":null,)"
               R"("targetType":null,"targetId":null,"targetEntityMeta":null,"subject":null,"detail":null,)"
               R"("changes":null,"context":null,"lossless":null)"),
           "\"sourceId\":" + letters(identifier_bytes_max),
           "\"targetId\":" + letters(identifier_bytes_max),
           "\"sourceType\":" + letters(word_bytes_max),
           "\"targetType\":" + letters(word_bytes_max),
           "\"subject\":" + letters(identifier_bytes_max),
           "\"subject\":" + list(subjects_max, [](std::size_t i) { return fmt::format("\"{}\"", i); }),
           "\"lossless\":" +
               list(lossless_max, [](std::size_t i) { return fmt::format("\"/detail/{}\"", i); }),
       })
    EXPECT_EQ(outcome_of(with(members)).path, "ok") << members.substr(0, 200);
  EXPECT_EQ(outcome_of(R"({"action":)" + letters(word_bytes_max) + R"(,"kind":"data.change"})").path, "ok");
}

TEST(Event, WhatIsRefusedAndWhere) {
  struct Case {
    std::string members, path;
    bool limited = false;
  };
  for (const auto& each : std::vector<Case>{
           {R"("id":1)", "/id"},
           {R"("id":"x")", "/id"},
           {R"("id":"")", "/id"},
           {R"("id":"{3fa85f64-5717-4562-b3fc-2c963f66afa6}")", "/id"},
           {R"("id":"3fa85f6457174562b3fc2c963f66afa6")", "/id"},
           {R"("time":1732545611)", "/time"},
           {R"("time":"2026-11-25")", "/time"},
           {R"("time":"2026-13-25T14:40:11Z")", "/time"},
           {R"("time":"2026-11-25T14:40:11")", "/time"},
           {R"("time":"2026-02-30T14:40:11Z")", "/time"},
           {R"("sourceType":1)", "/sourceType"},
           {R"("sourceId":["a"])", "/sourceId"},
           {R"("targetType":{})", "/targetType"},
           {R"("targetId":true)", "/targetId"},
           {"\"sourceId\":" + letters(identifier_bytes_max + 1), "/sourceId", true},
           {"\"targetId\":" + letters(identifier_bytes_max + 1), "/targetId", true},
           {"\"sourceType\":" + letters(word_bytes_max + 1), "/sourceType", true},
           {"\"targetType\":" + letters(word_bytes_max + 1), "/targetType", true},
           {R"("subject":1)", "/subject"},
           {R"("subject":"")", "/subject"},
           {R"("subject":{})", "/subject"},
           {R"("subject":["a",""])", "/subject/1"},
           {R"("subject":["a",null])", "/subject/1"},
           {R"("subject":["a","b","a"])", "/subject/2"},
           {"\"subject\":" + letters(identifier_bytes_max + 1), "/subject", true},
           {"\"subject\":[\"a\"," + letters(identifier_bytes_max + 1) + "]", "/subject/1", true},
           {"\"subject\":" + list(subjects_max + 1, [](std::size_t i) { return fmt::format("\"{}\"", i); }),
            "/subject", true},
           {R"("detail":[])", "/detail"},
           {R"("detail":"a")", "/detail"},
           {R"("changes":{})", "/changes"},
           {R"("changes":[1])", "/changes/0"},
           {R"("changes":[{"field":"a"},{}])", "/changes/1"},
           {R"("changes":[{"field":""}])", "/changes/0/field"},
           {R"("changes":[{"field":1}])", "/changes/0/field"},
           {R"("changes":[{"field":"a","was":1}])", "/changes/0/was"},
           {R"("changes":[{"field":"a","reason":1}])", "/changes/0/reason"},
           {R"("context":[])", "/context"},
           {R"("context":{"ip":1})", "/context/ip"},
           {R"("context":{"location":1})", "/context/location"},
           {R"("sourceEntityMeta":1)", "/sourceEntityMeta"},
           {R"("targetEntityMeta":[])", "/targetEntityMeta"},
           {R"("lossless":{})", "/lossless"},
           {R"("lossless":["a"])", "/lossless/0"},
           {R"("lossless":["/a",1])", "/lossless/1"},
           {"\"lossless\":" + list(lossless_max + 1, [](std::size_t) { return "\"/a\""; }), "/lossless",
            true},
           // The server's own, and what nobody knows.
           {R"("tenant":"x")", "/tenant"},
           {R"("receivedAt":"2026-11-25T14:40:11Z")", "/receivedAt"},
           {R"("index":1)", "/index"},
           {R"("leaf":"x")", "/leaf"},
           {R"("tenant":null)", "/tenant"},
           {R"("mac":"x")", "/mac"},
           {R"("salt":"x")", "/salt"},
           {R"("sealed":[])", "/sealed"},
           {R"("v":1)", "/v"},
           {R"("schema":1)", "/schema"},
           {R"("discarded":[])", "/discarded"},
           {R"("Detail":{})", "/Detail"},
           {R"("":1)", "/"},
           {R"("a/b":1)", "/a~1b"},
           {"\"\xc3\xa9\":1", "/\xc3\xa9"},
           {"\"\xf0\x9f\x98\x80\":1", "/\xf0\x9f\x98\x80"},
           {R"("zz":null)", "/zz"},
       }) {
    const auto outcome = outcome_of(with(each.members));
    EXPECT_EQ(outcome.path, each.path) << each.members.substr(0, 200);
    EXPECT_EQ(outcome.limit.empty(), !each.limited) << each.members.substr(0, 200) << ": " << outcome.limit;
  }
}

TEST(Event, KindAndActionAreRequired) {
  EXPECT_EQ(outcome_of(R"({"action":"DID"})").path, "/kind");
  EXPECT_EQ(outcome_of(R"({"kind":null,"action":"DID"})").path, "/kind");
  EXPECT_EQ(outcome_of(R"({"kind":"","action":"DID"})").path, "/kind");
  EXPECT_EQ(outcome_of(R"({"kind":1,"action":"DID"})").path, "/kind");
  EXPECT_EQ(outcome_of(R"({"kind":"data.change"})").path, "/action");
  EXPECT_EQ(outcome_of(R"({"kind":"data.change","action":""})").path, "/action");
  EXPECT_EQ(outcome_of(R"({"kind":"data.change","action":[]})").path, "/action");
  EXPECT_EQ(outcome_of(R"({"kind":"data.changes","action":"DID"})").path, "/kind");
  EXPECT_EQ(outcome_of(R"({"kind":)" + letters(word_bytes_max + 1) + R"(,"action":"DID"})").path, "/kind");
  for (const char* no_object : {"1", "null", "[]", R"("kind")", R"([{"kind":"data.change","action":"x"}])"})
    EXPECT_EQ(outcome_of(no_object).path, "") << no_object;
}

TEST(Event, SystemKindsAreForTheServerOnly) {
  const std::string text = R"({"kind":"system.server","action":"STARTED","detail":{"version":"1"}})";
  EXPECT_EQ(outcome_of(text).path, "/kind");
  EXPECT_EQ(outcome_of(text, true).path, "ok");
  EXPECT_EQ(outcome_of(R"({"kind":"system.","action":"x"})").path, "/kind");
  // The kind needs its detail, and null is none.
  EXPECT_EQ(outcome_of(R"({"kind":"system.server","action":"STARTED"})", true).path, "");
  EXPECT_EQ(outcome_of(R"({"kind":"system.server","action":"STARTED","detail":null})", true).path, "");
}

TEST(Event, PositionsPointIntoTheBody) {
  const auto text = with(R"("targetId":   17)");
  EXPECT_EQ(outcome_of(text).position, text.find("17"));
  const auto unknown = with(R"("what":  "x")");
  EXPECT_EQ(outcome_of(unknown).position, unknown.find("\"x\""));
}

TEST(Event, TheViewsAreThoseOfTheText) {
  json::Parser parser;
  json::Document document;
  ASSERT_TRUE(parser.parse(
      with(R"("id":"3FA85F64-5717-4562-b3fc-2c963f66afa6","time":"2026-11-25T15:40:11.2139+01:00",
      "sourceType":"S","sourceId":"s","targetType":"T","targetId":"t\u0000","subject":["a","b"])"),
      document));
  const auto event = read_event(document.root(), kinds(), false);
  ASSERT_TRUE(event) << event.error().message;
  EXPECT_EQ(format_uuid(*event->id), "3fa85f64-5717-4562-b3fc-2c963f66afa6");
  EXPECT_EQ(event->time->value, 1'795'617'611'213);
  EXPECT_EQ(event->source_type, "S");
  EXPECT_EQ(event->source_id, "s");
  EXPECT_EQ(event->target_type, "T");
  EXPECT_EQ(event->target_id, std::string_view("t\0", 2));
  EXPECT_EQ(event->subjects, (std::vector<std::string_view>{"a", "b"}));
  EXPECT_EQ(event->schema->kind, "data.change");
  EXPECT_FALSE(event->detail.exists());
}

}  // namespace
}  // namespace vestige::audit
