// Which signatures are accepted (RFC 8032 §5.1.7, and where implementations differ, this):
//
// - S is below the group order, R and the key are in their one canonical encoding;
// - [S]B = R + [k]A holds without multiplying by the cofactor;
// - the key has no small order: with such a key one signature fits many messages, so it proves nothing.
//
// OpenSSL sees to S, R and the equation. It decodes non-canonical keys and keys of small order, and those
// are refused here.
#include "crypto/ed25519.h"

#include <openssl/evp.h>

#include <algorithm>

#include "base/check.h"

namespace vestige::crypto {

namespace {

struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }  // cleanses the private half
};
using KeyHandle = std::unique_ptr<EVP_PKEY, FreeKey>;

struct FreeDigest {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using DigestHandle = std::unique_ptr<EVP_MD_CTX, FreeDigest>;

DigestHandle make_digest() {
  DigestHandle digest(EVP_MD_CTX_new());
  CHECK(digest != nullptr);
  return digest;
}

// The y coordinates, little-endian, of the eight points whose order divides 8; x only adds the sign bit.
constexpr std::array<PublicKey, 5> small_order_ys{{
    {},
    {0x01},
    {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
     0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
    {0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
     0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
    {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
}};

// y < 2^255 - 19.
bool is_canonical(const PublicKey& y) {
  if (y[0] < 0xed || y[31] != 0x7f) return true;
  return std::ranges::any_of(y.begin() + 1, y.end() - 1, [](std::uint8_t byte) { return byte != 0xff; });
}

bool is_acceptable(const PublicKey& key) {
  auto y = key;
  y[31] &= 0x7f;
  return is_canonical(y) && std::ranges::find(small_order_ys, y) == small_order_ys.end();
}

}  // namespace

struct SigningKey::State {
  KeyHandle key;
  PublicKey public_key;
};

SigningKey::SigningKey(const Key& seed) : state_(std::make_unique<State>()) {
  state_->key.reset(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size()));
  CHECK(state_->key != nullptr);
  std::size_t size = state_->public_key.size();
  CHECK(EVP_PKEY_get_raw_public_key(state_->key.get(), state_->public_key.data(), &size) == 1);
  CHECK(size == state_->public_key.size());
}
SigningKey::~SigningKey() = default;
SigningKey::SigningKey(SigningKey&&) noexcept = default;
SigningKey& SigningKey::operator=(SigningKey&&) noexcept = default;

const PublicKey& SigningKey::public_key() const { return state_->public_key; }

Signature SigningKey::sign(ByteView message) const {
  const auto digest = make_digest();
  Signature signature;
  std::size_t size = signature.size();
  CHECK(EVP_DigestSignInit(digest.get(), nullptr, nullptr, nullptr, state_->key.get()) == 1);
  CHECK(EVP_DigestSign(digest.get(), signature.data(), &size, message.data(), message.size()) == 1);
  CHECK(size == signature.size());
  return signature;
}

bool verify(const PublicKey& key, ByteView message, const Signature& signature) {
  if (!is_acceptable(key)) return false;
  const KeyHandle handle(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.data(), key.size()));
  CHECK(handle != nullptr);
  const auto digest = make_digest();
  CHECK(EVP_DigestVerifyInit(digest.get(), nullptr, nullptr, nullptr, handle.get()) == 1);
  return EVP_DigestVerify(digest.get(), signature.data(), signature.size(), message.data(), message.size()) ==
         1;
}

}  // namespace vestige::crypto
