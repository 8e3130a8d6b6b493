// From the first 32 bits of a hash to the slots whose hash begins so: 8 bytes an entry, so that millions of
// subjects fit into memory while their keys do not. A hit is a candidate only; the caller compares the whole
// hash with the slot.
//
// Invariants:
// 1. An entry stands at or after the bucket that its tag maps to, and no bucket between the two is empty
//    (linear probing, wrapping at the end).
// 2. At most four fifths of the buckets are used.
//
// Not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace vestige::vault {

using Tag = std::uint32_t;
using SlotNumber = std::uint32_t;  // 512 * page + position in the page

class TagTable {
 public:
  TagTable() : buckets_(buckets_min) {}

  void add(Tag tag, SlotNumber slot) {
    if ((used_ + 1) * 5 > buckets_.size() * 4) grow();
    place((static_cast<std::uint64_t>(tag) << 32) | (slot + 1));
    ++used_;
  }

  // The slots under one tag, one after the other; valid until the next add().
  class Candidates {
   public:
    Candidates(const TagTable& table, Tag tag) : table_(table), tag_(tag), at_(table.home_of(tag)) {}
    std::optional<SlotNumber> next() {
      while (table_.buckets_[at_] != 0) {
        const auto entry = table_.buckets_[at_];
        at_ = table_.next(at_);
        if (static_cast<Tag>(entry >> 32) == tag_) return static_cast<SlotNumber>(entry) - 1;
      }
      return std::nullopt;
    }

   private:
    const TagTable& table_;
    Tag tag_;
    std::size_t at_;
  };
  Candidates candidates(Tag tag) const { return {*this, tag}; }

  std::size_t count(Tag tag) const {
    std::size_t found = 0;
    for (auto candidate = candidates(tag); candidate.next();) ++found;
    return found;
  }

 private:
  static constexpr std::size_t buckets_min = 1'024;

  std::size_t home_of(Tag tag) const {
    return static_cast<std::size_t>((std::uint64_t{tag} * buckets_.size()) >> 32);
  }
  std::size_t next(std::size_t at) const { return at + 1 == buckets_.size() ? 0 : at + 1; }
  void place(std::uint64_t entry) {
    auto at = home_of(static_cast<Tag>(entry >> 32));
    while (buckets_[at] != 0) at = next(at);
    buckets_[at] = entry;
  }
  void grow() {
    std::vector<std::uint64_t> old(buckets_.size() + buckets_.size() / 2);
    old.swap(buckets_);
    for (const auto entry : old)
      if (entry != 0) place(entry);
  }

  std::vector<std::uint64_t> buckets_;  // tag in the upper half, slot + 1 in the lower; 0 is empty
  std::uint64_t used_ = 0;
};

}  // namespace vestige::vault
