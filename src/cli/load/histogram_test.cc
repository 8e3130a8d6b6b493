// Defends: a percentile is that of the sorted list, never lower and at most 1/128 higher, over all
// magnitudes, and histograms that are added up answer as one that took everything.
#include "cli/load/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "cli/testing/recorder.h"

namespace vestige::cli::load {
namespace {

using std::chrono::nanoseconds;

// The nearest rank in a list.
std::int64_t naive_percentile(std::vector<std::int64_t> values, double percent) {
  std::ranges::sort(values);
  const auto rank = std::ceil(percent / 100 * static_cast<double>(values.size()));
  return values[static_cast<std::size_t>(std::max(rank, 1.0)) - 1];
}

TEST(Histogram, PercentilesAreThoseOfTheSortedListUpToOnePartIn128) {
  const auto seed = std::random_device()();
  std::mt19937_64 random(seed);
  for (int round = 0; round < cli::testing::rounds(60); ++round) {
    std::vector<std::int64_t> values;
    Histogram whole, first, second;
    const auto count = 1 + random() % 2'000;
    for (std::uint64_t i = 0; i < count; ++i) {
      // All magnitudes: as many bits as it likes.
      values.push_back(static_cast<std::int64_t>(random() >> (1 + random() % 63)));
      whole.add(nanoseconds(values.back()));
      (random() % 2 == 0 ? first : second).add(nanoseconds(values.back()));
    }
    first.add(second);
    for (const double percent : {0.0, 1.0, 50.0, 90.0, 99.0, 99.9, 100.0}) {
      const auto exact = naive_percentile(values, percent);
      const auto answered = whole.percentile(percent).count();
      ASSERT_GE(answered, exact) << "seed " << seed << ", p" << percent;
      ASSERT_LE(answered - exact, exact / 128) << "seed " << seed << ", p" << percent;
      ASSERT_EQ(first.percentile(percent).count(), answered) << "seed " << seed << ", p" << percent;
    }
    ASSERT_EQ(whole.greatest().count(), *std::ranges::max_element(values)) << "seed " << seed;
    ASSERT_EQ(whole.percentile(100), whole.greatest());
    ASSERT_EQ(first.count(), count);
  }
}

TEST(Histogram, NothingAndTheEndsOfTheScale) {
  Histogram histogram;
  EXPECT_EQ(histogram.percentile(50).count(), 0);
  histogram.add(nanoseconds(-5));
  EXPECT_EQ(histogram.greatest().count(), 0);
  histogram.add(nanoseconds::max());
  EXPECT_EQ(histogram.percentile(50).count(), 0);
  EXPECT_EQ(histogram.percentile(51), nanoseconds::max());
  EXPECT_EQ(histogram.count(), 2U);
}

}  // namespace
}  // namespace vestige::cli::load
