// Property: of all that can be wrong with the claims of a token that a provider really signed, each alone has
// it refused; and nothing else has.
#include "access/oidc/claims.h"

#include <gtest/gtest.h>

#include "access/oidc/limits.h"
#include "access/oidc/testing/tokens.h"
#include "crypto/digest.h"

namespace vestige::access::oidc {
namespace {

constexpr std::int64_t now_seconds = 1'700'000'000;
constexpr std::int64_t leeway = limits::clock_leeway.count();

// The claims that a provider sends, with one member changed ("" leaves it out) or added.
std::string claims_with(std::string_view name = {}, std::string_view value = {}) {
  std::map<std::string, std::string> members{{"iss", R"("https://login.example/")"},
                                             {"aud", R"("us")"},
                                             {"sub", R"("alice")"},
                                             {"nonce", R"("n-0S6_WzA2Mj")"},
                                             {"iat", std::to_string(now_seconds)},
                                             {"exp", std::to_string(now_seconds + 300)}};
  if (!name.empty()) members[std::string(name)] = value;
  std::string text;
  for (const auto& [member, written] : members)
    if (!written.empty()) text += fmt::format("{}\"{}\":{}", text.empty() ? "" : ",", member, written);
  return "{" + text + "}";
}

bool accepts(const std::string& text, Algorithm algorithm = Algorithm::rs256) {
  json::Parser parser;
  json::Document document;
  EXPECT_TRUE(parser.parse(text, document).has_value()) << text;
  const auto status =
      check_claims(document.root(), {.issuer = "https://login.example/",
                                     .client_id = "us",
                                     .nonce = "n-0S6_WzA2Mj",
                                     .access_token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y",
                                     .algorithm = algorithm,
                                     .now = UnixMs{now_seconds * 1000}});
  if (!status) EXPECT_EQ(status.error().kind, ErrorKind::denied);
  return status.has_value();
}
bool accepts_with(std::string_view name, std::string_view value) { return accepts(claims_with(name, value)); }

TEST(Claims, EachIsNeeded) {
  EXPECT_TRUE(accepts(claims_with()));
  for (const char* name : {"iss", "aud", "sub", "nonce", "iat", "exp"}) {
    EXPECT_FALSE(accepts_with(name, "")) << name;
    for (const char* other : {"null", "true", "{}", "[]", R"("")", "-1"})
      EXPECT_FALSE(accepts_with(name, other)) << name << other;
  }
  EXPECT_FALSE(accepts("{}"));
}

TEST(Claims, TheIssuerIsExact) {
  for (const char* other :
       {R"("https://login.example")", R"("https://login.example//")", R"("http://login.example/")",
        R"("https://LOGIN.example/")", R"("https://login.example/\u0000")", R"(["https://login.example/"])"})
    EXPECT_FALSE(accepts_with("iss", other)) << other;
}

TEST(Claims, TheAudienceIsThisClient) {
  EXPECT_TRUE(accepts_with("aud", R"(["us"])"));
  for (const char* other : {R"("them")", R"(["them"])", R"([["us"]])", R"({"us":"us"})", R"("US")",
                            R"("us,them")", R"(["us","them"])"})
    EXPECT_FALSE(accepts_with("aud", other)) << other;
  EXPECT_TRUE(accepts_with("azp", R"("us")"));
  EXPECT_FALSE(accepts_with("azp", R"("them")"));
  EXPECT_FALSE(accepts_with("azp", R"(["us"])"));
  const auto several = claims_with("aud", R"(["them","us"])");
  EXPECT_FALSE(accepts(several));
  EXPECT_TRUE(accepts(several.substr(0, several.size() - 1) + R"(,"azp":"us"})"));
  EXPECT_FALSE(accepts(several.substr(0, several.size() - 1) + R"(,"azp":"them"})"));
  std::string many = R"("us")";
  for (std::size_t i = 0; i < limits::audiences_max; ++i) many += R"(,"us")";
  EXPECT_FALSE(accepts_with("aud", "[" + many + "]"));
}

TEST(Claims, TimesHoldWithinTheLeeway) {
  EXPECT_TRUE(accepts_with("exp", std::to_string(now_seconds - leeway + 1)));
  EXPECT_FALSE(accepts_with("exp", std::to_string(now_seconds - leeway)));
  EXPECT_FALSE(accepts_with("exp", "0"));
  EXPECT_TRUE(accepts_with("exp", std::to_string(now_seconds) + ".5"));
  for (const char* name : {"iat", "nbf"}) {
    EXPECT_TRUE(accepts_with(name, std::to_string(now_seconds + leeway))) << name;
    EXPECT_FALSE(accepts_with(name, std::to_string(now_seconds + leeway + 1))) << name;
  }
  for (const char* name : {"exp", "iat", "nbf"})
    for (const char* other : {R"("1700000000")", "1e300", "-1", "253402300800", "[1700000000]", "null"})
      EXPECT_FALSE(accepts_with(name, other)) << name << other;
}

TEST(Claims, TheNonceIsThatOfThisLogin) {
  for (const char* other :
       {R"("n-0S6_WzA2M")", R"("n-0S6_WzA2Mjj")", R"("N-0S6_WzA2Mj")", R"(["n-0S6_WzA2Mj"])"})
    EXPECT_FALSE(accepts_with("nonce", other)) << other;
}

TEST(Claims, TheAccessTokenIsTheOneThatCameAlong) {
  // The example of OpenID Connect Core A.3.
  EXPECT_TRUE(accepts_with("at_hash", R"("77QmUPtjPfzWtF2AnpK9RQ")"));
  for (const char* other : {R"("77QmUPtjPfzWtF2AnpK9RR")", R"("")", "null", R"("77QmUPtjPfzWtF2AnpK9RQ==")"})
    EXPECT_FALSE(accepts_with("at_hash", other)) << other;
  const auto wide = crypto::sha512(view("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"));
  const auto half = fmt::format("\"{}\"", to_base64url(ByteView(wide).first(32)));
  EXPECT_TRUE(accepts(claims_with("at_hash", half), Algorithm::eddsa));
  EXPECT_FALSE(accepts(claims_with("at_hash", half), Algorithm::es256));
}

TEST(Claims, TheSubjectIsShortText) {
  EXPECT_TRUE(accepts_with("sub", fmt::format("\"{}\"", std::string(limits::subject_bytes_max, 's'))));
  EXPECT_FALSE(accepts_with("sub", fmt::format("\"{}\"", std::string(limits::subject_bytes_max + 1, 's'))));
  EXPECT_FALSE(accepts_with("sub", R"("a\nb")"));
  EXPECT_FALSE(accepts_with("sub", R"("a\u0000b")"));
}

}  // namespace
}  // namespace vestige::access::oidc
