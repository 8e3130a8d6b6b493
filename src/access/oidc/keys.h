// The keys with which a provider signs: its JWK Set (RFC 7517).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "access/oidc/algorithm.h"
#include "base/result.h"
#include "crypto/verification_key.h"

namespace vestige::access::oidc {

struct ProviderKey {
  std::optional<std::string> id;
  std::optional<Algorithm> algorithm;  // where the set ties the key to one
  crypto::VerificationKey key;

  bool fits(Algorithm wanted) const;
};

// Immutable.
class KeySet {
 public:
  // Keys that cannot be used (of other kinds, for encryption, too small, published with their private half)
  // are passed over, as RFC 7517 §5 wants it. invalid where the text is no JWK Set.
  static Result<KeySet> parse(std::string_view text);

  // The keys to try for a token: those with its key id, or, for a token that names none, the one key of its
  // kind. Several only where a provider gave one id to several.
  std::vector<const ProviderKey*> fitting(Algorithm algorithm, const std::optional<std::string>& id) const;
  std::size_t size() const { return keys_.size(); }
  // A sentence about what was passed over, for an operator whose login fails; empty where nothing was.
  const std::string& remark() const { return remark_; }

 private:
  std::vector<ProviderKey> keys_;
  std::string remark_;
};

}  // namespace vestige::access::oidc
