// Properties: only what the configured issuer says about itself is believed; a key is accepted while the
// provider lists it and not for long after; whatever a provider sends, or fails to send, ends in a refusal
// within limits and in a sentence that tells an operator what to do.
#include "access/oidc/provider.h"

#include <gtest/gtest.h>

#include "access/oidc/limits.h"
#include "access/oidc/testing/fake_provider.h"

namespace vestige::access::oidc {
namespace {

using namespace testing;
using namespace std::chrono_literals;

SigningKey fresh_key(std::string id) { return {std::move(id), Algorithm::es256, ForeignSigner::p256()}; }

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  const auto at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return at == std::string::npos ? text : text.replace(at, what.size(), by);
}

void expect_failure(const Result<SignedIn>& result, ErrorKind kind, std::string_view says) {
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().kind, kind) << result.error().message;
  EXPECT_NE(result.error().message.find(says), std::string::npos) << result.error().message;
  EXPECT_NE(result.error().message.find("Signing in by \"fake\" failed"), std::string::npos);
}

TEST(ProviderKeys, RotationIsFollowedAndTheOldKeyServesWhileItIsListed) {
  World world;
  const auto logins = world.logins();
  const auto first = fresh_key("1");
  const auto second = fresh_key("2");
  world.provider.behaviour.published = {first};
  ASSERT_TRUE(world.sign_in(*logins));
  EXPECT_EQ(world.provider.asked("/keys"), 1);
  world.clock.advance(limits::keys_refetch_interval);
  world.provider.behaviour.published = {second, first};
  ASSERT_TRUE(world.sign_in(*logins));
  EXPECT_EQ(world.provider.asked("/keys"), 2);
  world.provider.behaviour.signing = first;
  ASSERT_TRUE(world.sign_in(*logins));
  EXPECT_EQ(world.provider.asked("/keys"), 2);
  // Withdrawn: accepted no longer than the set is kept.
  world.provider.behaviour.published = {second};
  world.clock.advance(limits::keys_lifetime);
  expect_failure(world.sign_in(*logins), ErrorKind::denied, "no ES256 key with the id \"1\"");
}

TEST(ProviderKeys, UnknownKeysAreLookedUpOnceInAnInterval) {
  World world;
  const auto logins = world.logins();
  ASSERT_TRUE(world.sign_in(*logins));
  world.provider.behaviour.signing = fresh_key("never published");
  for (int i = 0; i < 5; ++i) expect_failure(world.sign_in(*logins), ErrorKind::denied, "never published");
  EXPECT_EQ(world.provider.asked("/keys"), 1);
  world.clock.advance(limits::keys_refetch_interval);
  for (int i = 0; i < 5; ++i) expect_failure(world.sign_in(*logins), ErrorKind::denied, "never published");
  EXPECT_EQ(world.provider.asked("/keys"), 2);
  EXPECT_EQ(world.provider.asked("/.well-known/openid-configuration"), 1);
}

TEST(ProviderKeys, AForgedSignatureFetchesNothing) {
  World world;
  const auto logins = world.logins();
  ASSERT_TRUE(world.sign_in(*logins));
  world.clock.advance(limits::keys_refetch_interval);
  world.provider.behaviour.signing = fresh_key("ec");  // the id of the published key, and another key
  expect_failure(world.sign_in(*logins), ErrorKind::denied, "its signature is wrong");
  EXPECT_EQ(world.provider.asked("/keys"), 1);
}

