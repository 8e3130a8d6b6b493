// The slots that were used last, with their keys; the least recently used leaves first and is overwritten.
// Not thread-safe.
#pragma once

#include <cstddef>
#include <list>
#include <unordered_map>
#include <utility>

#include "vault/format.h"
#include "vault/internal/tag_table.h"

namespace vestige::vault {

class SlotCache {
 public:
  explicit SlotCache(std::size_t slots_max) : slots_max_(slots_max == 0 ? 1 : slots_max) {}

  // The slot, now the most recently used; null where it is not here. Valid until the next put().
  const Slot* find(SlotNumber number) {
    const auto found = places_.find(number);
    if (found == places_.end()) return nullptr;
    order_.splice(order_.begin(), order_, found->second);
    return &found->second->second;
  }

  void put(SlotNumber number, const Slot& slot) {
    if (const auto found = places_.find(number); found != places_.end()) {
      found->second->second = slot;
      order_.splice(order_.begin(), order_, found->second);
      return;
    }
    if (order_.size() == slots_max_) {
      places_.erase(order_.back().first);
      order_.pop_back();
    }
    order_.emplace_front(number, slot);
    places_.emplace(number, order_.begin());
  }

  // The slot leaves, and its key is overwritten.
  void remove(SlotNumber number) {
    const auto found = places_.find(number);
    if (found == places_.end()) return;
    order_.erase(found->second);
    places_.erase(found);
  }

  bool has_room() const { return order_.size() < slots_max_; }
  std::size_t size() const { return order_.size(); }

 private:
  using Order = std::list<std::pair<SlotNumber, Slot>>;

  std::size_t slots_max_;
  Order order_;  // most recently used first
  std::unordered_map<SlotNumber, Order::iterator> places_;
};

}  // namespace vestige::vault
