// Property: whatever is begun, taken and waited for, in any order, the table answers like a plain list that
// keeps the last `capacity` logins of the last ten minutes and gives each out once.
#include "access/oidc/pending.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "access/oidc/limits.h"
#include "platform/sim/sim_clock.h"

namespace vestige::access::oidc {
namespace {

struct Known {
  PendingLogins::Keys keys;
  std::string nonce;
  std::chrono::milliseconds begun_at;
};

TEST(PendingLogins, AnswersLikeAList) {
  EXPECT_TRUE(rc::check([] {
    constexpr std::size_t capacity = 5;
    platform::sim::SimClock clock;
    platform::sim::SimEntropy entropy(*rc::gen::arbitrary<std::uint64_t>());
    PendingLogins table(clock, entropy, capacity);
    std::vector<Known> live;
    std::vector<PendingLogins::Keys> ever{{"", ""}};
    std::chrono::milliseconds now{0};
    for (int step = *rc::gen::inRange(1, 60); step > 0; --step) {
      switch (*rc::gen::inRange(0, 4)) {
        case 0:
        case 1: {
          const auto nonce = std::to_string(step);
          const auto keys = table.put({.provider = "p", .nonce = nonce, .verifier = {}, .return_to = "/"});
          live.push_back({keys, nonce, now});
          ever.push_back(keys);
          if (live.size() > capacity) live.erase(live.begin());
          break;
        }
        case 2: {
          const auto& state = ever[*rc::gen::inRange<std::size_t>(0, ever.size())].state;
          const auto& browser = ever[*rc::gen::inRange<std::size_t>(0, ever.size())].browser;
          const auto found =
              std::ranges::find(live, state, [](const Known& known) { return known.keys.state; });
          const auto taken = table.take(state, browser);
          RC_ASSERT(taken.has_value() == (found != live.end() && found->keys.browser == browser));
          if (taken) RC_ASSERT(taken->nonce == found->nonce);
          if (found != live.end()) live.erase(found);
          break;
        }
        default: {
          const std::chrono::milliseconds by{*rc::gen::inRange(0, 400'000)};
          clock.advance(by);
          now += by;
          std::erase_if(live,
                        [&](const Known& known) { return known.begun_at + limits::login_lifetime <= now; });
        }
      }
      RC_ASSERT(table.size() == live.size());
    }
  }));
}

TEST(PendingLogins, AWallClockThatJumpsChangesNothing) {
  platform::sim::SimClock clock;
  platform::sim::SimEntropy entropy(1);
  PendingLogins table(clock, entropy, 5);
  const auto keys = table.put({.provider = "p", .nonce = "n", .verifier = SecretText("v"), .return_to = "/"});
  clock.set(UnixMs{0});
  clock.set(UnixMs{4'000'000'000'000});
  EXPECT_EQ(table.take(keys.state, keys.browser)->verifier.text(), "v");
}

}  // namespace
}  // namespace vestige::access::oidc
