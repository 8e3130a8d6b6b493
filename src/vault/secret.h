// Secrets that are overwritten when they go.
#pragma once

#include "base/bytes.h"
#include "crypto/digest.h"

namespace vestige::vault {

struct SecretKey {
  Key bytes{};

  SecretKey() = default;
  explicit SecretKey(const Key& key) : bytes(key) {}
  SecretKey(const SecretKey&) = default;
  SecretKey& operator=(const SecretKey&) = default;
  ~SecretKey() { crypto::cleanse(bytes); }
  bool operator==(const SecretKey& other) const { return crypto::constant_time_equal(bytes, other.bytes); }
};

// A buffer that holds secrets. Reserve or size it once: growing would leave a copy behind.
struct SecretBytes {
  Bytes bytes;

  SecretBytes() = default;
  explicit SecretBytes(std::size_t size) : bytes(size) {}
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  SecretBytes(SecretBytes&&) = default;
  SecretBytes& operator=(SecretBytes&&) = delete;
  ~SecretBytes() { crypto::cleanse(bytes); }
};

}  // namespace vestige::vault
