// Keys and ID tokens as a provider makes them, and as an attacker does.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

#include "access/oidc/algorithm.h"
#include "base/encoding.h"
#include "base/strong.h"
#include "crypto/testing/foreign_signer.h"

namespace vestige::access::oidc::testing {

using vestige::testing::ForeignSigner;

struct SigningKey {
  std::string id;
  Algorithm algorithm;
  ForeignSigner signer;

  Bytes sign(std::string_view message) const { return signer.sign(name_of(algorithm).scheme, view(message)); }
  std::string jwk(std::string_view more = {}) const {
    const auto first = to_base64url(signer.first());
    const auto second = to_base64url(signer.second());
    using Kind = ForeignSigner::Kind;
    const auto numbers = signer.kind() == Kind::rsa
                             ? fmt::format(R"("kty":"RSA","n":"{}","e":"{}")", first, second)
                         : signer.kind() == Kind::p256
                             ? fmt::format(R"("kty":"EC","crv":"P-256","x":"{}","y":"{}")", first, second)
                             : fmt::format(R"("kty":"OKP","crv":"Ed25519","x":"{}")", first);
    return fmt::format(R"({{"kid":"{}","use":"sig",{}{}}})", id, numbers, more);
  }
};

// One of each, made once a process: making RSA keys takes long.
inline const SigningKey& key_for(Algorithm algorithm) {
  static const ForeignSigner rsa = ForeignSigner::rsa();
  static const std::vector<SigningKey> keys{{"rsa", Algorithm::rs256, rsa},
                                            {"rsa", Algorithm::ps256, rsa},
                                            {"ec", Algorithm::es256, ForeignSigner::p256()},
                                            {"ed", Algorithm::eddsa, ForeignSigner::ed25519()}};
  return keys[static_cast<std::size_t>(algorithm)];
}

inline std::string key_set(const std::vector<SigningKey>& keys) {
  std::string list;
  for (const auto& key : keys) list += (list.empty() ? "" : ",") + key.jwk();
  return R"({"keys":[)" + list + "]}";
}

inline std::string signed_part(std::string_view header, std::string_view payload) {
  return to_base64url(view(header)) + "." + to_base64url(view(payload));
}
inline std::string token_of(std::string_view header, std::string_view payload, ByteView signature) {
  return signed_part(header, payload) + "." + to_base64url(signature);
}
inline std::string header_of(const SigningKey& key) {
  return fmt::format(R"({{"alg":"{}","kid":"{}","typ":"JWT"}})", name_of(key.algorithm).name, key.id);
}
inline std::string signed_token(const SigningKey& key, std::string_view header, std::string_view payload) {
  return token_of(header, payload, key.sign(signed_part(header, payload)));
}
inline std::string signed_token(const SigningKey& key, std::string_view payload) {
  return signed_token(key, header_of(key), payload);
}

}  // namespace vestige::access::oidc::testing
