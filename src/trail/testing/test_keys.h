// A key wrapper for tests: the bytes of the vault's format (docs/formats/vault.md, "wrapped key") under a
// fixed key, with nonces that follow from what is wrapped, so that golden files are the same every time.
#pragma once

#include <cstring>

#include "crypto/aead.h"
#include "crypto/digest.h"
#include "trail/key_wrapper.h"
#include "trail/log/log.h"

namespace vestige::trail::testing {

class TestWrapper final : public KeyWrapper {
 public:
  explicit TestWrapper(std::uint8_t filling = 0x42) { master_.fill(filling); }

  Bytes wrap(const Key& key, std::string_view context) override {
    const auto digest = crypto::sha256({key, view(context)});
    crypto::Nonce nonce;
    std::memcpy(nonce.data(), digest.data(), nonce.size());
    crypto::Aead aead(master_);
    Bytes out(nonce.begin(), nonce.end());
    const auto sealed = aead.seal(nonce, view(bound(context)), key);
    out.insert(out.end(), sealed.begin(), sealed.end());
    return out;
  }

  Result<Key> unwrap(ByteView wrapped, std::string_view context) const override {
    if (wrapped.size() != wrapped_key_bytes) return corrupt("", 0, "a wrapped key has 60 bytes");
    crypto::Nonce nonce;
    std::memcpy(nonce.data(), wrapped.data(), nonce.size());
    crypto::Aead aead(master_);
    Key key;
    if (!aead.open(nonce, view(bound(context)), wrapped.subspan(nonce.size()), key))
      return corrupt("", 0, "the wrapped key does not open");
    return key;
  }

 private:
  static std::string bound(std::string_view context) {
    return "vestige wrapped key v1" + std::string(context);
  }
  Key master_;
};

// Nothing else has to be durable before a group.
class NoBarrier final : public CommitBarrier {
 public:
  Status before_commit() override { return {}; }
};

}  // namespace vestige::trail::testing
