// Signatures that others make with keys of their own: RSA and ECDSA, as identity providers and senders of
// webhooks use them, beside the log's own Ed25519 (ed25519.h). Verifying only: no private key of this kind
// is ever held.
#pragma once

#include <cstdint>
#include <memory>

#include "base/bytes.h"
#include "base/result.h"

namespace vestige::crypto {

enum class SignatureScheme : std::uint8_t {
  rsa_pkcs1_sha256,   // RFC 8017 §8.2
  rsa_pss_sha256,     // RFC 8017 §8.1, MGF1 with SHA-256, salt of 32 bytes
  ecdsa_p256_sha256,  // the 64 bytes of R and S, not DER
  ed25519,
};

inline constexpr std::size_t rsa_bits_min = 2048;
inline constexpr std::size_t rsa_bits_max = 8192;  // a larger one is a way to keep a core busy

// One public key. It verifies under the schemes of its own kind and under no other. Thread-safe.
class VerificationKey {
 public:
  enum class Kind : std::uint8_t { rsa, p256, ed25519 };

  // Big-endian, in the shortest form. invalid where the modulus has fewer than rsa_bits_min or more than
  // rsa_bits_max bits, or where the exponent is even, 1, or longer than 4 bytes.
  static Result<VerificationKey> rsa(ByteView modulus, ByteView exponent);
  // 32 bytes each, big-endian. invalid where they are no point of the curve.
  static Result<VerificationKey> p256(ByteView x, ByteView y);
  static Result<VerificationKey> ed25519(ByteView key);
  ~VerificationKey();
  VerificationKey(VerificationKey&&) noexcept;
  VerificationKey& operator=(VerificationKey&&) noexcept;

  Kind kind() const;
  bool fits(SignatureScheme scheme) const;
  // False where the scheme does not fit.
  [[nodiscard]] bool verify(SignatureScheme scheme, ByteView message, ByteView signature) const;

 private:
  struct State;
  explicit VerificationKey(std::unique_ptr<const State> state);
  std::unique_ptr<const State> state_;
};

}  // namespace vestige::crypto
