#include "crypto/aead.h"

#include <openssl/evp.h>

#include <algorithm>

#include "base/check.h"
#include "crypto/digest.h"

namespace vestige::crypto {

namespace {

// OpenSSL counts in int; longer texts are fed in pieces.
constexpr std::size_t piece_bytes_max = std::size_t{1} << 30;

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const {
    EVP_CIPHER_CTX_free(context);
  }  // cleanses the key schedule
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

// Fetched once per process: a fetch takes locks and compares names, which is slower than sealing a small
// section. Never freed, because keys may be used until the very end of the process.
const EVP_CIPHER* aes_256_gcm() {
  static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  CHECK(cipher != nullptr);
  return cipher;
}
const EVP_CIPHER* aes_128_ecb() {
  static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-128-ECB", nullptr);
  CHECK(cipher != nullptr);
  return cipher;
}

Context make_context() {
  Context context(EVP_CIPHER_CTX_new());
  CHECK(context != nullptr);
  return context;
}

void start(EVP_CIPHER_CTX* context, const Nonce& nonce, bool encrypt, ByteView associated) {
  CHECK(EVP_CipherInit_ex2(context, nullptr, nullptr, nonce.data(), encrypt ? 1 : 0, nullptr) == 1);
  while (!associated.empty()) {
    const auto piece = associated.first(std::min(associated.size(), piece_bytes_max));
    int length = 0;
    CHECK(EVP_CipherUpdate(context, nullptr, &length, piece.data(), static_cast<int>(piece.size())) == 1);
    associated = associated.subspan(piece.size());
  }
}

void transform(EVP_CIPHER_CTX* context, ByteView in, std::uint8_t* out) {
  while (!in.empty()) {
    const auto piece = in.first(std::min(in.size(), piece_bytes_max));
    int length = 0;
    CHECK(EVP_CipherUpdate(context, out, &length, piece.data(), static_cast<int>(piece.size())) == 1);
    CHECK(static_cast<std::size_t>(length) == piece.size());
    in = in.subspan(piece.size());
    out += piece.size();
  }
}

}  // namespace

Nonce counter_nonce(std::uint32_t domain, std::uint64_t counter) {
  Nonce nonce;
  store_le(nonce.data(), domain);
  store_le(nonce.data() + sizeof domain, counter);
  return nonce;
}

struct Aead::State {
  Context context = make_context();
};

Aead::Aead(const Key& key) : state_(std::make_unique<State>()) {
  CHECK(EVP_CipherInit_ex2(state_->context.get(), aes_256_gcm(), key.data(), nullptr, 1, nullptr) == 1);
}
Aead::~Aead() = default;
Aead::Aead(Aead&&) noexcept = default;
Aead& Aead::operator=(Aead&&) noexcept = default;

void Aead::rekey(const Key& key) {
  // No cipher is named, so that OpenSSL keeps its context instead of building a new one.
  CHECK(EVP_CipherInit_ex2(state_->context.get(), nullptr, key.data(), nullptr, 1, nullptr) == 1);
}

void Aead::seal(const Nonce& nonce, ByteView associated, ByteView plain, std::span<std::uint8_t> out) {
  CHECK(out.size() == plain.size() + tag_bytes);
  auto* const context = state_->context.get();
  const auto tag = out.last(tag_bytes);
  int length = 0;
  start(context, nonce, true, associated);
  transform(context, plain, out.data());
  CHECK(EVP_CipherFinal_ex(context, tag.data(), &length) == 1);
  CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, tag_bytes, tag.data()) == 1);
}

Bytes Aead::seal(const Nonce& nonce, ByteView associated, ByteView plain) {
  Bytes out(plain.size() + tag_bytes);
  seal(nonce, associated, plain, out);
  return out;
}

bool Aead::open(const Nonce& nonce, ByteView associated, ByteView sealed, std::span<std::uint8_t> out) {
  // Sealed bytes come from disks and clients: too few of them are a wrong tag, not a broken invariant.
  if (sealed.size() < tag_bytes) {
    std::ranges::fill(out, std::uint8_t{0});
    return false;
  }
  CHECK(out.size() == sealed.size() - tag_bytes);
  auto* const context = state_->context.get();
  // Copied, because `out` may be the beginning of `sealed` and OpenSSL takes the tag as writable.
  std::array<std::uint8_t, tag_bytes> tag;
  std::memcpy(tag.data(), sealed.data() + out.size(), tag.size());
  start(context, nonce, false, associated);
  transform(context, sealed.first(out.size()), out.data());
  CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, tag_bytes, tag.data()) == 1);
  std::uint8_t nothing[EVP_MAX_BLOCK_LENGTH];
  int length = 0;
  if (EVP_CipherFinal_ex(context, nothing, &length) == 1) return true;
  cleanse(out);
  return false;
}

struct BlockPrf::State {
  Context context = make_context();
};

BlockPrf::BlockPrf(const Block16& key) : state_(std::make_unique<State>()) {
  auto* const context = state_->context.get();
  CHECK(EVP_CipherInit_ex2(context, aes_128_ecb(), key.data(), nullptr, 1, nullptr) == 1);
  CHECK(EVP_CIPHER_CTX_set_padding(context, 0) == 1);
}
BlockPrf::~BlockPrf() = default;
BlockPrf::BlockPrf(BlockPrf&&) noexcept = default;
BlockPrf& BlockPrf::operator=(BlockPrf&&) noexcept = default;

Block16 BlockPrf::operator()(const Block16& input) {
  Block16 output;
  transform(state_->context.get(), input, output.data());
  return output;
}

void BlockPrf::many(ByteView inputs, std::span<std::uint8_t> outputs) {
  CHECK(inputs.size() == outputs.size() && inputs.size() % sizeof(Block16) == 0);
  transform(state_->context.get(), inputs, outputs.data());
}

}  // namespace vestige::crypto
