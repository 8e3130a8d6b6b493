// SHA-256 and SHA-512 (FIPS 180-4), HMAC-SHA-256 (RFC 2104), HKDF-SHA-256 (RFC 5869).
#pragma once

#include <initializer_list>
#include <memory>

#include "base/bytes.h"

namespace vestige::crypto {

Hash sha256(ByteView bytes);
// Of the pieces one after the other.
Hash sha256(std::initializer_list<ByteView> pieces);
// For what others hash with it; our own formats use SHA-256.
std::array<std::uint8_t, 64> sha512(ByteView bytes);

// A running digest. finish() may be called once; copy with clone() for a digest of a prefix.
class Sha256 {
 public:
  Sha256();
  void update(ByteView bytes);
  Hash finish();

 private:
  alignas(8) std::array<std::uint8_t, 128> state_;
};

// A key whose padding is hashed once. Thread-safe for use; copying copies the key.
class HmacKey {
 public:
  explicit HmacKey(ByteView key);
  ~HmacKey();
  HmacKey(const HmacKey&) = default;
  HmacKey& operator=(const HmacKey&) = default;
  Hash mac(ByteView message) const { return mac({message}); }
  Hash mac(std::initializer_list<ByteView> pieces) const;

 private:
  Sha256 inner_;
  Sha256 outer_;
};

// out.size() is at most 255 * 32.
void hkdf_sha256(ByteView key_material, ByteView salt, ByteView info, std::span<std::uint8_t> out);
// 32 bytes of it, named by `info`.
Key derive_key(ByteView key_material, ByteView salt, std::string_view info);

// Compares in time that depends on the sizes only.
bool constant_time_equal(ByteView a, ByteView b);
// Overwrites so that the compiler cannot leave it out.
void cleanse(std::span<std::uint8_t> secret);

}  // namespace vestige::crypto
