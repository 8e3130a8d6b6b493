// Bytes that all connections share: a request holds what of its body has arrived, until it is answered, and
// a long answer its body, until it is written.
#pragma once

#include <atomic>
#include <cstddef>

#include "base/check.h"

namespace vestige::http::internal {

class Budget {
 public:
  explicit Budget(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  bool take(std::size_t bytes) {
    auto used = used_.load(std::memory_order_relaxed);
    do {
      if (bytes > bytes_max_ - used) return false;
    } while (!used_.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed));
    return true;
  }
  void give_back(std::size_t bytes) {
    const auto before = used_.fetch_sub(bytes, std::memory_order_relaxed);
    CHECK(before >= bytes);
  }
  std::size_t available() const { return bytes_max_ - used_.load(std::memory_order_relaxed); }

 private:
  const std::size_t bytes_max_;
  std::atomic<std::size_t> used_{0};
};

// One connection's share; gives it back when it goes. The budget outlives it.
class Reservation {
 public:
  explicit Reservation(Budget& budget) : budget_(budget) {}
  ~Reservation() { release(); }
  Reservation(const Reservation&) = delete;
  Reservation& operator=(const Reservation&) = delete;

  bool grow_to(std::size_t bytes) {
    if (bytes <= held_) return true;
    if (!budget_.take(bytes - held_)) return false;
    held_ = bytes;
    return true;
  }
  void release() {
    if (held_ != 0) budget_.give_back(held_);
    held_ = 0;
  }
  const Budget& budget() const { return budget_; }

 private:
  Budget& budget_;
  std::size_t held_ = 0;
};

}  // namespace vestige::http::internal
