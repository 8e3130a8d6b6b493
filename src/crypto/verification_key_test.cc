// Properties: a signature verifies under its key, its scheme and its message, and under no other; keys that
// prove nothing (small, malformed, off the curve) are not made; no bytes crash the verification.
#include "crypto/verification_key.h"

#include <algorithm>

#include "base/encoding.h"
#include "crypto/testing/foreign_signer.h"
#include "crypto/testing/vectors.h"

namespace vestige::crypto {
namespace {

using testing::ForeignSigner;
using Scheme = SignatureScheme;

constexpr Scheme schemes[] = {Scheme::rsa_pkcs1_sha256, Scheme::rsa_pss_sha256, Scheme::ecdsa_p256_sha256,
                              Scheme::ed25519};

const std::vector<ForeignSigner>& signers() {
  static const std::vector<ForeignSigner> all{ForeignSigner::rsa(), ForeignSigner::p256(),
                                              ForeignSigner::ed25519()};
  return all;
}

TEST(VerificationKey, OneSchemeOneMessageOneKey) {
  const auto message = view("what was signed");
  for (const auto& signer : signers()) {
    const auto key = signer.public_key();
    for (const auto scheme : schemes) {
      if (!key.fits(scheme)) continue;
      const auto signature = signer.sign(scheme, message);
      EXPECT_TRUE(key.verify(scheme, message, signature));
      EXPECT_FALSE(key.verify(scheme, view("what was not"), signature));
      for (const auto other : schemes) {
        if (other != scheme) EXPECT_FALSE(key.verify(other, message, signature));
      }
      for (const auto& stranger : signers()) {
        if (stranger.kind() != signer.kind())
          EXPECT_FALSE(stranger.public_key().verify(scheme, message, signature));
      }
    }
  }
  EXPECT_FALSE(signers()[0].public_key().fits(Scheme::ecdsa_p256_sha256));
}

TEST(VerificationKey, EveryBitAndEveryLengthCounts) {
  const auto message = view("what was signed");
  for (const auto& signer : signers()) {
    const auto key = signer.public_key();
    for (const auto scheme : schemes) {
      if (!key.fits(scheme)) continue;
      const auto signature = signer.sign(scheme, message);
      for (std::size_t bit = 0; bit < signature.size() * 8; bit += 7) {
        auto changed = signature;
        changed[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
        EXPECT_FALSE(key.verify(scheme, message, changed)) << bit;
      }
      for (const std::size_t size : {std::size_t{0}, signature.size() / 2, signature.size() - 1}) {
        EXPECT_FALSE(key.verify(scheme, message, ByteView(signature).first(size)));
      }
      auto longer = signature;
      longer.push_back(0);
      EXPECT_FALSE(key.verify(scheme, message, longer));
      longer.insert(longer.begin(), 0);
      EXPECT_FALSE(key.verify(scheme, message, longer));
    }
  }
}

TEST(VerificationKey, EcdsaTakesTheTwinButNoZeroAndNoDer) {
  const auto message = view("what was signed");
  const auto& signer = signers()[1];
  const auto key = signer.public_key();
  const auto signature = signer.sign(Scheme::ecdsa_p256_sha256, message);
  EXPECT_TRUE(key.verify(Scheme::ecdsa_p256_sha256, message, ForeignSigner::twin(signature)));
  // CVE-2022-21449: R = S = 0 verified everything.
  EXPECT_FALSE(key.verify(Scheme::ecdsa_p256_sha256, message, Bytes(64)));
  for (const bool first : {true, false}) {
    auto half = signature;
    std::fill_n(half.begin() + (first ? 0 : 32), 32, std::uint8_t{0});
    EXPECT_FALSE(key.verify(Scheme::ecdsa_p256_sha256, message, half));
    // The order of the group: zero, once more.
    const auto order = *from_hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    std::ranges::copy(order, half.begin() + (first ? 0 : 32));
    EXPECT_FALSE(key.verify(Scheme::ecdsa_p256_sha256, message, half));
  }
  EXPECT_FALSE(key.verify(Scheme::ecdsa_p256_sha256, message, Bytes(64, 0xff)));
}

TEST(VerificationKey, RefusesKeysThatProveNothing) {
  const auto& rsa = signers()[0];
  const auto n = rsa.first();
  const auto e = rsa.second();
  EXPECT_TRUE(VerificationKey::rsa(n, e));
  const auto small = ForeignSigner::rsa(1024);
  EXPECT_EQ(VerificationKey::rsa(small.first(), small.second()).error().kind, ErrorKind::invalid);
  EXPECT_FALSE(VerificationKey::rsa({}, e));
  EXPECT_FALSE(VerificationKey::rsa(n, {}));
  EXPECT_FALSE(VerificationKey::rsa(n, Bytes{1}));  // every message would be its own signature
  EXPECT_FALSE(VerificationKey::rsa(n, Bytes{4}));
  EXPECT_FALSE(VerificationKey::rsa(n, Bytes{1, 0, 0, 0, 1}));
  EXPECT_FALSE(VerificationKey::rsa(n, Bytes{0, 1, 0, 1}));
  EXPECT_FALSE(VerificationKey::rsa(Bytes(rsa_bits_max / 8 + 1, 0xff), e));
  auto padded = n;
  padded.insert(padded.begin(), 0);
  EXPECT_FALSE(VerificationKey::rsa(padded, e));
  auto even = n;
  even.back() &= 0xfe;
  EXPECT_FALSE(VerificationKey::rsa(even, e));

  const auto x = signers()[1].first();
  auto y = signers()[1].second();
  EXPECT_TRUE(VerificationKey::p256(x, y));
  y[31] ^= 1;
  EXPECT_FALSE(VerificationKey::p256(x, y));
  EXPECT_FALSE(VerificationKey::p256(Bytes(32), Bytes(32)));
  EXPECT_FALSE(VerificationKey::p256(x, Bytes(33)));
  EXPECT_FALSE(VerificationKey::p256(Bytes(32, 0xff), Bytes(32, 0xff)));
  EXPECT_FALSE(VerificationKey::ed25519(Bytes(31)));
}

TEST(VerificationKey, PublishedVectors) {
  // RFC 8037 A.4 and A.5; RFC 7515 A.3.
  const auto ed = VerificationKey::ed25519(*from_base64url("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"));
  EXPECT_TRUE(
      ed->verify(Scheme::ed25519, view("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"),
                 *from_base64url("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt"
                                 "9g7sVvpAr_MuM0KAg")));
  const auto ec = VerificationKey::p256(*from_base64url("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"),
                                        *from_base64url("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"));
  EXPECT_TRUE(ec->verify(
      Scheme::ecdsa_p256_sha256,
      view("eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtc"
           "GxlLmNvbS9pc19yb290Ijp0cnVlfQ"),
      *from_base64url("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3"
                      "-Kg6NU1Q")));
}

}  // namespace
}  // namespace vestige::crypto
