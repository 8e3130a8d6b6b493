// Properties: a signature verifies for its key and message, and for no other; signing is deterministic
// (RFC 8032); of published edge cases exactly those are accepted that the rule in ed25519.cc names.
#include "crypto/ed25519.h"

#include "crypto/testing/vectors.h"

namespace vestige::crypto {
namespace {

TEST(Ed25519, VerifiesWhatWasSignedAndNothingElse) {
  const auto seed = testing::seed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (std::size_t round = 0; round < testing::scaled(60); ++round) {
    const SigningKey key(fixed<32>(random_bytes(random, 32)));
    auto message = random_bytes(random, random() % 200);
    auto signature = key.sign(message);
    auto public_key = key.public_key();
    EXPECT_EQ(key.sign(message), signature);
    EXPECT_TRUE(verify(public_key, message, signature));
    const auto bit = random();
    const auto flip = [&](std::span<std::uint8_t> bytes) {
      bytes[bit / 8 % bytes.size()] ^= static_cast<std::uint8_t>(1 << (bit % 8));
    };
    switch (random() % 4) {
      case 0:
        flip(signature);
        break;
      case 1:
        flip(public_key);
        break;
      case 2:
        message.push_back(0);
        break;
      default:
        public_key = SigningKey(fixed<32>(random_bytes(random, 32))).public_key();
        break;
    }
    EXPECT_FALSE(verify(public_key, message, signature));
  }
}

TEST(Ed25519, Rfc8032) {
  for (const auto& test : own_vectors("ed25519")) {
    const SigningKey key(fixed<32>(hex_in(test, "seed")));
    const auto message = hex_in(test, "msg");
    EXPECT_EQ(key.public_key(), fixed<32>(hex_in(test, "pk"))) << test;
    EXPECT_EQ(key.sign(message), fixed<64>(hex_in(test, "sig"))) << test;
    EXPECT_TRUE(verify(key.public_key(), message, key.sign(message)));
  }
}

TEST(Ed25519, Wycheproof) {
  for_each_wycheproof("ed25519", [](const auto& group, const auto& test) {
    const auto signature = hex_in(test, "sig");
    if (signature.size() != sizeof(Signature)) {
      EXPECT_FALSE(is_valid(test)) << "a signature of another size cannot be expressed in our types";
      return;
    }
    const auto key = fixed<32>(hex_in(group.at("publicKey"), "pk"));
    EXPECT_EQ(verify(key, hex_in(test, "msg"), fixed<64>(signature)), is_valid(test));
  });
}

// Every vector satisfies the cofactored equation; its flags say what is unusual about it. A component of low
// order that leaves no residue in the equation does no harm and is accepted.
TEST(Ed25519, CctvEdgeCases) {
  const auto content = testing::shared_bytes("vectors/cctv-ed25519.json.zst");
  if (!content) return;
  std::size_t accepted = 0;
  std::size_t refused = 0;
  for (const auto& test : boost::json::parse(*content).as_array()) {
    const auto has = [&](std::string_view flag) {
      const auto* flags = test.at("flags").if_array();
      return flags != nullptr && std::ranges::count(*flags, boost::json::value(flag)) > 0;
    };
    const bool expected = !has("low_order_A") && !has("non_canonical_A") && !has("non_canonical_R") &&
                          !has("low_order_residue");
    const auto key = fixed<32>(hex_in(test, "key"));
    const auto message = view(std::string_view(test.at("msg").as_string()));
    EXPECT_EQ(verify(key, message, fixed<64>(hex_in(test, "sig"))), expected) << test;
    ++(expected ? accepted : refused);
  }
  EXPECT_GT(accepted, 10u);
  EXPECT_GT(refused, 400u);
}

// With a key of order 1 the pair (R = key, S = 0) would satisfy the equation for every message.
TEST(Ed25519, KeyOfSmallOrderSignsNothing) {
  for (const auto sign_bit : std::array<std::uint8_t, 2>{0x00, 0x80}) {
    PublicKey key{0x01};
    key[31] = sign_bit;
    Signature signature{};
    std::memcpy(signature.data(), key.data(), key.size());
    EXPECT_FALSE(verify(key, view("any message"), signature));
  }
}

}  // namespace
}  // namespace vestige::crypto
