// Properties: what was sealed opens to the same bytes with the same key, nonce and associated data, in place
// or not, whatever the key was used for before; any change of any of them is refused and leaves zeros; a
// rekeyed Aead is indistinguishable from a new one. BlockPrf of many blocks is that of each.
#include "crypto/aead.h"

#include "crypto/testing/vectors.h"

namespace vestige::crypto {
namespace {

void flip_bit(std::span<std::uint8_t> bytes, std::size_t bit) {
  bytes[bit / 8] ^= static_cast<std::uint8_t>(1 << (bit % 8));
}

TEST(Aead, OpensWhatItSealedAndNothingElse) {
  const auto seed = testing::seed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  Aead reused(Key{});
  for (std::size_t round = 0; round < testing::scaled(300); ++round) {
    const auto key = fixed<32>(random_bytes(random, 32));
    auto nonce = fixed<12>(random_bytes(random, 12));
    auto associated = random_bytes(random, random() % 50);
    const auto plain = random_bytes(random, random() % 200);
    reused.rekey(key);
    auto sealed = reused.seal(nonce, associated, plain);
    EXPECT_EQ(Aead(key).seal(nonce, associated, plain), sealed);

    auto in_place = plain;
    in_place.resize(plain.size() + tag_bytes);
    reused.seal(nonce, associated, ByteView(in_place).first(plain.size()), in_place);
    EXPECT_EQ(in_place, sealed);
    EXPECT_TRUE(reused.open(nonce, associated, in_place, std::span(in_place).first(plain.size())));
    EXPECT_TRUE(std::ranges::equal(plain, ByteView(in_place).first(plain.size())));

    Bytes out(plain.size(), 0xee);
    ASSERT_TRUE(reused.open(nonce, associated, sealed, out));
    EXPECT_EQ(out, plain);

    switch (random() % 4) {
      case 0:
        flip_bit(sealed, random() % (8 * sealed.size()));
        break;
      case 1:
        flip_bit(nonce, random() % (8 * nonce.size()));
        break;
      case 2:
        associated.push_back(0);
        break;
      default:
        reused.rekey(Key{});
        break;
    }
    EXPECT_FALSE(reused.open(nonce, associated, sealed, out));
    EXPECT_EQ(out, Bytes(plain.size()));
  }
}

TEST(Aead, TooFewBytesAreRefused) {
  Aead aead(Key{});
  for (std::size_t size = 0; size < tag_bytes; ++size) {
    EXPECT_FALSE(aead.open({}, {}, Bytes(size), {}));
  }
}

TEST(Aead, MovedKeyStillWorks) {
  Aead first(Key{1});
  const auto sealed = first.seal({}, {}, view("text"));
  Aead second = std::move(first);
  Bytes out(4);
  EXPECT_TRUE(second.open({}, {}, sealed, out));
  EXPECT_EQ(text(out), "text");
}

void expect_vector(const boost::json::value& test, bool valid) {
  Aead aead(fixed<32>(hex_in(test, "key")));
  const auto nonce = fixed<12>(hex_in(test, "iv"));
  const auto plain = hex_in(test, "msg");
  auto sealed = hex_in(test, "ct");
  const auto tag = hex_in(test, "tag");
  sealed.insert(sealed.end(), tag.begin(), tag.end());
  EXPECT_EQ(aead.seal(nonce, hex_in(test, "aad"), plain) == sealed, valid);
  Bytes out(sealed.size() - tag_bytes);
  ASSERT_EQ(aead.open(nonce, hex_in(test, "aad"), sealed, out), valid);
  if (valid) EXPECT_EQ(out, plain);
}

TEST(Aead, GcmSpecification) {
  for (const auto& test : own_vectors("aes_256_gcm")) expect_vector(test, true);
}

TEST(Aead, Wycheproof) {
  std::size_t held = 0;
  const auto count = for_each_wycheproof("aes_gcm", [&](const auto& group, const auto& test) {
    // Other key and nonce sizes cannot be expressed in our types.
    if (group.at("keySize").as_int64() != 256 || group.at("ivSize").as_int64() != 96) return;
    expect_vector(test, is_valid(test));
    ++held;
  });
  if (count > 0) EXPECT_GE(held, 30u);
}

TEST(CounterNonce, IsDomainThenCounter) {
  EXPECT_EQ(to_hex(counter_nonce(0x04030201, 0x0c0b0a0908070605)), "0102030405060708090a0b0c");
}

TEST(BlockPrf, PublishedBlocks) {
  for (const auto& test : own_vectors("aes_128")) {
    BlockPrf prf(fixed<16>(hex_in(test, "key")));
    EXPECT_EQ(prf(fixed<16>(hex_in(test, "in"))), fixed<16>(hex_in(test, "out"))) << test;
  }
}

TEST(BlockPrf, ManyIsEach) {
  const auto seed = testing::seed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (std::size_t round = 0; round < testing::scaled(50); ++round) {
    const auto key = fixed<16>(random_bytes(random, 16));
    BlockPrf prf(key);
    const auto inputs = random_bytes(random, 16 * (random() % 40));
    Bytes outputs(inputs.size());
    prf.many(inputs, outputs);
    for (std::size_t at = 0; at < inputs.size(); at += 16) {
      Block16 input;
      std::memcpy(input.data(), inputs.data() + at, 16);
      const auto output = BlockPrf(key)(input);
      EXPECT_EQ(prf(input), output);
      EXPECT_TRUE(std::ranges::equal(output, ByteView(outputs).subspan(at, 16)));
    }
  }
}

}  // namespace
}  // namespace vestige::crypto
