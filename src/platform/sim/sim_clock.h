// A clock and an entropy source that a test steers.
#pragma once

#include <atomic>

#include "platform/clock.h"
#include "platform/entropy.h"

namespace vestige::platform::sim {

// Stands still until told otherwise.
class SimClock final : public Clock {
 public:
  explicit SimClock(UnixMs start = UnixMs{1'700'000'000'000}) : wall_(start.value) {}
  UnixMs now() override { return UnixMs{wall_.load()}; }
  std::chrono::nanoseconds monotonic() override { return std::chrono::nanoseconds{mono_.load()}; }
  void set(UnixMs wall) { wall_ = wall.value; }  // may go back
  void advance(std::chrono::milliseconds by) {
    wall_ += by.count();
    mono_ += std::chrono::nanoseconds{by}.count();
  }

 private:
  std::atomic<std::int64_t> wall_;
  std::atomic<std::int64_t> mono_{0};
};

// The same bytes for the same seed (splitmix64): never for keys outside tests.
class SimEntropy final : public Entropy {
 public:
  explicit SimEntropy(std::uint64_t seed) : state_(seed) {}
  void fill(std::span<std::uint8_t> out) override {
    for (auto& byte : out) byte = static_cast<std::uint8_t>(next() >> 32);
  }

 private:
  std::uint64_t next() {
    std::uint64_t z = state_.fetch_add(0x9e3779b97f4a7c15ULL) + 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  std::atomic<std::uint64_t> state_;
};

}  // namespace vestige::platform::sim
