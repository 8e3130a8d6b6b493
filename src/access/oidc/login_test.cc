// Properties: a login is completed once at most, in the browser that began it, within its time, with the
// provider that it was begun with, by a code and an ID token of this very login; and it sends nobody
// elsewhere.
#include "access/oidc/login.h"

#include <gtest/gtest.h>

#include <thread>

#include "access/oidc/testing/fake_provider.h"

namespace vestige::access::oidc {
namespace {

using namespace testing;
using namespace std::chrono_literals;

void expect_refused(const Result<SignedIn>& result, std::string_view says) {
  ASSERT_FALSE(result.has_value()) << says;
  EXPECT_EQ(result.error().kind, ErrorKind::denied) << result.error().message;
  EXPECT_NE(result.error().message.find(says), std::string::npos) << result.error().message;
}

Begun begun_at(Logins& logins, std::string_view return_to = "/") {
  auto begun = logins.begin("fake", return_to);
  EXPECT_TRUE(begun.has_value()) << begun.error().message;
  return begun ? *std::move(begun) : Begun{};
}

TEST(Login, GivesThePersonTheRolesOfTheirGroups) {
  World world;
  const auto logins = world.logins();
  world.provider.behaviour.groups = R"(["everybody","auditors","Helpdesk"])";
  const auto person = world.sign_in(*logins, "/search?q=1#top");
  ASSERT_TRUE(person.has_value()) << person.error().message;
  EXPECT_EQ(person->provider, "fake");
  EXPECT_EQ(person->tenant, "example");
  EXPECT_EQ(person->issuer, world.provider.issuer());
  EXPECT_EQ(person->subject, "alice");
  EXPECT_EQ(person->display_name, "Alice");
  EXPECT_EQ(person->roles, (std::vector<std::string>{"auditor", "legal"}));
  EXPECT_EQ(person->customer, std::nullopt);
  EXPECT_EQ(person->return_to, "/search?q=1#top");
}

TEST(Login, AsksForWhatItWillCheck) {
  World world;
  const auto logins = world.logins();
  const auto begun = begun_at(*logins);
  const auto url = http::parse_url(begun.location);
  ASSERT_TRUE(url.has_value()) << begun.location;
  auto asked = form_values(url->query);
  EXPECT_EQ(asked["ui"], "1");
  EXPECT_EQ(asked["response_type"], "code");
  EXPECT_EQ(asked["client_id"], "vestige client");
  EXPECT_EQ(asked["redirect_uri"], "https://audit.example/api/sign-in/fake/callback");
  EXPECT_EQ(asked["scope"], "openid profile email");
  EXPECT_EQ(asked["code_challenge_method"], "S256");
  for (const char* name : {"state", "nonce", "code_challenge"}) EXPECT_EQ(asked[name].size(), 43U) << name;
  // Nothing that proves something later goes through the provider.
  EXPECT_EQ(begun.location.find(begun.cookie_value), std::string::npos);
  EXPECT_EQ(begun.cookie_name, cookie_name_of(asked["state"]));
  const auto other = begun_at(*logins);
  EXPECT_NE(other.cookie_name, begun.cookie_name);
  EXPECT_NE(other.cookie_value, begun.cookie_value);
}

TEST(Login, AStateIsGoodOnce) {
  World world;
  const auto logins = world.logins();
  const auto callback = world.provider.authorize(begun_at(*logins));
  ASSERT_TRUE(logins->complete("fake", callback).has_value());
  expect_refused(logins->complete("fake", callback), "not known here");
  // Nor after a refusal.
  world.provider.behaviour.groups = "[]";
  const auto second = world.provider.authorize(begun_at(*logins));
  EXPECT_FALSE(logins->complete("fake", second).has_value());
  expect_refused(logins->complete("fake", second), "not known here");
}

TEST(Login, ACodeIsGoodOnceAndInItsOwnLoginOnly) {
  World world;
  const auto logins = world.logins();
  const auto first = world.provider.authorize(begun_at(*logins));
  ASSERT_TRUE(logins->complete("fake", first).has_value());
  auto replayed = world.provider.authorize(begun_at(*logins));
  replayed.code = first.code;
  expect_refused(logins->complete("fake", replayed), "invalid_grant");
  // Somebody else's code, put into this browser's answer: PKCE does not fit.
  const auto stolen = world.provider.authorize(begun_at(*logins));
  auto injected = world.provider.authorize(begun_at(*logins));
  injected.code = stolen.code;
  expect_refused(logins->complete("fake", injected), "invalid_grant");
}

TEST(Login, BelongsToOneBrowser) {
  World world;
  const auto logins = world.logins();
  const auto mine = begun_at(*logins);
  for (const auto& cookie : {std::string(), begun_at(*logins).cookie_value, mine.cookie_value + "x"}) {
    auto callback = world.provider.authorize(begun_at(*logins));
    callback.cookie_value = cookie;
    expect_refused(logins->complete("fake", callback), "another browser");
    EXPECT_EQ(world.provider.asked("/token"), 0);
  }
}

TEST(Login, BelongsToTenMinutes) {
  World world;
  const auto logins = world.logins();
  const auto in_time = world.provider.authorize(begun_at(*logins));
  world.clock.advance(limits::login_lifetime - 1ms);
  EXPECT_TRUE(logins->complete("fake", in_time).has_value());
  const auto late = world.provider.authorize(begun_at(*logins));
  world.clock.advance(limits::login_lifetime);
  expect_refused(logins->complete("fake", late), "not known here");
}

TEST(Login, AFullTableLetsTheOldestGo) {
  World world;
  const auto logins = world.logins(world.provider.configuration(), 3);
  std::vector<Callback> callbacks;
  for (int i = 0; i < 4; ++i) callbacks.push_back(world.provider.authorize(begun_at(*logins)));
  expect_refused(logins->complete("fake", callbacks[0]), "not known here");
  for (int i = 1; i < 4; ++i) EXPECT_TRUE(logins->complete("fake", callbacks[i]).has_value());
}

TEST(Login, StatesThatWereNeverGiven) {
  World world;
  const auto logins = world.logins();
  for (const auto& state :
       {std::string(), std::string("x"), std::string(100'000, 'A'), std::string("\0\xff", 2)})
    expect_refused(logins->complete("fake", {.state = state, .code = "c", .cookie_value = "b"}),
                   "not known here");
  EXPECT_EQ(logins->complete("other", {}).error().kind, ErrorKind::not_found);
  EXPECT_EQ(logins->begin("", "/").error().kind, ErrorKind::not_found);
}

TEST(Login, AnswersOfAnotherProviderAreRefused) {
  World world;
  const auto logins = world.logins();
  auto callback = world.provider.authorize(begun_at(*logins));
  callback.issuer = "https://evil.example";
  expect_refused(logins->complete("fake", callback), "does not come from");
  callback = world.provider.authorize(begun_at(*logins));
  callback.issuer.clear();  // although the discovery document promises it
  expect_refused(logins->complete("fake", callback), "does not come from");
  EXPECT_EQ(world.provider.asked("/token"), 0);
}

TEST(Login, AStateOfOneProviderIsNoneOfAnother) {
  World world;
  FakeProvider other(world.clock);
  auto second = other.configuration();
  second.name = "other";
  ::setenv("VESTIGE_TEST_OIDC_SECRET", "s:cret+", 1);
  const auto logins = *Logins::open({world.provider.configuration(), second}, world.clock, world.entropy);
  const auto begun = logins->begin("other", "/");
  ASSERT_TRUE(begun.has_value());
  auto callback = other.authorize(*begun);
  callback.issuer = world.provider.issuer();
  expect_refused(logins->complete("fake", callback), "another provider");
  EXPECT_EQ(world.provider.asked("/token") + other.asked("/token"), 0);
}

TEST(Login, AProviderWithoutIssInItsAnswersWillDo) {
  World world;
  world.provider.behaviour.authorization_iss = false;
  EXPECT_TRUE(world.sign_in(*world.logins()).has_value());
}

TEST(Login, ARefusalOfTheProviderIsPassedOn) {
  World world;
  const auto logins = world.logins();
  auto callback = world.provider.authorize(begun_at(*logins));
  callback.error = "access_denied";
  callback.error_description = "not today\r\n<b>";
  expect_refused(logins->complete("fake", callback),
                 "\"access_denied\": not today?"
                 "?<b>");
  callback = world.provider.authorize(begun_at(*logins));
  callback.code.clear();
  expect_refused(logins->complete("fake", callback), "no code");
  callback = world.provider.authorize(begun_at(*logins));
  callback.code = "a\r\nb";
  expect_refused(logins->complete("fake", callback), "no code");
  EXPECT_EQ(world.provider.asked("/token"), 0);
}

TEST(Login, TokensOfOtherLoginsAndClientsAreRefused) {
  const auto edited = [](std::string_view what, std::string_view by, std::string_view says) {
    World world;
    world.provider.behaviour.edit_claims = [&](std::string claims) {
      const auto at = claims.find(what);
      EXPECT_NE(at, std::string::npos) << what;
      return claims.replace(at, what.size(), by);
    };
    expect_refused(world.sign_in(*world.logins()), says);
  };
  edited("\"nonce\":\"", "\"nonce\":\"x", "another login");
  edited("\"nonce\"", "\"nonc\"", "another login");
  edited("\"aud\":\"vestige client\"", "\"aud\":\"other\"", "not for the client");
  edited("\"iss\":\"http", "\"iss\":\"https", "was issued by");
  edited("\"exp\":17", "\"exp\":16", "expired at");
  // A whole token of an earlier login, sent once more.
  World world;
  const auto logins = world.logins();
  std::string kept;
  world.provider.behaviour.edit_token = [&](std::string token) { return kept.empty() ? kept = token : kept; };
  ASSERT_TRUE(world.sign_in(*logins).has_value());
  expect_refused(world.sign_in(*logins), "another login");
}

TEST(Login, NobodyWithoutAMappedGroup) {
  for (const char* groups : {"[]", "null", "\"other\"", R"(["Auditors","auditors "])", R"([["auditors"]])",
                             "7", R"({"auditors":true})"}) {
    World world;
    world.provider.behaviour.groups = groups;
    expect_refused(world.sign_in(*world.logins()), "No group of this person gives a role");
  }
}

TEST(Login, ManyAtOnceShareOneFetch) {
  World world;
  const auto logins = world.logins();
  std::vector<std::thread> people;
  std::atomic<int> signed_in = 0;
  for (int i = 0; i < 4; ++i)
    people.emplace_back([&] {
      for (int round = 0; round < 10; ++round) signed_in += world.sign_in(*logins).has_value();
    });
  for (auto& person : people) person.join();
  EXPECT_EQ(signed_in, 40);
  EXPECT_EQ(world.provider.asked("/token"), 40);
  EXPECT_EQ(world.provider.asked("/keys"), 1);
  EXPECT_EQ(world.provider.asked("/.well-known/openid-configuration"), 1);
}

TEST(Login, CustomersAreTheirOwnData) {
  World world;
  auto configuration = world.provider.configuration();
  configuration.audience = Audience::customers;
  configuration.roles.clear();
  configuration.subject_claim = "customer_number";
  const auto logins = world.logins(configuration);
  world.provider.behaviour.more_claims = R"(,"customer_number":"C-17")";
  const auto person = world.sign_in(*logins);
  ASSERT_TRUE(person.has_value()) << person.error().message;
  EXPECT_EQ(person->audience, Audience::customers);
  EXPECT_EQ(person->customer, "C-17");
  EXPECT_TRUE(person->roles.empty());  // although a group of the name is mapped elsewhere
  for (const char* claims :
       {"", R"(,"customer_number":"")", R"(,"customer_number":null)", R"(,"customer_number":["C-17"])",
        R"(,"customer_number":1.5)", R"(,"customer_number":-1)", R"(,"customer_number":true)"}) {
    world.provider.behaviour.more_claims = claims;
    expect_refused(world.sign_in(*logins), "which customer");
  }
  world.provider.behaviour.more_claims = R"(,"customer_number":9007199254740993)";
  const auto large = world.sign_in(*logins);
  ASSERT_TRUE(large.has_value()) << large.error().message;
  EXPECT_EQ(large->customer, "9007199254740993");
}

TEST(Login, APublicClientIsProtectedByPkceAlone) {
  World world;
  auto configuration = world.provider.configuration();
  configuration.client_secret_environment.clear();
  const auto logins = world.logins(configuration);
  // The provider wants the secret; what matters is what was sent.
  expect_refused(world.sign_in(*logins), "invalid_client");
  world.provider.behaviour.edit_discovery = [](std::string text) {
    return text.replace(text.find("\"code_challenge_methods_supported\""), 34, "\"x\"");
  };
  const auto begun = world.logins(configuration)->begin("fake", "/");
  ASSERT_FALSE(begun.has_value());
  EXPECT_NE(begun.error().message.find("PKCE"), std::string::npos) << begun.error().message;
}

TEST(Login, SecretsStayOutOfMessages) {
  World world;
  const auto logins = world.logins();
  for (const unsigned status : {400U, 401U, 500U, 302U}) {
    world.provider.behaviour.answers["/token"] = {.status = status, .body = R"({"error":"x"})"};
    const auto callback = world.provider.authorize(begun_at(*logins));
    const auto failed = logins->complete("fake", callback);
    ASSERT_FALSE(failed.has_value());
    for (const auto& secret :
         {std::string("s:cret+"), std::string("s%3Acret"), callback.code, callback.cookie_value})
      EXPECT_EQ(failed.error().message.find(secret), std::string::npos) << failed.error().message;
  }
}

TEST(LocalPath, LeadsNowhereElse) {
  for (const char* path : {"/", "/search?q=a%20b", "/a//b", "/a/../b", "/@evil.example", "/.//x"})
    EXPECT_EQ(local_path(path), path);
  for (const auto& elsewhere :
       {std::string(), std::string("//evil.example"), std::string("/\\evil.example"),
        std::string("\\\\evil.example"), std::string("https://evil.example"),
        std::string("javascript:alert(1)"), std::string("/\t/evil.example"), std::string("/\n/evil.example"),
        std::string(" /"), std::string("search"), std::string("/a\r\nSet-Cookie: x"), std::string("/\0", 2),
        std::string("/a\\b"), std::string("/\xc3\xa9"), "/" + std::string(limits::return_to_bytes_max, 'a')})
    EXPECT_EQ(local_path(elsewhere), "/") << elsewhere;
}

}  // namespace
}  // namespace vestige::access::oidc
