// How long things took, of any number of them, in a few kilobytes: log-linear buckets, 128 to each doubling.
// A percentile is never too low, and too high by at most 1/128 (0.8 %); the greatest is exact.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <vector>

namespace vestige::cli::load {

// Not thread-safe: each thread has its own, and they are added up.
class Histogram {
 public:
  Histogram() : counts_(buckets, 0) {}
  void add(std::chrono::nanoseconds took);  // below zero counts as zero
  void add(const Histogram& other);

  std::uint64_t count() const { return count_; }
  std::chrono::nanoseconds greatest() const { return std::chrono::nanoseconds(greatest_); }
  // What so many percent of them did not exceed (the nearest rank); 0 where there are none.
  std::chrono::nanoseconds percentile(double percent) const;

 private:
  static constexpr unsigned precision_bits = 7;
  static constexpr std::size_t buckets_a_doubling = std::size_t{1} << precision_bits;
  // Values below 128 have a bucket each; every doubling up to 2^63 has 128.
  static constexpr std::size_t buckets = (64 - precision_bits) * buckets_a_doubling;
  static std::size_t bucket_of(std::uint64_t value);
  static std::uint64_t last_of(std::size_t bucket);  // the greatest value of a bucket

  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0;
  std::int64_t greatest_ = 0;
};

}  // namespace vestige::cli::load
