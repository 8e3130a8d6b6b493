// Property: no text of a provider crashes a reader; what is a token is one in this spelling only, and without
// a key of the provider it opens for nobody; no claims sign in without a subject, the client's audience and a
// role; refusals are sentences fit for a person. The first byte chooses the reader.
#include <cstddef>
#include <cstdint>

#include "access/oidc/claims.h"
#include "access/oidc/identity.h"
#include "access/oidc/jwt.h"
#include "access/oidc/limits.h"
#include "access/oidc/login.h"
#include "access/oidc/provider.h"
#include "base/check.h"
#include "base/encoding.h"
#include "http/url.h"

namespace vestige::access::oidc {
namespace {

const Configuration& configuration() {
  static const Configuration fixed{.name = "fuzz",
                                   .tenant = "example",
                                   .issuer = "https://login.example",
                                   .client_id = "vestige",
                                   .client_secret_file = "secret",
                                   .redirect_url = "https://audit.example/callback",
                                   .roles = {{"auditors", {"auditor"}}}};
  return fixed;
}

void check_refusal(const Error& error) {
  CHECK(!error.message.empty() && is_utf8(error.message));
  CHECK(error.kind != ErrorKind::corrupt && error.kind != ErrorKind::io);
}

void read_token(std::string_view text) {
  const auto token = Token::parse(text, configuration().algorithms);
  if (!token) return check_refusal(token.error());
  std::string again;
  for (std::string_view rest = text;;) {
    const auto dot = rest.find('.');
    const auto part = from_base64url(rest.substr(0, dot));
    CHECK(part.has_value());
    again += to_base64url(*part);
    if (dot == std::string_view::npos) break;
    again += '.';
    rest.remove_prefix(dot + 1);
  }
  CHECK(again == text);
  static const auto keys = KeySet::parse(
      R"({"keys":[{"kty":"EC","crv":"P-256","kid":"ec","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",)"
      R"("y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]})");
  CHECK(keys.has_value() && keys->size() == 1);
  const auto claims = token->verify(*keys);
  CHECK(!claims.has_value());
  check_refusal(claims.error());
}

void read_claims(std::string_view text) {
  json::Parser parser;
  json::Document document;
  std::vector<std::string> lossless;
  if (!parser.parse_lossless(text, document, lossless,
                             {.depth_max = 16, .bytes_max = limits::token_bytes_max}))
    return;
  const auto claims = document.root();
  if (!claims.is_object()) return;
  const auto status = check_claims(claims, {.issuer = configuration().issuer,
                                            .client_id = configuration().client_id,
                                            .nonce = "nonce",
                                            .access_token = "access",
                                            .algorithm = Algorithm::rs256,
                                            .now = UnixMs{1'700'000'000'000}});
  if (!status) return check_refusal(status.error());
  CHECK(claims.find("iss").string() == configuration().issuer && claims.find("nonce").string() == "nonce");
  const auto person = identity_of(configuration(), claims);
  if (!person) return check_refusal(person.error());
  CHECK(!person->subject.empty() && !person->display_name.empty() && is_utf8(person->display_name));
  CHECK(person->roles == std::vector<std::string>{"auditor"});
}

void read_keys(std::string_view text) {
  const auto keys = KeySet::parse(text);
  if (!keys) return check_refusal(keys.error());
  CHECK(keys->size() <= limits::keys_max && is_utf8(keys->remark()));
}

void read_discovery_document(std::string_view text) {
  const auto discovery = read_discovery(text, configuration());
  if (!discovery) return check_refusal(discovery.error());
  for (const auto& address :
       {discovery->authorization_endpoint, discovery->token_endpoint, discovery->jwks_uri}) {
    const auto url = http::parse_url(address);
    CHECK(url.has_value() && url->encrypted);
  }
}

void read_return_to(std::string_view text) {
  const auto path = local_path(text);
  CHECK(path.starts_with('/') && !path.starts_with("//") && path.find('\\') == std::string::npos);
}

}  // namespace
}  // namespace vestige::access::oidc

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto text = vestige::text({data + 1, size - 1});
  switch (data[0] % 5) {
    case 0:
      vestige::access::oidc::read_token(text);
      break;
    case 1:
      vestige::access::oidc::read_claims(text);
      break;
    case 2:
      vestige::access::oidc::read_keys(text);
      break;
    case 3:
      vestige::access::oidc::read_discovery_document(text);
      break;
    default:
      vestige::access::oidc::read_return_to(text);
  }
  return 0;
}
