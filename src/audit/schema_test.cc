// Defends: a schema is enforced to the letter or refused when it is registered; no rule of it is dropped
// silently, and no schema text brings the server down.
#include "audit/schema.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "audit/kinds.h"
#include "audit/testing/random_events.h"

namespace vestige::audit {
namespace {

std::string kind_with(std::string_view detail, std::string_view definitions = "{}") {
  return fmt::format(R"({{"x-kind":"k","x-version":1,"$defs":{},"properties":{{"detail":{}}}}})", definitions,
                     detail);
}

// The path of the refusal; "ok" where the value is valid.
std::string verdict(const KindSchema& kind, std::string_view detail) {
  json::Parser parser;
  json::Document document;
  EXPECT_TRUE(parser.parse(detail, document)) << detail;
  std::string path = "/detail";
  const auto valid = validate(*kind.root.properties.find("detail")->second, document.root(), path);
  if (valid) {
    EXPECT_EQ(path, "/detail") << "the path was not restored";
    return "ok";
  }
  EXPECT_EQ(valid.error().kind, ErrorKind::invalid);
  EXPECT_FALSE(valid.error().message.empty());
  return valid.error().path;
}

struct Case {
  const char* schema;
  const char* value;
  const char* verdict;
};

TEST(Schema, Keywords) {
  const Case cases[] = {
      {"true", "[1]", "ok"},
      {"{}", "null", "ok"},
      {R"({"type":"string"})", R"("a")", "ok"},
      {R"({"type":"string"})", "1", "/detail"},
      {R"({"type":["string","null"]})", "null", "ok"},
      {R"({"type":["string","null"]})", "false", "/detail"},
      {R"({"type":"integer"})", "1", "ok"},
      {R"({"type":"integer"})", "1.0", "ok"},
      {R"({"type":"integer"})", "1e3", "ok"},
      {R"({"type":"integer"})", "1.5", "/detail"},
      {R"({"type":["integer","string"]})", "1.5", "/detail"},
      {R"({"type":["integer","number"]})", "1.5", "ok"},
      {R"({"type":["number","integer"]})", "1.5", "ok"},
      {R"({"type":"number"})", R"("1")", "/detail"},
      {R"({"type":"boolean"})", "true", "ok"},
      {R"({"type":"array"})", "{}", "/detail"},
      {R"({"properties":{"a":{"type":"string"}}})", R"({"a":1})", "/detail/a"},
      {R"({"properties":{"a":{"type":"string"}}})", R"({"b":1})", "ok"},
      {R"({"properties":{"a":{"type":"string"}}})", "[1]", "ok"},
      {R"({"properties":{"a~/":{"type":"string"}}})", R"({"a~/":1})", "/detail/a~0~1"},
      {R"({"properties":{"a":true},"additionalProperties":false})", R"({"a":1})", "ok"},
      {R"({"properties":{"a":true},"additionalProperties":false})", R"({"a":1,"b":2})", "/detail/b"},
      {R"({"properties":{"b":true},"additionalProperties":false})", R"({"a":1,"b":2})", "/detail/a"},
      {R"({"additionalProperties":false})", "{}", "ok"},
      {R"({"additionalProperties":false})", R"({"":1})", "/detail/"},
      {R"({"required":["a"]})", R"({"a":null})", "ok"},
      {R"({"required":["a"]})", "{}", "/detail"},
      {R"({"required":["a"]})", "1", "ok"},
      {R"({"items":{"type":"number"}})", "[1,2]", "ok"},
      {R"({"items":{"type":"number"}})", R"([1,"2",3])", "/detail/1"},
      {R"({"items":{"properties":{"x":{"maxLength":1}}}})", R"([{},{"x":"12"}])", "/detail/1/x"},
      {R"({"maxItems":2})", "[1,2]", "ok"},
      {R"({"maxItems":2})", "[1,2,3]", "/detail"},
      {R"({"enum":["a",1,null]})", "1.0", "ok"},
      {R"({"enum":["a",1,null]})", "null", "ok"},
      {R"({"enum":["a",1,null]})", R"("1")", "/detail"},
      {R"({"enum":[{"b":1,"a":[2]}]})", R"({"a":[2],"b":1})", "ok"},
      {R"({"const":{"a":1}})", R"({"a":2})", "/detail"},
      {R"({"minLength":2,"maxLength":3})", R"("ab")", "ok"},
      {R"({"minLength":2,"maxLength":3})", R"("a")", "/detail"},
      {R"({"minLength":2,"maxLength":3})", R"("abcd")", "/detail"},
      {R"({"maxLength":2})", "\"\xf0\x9f\x98\x80\xc3\xa4\"", "ok"},
      {R"({"minimum":-1,"maximum":1.5})", "1.5", "ok"},
      {R"({"minimum":-1,"maximum":1.5})", "-1.0000001", "/detail"},
      {R"({"minimum":-1,"maximum":1.5})", "2", "/detail"},
      {R"({"minimum":5})", R"("1")", "ok"},
      {R"({"format":"date-time"})", R"("2026-11-25T14:40:11Z")", "ok"},
      {R"({"format":"date-time"})", R"("yesterday")", "/detail"},
      {R"({"format":"uuid"})", R"("3FA85F64-5717-4562-b3fc-2c963f66afa6")", "ok"},
      {R"({"format":"uuid"})", R"("3fa85f64")", "/detail"},
      {R"({"$ref":"#/$defs/n","description":"beside it"})", R"("x")", "/detail"},
      {R"({"items":{"$ref":"#/$defs/n"}})", R"([1,"x"])", "/detail/1"},
  };
  for (const auto& each : cases) {
    const auto kind = compile_kind(kind_with(each.schema, R"({"n":{"type":"number"}})"));
    ASSERT_TRUE(kind) << each.schema << ": " << kind.error().message;
    EXPECT_EQ(verdict(**kind, each.value), each.verdict) << each.schema << " over " << each.value;
  }
}

TEST(Schema, WhatIsNotEnforcedIsRefused) {
  for (const char* schema : {
           "false",
           "1",
           "null",
           R"("string")",
           "[]",
           R"({"pattern":"a"})",
           R"({"minItems":1})",
           R"({"oneOf":[]})",
           R"({"anyOf":[{}]})",
           R"({"allOf":[{}]})",
           R"({"not":{}})",
           R"({"if":{}})",
           R"({"exclusiveMinimum":1})",
           R"({"multipleOf":2})",
           R"({"uniqueItems":true})",
           R"({"patternProperties":{}})",
           R"({"propertyNames":{}})",
           R"({"dependentRequired":{}})",
           R"({"prefixItems":[]})",
           R"({"contains":{}})",
           R"({"x-personall":true})",
           R"({"unknown":1})",
           R"({"default":1})",
           R"({"$anchor":"a"})",
           R"({"properties":{"a":{"pattern":"b"}}})",
           R"({"items":{"minItems":1}})",
           R"({"type":"text"})",
           R"({"type":1})",
           R"({"type":[]})",
           R"({"type":["string",1]})",
           R"({"properties":[]})",
           R"({"properties":{"a":1}})",
           R"({"items":[{}]})",
           R"({"required":"a"})",
           R"({"required":[1]})",
           R"({"required":{"a":1}})",
           R"({"required":5})",
           R"({"enum":"a"})",
           R"({"enum":[]})",
           R"({"enum":{"a":1}})",
           R"({"enum":1})",
           R"({"enum":[1],"const":2})",
           R"({"additionalProperties":{}})",
           R"({"additionalProperties":1})",
           R"({"minLength":"1"})",
           R"({"minLength":-1})",
           R"({"maxLength":1.5})",
           R"({"maxItems":null})",
           R"({"minimum":"1"})",
           R"({"maximum":true})",
           R"({"format":"email"})",
           R"({"format":1})",
           R"({"$ref":"#/$defs/missing"})",
           R"({"$ref":"other.json"})",
           R"({"$ref":1})",
           R"({"$ref":"#/$defs/loop"})",
           R"({"$ref":"#/$defs/n","type":"string"})",
           R"({"$ref":"#/$defs/n","maximum":1})",
           R"({"x-personal":1})",
           R"({"x-sensitive":"yes"})",
           R"({"x-owner":"source"})",
           R"({"x-personal":false,"x-owner":"source"})",
           R"({"x-personal":true,"x-owner":"me"})",
           R"({"x-personal":true,"x-owner":1})",
           R"({"x-kind":"k"})",
           R"({"x-version":1})",
           R"({"x-shared":"any"})",
       }) {
    const auto kind = compile_kind(
        kind_with(schema, R"({"n":{"type":"number"},"loop":{"items":{"$ref":"#/$defs/loop"}}})"));
    ASSERT_FALSE(kind) << schema;
    EXPECT_EQ(kind.error().kind, ErrorKind::invalid) << schema;
    EXPECT_FALSE(kind.error().message.empty()) << schema;
  }
}

TEST(Schema, TheRootDescribesTheFiveMembersOnly) {
  EXPECT_TRUE(compile_kind(R"({"x-kind":"k","x-version":1})"));
  for (const char* schema : {
           "",
           "{",
           "[]",
           "1",
           "{}",
           R"({"x-kind":"k"})",
           R"({"x-version":1})",
           R"({"x-kind":"","x-version":1})",
           R"({"x-kind":1,"x-version":1})",
           R"({"x-kind":"k","x-version":0})",
           R"({"x-kind":"k","x-version":1.5})",
           R"({"x-kind":"k","x-version":"1"})",
           R"({"x-kind":"k","x-version":1,"x-shared":"some"})",
           R"({"x-kind":"k","x-version":1,"x-personal":true})",
           R"({"x-kind":"k","x-version":1,"enum":[1]})",
           R"({"x-kind":"k","x-version":1,"items":{}})",
           R"({"x-kind":"k","x-version":1,"additionalProperties":false})",
           R"({"x-kind":"k","x-version":1,"properties":{"details":{}}})",
           R"({"x-kind":"k","x-version":1,"properties":{"targetId":{"x-personal":true}}})",
       }) {
    const auto kind = compile_kind(schema);
    ASSERT_FALSE(kind) << schema;
    EXPECT_EQ(kind.error().kind, ErrorKind::invalid) << schema;
  }
}

TEST(Schema, Annotations) {
  const auto kind = compile_kind(kind_with(
      R"({"properties":{"a":{"x-personal":true},"b":{"x-personal":true,"x-owner":"target","x-sensitive":true},
          "c":{"x-personal":false},"d":{"$ref":"#/$defs/n"},"e":{"$ref":"#/$defs/n","x-personal":true,"x-owner":"context"}}})",
      R"({"n":{"x-personal":true,"x-owner":"source"}})"));
  ASSERT_TRUE(kind) << kind.error().message;
  const auto& properties = (*kind)->root.properties.find("detail")->second->properties;
  EXPECT_EQ(properties.find("a")->second->whose, Whose::subject);
  EXPECT_EQ(properties.find("b")->second->whose, Whose::target);
  EXPECT_TRUE(properties.find("b")->second->sensitive);
  EXPECT_EQ(properties.find("c")->second->whose, Whose::nobody);
  EXPECT_EQ(properties.find("d")->second->whose, Whose::source);
  EXPECT_EQ(properties.find("e")->second->whose, Whose::context);
}

TEST(Schema, NestingIsBounded) {
  std::string nested = "true";
  for (int i = 0; i < 30; ++i) nested = fmt::format(R"({{"items":{}}})", nested);
  EXPECT_TRUE(compile_kind(kind_with(nested)));
  for (int i = 0; i < 4; ++i) nested = fmt::format(R"({{"items":{}}})", nested);
  EXPECT_FALSE(compile_kind(kind_with(nested)));
}

TEST(Schema, CutAndGarbledTextsAreRefusedInOrder) {
  testing::Random random(testing::seed_of_test());
  const auto whole = kind_with(
      R"({"type":["object","null"],"properties":{"a":{"enum":[1,"x"],"x-personal":true}},"required":["a"]})");
  const std::vector<std::string> pieces = {"1",     "null",     "[]",       "{}", "true",
                                           "\"a\"", "\"$ref\"", "\"type\"", "-1"};
  for (std::size_t round = 0; round < testing::rounds(3'000); ++round) {
    auto text = whole;
    for (auto left = 1 + random.below(3); left > 0; --left) {
      const auto at = random.below(text.size());
      text.replace(at, std::min<std::size_t>(random.below(12), text.size() - at), random.pick(pieces));
    }
    if (const auto kind = compile_kind(text); !kind) EXPECT_EQ(kind.error().kind, ErrorKind::invalid) << text;
  }
}

// ------------------------------------------------------------------------------------------------- registry

TEST(Kinds, EveryShippedSchemaCompiles) {
  const auto kinds = KindRegistry::with_shipped_kinds();
  ASSERT_TRUE(kinds) << kinds.error().message;
  EXPECT_EQ((*kinds)->names(), (std::vector<std::string>{"access.approval",
                                                         "access.security",
                                                         "access.session",
                                                         "communication.call",
                                                         "communication.chat",
                                                         "communication.email",
                                                         "communication.note",
                                                         "communication.push",
                                                         "communication.sms",
                                                         "data.access",
                                                         "data.change",
                                                         "order",
                                                         "privacy.breach",
                                                         "privacy.consent",
                                                         "privacy.request",
                                                         "system.capture",
                                                         "system.erasure",
                                                         "system.key",
                                                         "system.policy",
                                                         "system.review",
                                                         "system.segment",
                                                         "system.server",
                                                         "system.tenant",
                                                         "template",
                                                         "ticket"}));
  EXPECT_EQ((*kinds)->find("data.change")->version, 3u);
}

TEST(Kinds, TheNewestVersionCountsAndNoneIsReplaced) {
  KindRegistry kinds;
  const auto version = [](int number) { return fmt::format(R"({{"x-kind":"k","x-version":{}}})", number); };
  EXPECT_EQ(kinds.find("k"), nullptr);
  EXPECT_TRUE(kinds.add(version(2)));
  EXPECT_EQ(kinds.add(version(2)).error().kind, ErrorKind::conflict);
  EXPECT_EQ(kinds.add(version(1)).error().kind, ErrorKind::conflict);
  EXPECT_TRUE(kinds.add(version(3)));
  EXPECT_EQ(kinds.find("k")->version, 3u);
  EXPECT_EQ(kinds.add("{").error().kind, ErrorKind::invalid);
}

}  // namespace
}  // namespace vestige::audit
