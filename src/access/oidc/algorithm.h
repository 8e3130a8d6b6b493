// The signature algorithms that an ID token may have. There is no "none" and no HMAC here, so no setting and
// no token can ask for them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "crypto/verification_key.h"

namespace vestige::access::oidc {

enum class Algorithm : std::uint8_t { rs256, ps256, es256, eddsa };

struct AlgorithmName {
  std::string_view name;  // RFC 7518 §3.1, RFC 8037 §3.1; to be met exactly, "rs256" is another
  Algorithm algorithm;
  crypto::SignatureScheme scheme;
};
inline constexpr AlgorithmName algorithm_names[] = {
    {"RS256", Algorithm::rs256, crypto::SignatureScheme::rsa_pkcs1_sha256},
    {"PS256", Algorithm::ps256, crypto::SignatureScheme::rsa_pss_sha256},
    {"ES256", Algorithm::es256, crypto::SignatureScheme::ecdsa_p256_sha256},
    {"EdDSA", Algorithm::eddsa, crypto::SignatureScheme::ed25519},
};

constexpr std::optional<Algorithm> algorithm_named(std::string_view name) {
  for (const auto& known : algorithm_names)
    if (known.name == name) return known.algorithm;
  return std::nullopt;
}
constexpr const AlgorithmName& name_of(Algorithm algorithm) {
  return algorithm_names[static_cast<std::size_t>(algorithm)];
}

}  // namespace vestige::access::oidc
