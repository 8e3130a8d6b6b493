// Properties: a digest does not depend on how its input is cut into pieces; HMAC and HKDF agree with their
// definitions written out on top of SHA-256, and with published vectors; a wrong MAC is told from a right
// one at every byte.
#include "crypto/digest.h"

#include "crypto/testing/vectors.h"

namespace vestige::crypto {
namespace {

Bytes joined(std::initializer_list<ByteView> pieces) {
  Bytes all;
  for (const auto piece : pieces) all.insert(all.end(), piece.begin(), piece.end());
  return all;
}

// RFC 2104, word by word.
Hash naive_hmac(Bytes key, ByteView message) {
  if (key.size() > 64) {
    const auto digest = sha256(key);
    key.assign(digest.begin(), digest.end());
  }
  key.resize(64);
  auto inner = key;
  auto outer = key;
  for (auto& byte : inner) byte ^= 0x36;
  for (auto& byte : outer) byte ^= 0x5c;
  return sha256(joined({outer, sha256(joined({inner, message}))}));
}

TEST(Digest, DoesNotDependOnHowTheInputIsCut) {
  const auto seed = testing::seed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (std::size_t round = 0; round < testing::scaled(300); ++round) {
    const auto bytes = random_bytes(random, random() % 700);
    const auto whole = sha256(bytes);
    Sha256 running;
    std::size_t at = 0;
    while (at < bytes.size()) {
      const auto size = std::min<std::size_t>(random() % 130, bytes.size() - at);
      running.update(ByteView(bytes).subspan(at, size));
      at += size;
      if (random() % 8 == 0) {
        auto prefix = running;
        EXPECT_EQ(prefix.finish(), sha256(ByteView(bytes).first(at)));
      }
    }
    EXPECT_EQ(running.finish(), whole);
    const auto cut = bytes.empty() ? 0 : random() % bytes.size();
    EXPECT_EQ(sha256({ByteView(bytes).first(cut), ByteView(bytes).subspan(cut)}), whole);
  }
}

TEST(Digest, KnownValues) {
  EXPECT_EQ(to_hex(sha256(ByteView{})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(to_hex(sha256(view("abc"))), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Hmac, AgreesWithItsDefinition) {
  const auto seed = testing::seed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (std::size_t round = 0; round < testing::scaled(300); ++round) {
    const auto key = random_bytes(random, random() % 140);
    const auto message = random_bytes(random, random() % 300);
    const HmacKey hmac(key);
    const HmacKey copy = hmac;  // NOLINT(performance-unnecessary-copy-initialization): that copies work
    const auto expected = naive_hmac(key, message);
    const auto cut = message.empty() ? 0 : random() % message.size();
    EXPECT_EQ(hmac.mac(message), expected);
    EXPECT_EQ(copy.mac({ByteView(message).first(cut), ByteView(message).subspan(cut)}), expected);
  }
}

TEST(Hmac, Rfc4231) {
  for (const auto& test : own_vectors("hmac_sha256")) {
    EXPECT_EQ(HmacKey(hex_in(test, "key")).mac(hex_in(test, "msg")), fixed<32>(hex_in(test, "tag"))) << test;
  }
}

TEST(Hmac, Wycheproof) {
  for_each_wycheproof("hmac_sha256", [](const auto& group, const auto& test) {
    const auto mac = HmacKey(hex_in(test, "key")).mac(hex_in(test, "msg"));
    const auto size = group.at("tagSize").as_int64() / 8;
    EXPECT_EQ(constant_time_equal(ByteView(mac).first(size), hex_in(test, "tag")), is_valid(test));
  });
}

TEST(Hkdf, Rfc5869) {
  for (const auto& test : own_vectors("hkdf_sha256")) {
    const auto expected = hex_in(test, "okm");
    Bytes out(expected.size());
    hkdf_sha256(hex_in(test, "ikm"), hex_in(test, "salt"), hex_in(test, "info"), out);
    EXPECT_EQ(out, expected) << test;
  }
}

TEST(Hkdf, Wycheproof) {
  for_each_wycheproof("hkdf_sha256", [](const auto&, const auto& test) {
    // A size above the limit is a broken invariant of the caller and ends the process.
    Bytes out(test.at("size").template to_number<std::size_t>());
    const auto derive = [&] {
      hkdf_sha256(hex_in(test, "ikm"), hex_in(test, "salt"), hex_in(test, "info"), out);
    };
    if (is_valid(test)) {
      derive();
      EXPECT_EQ(out, hex_in(test, "okm"));
    } else {
      EXPECT_DEATH(derive(), "hkdf_bytes_max");
    }
  });
}

TEST(Hkdf, DerivedKeysDifferByEachArgument) {
  const auto key = derive_key(view("material"), view("salt"), "name");
  Key out;
  hkdf_sha256(view("material"), view("salt"), view("name"), out);
  EXPECT_EQ(key, out);
  EXPECT_NE(key, derive_key(view("material2"), view("salt"), "name"));
  EXPECT_NE(key, derive_key(view("material"), view("salt2"), "name"));
  EXPECT_NE(key, derive_key(view("material"), view("salt"), "name2"));
}

TEST(Secrets, CompareSeesEveryBitAndSize) {
  const Bytes a(33, 0x5a);
  EXPECT_TRUE(constant_time_equal(a, Bytes(33, 0x5a)));
  EXPECT_TRUE(constant_time_equal({}, {}));
  EXPECT_FALSE(constant_time_equal(a, Bytes(32, 0x5a)));
  for (std::size_t i = 0; i < a.size() * 8; ++i) {
    auto b = a;
    b[i / 8] ^= static_cast<std::uint8_t>(1 << (i % 8));
    EXPECT_FALSE(constant_time_equal(a, b)) << "bit " << i;
  }
}

TEST(Secrets, CleanseOverwrites) {
  Bytes secret(100, 0xff);
  cleanse(secret);
  EXPECT_EQ(secret, Bytes(100));
}

TEST(Secrets, DestroyedHmacKeyLeavesNothing) {
  alignas(HmacKey) std::array<std::uint8_t, sizeof(HmacKey)> memory;
  auto* const key = new (memory.data()) HmacKey(view("secret"));
  EXPECT_NE(memory, decltype(memory){});
  key->~HmacKey();
  EXPECT_EQ(memory, decltype(memory){});
}

}  // namespace
}  // namespace vestige::crypto
