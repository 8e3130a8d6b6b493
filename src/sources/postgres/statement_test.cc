// Property: whatever the bytes are, nothing of a message is lost: what was understood and what is left make
// the message again, and what is left has its place in an event.
#include "sources/postgres/statement.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "json/json.h"
#include "json/tree_node.h"
#include "sources/postgres/row_values.h"

namespace vestige::sources::postgres {
namespace {

Statement parsed(std::string_view content) { return parse_statement(view(content)); }

std::string json_string(std::string_view text) {
  std::string json;
  json::append_quoted(json, text);
  return json;
}

json::TreeNode tree_of(std::string_view text) {
  json::Parser parser;
  json::Document document;
  EXPECT_TRUE(parser.parse(text, document)) << text;
  return json::TreeNode::of(document.root());
}

std::string text_of(const json::TreeNode& tree) {
  std::string text;
  tree.write(text);
  return text;
}

std::string made_again(const Statement& statement) {
  auto tree = statement.more.text.empty() ? json::TreeNode::object() : tree_of(statement.more.text);
  const auto put = [&](std::string_view path, const std::string& text) {
    if (!text.empty()) tree.at(path).become(json_string(text));
  };
  if (statement.actor) {
    put("actor/id", statement.actor->id);
    put("actor/type", statement.actor->type);
    put("actor/name", statement.actor->name);
  }
  put("organization", statement.organization);
  put("requestId", statement.request_id);
  put("reason", statement.reason);
  return text_of(tree);
}

std::string random_object(const std::vector<std::string>& names, int depth_max) {
  const std::vector<std::string> values = {R"("42")",
                                           R"("")",
                                           "null",
                                           "true",
                                           "[1]",
                                           "{}",
                                           "\"\xc3\xa9\"",
                                           R"("\u0000")",
                                           json_string(std::string(word_bytes_max, 'w')),
                                           json_string(std::string(word_bytes_max + 1, 'w')),
                                           json_string(std::string(id_bytes_max, 'i')),
                                           json_string(std::string(id_bytes_max + 1, 'i'))};
  std::string object;
  for (const auto& name : names) {
    if (*rc::gen::inRange(0, 3) == 0) continue;
    const auto value = depth_max > 0 && name == "actor" && *rc::gen::arbitrary<bool>()
                           ? random_object({"id", "type", "name", "role"}, depth_max - 1)
                           : *rc::gen::elementOf(values);
    object += fmt::format("{}{}: {}", object.empty() ? "" : ", ", json_string(name), value);
  }
  return "{" + object + "}";
}

TEST(Statement, WhatWasUnderstoodAndWhatIsLeftMakeTheMessageAgain) {
  EXPECT_TRUE(rc::check([] {
    const auto content = random_object({"actor", "more/so", "organization", "reason", "requestId"}, 1);
    const auto statement = parsed(content);
    RC_ASSERT(made_again(statement) == text_of(tree_of(content)));
    RC_ASSERT(!statement.actor || !statement.actor->id.empty());
    for (const auto* text : {&statement.organization, &statement.reason, &statement.request_id})
      RC_ASSERT(text->size() <= id_bytes_max && is_plain(*text));
    if (statement.actor) {
      RC_ASSERT(statement.actor->id.size() <= id_bytes_max);
      RC_ASSERT(statement.actor->type.size() <= word_bytes_max);
      RC_ASSERT(statement.actor->name.size() <= word_bytes_max);
    }
  }));
}

TEST(Statement, AnyBytes) {
  EXPECT_TRUE(rc::check([](const std::string& content) {
    const auto statement = parsed(content);
    RC_ASSERT(!statement.actor);
    if (is_plain(content))
      RC_ASSERT(statement.more.text == content || statement.more.json);
    else
      RC_ASSERT(statement.more.json && statement.more.text == digest_of(content));
  }));
}

TEST(Statement, AsTheManualHasIt) {
  const auto statement = parsed(
      R"({"actor": {"id": "42", "type": "STAFF", "name": "Asha"}, "organization": "7", "requestId": "r-1", "reason": "why"})");
  EXPECT_EQ(statement.actor, (Actor{.type = "STAFF", .id = "42", .name = "Asha"}));
  EXPECT_EQ(statement.organization, "7");
  EXPECT_EQ(statement.request_id, "r-1");
  EXPECT_EQ(statement.reason, "why");
  EXPECT_EQ(statement.more.text, "");
}

TEST(Statement, NumbersAreIdsToo) {
  const auto statement = parsed(R"({"actor": {"id": 42}, "organization": 7})");
  EXPECT_EQ(statement.actor, (Actor{.type = "", .id = "42", .name = ""}));
  EXPECT_EQ(statement.organization, "7");
}

TEST(Statement, WithoutAnIdItIsNobody) {
  for (const std::string actor : {R"({"name":"Asha","type":"STAFF"})", R"({"id":"","type":"STAFF"})", "null",
                                  R"("42")", "[]", "{}", R"({"id":{"id":"42"}})"}) {
    const auto statement = parsed("{\"actor\":" + actor + "}");
    EXPECT_FALSE(statement.actor) << actor;
    EXPECT_EQ(statement.more.text, "{\"actor\":" + actor + "}");
    EXPECT_TRUE(statement.more.json);
  }
}

TEST(Statement, WhatIsNoObjectIsText) {
  const auto deep = R"({"actor":{"id":"42"},"x":)" + std::string(32, '[') + std::string(32, ']') + "}";
  for (const std::string& content : {std::string("hello"), std::string("[1]"), std::string("\"42\""), deep,
                                     std::string(R"({"actor":{"id":"42"}} )") + "x",
                                     std::string(R"({"actor":{"id":"42"},"actor":{"id":"43"}})"),
                                     std::string(R"({"actor":{"id":"42"},"n":1e400})")}) {
    const auto statement = parsed(content);
    EXPECT_FALSE(statement.actor) << content;
    EXPECT_EQ(statement.more.text, content);
    EXPECT_FALSE(statement.more.json);
  }
}

TEST(Statement, WhatIsTooMuchIsItsDigest) {
  const std::string longest(value_bytes_max, 'a');
  EXPECT_EQ(parsed(longest).more.text, longest);
  EXPECT_EQ(parsed(longest + "a").more.text, digest_of(longest + "a"));
  const auto members = [](std::size_t bytes) { return "{\"x\":\"" + std::string(bytes - 8, 'a') + "\"}"; };
  EXPECT_EQ(parsed(members(value_bytes_max)).more.text, members(value_bytes_max));
  const auto more = members(value_bytes_max + 1);
  const auto statement = parsed(R"({"actor":{"id":"42"},)" + more.substr(1));
  EXPECT_EQ(statement.actor, (Actor{.type = "", .id = "42", .name = ""}));
  EXPECT_EQ(statement.more.text, digest_of(more));
  EXPECT_TRUE(statement.more.json);
  const auto unread = R"({"actor":{"id":"42"},)" + members(message_bytes_max).substr(1);
  EXPECT_FALSE(parsed(unread).actor);
  EXPECT_EQ(parsed(unread).more.text, digest_of(unread));
}

}  // namespace
}  // namespace vestige::sources::postgres
