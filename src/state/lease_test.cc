// Property: while the wall clock runs on or jumps back, a lease has at most one holder who trusts it,
// whatever is kept, released and asked for in which order; and one that nobody keeps is free after a bounded
// time.
#include "state/lease.h"

#include <gtest/gtest.h>

#include <random>

#include "base/testing/shared_data.h"
#include "state/testing/temporary_database.h"

namespace vestige::state {
namespace {

using std::chrono::milliseconds;
using testing::TemporaryDatabase;

TEST(Lease, IsKeptPassedOnAndTakenWhenItIsOver) {
  TemporaryDatabase database;
  Lease first(*database, database.clock, "relay", "one", milliseconds{1'000});
  Lease second(*database, database.clock, "relay", "two", milliseconds{1'000});
  Lease unrelated(*database, database.clock, "other", "two", milliseconds{1'000});
  EXPECT_TRUE(first.keep().value());
  EXPECT_FALSE(second.keep().value());
  EXPECT_TRUE(unrelated.keep().value());
  database.clock.advance(milliseconds{900});
  EXPECT_TRUE(first.keep().value());
  database.clock.advance(milliseconds{999});
  EXPECT_FALSE(second.keep().value());
  database.clock.advance(milliseconds{1});
  EXPECT_TRUE(second.keep().value());
  EXPECT_FALSE(first.keep().value());
  ASSERT_TRUE(first.release());  // which is not its own any more
  EXPECT_FALSE(first.keep().value());
  ASSERT_TRUE(second.release());
  EXPECT_TRUE(first.keep().value());
}

TEST(Lease, IsTheSameHoldersAgainAfterARestart) {
  TemporaryDatabase database;
  Lease before(*database, database.clock, "relay", "one", milliseconds{1'000});
  ASSERT_TRUE(before.keep().value());
  Lease after(database.reopen(), database.clock, "relay", "one", milliseconds{1'000});
  EXPECT_TRUE(after.keep().value());
}

TEST(Lease, OfSomebodyWhoIsGoneEndsThoughTheClockJumpedBackFar) {
  TemporaryDatabase database;
  Lease gone(*database, database.clock, "relay", "one", milliseconds{1'000});
  Lease next(*database, database.clock, "relay", "two", milliseconds{1'000});
  ASSERT_TRUE(gone.keep().value());
  database.clock.set(UnixMs{database.clock.now().value - 365LL * 86'400'000});
  EXPECT_FALSE(next.keep().value());
  database.clock.advance(limits::lease_max);
  EXPECT_TRUE(next.keep().value());
}

TEST(Lease, HasOneHolderThoughClocksJumpBack) {
  constexpr milliseconds duration{10'000};
  std::size_t takeovers = 0;
  for (std::size_t round = 0; round < vestige::testing::scaled(4); ++round) {
    TemporaryDatabase database;
    std::mt19937_64 random(vestige::testing::seed() + round);
    std::vector<std::unique_ptr<Lease>> leases;
    for (const char* name : {"one", "two", "three"})
      leases.push_back(std::make_unique<Lease>(*database, database.clock, "relay", name, duration));
    // Until when, by the clock that never goes back, each may act on what keep() told it.
    std::vector<std::chrono::nanoseconds> trusted(leases.size(), std::chrono::nanoseconds{0});
    std::optional<std::size_t> last;
    for (int i = 0; i < 150; ++i) {
      const auto which = random() % leases.size();
      const auto now = database.clock.monotonic();
      switch (random() % 8) {
        case 0:
          database.clock.set(
              UnixMs{database.clock.now().value - static_cast<std::int64_t>(random() % 600'000)});
          break;
        case 1:
          ASSERT_TRUE(leases[which]->release());
          trusted[which] = now;
          break;
        case 2:
        case 3:
          database.clock.advance(milliseconds{random() % 6'000});
          break;
        case 4:
          database.clock.advance(milliseconds{random() % 60'000});
          break;
        default:
          if (!leases[which]->keep().value()) break;
          for (std::size_t other = 0; other < leases.size(); ++other)
            if (other != which) ASSERT_LE(trusted[other], now) << "round " << round << ", step " << i;
          trusted[which] = now + duration / 2;
          takeovers += last && *last != which;
          last = which;
      }
    }
  }
  EXPECT_GT(takeovers, 5u);
}

}  // namespace
}  // namespace vestige::state
