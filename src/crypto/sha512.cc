#include <openssl/evp.h>

#include "base/check.h"
#include "crypto/digest.h"

namespace vestige::crypto {

std::array<std::uint8_t, 64> sha512(ByteView bytes) {
  std::array<std::uint8_t, 64> out;
  std::size_t size = 0;
  CHECK(EVP_Q_digest(nullptr, "SHA512", nullptr, bytes.data(), bytes.size(), out.data(), &size) == 1);
  CHECK(size == out.size());
  return out;
}

}  // namespace vestige::crypto
