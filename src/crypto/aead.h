// AES-256-GCM (NIST SP 800-38D) with 96-bit nonces and 128-bit tags, and AES-128 as a block PRF.
#pragma once

#include <memory>

#include "base/bytes.h"
#include "base/result.h"

namespace vestige::crypto {

inline constexpr std::size_t tag_bytes = 16;
inline constexpr std::size_t nonce_bytes = 12;
using Nonce = std::array<std::uint8_t, nonce_bytes>;

// The nonce for counters: 4 bytes of `domain` and 8 of `counter`, little-endian.
Nonce counter_nonce(std::uint32_t domain, std::uint64_t counter);

// One key, prepared once. Not thread-safe: one per thread or under the owner's lock. The caller answers
// for never using a nonce twice with one key.
class Aead {
 public:
  explicit Aead(const Key& key);
  ~Aead();
  Aead(Aead&&) noexcept;
  Aead& operator=(Aead&&) noexcept;

  void rekey(const Key& key);
  // Writes plain.size() + tag_bytes to `out`; in place is allowed (out.data() == plain.data()).
  void seal(const Nonce& nonce, ByteView associated, ByteView plain, std::span<std::uint8_t> out);
  Bytes seal(const Nonce& nonce, ByteView associated, ByteView plain);
  // False where the tag does not match; `out` (sealed.size() - tag_bytes) is then zeroed.
  [[nodiscard]] bool open(const Nonce& nonce, ByteView associated, ByteView sealed,
                          std::span<std::uint8_t> out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// AES-128 of single blocks: a pseudo-random function of a 16-byte input under a 16-byte key. Used for
// salts (counter input) and id fingerprints. Not thread-safe.
class BlockPrf {
 public:
  explicit BlockPrf(const Block16& key);
  ~BlockPrf();
  BlockPrf(BlockPrf&&) noexcept;
  BlockPrf& operator=(BlockPrf&&) noexcept;
  Block16 operator()(const Block16& input);
  // outputs[i] = AES(key, inputs[i]) for whole blocks; sizes are equal multiples of 16.
  void many(ByteView inputs, std::span<std::uint8_t> outputs);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vestige::crypto