TEST(Provider, WhileItIsDownLoginsFailAndComeBack) {
  World world;
  const auto logins = world.logins();
  ASSERT_TRUE(world.sign_in(*logins));
  const auto begun = logins->begin("fake", "/");
  ASSERT_TRUE(begun.has_value());
  const auto callback = world.provider.authorize(*begun);
  const auto port = world.provider.port();
  world.provider.stop();
  expect_failure(logins->complete("fake", callback), ErrorKind::unavailable, world.provider.issuer());
  world.clock.advance(limits::discovery_lifetime);
  const auto down = logins->begin("fake", "/");
  ASSERT_FALSE(down.has_value());
  EXPECT_EQ(down.error().kind, ErrorKind::unavailable);
  // The failure is remembered for a moment, so that a burst of logins does not wait for each in turn.
  world.provider.start(port);
  EXPECT_FALSE(logins->begin("fake", "/").has_value());
  world.clock.advance(limits::failure_lifetime);
  EXPECT_TRUE(world.sign_in(*logins).has_value());
}

TEST(Provider, LiesInDiscoveryAreRefused) {
  const auto says = [](std::string_view what, std::string_view by, std::string_view message) {
    World world;
    world.provider.behaviour.edit_discovery = [&](std::string text) {
      return replaced(std::move(text), what, by);
    };
    const auto begun = world.logins()->begin("fake", "/");
    ASSERT_FALSE(begun.has_value()) << by;
    EXPECT_EQ(begun.error().kind, ErrorKind::unavailable);
    EXPECT_NE(begun.error().message.find(message), std::string::npos) << begun.error().message;
  };
  says("\"issuer\":\"http://127.0.0.1", "\"issuer\":\"https://evil.example", "says that its issuer is");
  says("\"issuer\":\"http://", "\"issuer\":\"http:///", "says that its issuer is");
  says("\"issuer\":", "\"Issuer\":", "names no issuer");
  says("\"issuer\":", "\"issuer\":\"https://evil.example\",\"issuer\":", "no JSON object");
  says("\"token_endpoint\":\"http://127.0.0.1", "\"token_endpoint\":\"http://evil.example", "https://");
  says("\"jwks_uri\":\"http://127.0.0.1", "\"jwks_uri\":\"file://127.0.0.1", "no web address");
  says("\"authorization_endpoint\":\"http", "\"authorization_endpoint\":\"javascript", "no web address");
  says("\"jwks_uri\":", "\"jwks\":", "has no jwks_uri");
  says("[\"code\"]", "[\"id_token\"]", "authorization code flow");
  says("[\"S256\"]", "[\"plain\"]", "PKCE");
  says("\"response_types_supported\"",
       "\"token_endpoint_auth_methods_supported\":[\"none\"],\"response_types_supported\"",
       "client_secret_basic");
  says("\"response_types_supported\"",
       "\"id_token_signing_alg_values_supported\":[\"HS256\",\"none\"],\"response_types_supported\"",
       "signature algorithms");
}

TEST(Provider, EndpointsOfASecureIssuerAreSecure) {
  Configuration configuration{.name = "a",
                              .tenant = "t",
                              .issuer = "https://login.example/x",
                              .client_id = "c",
                              .client_secret_file = "s",
                              .redirect_url = "https://a.example/"};
  const auto document = [](std::string_view token_endpoint) {
    return fmt::format(
        R"({{"issuer":"https://login.example/x","authorization_endpoint":"https://login.example/a",)"
        R"("token_endpoint":"{}","jwks_uri":"https://keys.example/k?p=1"}})",
        token_endpoint);
  };
  const auto good = read_discovery(document("https://other.example/t"), configuration);
  ASSERT_TRUE(good.has_value()) << good.error().message;
  EXPECT_EQ(good->jwks_uri, "https://keys.example/k?p=1");
  // Not even to this machine: that would be a question to a neighbour with the client's secret in it.
  for (const char* insecure :
       {"http://login.example/t", "http://127.0.0.1:9/t", "http://localhost/t", "ftp://a/", ""})
    EXPECT_FALSE(read_discovery(document(insecure), configuration).has_value()) << insecure;
  configuration.issuer += "/";
  EXPECT_FALSE(read_discovery(document("https://other.example/t"), configuration).has_value());
}

