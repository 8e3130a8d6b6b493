// Defends: failures lock for as long as the rules say and no longer, in bounded memory, and nobody can lock
// an account for where its owner is known to be.
#include "access/throttle.h"

#include <gtest/gtest.h>

#include <random>

#include "access/limits.h"
#include "base/testing/shared_data.h"
#include "platform/sim/sim_clock.h"

namespace vestige::access {
namespace {

using std::chrono::milliseconds;

Hash key(std::uint8_t number) {
  Hash hash{};
  hash[0] = number;
  return hash;
}

TEST(FailureTable, AgainstAListOfFailures) {
  std::mt19937_64 random(vestige::testing::seed());
  struct Model {
    std::uint32_t failures = 0;
    std::int64_t last = 0, until = 0;
  };
  std::size_t locked = 0;
  for (std::size_t round = 0; round < vestige::testing::scaled(50); ++round) {
    const FailureTable::Rules rules{.free = 3,
                                    .first_lock = milliseconds(100),
                                    .lock_max = milliseconds(1'000),
                                    .kept = milliseconds(3'000),
                                    .keys_max = 100};
    FailureTable table(rules);
    std::map<int, Model> model;
    std::int64_t now = 0;
    for (int step = 0; step < 200; ++step) {
      now += static_cast<std::int64_t>(random() % 400);
      const auto at = milliseconds(now);
      std::erase_if(model, [&](const auto& each) { return each.second.last + 3'000 <= now; });
      const int who = static_cast<int>(random() % 4);
      switch (random() % 8) {
        case 0:
          table.forget(key(static_cast<std::uint8_t>(who)));
          model.erase(who);
          break;
        default: {
          auto& expected = model[who];
          ++expected.failures;
          expected.last = now;
          std::int64_t lock = 0;
          if (expected.failures >= 3) {
            lock = std::min<std::int64_t>(1'000, 100LL << std::min(expected.failures - 3, 20U));
            expected.until = now + lock;
          }
          const auto given = table.count(key(static_cast<std::uint8_t>(who)), at);
          ASSERT_EQ(given.has_value(), lock > 0);
          if (given) ASSERT_EQ(given->count(), lock);
          ASSERT_EQ(table.size(), model.size());
        }
      }
      for (int each = 0; each < 4; ++each) {
        const auto place = model.find(each);
        const bool expected = place != model.end() && now < place->second.until;
        ASSERT_EQ(table.locked(key(static_cast<std::uint8_t>(each)), at), expected);
        locked += expected ? 1 : 0;
      }
    }
  }
  EXPECT_GT(locked, 100u);
}

TEST(FailureTable, ForgetsTheOldestWhereItIsFull) {
  FailureTable table({.free = 1,
                      .first_lock = milliseconds(1'000),
                      .lock_max = milliseconds(1'000),
                      .kept = milliseconds(9'000),
                      .keys_max = 3});
  for (std::uint8_t each = 0; each < 3; ++each) table.count(key(each), milliseconds(each));
  table.count(key(0), milliseconds(5));
  table.count(key(9), milliseconds(6));
  EXPECT_EQ(table.size(), 3u);
  EXPECT_FALSE(table.locked(key(1), milliseconds(7)));
  for (const int kept : {0, 2, 9})
    EXPECT_TRUE(table.locked(key(static_cast<std::uint8_t>(kept)), milliseconds(7)));
}

struct Bench {
  platform::sim::SimClock clock;
  Throttle throttle{clock, Key{1}};
  static Throttle::Attempt attempt(const std::string& name, const std::string& address,
                                   bool known_address = false) {
    return {.tenant = "t",
            .login_name = name,
            .address = parse_address(address),
            .known_account = true,
            .known_address = known_address};
  }
};

TEST(Throttle, AnAddressLocksItselfOutAndNobodyElse) {
  Bench bench;
  const auto attacker = Bench::attempt("ada", "198.51.100.4");
  for (std::uint32_t i = 1; i < limits::pair_failures_max; ++i)
    EXPECT_FALSE(bench.throttle.count_failure(attacker).any());
  EXPECT_EQ(bench.throttle.count_failure(attacker).pair, limits::first_lock);
  EXPECT_NE(bench.throttle.standing(attacker), Throttle::Standing::free);
  EXPECT_EQ(bench.throttle.standing(Bench::attempt("ada", "198.51.100.5")), Throttle::Standing::free);
  EXPECT_EQ(bench.throttle.standing(Bench::attempt("bob", "198.51.100.4")), Throttle::Standing::free);
  bench.clock.advance(limits::first_lock);
  EXPECT_EQ(bench.throttle.standing(attacker), Throttle::Standing::free);
  EXPECT_EQ(bench.throttle.count_failure(attacker).pair, limits::first_lock * 2);
  // The wall clock has no say.
  bench.clock.set(UnixMs{0});
  EXPECT_NE(bench.throttle.standing(attacker), Throttle::Standing::free);
  bench.throttle.unlock("t", "ada");
  EXPECT_EQ(bench.throttle.standing(attacker), Throttle::Standing::free);
}

TEST(Throttle, AnAddressThatTriesManyNamesIsLockedForAll) {
  Bench bench;
  for (std::uint32_t i = 1; i <= limits::address_failures_max; ++i)
    bench.throttle.count_failure(
        Bench::attempt("name" + std::to_string(i), "2001:db8::" + std::to_string(i)));
  EXPECT_EQ(bench.throttle.standing(Bench::attempt("other", "2001:db8::ffff")),
            Throttle::Standing::address_locked);
  EXPECT_EQ(bench.throttle.standing(Bench::attempt("other", "2001:db8:0:1::1")), Throttle::Standing::free);
}

TEST(Throttle, ManyAddressesLockAnAccountButNotForWhereItIsKnown) {
  Bench bench;
  for (std::uint32_t i = 1; i <= limits::account_failures_max; ++i)
    bench.throttle.count_failure(Bench::attempt("ada", "10.0." + std::to_string(i) + ".1"));
  EXPECT_NE(bench.throttle.standing(Bench::attempt("ada", "192.0.2.1")), Throttle::Standing::free);
  EXPECT_EQ(bench.throttle.standing(Bench::attempt("ada", "192.0.2.1", true)), Throttle::Standing::free);
  EXPECT_EQ(bench.throttle.standing(Bench::attempt("bob", "192.0.2.1")), Throttle::Standing::free);
  bench.clock.advance(limits::first_account_lock);
  EXPECT_EQ(bench.throttle.standing(Bench::attempt("ada", "192.0.2.1")), Throttle::Standing::free);
}

}  // namespace
}  // namespace vestige::access
