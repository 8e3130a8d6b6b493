// Ed25519 (RFC 8032).
#pragma once

#include <memory>

#include "base/bytes.h"
#include "base/result.h"

namespace vestige::crypto {

using PublicKey = std::array<std::uint8_t, 32>;
using Signature = std::array<std::uint8_t, 64>;

class SigningKey {
 public:
  // `seed` is the 32-byte private key of RFC 8032.
  explicit SigningKey(const Key& seed);
  ~SigningKey();
  SigningKey(SigningKey&&) noexcept;
  SigningKey& operator=(SigningKey&&) noexcept;
  const PublicKey& public_key() const;
  Signature sign(ByteView message) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

[[nodiscard]] bool verify(const PublicKey& key, ByteView message, const Signature& signature);

}  // namespace vestige::crypto
