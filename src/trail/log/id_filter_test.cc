// Defends: the filter of ids never denies one that was added, and when full lets few others pass. A filter
// that lets many pass answers rightly and makes every new id as dear as a known one.
#include "trail/log/id_filter.h"

#include <gtest/gtest.h>

#include <random>

namespace vestige::trail {
namespace {

TEST(IdFilter, KnowsAllThatWereAddedAndFewOthersWhenFull) {
  constexpr std::uint64_t capacity = 1 << 18;
  constexpr std::uint64_t seed = 20261129;
  IdFilter filter(capacity);
  std::mt19937_64 added(seed);
  for (std::uint64_t i = 0; i < capacity; ++i) {
    EXPECT_FALSE(filter.full());
    filter.add(added());
  }
  EXPECT_TRUE(filter.full());

  std::mt19937_64 again(seed);
  std::uint64_t denied = 0;
  for (std::uint64_t i = 0; i < capacity; ++i) denied += filter.may_contain(again()) ? 0 : 1;
  EXPECT_EQ(denied, 0U);

  std::mt19937_64 others(seed + 1);
  std::uint64_t passed = 0;
  for (std::uint64_t i = 0; i < capacity; ++i) passed += filter.may_contain(others()) ? 1 : 0;
  EXPECT_LT(passed, capacity / 500);
}

}  // namespace
}  // namespace vestige::trail
