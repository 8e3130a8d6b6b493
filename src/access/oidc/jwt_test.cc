// Property: a token's claims are seen only where a published key of the configured algorithm signed exactly
// these bytes. Whatever else a token says about how it wants to be verified changes nothing.
#include "access/oidc/jwt.h"

#include <gtest/gtest.h>

#include "access/oidc/limits.h"
#include "access/oidc/testing/tokens.h"
#include "crypto/digest.h"

namespace vestige::access::oidc {
namespace {

using namespace testing;

constexpr Algorithm all[] = {Algorithm::rs256, Algorithm::ps256, Algorithm::es256, Algorithm::eddsa};
constexpr std::string_view payload = R"({"sub":"alice"})";

const KeySet& keys() {
  static const auto set = KeySet::parse(
      key_set({key_for(Algorithm::rs256), key_for(Algorithm::es256), key_for(Algorithm::eddsa)}));
  return *set;
}

Result<json::Document> opened(std::string_view text, std::span<const Algorithm> allowed = all,
                              const KeySet& with = keys()) {
  VESTIGE_TRY(const auto token, Token::parse(text, allowed));
  return token.verify(with);
}

// The kind of refusal; "" where the token was accepted.
std::string refusal(std::string_view text, std::span<const Algorithm> allowed = all) {
  const auto claims = opened(text, allowed);
  if (claims) return "";
  EXPECT_FALSE(claims.error().message.empty());
  return name_of(claims.error().kind);
}
const auto denied = [] { return std::string(name_of(ErrorKind::denied)); };

TEST(Jwt, OpensWhatAPublishedKeySigned) {
  for (const auto algorithm : all) {
    const auto claims = opened(signed_token(key_for(algorithm), payload));
    ASSERT_TRUE(claims.has_value()) << claims.error().message;
    EXPECT_EQ(claims->root().find("sub").string(), "alice");
  }
}

TEST(Jwt, NoSignatureIsNone) {
  for (const char* name : {"none", "None", "NONE", "nOnE", "noNe ", "", "null"}) {
    const auto header = fmt::format(R"({{"alg":"{}","kid":"rsa"}})", name);
    EXPECT_EQ(refusal(token_of(header, payload, {})), denied()) << name;
    EXPECT_EQ(
        refusal(token_of(header, payload, key_for(Algorithm::rs256).sign(signed_part(header, payload)))),
        denied())
        << name;
  }
  EXPECT_EQ(refusal(token_of(R"({"kid":"rsa"})", payload, {})), denied());
  EXPECT_EQ(refusal(token_of(R"({"alg":null})", payload, {})), denied());
  EXPECT_EQ(refusal(token_of(R"({"alg":["RS256"]})", payload, {})), denied());
  for (const auto algorithm : all)
    EXPECT_EQ(refusal(token_of(header_of(key_for(algorithm)), payload, {})), denied());
}

TEST(Jwt, PublicKeyIsNoSharedSecret) {
  const auto& rsa = key_for(Algorithm::rs256);
  const auto set = key_set({rsa});
  const std::string secrets[] = {rsa.jwk(), set, std::string(text(rsa.signer.first())),
                                 to_base64url(rsa.signer.first()), ""};
  for (const char* name : {"HS256", "HS384", "HS512", "hs256", "RS256"}) {
    const auto header = fmt::format(R"({{"alg":"{}","kid":"rsa"}})", name);
    for (const auto& secret : secrets) {
      const auto mac = crypto::HmacKey(view(secret)).mac(view(signed_part(header, payload)));
      EXPECT_EQ(refusal(token_of(header, payload, mac)), denied()) << name;
    }
  }
}

TEST(Jwt, KeysDoNotServeOtherAlgorithms) {
  for (const auto signing : all) {
    for (const auto claimed : all) {
      if (signing == claimed) continue;
      const auto& key = key_for(signing);
      for (const auto& id : {key.id, key_for(claimed).id}) {
        const auto header = fmt::format(R"({{"alg":"{}","kid":"{}"}})", name_of(claimed).name, id);
        EXPECT_NE(refusal(signed_token(key, header, payload)), "")
            << name_of(signing).name << " as " << name_of(claimed).name;
      }
    }
  }
  for (const char* other :
       {"RS384", "RS512", "PS512", "ES384", "ES256K", "rs256", "RS256 ", "eddsa", "Ed25519", "ECDH-ES"})
    EXPECT_EQ(refusal(signed_token(key_for(Algorithm::rs256),
                                   fmt::format(R"({{"alg":"{}","kid":"rsa"}})", other), payload)),
              denied())
        << other;
}

TEST(Jwt, OnlyConfiguredAlgorithms) {
  for (const auto algorithm : all) {
    const Algorithm one[] = {algorithm};
    for (const auto used : all)
      EXPECT_EQ(refusal(signed_token(key_for(used), payload), one), used == algorithm ? "" : denied());
  }
  // A key that the provider ties to one algorithm does not serve the other one of its kind.
  const auto tied = KeySet::parse(R"({"keys":[)" + key_for(Algorithm::rs256).jwk(R"(,"alg":"RS256")") + "]}");
  EXPECT_TRUE(opened(signed_token(key_for(Algorithm::rs256), payload), all, *tied));
  EXPECT_FALSE(opened(signed_token(key_for(Algorithm::ps256), payload), all, *tied));
}

TEST(Jwt, KeysInTheTokenAreNotRead) {
  const SigningKey stranger{"rsa", Algorithm::es256, ForeignSigner::p256()};
  const auto own = stranger.jwk();
  const std::string headers[] = {
      fmt::format(R"({{"alg":"ES256","jwk":{}}})", own),
      fmt::format(R"({{"alg":"ES256","kid":"ec","jwk":{}}})", own),
      R"({"alg":"ES256","kid":"ec","jku":"https://evil.example/keys"})",
      R"({"alg":"ES256","kid":"ec","x5u":"https://evil.example/c.pem"})",
      fmt::format(R"({{"alg":"ES256","kid":"ec","x5c":["{}"]}})", to_base64(view(own)))};
  for (const auto& header : headers)
    EXPECT_NE(refusal(signed_token(stranger, header, payload)), "") << header;
  // The provider's own token may carry one; it is not looked at.
  const auto& ours = key_for(Algorithm::es256);
  EXPECT_EQ(
      refusal(signed_token(ours, fmt::format(R"({{"alg":"ES256","kid":"ec","jwk":{}}})", own), payload)), "");
}

TEST(Jwt, KeyIdsAreComparedAndNothingElse) {
  const auto& key = key_for(Algorithm::rs256);
  for (const char* id :
       {"../../../../dev/null", "/dev/null", "rsa'--", "rsa\\u0000", "rsa ", "RSA", "*", "%", "ec", "0"})
    EXPECT_NE(refusal(signed_token(key, fmt::format(R"({{"alg":"RS256","kid":"{}"}})", id), payload)), "")
        << id;
  for (const char* id : {R"("")", "1", "null", R"(["rsa"])", R"({"$ne":""})"})
    EXPECT_EQ(refusal(signed_token(key, fmt::format(R"({{"alg":"RS256","kid":{}}})", id), payload)), denied())
        << id;
  EXPECT_NE(
      refusal(signed_token(
          key, fmt::format(R"({{"alg":"RS256","kid":"{}"}})", std::string(limits::key_id_bytes_max + 1, 'a')),
          payload)),
      "");
  // Without an id the one key of the kind is meant; of two, none.
  const auto header = R"({"alg":"RS256"})";
  EXPECT_EQ(refusal(signed_token(key, header, payload)), "");
  const SigningKey second{"rsa2", Algorithm::rs256, key.signer};
  const auto two = KeySet::parse(key_set({key, second}));
  EXPECT_FALSE(opened(signed_token(key, header, payload), all, *two));
}

TEST(Jwt, AnUnknownKeyIsToldFromAWrongSignature) {
  const auto& key = key_for(Algorithm::rs256);
  EXPECT_EQ(opened(signed_token(key, R"({"alg":"RS256","kid":"next"})", payload)).error().kind,
            ErrorKind::not_found);
  EXPECT_EQ(opened(token_of(header_of(key), payload, Bytes(256, 1))).error().kind, ErrorKind::denied);
}

TEST(Jwt, HeadersAreReadStrictly) {
  const auto& key = key_for(Algorithm::es256);
  const auto of = [&](std::string_view header) { return refusal(signed_token(key, header, payload)); };
  EXPECT_EQ(of(R"({"alg":"ES256","kid":"ec"})"), "");
  EXPECT_EQ(of(R"({"alg":"ES256","kid":"ec","alg":"none"})"), denied());
  EXPECT_EQ(of(R"({"alg":"none","kid":"ec","alg":"ES256"})"), denied());
  EXPECT_EQ(of(R"({"alg":"ES256","kid":"ec","\u0061lg":"ES256"})"), denied());
  EXPECT_EQ(of(R"({"alg":"ES256","kid":"ec","crit":["exp"]})"), denied());
  EXPECT_EQ(of(R"({"alg":"ES256","kid":"ec","crit":[]})"), denied());
  EXPECT_EQ(of(R"({"alg":"ES256","kid":"ec","crit":["b64"],"b64":false})"), denied());
  EXPECT_EQ(of(R"({"alg":"ES256","kid":"ec","typ":"jwt"})"), "");
  EXPECT_EQ(of(R"({"alg":"ES256","kid":"ec","typ":"at+jwt"})"), denied());
  EXPECT_EQ(of(R"({"alg":"ES256","kid":"ec","typ":"logout+jwt"})"), denied());
  EXPECT_EQ(of(R"({"alg":"ES256","kid":"ec","typ":7})"), denied());
  EXPECT_EQ(of(R"({"alg":"ES256","kid":"ec"} x)"), denied());
  EXPECT_EQ(of(R"(["ES256"])"), denied());
  EXPECT_EQ(of(""), denied());
  EXPECT_EQ(of("{\"alg\":\"ES256\",\"kid\":\"ec\",\"x\":\"\xff\"}"), denied());
  EXPECT_EQ(
      of(R"({"alg":"ES256","kid":"ec","x":")" + std::string(limits::token_header_bytes_max, 'x') + "\"}"),
      denied());
  EXPECT_EQ(of(R"({"alg":"ES256","kid":"ec","x":)" + std::string(100, '[') + std::string(100, ']') + "}"),
            denied());
}

TEST(Jwt, EveryBitCounts) {
  for (const auto algorithm : all) {
    const auto whole = signed_token(key_for(algorithm), payload);
    for (std::size_t at = 0; at < whole.size(); ++at) {
      for (const unsigned bit : {0U, 3U, 6U}) {
        auto changed = whole;
        changed[at] = static_cast<char>(changed[at] ^ (1U << bit));
        EXPECT_NE(refusal(changed), "") << name_of(algorithm).name << " byte " << at << " bit " << bit;
      }
    }
  }
}

TEST(Jwt, TextsThatAreNoToken) {
  const auto whole = signed_token(key_for(Algorithm::es256), payload);
  ASSERT_EQ(refusal(whole), "");
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_EQ(refusal(std::string_view(whole).substr(0, size)), denied()) << size;
  for (const auto& other :
       {whole + ".", "." + whole, whole + "=", whole + "\n", " " + whole, whole + ".." + whole,
        whole + ".x.y", std::string("a.b.c"), std::string(".."), std::string(".", 1)})
    EXPECT_EQ(refusal(other), denied()) << other;
  EXPECT_EQ(refusal(std::string(limits::token_bytes_max + 1, 'A')), denied());
  EXPECT_EQ(refusal(signed_token(key_for(Algorithm::es256), std::string(limits::token_bytes_max, ' '))),
            denied());
}

TEST(Jwt, OneSpellingOnly) {
  // The last character of 64 bytes has four bits to spare: sixteen spellings for decoders that do not mind.
  const auto whole = signed_token(key_for(Algorithm::es256), payload);
  constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::size_t accepted = 0;
  for (const char letter : letters) {
    auto spelled = whole;
    spelled.back() = letter;
    accepted += refusal(spelled).empty();
  }
  EXPECT_EQ(accepted, 1U);
  auto standard = whole;
  for (char& c : standard) c = c == '-' ? '+' : c == '_' ? '/' : c;
  if (standard != whole) EXPECT_EQ(refusal(standard), denied());
}

TEST(Jwt, SignaturesOfTheCurveAre64Bytes) {
  const auto& key = key_for(Algorithm::es256);
  const auto header = header_of(key);
  const auto signature = key.sign(signed_part(header, payload));
  // The twin is as good (verification_key.cc); a login is told from its replay by its state, never by this.
  EXPECT_EQ(refusal(token_of(header, payload, ForeignSigner::twin(signature))), "");
  EXPECT_EQ(refusal(token_of(header, payload, Bytes(64))), denied());
  for (const std::size_t size : {0U, 32U, 63U})
    EXPECT_EQ(refusal(token_of(header, payload, ByteView(signature).first(size))), denied());
  auto longer = signature;
  longer.insert(longer.begin(), 0);
  EXPECT_EQ(refusal(token_of(header, payload, longer)), denied());
  // DER, as OpenSSL writes it.
  Bytes der{0x30, 0x44, 0x02, 0x20};
  der.insert(der.end(), signature.begin(), signature.begin() + 32);
  der.insert(der.end(), {0x02, 0x20});
  der.insert(der.end(), signature.begin() + 32, signature.end());
  EXPECT_EQ(refusal(token_of(header, payload, der)), denied());
}

TEST(Jwt, SignedClaimsAreOneJsonObject) {
  const auto& key = key_for(Algorithm::es256);
  const auto of = [&](std::string_view claims) { return refusal(signed_token(key, claims)); };
  EXPECT_EQ(of("{}"), "");
  EXPECT_EQ(of(R"({"big":9007199254740993})"), "");
  EXPECT_EQ(of(R"({"sub":"alice","sub":"bob"})"), denied());
  EXPECT_EQ(of(R"(["sub"])"), denied());
  EXPECT_EQ(of(""), denied());
  EXPECT_EQ(of("{"), denied());
}

TEST(Jwt, RefusalsSayNothingThatWasHidden) {
  const auto text = token_of("{\"alg\":\"\\u0007\\\"<script>\"}", payload, Bytes(8));
  const auto token = Token::parse(text, all);
  ASSERT_FALSE(token.has_value());
  EXPECT_EQ(token.error().message.find('\a'), std::string::npos);
  EXPECT_EQ(token.error().message.find("alice"), std::string::npos);
}

TEST(KeySet, PassesOverWhatCannotBeUsed) {
  const auto& rsa = key_for(Algorithm::rs256);
  const auto& ec = key_for(Algorithm::es256);
  const auto small = SigningKey{"small", Algorithm::rs256, ForeignSigner::rsa(1024)};
  const auto n = to_base64url(rsa.signer.first());
  const std::string unusable[] = {
      small.jwk(),
      R"({"kty":"oct","kid":"a","k":"c2VjcmV0"})",
      ec.jwk(R"(,"d":"AAAA")"),
      ec.jwk(R"(,"key_ops":["sign"])"),
      ec.jwk(R"(,"alg":"RS256")"),
      ec.jwk(R"(,"alg":"ES512")"),
      fmt::format(R"({{"kty":"RSA","use":"enc","n":"{}","e":"AQAB"}})", n),
      fmt::format(R"({{"kty":"RSA","n":"{}","e":"AQ"}})", n),
      fmt::format(R"({{"kty":"RSA","n":"{}=","e":"AQAB"}})", n),
      fmt::format(R"({{"kty":"RSA","n":"{}"}})", n),
      fmt::format(R"({{"kty":"EC","crv":"P-256","x":"{0}","y":"{0}"}})", to_base64url(ec.signer.first())),
      R"({"kty":"EC","crv":"P-521","x":"AA","y":"AA"})",
      R"({"kty":"RSA","kid":7,"n":"AQAB","e":"AQAB"})",
      R"("key")",
      "{}"};
  std::string list = rsa.jwk();
  for (const auto& key : unusable) list += "," + key;
  const auto set = KeySet::parse(R"({"keys":[)" + list + "]}");
  ASSERT_TRUE(set.has_value()) << set.error().message;
  EXPECT_EQ(set->size(), 1U);
  EXPECT_NE(set->remark().find("15 cannot be used"), std::string::npos) << set->remark();
  EXPECT_NE(set->remark().find("1024 bits"), std::string::npos) << set->remark();
}

TEST(KeySet, RefusesWhatIsNone) {
  std::string many = "{}";
  for (std::size_t i = 0; i < limits::keys_max; ++i) many += ",{}";
  for (const auto& text : {std::string(), std::string("{}"), std::string("[]"), std::string(R"({"keys":{}})"),
                           R"({"keys":[)" + many + "]}", std::string("<html>")})
    EXPECT_EQ(KeySet::parse(text).error().kind, ErrorKind::invalid) << text;
  EXPECT_TRUE(KeySet::parse(R"({"keys":[]})").has_value());
}

}  // namespace
}  // namespace vestige::access::oidc
