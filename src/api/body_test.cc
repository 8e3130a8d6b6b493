// Defends: an act does what its body says and nothing that the body says besides. Unknown members, wrong
// types and other media types are refused, with the path of what is wrong.
#include "api/internal/body.h"

#include <gtest/gtest.h>

namespace vestige::api {
namespace {

std::expected<Body, http::Response> read(std::string body, std::string type = "application/json") {
  http::Request request;
  request.headers.emplace_back("content-type", std::move(type));
  request.body = std::move(body);
  return Body::read(request, {"name", "roles", "count", "flag"});
}

unsigned status_of(const std::expected<Body, http::Response>& read) {
  return read ? 200 : read.error().status;
}

TEST(Body, OnlyKnownMembersOfAnObjectAreTaken) {
  EXPECT_EQ(status_of(read(R"({"name":"x","roles":[],"count":1,"flag":true})")), 200U);
  EXPECT_EQ(status_of(read("{}")), 200U);
  for (const auto* body :
       {"", "[]", "1", "null", "\"name\"", "{", "{\"name\":1,\"name\":2}", "{\"Name\":\"x\"}",
        "{\"tenant\":\"x\"}", "{\"name\":\"x\",\"\":1}", "{\"a\":{\"b\":{\"c\":{\"d\":{}}}}}"})
    EXPECT_EQ(status_of(read(body)), 400U) << body;
  const auto refused = read(R"({"name":"x","a/b":1})");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().body.find(R"("path":"/a~1b")"), std::string::npos) << refused.error().body;
}

TEST(Body, AFormOfAnotherSiteCannotBeOne) {
  for (const auto* type : {"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data",
                           "text/plain; application/json", "application/jsonx"})
    EXPECT_EQ(status_of(read("{}", type)), 415U) << type;
  EXPECT_EQ(status_of(read("{}", "application/json; charset=utf-8")), 200U);
  EXPECT_EQ(status_of(read("{\"name\":\"" + std::string(act_body_bytes_max, 'x') + "\"}")), 413U);
}

TEST(Body, MembersHaveTheirTypes) {
  const auto body = read(R"({"name":"x","roles":["a","b"],"count":3,"flag":true})");
  ASSERT_TRUE(body);
  EXPECT_EQ(*body->text("name"), "x");
  EXPECT_EQ(*body->texts("roles"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(*body->number("count", 3), 3U);
  EXPECT_TRUE(*body->flag("flag"));
  EXPECT_FALSE(body->number("count", 2));
  EXPECT_EQ(body->text("count").error().path, "/count");
  EXPECT_EQ(body->texts("name").error().path, "/name");
  EXPECT_EQ(body->flag("name").error().path, "/name");

  const auto other = read(R"({"name":null,"roles":["a",1],"count":1.5})");
  ASSERT_TRUE(other);
  EXPECT_EQ(*other->text_if_any("name"), std::nullopt);
  EXPECT_FALSE(other->text("name"));
  EXPECT_EQ(other->texts("roles").error().path, "/roles/1");
  for (const auto* number : {"1.5", "-1", "1e300", "\"1\"", "true", "null"})
    EXPECT_FALSE(read(std::string("{\"count\":") + number + "}")->number("count", UINT64_MAX)) << number;
  EXPECT_FALSE(*other->flag("flag"));
  EXPECT_FALSE(other->has("flag"));
}

}  // namespace
}  // namespace vestige::api