TEST(Provider, AnswersThatMakeNoSense) {
  const auto huge = std::string(limits::document_bytes_max + 1, ' ');
  const std::pair<std::string, http::Response> cases[] = {
      {"more than", {.status = 200, .body = huge}},
      {"no JSON", {.status = 200, .content_type = "text/html", .body = "<html>"}},
      {"no JSON", {.status = 200, .body = std::string(40, '[')}},
      {"status 404", {.status = 404, .body = "{}"}},
      {"status 500", {.status = 500, .body = "{}"}},
      {"redirect (302)", {.status = 302, .body = "{}", .headers = {{"Location", "/redirect"}}}},
      {"redirect (307)", {.status = 307, .body = "{}", .headers = {{"Location", "/redirect"}}}},
  };
  for (const char* path : {"/.well-known/openid-configuration", "/keys"}) {
    for (const auto& [says, answer] : cases) {
      World world;
      world.provider.behaviour.answers[path] = answer;
      expect_failure(world.sign_in(*world.logins()), ErrorKind::unavailable, says);
      EXPECT_EQ(world.provider.asked("/redirect"), 0);
    }
  }
}

TEST(Provider, TokenAnswersThatMakeNoSense) {
  const auto of = [](http::Response answer, ErrorKind kind, std::string_view says) {
    World world;
    world.provider.behaviour.answers["/token"] = std::move(answer);
    expect_failure(world.sign_in(*world.logins()), kind, says);
  };
  of({.status = 200, .body = std::string(limits::document_bytes_max + 1, ' ')}, ErrorKind::unavailable,
     "more than");
  of({.status = 200, .body = "[]"}, ErrorKind::unavailable, "no JSON object");
  of({.status = 200, .body = R"({"access_token":"a","id_token":"b"})"}, ErrorKind::unavailable, "Bearer");
  of({.status = 200, .body = R"({"token_type":"mac","access_token":"a","id_token":"b"})"},
     ErrorKind::unavailable, "Bearer");
  of({.status = 200, .body = R"({"token_type":"bearer","id_token":"b"})"}, ErrorKind::unavailable,
     "no access token");
  of({.status = 200, .body = R"({"token_type":"bearer","access_token":"a"})"}, ErrorKind::unavailable,
     "no ID token");
  of({.status = 200, .body = R"({"token_type":"bearer","access_token":"a","id_token":"b"})"},
     ErrorKind::denied, "three parts");
  of({.status = 307, .body = "{}", .headers = {{"Location", "/redirect"}}}, ErrorKind::unavailable,
     "redirect");
  of({.status = 503, .body = "{}"}, ErrorKind::unavailable, "503");
  of({.status = 401, .body = R"({"error":"invalid_client"})"}, ErrorKind::denied, "invalid_client");
  of({.status = 400, .body = "{\"error\":\"a\\u0000\\\"b\"}"}, ErrorKind::denied, "a??b");
}

TEST(Provider, SilenceEnds) {
  World world;
  const auto logins = world.logins();
  // A port that accepts and never says anything.
  http::testing::Running silent;
  const auto address = silent.url() + "/held";
  world.provider.behaviour.edit_discovery = [&](std::string text) {
    return replaced(std::move(text), world.provider.issuer() + "/keys", address);
  };
  expect_failure(world.sign_in(*logins), ErrorKind::unavailable, "nothing moved for");
  silent.held().take().respond({});
}

TEST(Provider, UserinfoIsAboutTheSamePerson) {
  World world;
  auto configuration = world.provider.configuration();
  configuration.userinfo = true;
  const auto logins = world.logins(configuration);
  world.provider.behaviour.groups = "null";
  const auto person = world.sign_in(*logins);
  ASSERT_TRUE(person.has_value()) << person.error().message;
  EXPECT_EQ(person->email, "alice@example.com");
  EXPECT_EQ(person->roles, std::vector<std::string>{"customer_service"});
  world.provider.behaviour.userinfo_subject = "bob";
  expect_failure(world.sign_in(*logins), ErrorKind::denied, "somebody else");
}

}  // namespace
}  // namespace vestige::access::oidc
