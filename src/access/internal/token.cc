#include "access/internal/token.h"

#include "access/limits.h"
#include "base/encoding.h"
#include "crypto/digest.h"

namespace vestige::access {

std::string make_token(std::string_view prefix, platform::Entropy& entropy) {
  auto secret = entropy.bytes<32>();
  auto token = std::string(prefix) + to_base64url(secret);
  crypto::cleanse(secret);
  return token;
}

Hash token_digest(std::string_view token) {
  // Nothing of ours is longer; what is needs no hash to be wrong, only a fixed cost.
  return crypto::sha256(view(token.substr(0, limits::token_bytes_max)));
}

}  // namespace vestige::access
