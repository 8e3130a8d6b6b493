#include "state/fields.h"

#include <fmt/format.h>

#include "base/encoding.h"
#include "crypto/aead.h"
#include "crypto/digest.h"

namespace vestige::state {
namespace {

constexpr std::uint8_t format_version = 1;
constexpr std::size_t head_bytes = 1 + crypto::nonce_bytes;

// A derived key that is overwritten when the call that needed it ends.
struct DerivedKey {
  Key bytes;
  DerivedKey(const Key& master, std::string_view use, std::string_view purpose)
      : bytes(crypto::derive_key(master, {}, fmt::format("vestige state {}: {}", use, purpose))) {}
  ~DerivedKey() { crypto::cleanse(bytes); }
  DerivedKey(const DerivedKey&) = delete;
  DerivedKey& operator=(const DerivedKey&) = delete;
};

Bytes associated_data(std::string_view purpose, std::string_view owner) {
  Bytes data;
  ByteWriter writer(data);
  writer.u8(format_version);
  writer.sized(purpose);
  writer.sized(owner);
  return data;
}

}  // namespace

struct Fields::Keys {
  Key master;
  explicit Keys(const Key& key) : master(key) {}
  ~Keys() { crypto::cleanse(master); }
  Keys(const Keys&) = delete;
  Keys& operator=(const Keys&) = delete;
};

Fields::Fields(const Key& master, platform::Entropy& entropy)
    : keys_(std::make_unique<Keys>(master)), entropy_(entropy) {}
Fields::~Fields() = default;

std::string Fields::seal(std::string_view purpose, std::string_view owner, std::string_view plain) const {
  const DerivedKey key(keys_->master, "field", purpose);
  Bytes sealed(head_bytes + plain.size() + crypto::tag_bytes);
  const auto nonce = entropy_.bytes<crypto::nonce_bytes>();
  sealed[0] = format_version;
  std::ranges::copy(nonce, sealed.begin() + 1);
  crypto::Aead(key.bytes).seal(nonce, associated_data(purpose, owner), view(plain),
                               std::span(sealed).subspan(head_bytes));
  return to_base64(sealed);
}

Result<std::string> Fields::open(std::string_view purpose, std::string_view owner,
                                 std::string_view sealed) const {
  const auto bytes = from_base64(sealed);
  if (bytes && bytes->size() >= head_bytes + crypto::tag_bytes && bytes->front() == format_version) {
    const DerivedKey key(keys_->master, "field", purpose);
    crypto::Nonce nonce;
    std::copy_n(bytes->begin() + 1, nonce.size(), nonce.begin());
    std::string plain(bytes->size() - head_bytes - crypto::tag_bytes, '\0');
    const std::span out(reinterpret_cast<std::uint8_t*>(plain.data()), plain.size());
    if (crypto::Aead(key.bytes).open(nonce, associated_data(purpose, owner),
                                     ByteView(*bytes).subspan(head_bytes), out))
      return plain;
  }
  return corrupt(
      "", 0,
      fmt::format("An encrypted value \"{}\" in the state database is not what was written there: it was "
                  "changed, moved or cut. Put back a backup of the database.",
                  purpose));
}

std::string Fields::blind_index(std::string_view purpose, std::string_view normal_form) const {
  const DerivedKey key(keys_->master, "index", purpose);
  return to_hex(crypto::HmacKey(key.bytes).mac(view(normal_form)));
}

}  // namespace vestige::state
