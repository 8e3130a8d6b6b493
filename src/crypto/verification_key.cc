// What is checked here and what is left to OpenSSL: the sizes of keys and signatures and the shape of an
// exponent here, since OpenSSL accepts more than anybody should; that a point lies on its curve, that R and S
// lie in range, padding and equations there.
//
// An ECDSA signature (R, S) has a twin (R, n - S) that anyone can compute and that is as valid (RFC 7518
// allows both, and half of all signers' output is the "high" one). So a signature is no id of a message:
// nothing may tell a replay by it.
#include "crypto/verification_key.h"

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "base/check.h"
#include "crypto/ed25519.h"

namespace vestige::crypto {

namespace {

constexpr std::size_t p256_bytes = 32;  // of a coordinate, of R and of S
constexpr std::size_t exponent_bytes_max = 4;

template <auto free_function>
struct Free {
  template <typename T>
  void operator()(T* object) const {
    free_function(object);
  }
};
using KeyHandle = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Free<EVP_PKEY_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Free<EVP_MD_CTX_free>>;
using Number = std::unique_ptr<BIGNUM, Free<BN_free>>;
using Builder = std::unique_ptr<OSSL_PARAM_BLD, Free<OSSL_PARAM_BLD_free>>;
using Parameters = std::unique_ptr<OSSL_PARAM, Free<OSSL_PARAM_free>>;
using EcdsaSignature = std::unique_ptr<ECDSA_SIG, Free<ECDSA_SIG_free>>;

// TLS on this thread takes errors that are left in the queue for its own.
struct CleanErrors {
  ~CleanErrors() { ERR_clear_error(); }
};

Number number(ByteView bytes) {
  Number made(BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr));
  CHECK(made != nullptr);
  return made;
}

// Null where OpenSSL does not take the parts for a key.
KeyHandle assemble(const char* type, OSSL_PARAM_BLD* parts) {
  const Parameters parameters(OSSL_PARAM_BLD_to_param(parts));
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  CHECK(parameters != nullptr && context != nullptr);
  CHECK(EVP_PKEY_fromdata_init(context.get()) == 1);
  EVP_PKEY* key = nullptr;
  if (EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1) return nullptr;
  KeyHandle handle(key);
  const KeyContext checking(EVP_PKEY_CTX_new_from_pkey(nullptr, handle.get(), nullptr));
  CHECK(checking != nullptr);
  if (EVP_PKEY_public_check(checking.get()) != 1) return nullptr;
  return handle;
}

// The DER form of an ECDSA signature, which OpenSSL wants; empty where it has none.
Bytes der_of(ByteView signature) {
  const EcdsaSignature parts(ECDSA_SIG_new());
  CHECK(parts != nullptr);
  auto r = number(signature.first(p256_bytes));
  auto s = number(signature.last(p256_bytes));
  CHECK(ECDSA_SIG_set0(parts.get(), r.release(), s.release()) == 1);
  const int size = i2d_ECDSA_SIG(parts.get(), nullptr);
  if (size <= 0) return {};
  Bytes der(static_cast<std::size_t>(size));
  std::uint8_t* out = der.data();
  CHECK(i2d_ECDSA_SIG(parts.get(), &out) == size);
  return der;
}

bool verify_with(EVP_PKEY* key, bool pss, ByteView message, ByteView signature) {
  const DigestContext digest(EVP_MD_CTX_new());
  CHECK(digest != nullptr);
  EVP_PKEY_CTX* options = nullptr;  // owned by the digest
  CHECK(EVP_DigestVerifyInit(digest.get(), &options, EVP_sha256(), nullptr, key) == 1);
  if (pss) {
    CHECK(EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1);
    CHECK(EVP_PKEY_CTX_set_rsa_mgf1_md(options, EVP_sha256()) == 1);
    CHECK(EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) == 1);
  }
  return EVP_DigestVerify(digest.get(), signature.data(), signature.size(), message.data(), message.size()) ==
         1;
}

}  // namespace

struct VerificationKey::State {
  Kind kind;
  KeyHandle key;              // of rsa and p256
  std::size_t rsa_bytes = 0;  // of the modulus, and so of every signature
  PublicKey ed25519{};
};

VerificationKey::VerificationKey(std::unique_ptr<const State> state) : state_(std::move(state)) {}
VerificationKey::~VerificationKey() = default;
VerificationKey::VerificationKey(VerificationKey&&) noexcept = default;
VerificationKey& VerificationKey::operator=(VerificationKey&&) noexcept = default;

