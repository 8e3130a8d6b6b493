// Tells most ids that were never seen from the others in a few nanoseconds: a split block Bloom filter (one
// bit in each word of one 64-byte block, so one cache line a question) of fixed capacity.
// Source: J. Apple, "Split block Bloom filters", 2021. Owner: IdIndex. Not thread-safe.
#pragma once

#include <cstdint>
#include <vector>

namespace vestige::trail {

class IdFilter {
 public:
  // When full, it lets about one fingerprint in a thousand pass that was not added.
  explicit IdFilter(std::uint64_t capacity)
      : capacity_(capacity), words_(capacity * bits_per_entry / 64 / block_words * block_words) {}

  void add(std::uint64_t fingerprint) {
    auto* block = words_.data() + block_of(fingerprint);
    for (std::size_t i = 0; i < block_words; ++i) block[i] |= bit_of(fingerprint, i);
    ++size_;
  }
  // False: was not added.
  bool may_contain(std::uint64_t fingerprint) const {
    const auto* block = words_.data() + block_of(fingerprint);
    for (std::size_t i = 0; i < block_words; ++i)
      if ((block[i] & bit_of(fingerprint, i)) == 0) return false;
    return true;
  }
  bool full() const { return size_ >= capacity_; }
  std::uint64_t capacity() const { return capacity_; }
  std::uint64_t bytes() const { return words_.size() * 8; }

 private:
  static constexpr std::size_t bits_per_entry = 16;
  static constexpr std::size_t block_words = 8;

  std::size_t block_of(std::uint64_t fingerprint) const {
    const auto blocks = words_.size() / block_words;
    return static_cast<std::size_t>(static_cast<unsigned __int128>(fingerprint) * blocks >> 64) * block_words;
  }
  // Fingerprints are uniform. Each word has a multiplier of its own: sums under one multiplier would give
  // bits that all follow from the first.
  static std::uint64_t bit_of(std::uint64_t fingerprint, std::size_t word) {
    return std::uint64_t{1} << (fingerprint * multipliers[word] >> 58);
  }

  // The first outputs of splitmix64 from 0, made odd.
  static constexpr std::uint64_t multipliers[block_words] = {
      0xe220a8397b1dcdafULL, 0x6e789e6aa1b965f5ULL, 0x06c45d188009454fULL, 0xf88bb8a8724c81edULL,
      0x1b39896a51a8749bULL, 0x53cb9f0c747ea2ebULL, 0x2c829abe1f4532e1ULL, 0xc584133ac916ab3dULL};

  std::uint64_t capacity_;
  std::uint64_t size_ = 0;
  std::vector<std::uint64_t> words_;
};

}  // namespace vestige::trail
