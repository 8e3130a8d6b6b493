// ID tokens as they are signed: JWS in compact form (RFC 7515 §7.1), read as strictly as can be.
//
// Invariants:
// 1. A text is a token in one spelling only: three parts of base64url without padding or spare bits, JSON
//    without duplicate members.
// 2. The payload is not looked at, not even parsed, before a key of the provider has verified it.
// 3. What verifies is decided here, not by the token: the algorithm has to be one that was configured, and
//    the key one that the provider published for it. Keys and addresses in the token (jwk, jku, x5c, x5u)
//    are never read.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "access/oidc/algorithm.h"
#include "access/oidc/keys.h"
#include "base/bytes.h"
#include "base/result.h"
#include "json/json.h"

namespace vestige::access::oidc {

class Token {
 public:
  // denied where the text is no token, or one that may not be accepted.
  static Result<Token> parse(std::string_view text, std::span<const Algorithm> allowed);

  Algorithm algorithm() const { return algorithm_; }
  const std::optional<std::string>& key_id() const { return key_id_; }

  // The claims, an object, once a key has verified them. not_found where the set has no key for this token,
  // denied where the signature is wrong or the signed payload is no JSON object.
  Result<json::Document> verify(const KeySet& keys) const;

 private:
  Token() = default;
  Algorithm algorithm_{};
  std::optional<std::string> key_id_;
  std::string signed_part_;  // header and payload with the dot, as they came
  Bytes payload_;
  Bytes signature_;
};

}  // namespace vestige::access::oidc
