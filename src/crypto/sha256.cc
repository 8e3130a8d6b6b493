// SHA-256 and what is built of it, over OpenSSL's low-level functions.
//
// Those functions are deprecated in OpenSSL 3 in favour of EVP, and are used all the same: an EVP digest
// allocates a context and looks its algorithm up by name, which costs more than hashing the 500 bytes of a
// typical entry. A SHA256_CTX is plain memory that lives inside Sha256 and is copied by assignment, and the
// assembly behind both doors is the same.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <new>
#include <type_traits>

#include "base/check.h"
#include "crypto/digest.h"

namespace vestige::crypto {

namespace {

constexpr std::size_t block_bytes = 64;
constexpr std::size_t hkdf_bytes_max = 255 * sizeof(Hash);

static_assert(sizeof(SHA256_CTX) <= 128 && alignof(SHA256_CTX) <= 8,
              "Sha256::state_ must hold OpenSSL's context; make it larger in digest.h");

template <std::size_t N>
SHA256_CTX* context_in(std::array<std::uint8_t, N>& state) {
  return std::launder(reinterpret_cast<SHA256_CTX*>(state.data()));
}

template <typename Secret>
void cleanse_object(Secret& secret) {
  static_assert(std::is_trivially_copyable_v<Secret>);
  OPENSSL_cleanse(&secret, sizeof secret);
}

// Into a digest that is in place already, so that no copy of the keyed state stays on the stack.
void start_keyed(Sha256& digest, const std::array<std::uint8_t, block_bytes>& key, std::uint8_t pad) {
  auto block = key;
  for (auto& byte : block) byte ^= pad;
  digest.update(block);
  cleanse_object(block);
}

}  // namespace

Hash sha256(ByteView bytes) {
  SHA256_CTX context;
  Hash out;
  CHECK(SHA256_Init(&context) == 1);
  CHECK(SHA256_Update(&context, bytes.data(), bytes.size()) == 1);
  CHECK(SHA256_Final(out.data(), &context) == 1);
  return out;
}

Hash sha256(std::initializer_list<ByteView> pieces) {
  Sha256 digest;
  for (const auto piece : pieces) digest.update(piece);
  return digest.finish();
}

Sha256::Sha256() : state_{} { CHECK(SHA256_Init(new (state_.data()) SHA256_CTX) == 1); }

void Sha256::update(ByteView bytes) {
  CHECK(SHA256_Update(context_in(state_), bytes.data(), bytes.size()) == 1);
}

Hash Sha256::finish() {
  Hash out;
  CHECK(SHA256_Final(out.data(), context_in(state_)) == 1);
  return out;
}

HmacKey::HmacKey(ByteView key) {
  std::array<std::uint8_t, block_bytes> block{};
  if (key.size() > block_bytes) {
    auto digest = sha256(key);
    std::memcpy(block.data(), digest.data(), digest.size());
    cleanse_object(digest);
  } else if (!key.empty()) {
    std::memcpy(block.data(), key.data(), key.size());
  }
  start_keyed(inner_, block, 0x36);
  start_keyed(outer_, block, 0x5c);
  cleanse_object(block);
}

HmacKey::~HmacKey() {
  cleanse_object(inner_);
  cleanse_object(outer_);
}

Hash HmacKey::mac(std::initializer_list<ByteView> pieces) const {
  auto inner = inner_;
  for (const auto piece : pieces) inner.update(piece);
  const auto digest = inner.finish();
  auto outer = outer_;
  outer.update(digest);
  return outer.finish();
}

void hkdf_sha256(ByteView key_material, ByteView salt, ByteView info, std::span<std::uint8_t> out) {
  CHECK(out.size() <= hkdf_bytes_max);
  auto extracted = HmacKey(salt).mac(key_material);
  const HmacKey expand(extracted);
  Hash block{};
  std::uint8_t counter = 1;
  for (std::size_t at = 0; at < out.size(); at += block.size(), ++counter) {
    const auto previous = at == 0 ? ByteView{} : ByteView(block);
    block = expand.mac({previous, info, ByteView(&counter, 1)});
    std::memcpy(out.data() + at, block.data(), std::min(block.size(), out.size() - at));
  }
  cleanse_object(extracted);
  cleanse_object(block);
}

Key derive_key(ByteView key_material, ByteView salt, std::string_view info) {
  Key key;
  hkdf_sha256(key_material, salt, view(info), key);
  return key;
}

bool constant_time_equal(ByteView a, ByteView b) {
  if (a.size() != b.size()) return false;
  return a.empty() || CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

void cleanse(std::span<std::uint8_t> secret) {
  if (!secret.empty()) OPENSSL_cleanse(secret.data(), secret.size());
}

}  // namespace vestige::crypto
