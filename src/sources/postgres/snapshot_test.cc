// Property: a transaction is in a snapshot exactly where PostgreSQL's own rule says so, also where numbers
// have come round.
#include "sources/postgres/snapshot.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace vestige::sources::postgres {
namespace {

TEST(SnapshotView, SeesWhatPostgresSays) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 200; ++round) {
    // 64-bit numbers as pg_current_snapshot() has them, of which replication sends the lower half.
    const std::uint64_t first = random() % 3 == 0
                                    ? (std::uint64_t{1} << 32) * (1 + random() % 3) - random() % 40
                                    : 3 + random() % 100'000;
    const auto next = first + random() % 60;
    std::vector<std::uint64_t> running;
    std::string list;
    for (auto id = first; id < next; ++id)
      if (random() % 3 == 0) {
        list += fmt::format("{}{}", running.empty() ? "" : ",", id);
        running.push_back(id);
      }
    const auto view = SnapshotView::parse(fmt::format("{}:{}:{}", first, next, list), Lsn{1'000});
    ASSERT_TRUE(view) << view.error().message;
    for (auto id = first - std::min<std::uint64_t>(first, 50); id < next + 50; ++id) {
      const bool seen = id < first || (id < next && std::ranges::find(running, id) == running.end());
      const TransactionId half{static_cast<std::uint32_t>(id)};
      ASSERT_EQ(view->has_seen(half, Lsn{999}), seen) << view->text() << " " << id;
      // What committed afterwards cannot be in it, whatever its number.
      ASSERT_FALSE(view->has_seen(half, Lsn{1'000}));
    }
  }
}

TEST(SnapshotView, WhatIsNoneIsRefused) {
  for (const auto* none : {"", "1", "1:2", "x:2:", "1:x:", "1:2:x", "1:2:3,", "1:2:,3", "1:2:3:4"})
    EXPECT_FALSE(SnapshotView::parse(none, Lsn{1})) << none;
  EXPECT_TRUE(SnapshotView::parse("1:2:", Lsn{1}));
}

}  // namespace
}  // namespace vestige::sources::postgres
