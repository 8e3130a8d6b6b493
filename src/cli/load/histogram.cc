#include "cli/load/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace vestige::cli::load {

std::size_t Histogram::bucket_of(std::uint64_t value) {
  if (value < buckets_a_doubling) return value;
  const auto shift = static_cast<unsigned>(std::bit_width(value)) - precision_bits - 1;
  return shift * buckets_a_doubling + (value >> shift);
}

std::uint64_t Histogram::last_of(std::size_t bucket) {
  if (bucket < buckets_a_doubling) return bucket;
  const auto shift = bucket / buckets_a_doubling - 1;
  const auto leading = bucket - shift * buckets_a_doubling;  // 128 to 255
  return ((leading + 1) << shift) - 1;
}

void Histogram::add(std::chrono::nanoseconds took) {
  const auto value = std::max<std::int64_t>(took.count(), 0);
  ++counts_[bucket_of(static_cast<std::uint64_t>(value))];
  ++count_;
  greatest_ = std::max(greatest_, value);
}

void Histogram::add(const Histogram& other) {
  for (std::size_t i = 0; i < buckets; ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  greatest_ = std::max(greatest_, other.greatest_);
}

std::chrono::nanoseconds Histogram::percentile(double percent) const {
  if (count_ == 0) return std::chrono::nanoseconds(0);
  const auto share = std::clamp(percent, 0.0, 100.0) / 100;
  const auto rank = std::clamp<std::uint64_t>(
      static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_))), 1, count_);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets; ++i) {
    seen += counts_[i];
    if (seen >= rank)
      return std::chrono::nanoseconds(
          std::min<std::uint64_t>(last_of(i), static_cast<std::uint64_t>(greatest_)));
  }
  return greatest();
}

}  // namespace vestige::cli::load
