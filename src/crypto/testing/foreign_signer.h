// The other side of verification_key.h: keys that are made and used as an identity provider does it, for the
// tests of this module and of those above it.
#pragma once

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <memory>
#include <string>

#include "base/check.h"
#include "crypto/verification_key.h"

namespace vestige::testing {

class ForeignSigner {
 public:
  using VerificationKey = crypto::VerificationKey;
  using SignatureScheme = crypto::SignatureScheme;
  using Kind = VerificationKey::Kind;

  static ForeignSigner rsa(unsigned bits = 2048) {
    return {Kind::rsa, EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", std::size_t{bits})};
  }
  static ForeignSigner p256() { return {Kind::p256, EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256")}; }
  static ForeignSigner ed25519() { return {Kind::ed25519, EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")}; }

  Kind kind() const { return kind_; }
  // The numbers of the public key: (n, e) of RSA, (x, y) of P-256, x alone of Ed25519.
  Bytes first() const {
    if (kind_ == Kind::ed25519) return raw_public();
    return kind_ == Kind::rsa ? number(OSSL_PKEY_PARAM_RSA_N, 0) : number(OSSL_PKEY_PARAM_EC_PUB_X, 32);
  }
  Bytes second() const {
    if (kind_ == Kind::ed25519) return {};
    return kind_ == Kind::rsa ? number(OSSL_PKEY_PARAM_RSA_E, 0) : number(OSSL_PKEY_PARAM_EC_PUB_Y, 32);
  }
  VerificationKey public_key() const {
    auto key = kind_ == Kind::rsa    ? VerificationKey::rsa(first(), second())
               : kind_ == Kind::p256 ? VerificationKey::p256(first(), second())
                                     : VerificationKey::ed25519(first());
    CHECK(key.has_value());
    return *std::move(key);
  }

  Bytes sign(SignatureScheme scheme, ByteView message) const {
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> digest(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    EVP_PKEY_CTX* options = nullptr;
    const EVP_MD* hash = scheme == SignatureScheme::ed25519 ? nullptr : EVP_sha256();
    CHECK(EVP_DigestSignInit(digest.get(), &options, hash, nullptr, key_.get()) == 1);
    if (scheme == SignatureScheme::rsa_pss_sha256) {
      CHECK(EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1);
      CHECK(EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) == 1);
    }
    std::size_t size = 0;
    CHECK(EVP_DigestSign(digest.get(), nullptr, &size, message.data(), message.size()) == 1);
    Bytes signature(size);
    CHECK(EVP_DigestSign(digest.get(), signature.data(), &size, message.data(), message.size()) == 1);
    signature.resize(size);
    return scheme == SignatureScheme::ecdsa_p256_sha256 ? without_der(signature) : signature;
  }

  // (R, n - S) of the P-256 signature (R, S).
  static Bytes twin(const Bytes& signature) {
    static constexpr char order[] = "FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551";
    BIGNUM* n = nullptr;
    CHECK(BN_hex2bn(&n, order) > 0);
    BIGNUM* s = BN_bin2bn(signature.data() + 32, 32, nullptr);
    CHECK(BN_sub(s, n, s) == 1);
    auto twin = signature;
    CHECK(BN_bn2binpad(s, twin.data() + 32, 32) == 32);
    BN_free(s);
    BN_free(n);
    return twin;
  }

 private:
  ForeignSigner(Kind kind, EVP_PKEY* key) : kind_(kind), key_(key, EVP_PKEY_free) { CHECK(key != nullptr); }

  Bytes number(const char* name, int size) const {
    BIGNUM* value = nullptr;
    CHECK(EVP_PKEY_get_bn_param(key_.get(), name, &value) == 1);
    Bytes bytes(static_cast<std::size_t>(size == 0 ? BN_num_bytes(value) : size));
    CHECK(BN_bn2binpad(value, bytes.data(), static_cast<int>(bytes.size())) >= 0);
    BN_free(value);
    return bytes;
  }
  Bytes raw_public() const {
    Bytes bytes(32);
    std::size_t size = bytes.size();
    CHECK(EVP_PKEY_get_raw_public_key(key_.get(), bytes.data(), &size) == 1);
    return bytes;
  }
  static Bytes without_der(const Bytes& der) {
    const auto* at = der.data();
    ECDSA_SIG* parts = d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size()));
    CHECK(parts != nullptr);
    Bytes raw(64);
    CHECK(BN_bn2binpad(ECDSA_SIG_get0_r(parts), raw.data(), 32) == 32);
    CHECK(BN_bn2binpad(ECDSA_SIG_get0_s(parts), raw.data() + 32, 32) == 32);
    ECDSA_SIG_free(parts);
    return raw;
  }

  Kind kind_;
  std::shared_ptr<EVP_PKEY> key_;
};

}  // namespace vestige::testing