Result<VerificationKey> VerificationKey::rsa(ByteView modulus, ByteView exponent) {
  const CleanErrors clean;
  if (modulus.empty() || modulus.front() == 0 || exponent.empty() || exponent.front() == 0)
    return fail(ErrorKind::invalid, "an RSA key whose numbers are not in their shortest form");
  const auto bits = modulus.size() * 8 - static_cast<std::size_t>(std::countl_zero(modulus.front()));
  if (bits < rsa_bits_min || bits > rsa_bits_max)
    return fail(ErrorKind::invalid, "an RSA key of " + std::to_string(bits) + " bits; " +
                                        std::to_string(rsa_bits_min) + " to " + std::to_string(rsa_bits_max) +
                                        " are accepted");
  const bool is_one = exponent.size() == 1 && exponent.front() == 1;
  if (exponent.size() > exponent_bytes_max || exponent.back() % 2 == 0 || is_one || modulus.back() % 2 == 0)
    return fail(ErrorKind::invalid, "an RSA key with an even modulus or an exponent that nobody uses");
  const Builder parts(OSSL_PARAM_BLD_new());
  const auto n = number(modulus);
  const auto e = number(exponent);
  CHECK(parts != nullptr && OSSL_PARAM_BLD_push_BN(parts.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) == 1 &&
        OSSL_PARAM_BLD_push_BN(parts.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) == 1);
  auto key = assemble("RSA", parts.get());
  if (!key) return fail(ErrorKind::invalid, "an RSA key that is none");
  return VerificationKey(std::make_unique<const State>(
      State{.kind = Kind::rsa, .key = std::move(key), .rsa_bytes = modulus.size()}));
}

Result<VerificationKey> VerificationKey::p256(ByteView x, ByteView y) {
  const CleanErrors clean;
  if (x.size() != p256_bytes || y.size() != p256_bytes)
    return fail(ErrorKind::invalid, "a P-256 key whose coordinates are not of 32 bytes");
  Bytes point{0x04};  // uncompressed
  point.insert(point.end(), x.begin(), x.end());
  point.insert(point.end(), y.begin(), y.end());
  const Builder parts(OSSL_PARAM_BLD_new());
  CHECK(parts != nullptr &&
        OSSL_PARAM_BLD_push_utf8_string(parts.get(), OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(parts.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()) ==
            1);
  auto key = assemble("EC", parts.get());
  if (!key) return fail(ErrorKind::invalid, "a P-256 key that is no point of the curve");
  return VerificationKey(std::make_unique<const State>(State{.kind = Kind::p256, .key = std::move(key)}));
}

Result<VerificationKey> VerificationKey::ed25519(ByteView key) {
  if (key.size() != sizeof(PublicKey))
    return fail(ErrorKind::invalid, "an Ed25519 key that is not of 32 bytes");
  return VerificationKey(std::make_unique<const State>(
      State{.kind = Kind::ed25519, .key = nullptr, .ed25519 = load_le<PublicKey>(key.data())}));
}

VerificationKey::Kind VerificationKey::kind() const { return state_->kind; }

bool VerificationKey::fits(SignatureScheme scheme) const {
  switch (scheme) {
    case SignatureScheme::rsa_pkcs1_sha256:
    case SignatureScheme::rsa_pss_sha256:
      return state_->kind == Kind::rsa;
    case SignatureScheme::ecdsa_p256_sha256:
      return state_->kind == Kind::p256;
    case SignatureScheme::ed25519:
      return state_->kind == Kind::ed25519;
  }
  return false;
}

bool VerificationKey::verify(SignatureScheme scheme, ByteView message, ByteView signature) const {
  const CleanErrors clean;
  if (!fits(scheme)) return false;
  switch (state_->kind) {
    case Kind::rsa:
      return signature.size() == state_->rsa_bytes &&
             verify_with(state_->key.get(), scheme == SignatureScheme::rsa_pss_sha256, message, signature);
    case Kind::p256: {
      if (signature.size() != 2 * p256_bytes) return false;
      const auto der = der_of(signature);
      return !der.empty() && verify_with(state_->key.get(), false, message, der);
    }
    case Kind::ed25519:
      return signature.size() == sizeof(Signature) &&
             crypto::verify(state_->ed25519, message, load_le<Signature>(signature.data()));
  }
  return false;
}

}  // namespace vestige::crypto
