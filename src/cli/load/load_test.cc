// Defends: on a schedule each request is due at its own time whatever the server does, and its latency counts
// from then; without one, connections send as answers come. What was refused, held back or left unsent is
// counted apart and never makes a percentile better.
#include "cli/load/load.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <vector>

#include "cli/testing/recorder.h"

namespace vestige::cli::load {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// One connection in a time of its own: request k takes as long as the test says.
class Imagined final : public Sender {
 public:
  std::function<nanoseconds(std::uint64_t)> takes = [](std::uint64_t) { return milliseconds(1); };
  std::function<Result<Sent>(std::uint64_t)> answers = [](std::uint64_t) { return Sent{}; };
  std::vector<nanoseconds> sent_at;

  void prepare(std::uint64_t number) override { number_ = number; }
  Result<Sent> send() override {
    sent_at.push_back(now_);
    now_ += takes(number_);
    return answers(number_);
  }
  nanoseconds now() override { return now_; }
  void wait_until(nanoseconds time) override { now_ = std::max(now_, time); }

 private:
  std::uint64_t number_ = 0;
  nanoseconds now_{0};
};

Tally run(const Plan& plan, Imagined& sender) {
  Schedule schedule(plan);
  return run_connection(schedule, sender, [] {});
}

TEST(Load, AStallIsInThePercentilesOfEverythingThatShouldHaveBeenSentMeanwhile) {
  // 100 a second for 10 s; the server answers in 1 ms, but for the one at 2 s, which takes a second.
  Imagined sender;
  sender.takes = [](std::uint64_t number) {
    return number == 200 ? nanoseconds(seconds(1)) : milliseconds(1);
  };
  const auto scheduled = run({.requests_per_second = 100, .duration = seconds(10)}, sender);
  EXPECT_EQ(scheduled.taken, 1'000U);
  EXPECT_EQ(scheduled.unsent, 0U);
  // The 110 from there on waited: p90 is still good, p99 is not, although only one in a thousand was slow.
  EXPECT_LE(scheduled.latency.percentile(85), milliseconds(2));
  EXPECT_GE(scheduled.latency.percentile(99), milliseconds(850));
  EXPECT_LE(scheduled.service.percentile(99), milliseconds(2));
  EXPECT_EQ(scheduled.service.greatest(), seconds(1));

  Imagined hurrying;
  hurrying.takes = sender.takes;
  const auto unscheduled = run({.requests = 1'000}, hurrying);
  EXPECT_EQ(unscheduled.taken, 1'000U);
  EXPECT_LE(unscheduled.latency.percentile(99), milliseconds(2));
}

// Requests in order over one connection, by hand.
TEST(Load, RandomRunsAgreeWithTheQueueByHand) {
  const auto seed = std::random_device()();
  std::mt19937_64 random(seed);
  for (int round = 0; round < cli::testing::rounds(200); ++round) {
    const auto rate = static_cast<double>(1 + random() % 1'000);
    const Plan plan{.requests_per_second = rate,
                    .requests = random() % 2 == 0 ? 0 : 1 + random() % 500,
                    .duration = milliseconds(1 + random() % 2'000)};
    std::vector<nanoseconds> times;
    for (int i = 0; i < 2'100; ++i) times.push_back(milliseconds(random() % 8));
    Imagined sender;
    sender.takes = [&](std::uint64_t number) { return times[number]; };
    const auto tally = run(plan, sender);

    nanoseconds free{0};
    Histogram expected;
    std::uint64_t taken = 0, unsent = 0;
    for (std::uint64_t k = 0; plan.requests == 0 || k < plan.requests; ++k) {
      const auto due = std::chrono::duration_cast<nanoseconds>(
          std::chrono::duration<double>(static_cast<double>(k) / rate));
      if (due >= plan.duration) break;
      if (free >= plan.duration) {
        ++unsent;
        expected.add(plan.duration - due);
        continue;
      }
      ++taken;
      free = std::max(free, due) + times[k];
      expected.add(free - due);
    }
    ASSERT_EQ(tally.taken, taken) << "seed " << seed << " round " << round;
    ASSERT_EQ(tally.unsent, unsent) << "seed " << seed << " round " << round;
    for (const double percent : {50.0, 90.0, 99.0, 100.0})
      ASSERT_EQ(tally.latency.percentile(percent), expected.percentile(percent))
          << "seed " << seed << " round " << round << " p" << percent;
  }
}

TEST(Load, RefusedRequestsAreCountedApart) {
  Imagined sender;
  sender.answers = [](std::uint64_t number) {
    return number % 4 == 3 ? Sent{.outcome = Sent::Outcome::busy, .retry_after = seconds(60)} : Sent{};
  };
  const auto hurrying = run({.requests = 8}, sender);
  EXPECT_EQ(hurrying.taken, 6U);
  EXPECT_EQ(hurrying.busy, 2U);
  EXPECT_EQ(hurrying.latency.count(), 6U);
  EXPECT_EQ(hurrying.held_back, seconds(2)) << "a server is believed for a second at most";
  EXPECT_EQ(sender.sent_at[4], seconds(1) + milliseconds(4));

  Imagined scheduled;
  scheduled.answers = sender.answers;
  const auto on_time = run({.requests_per_second = 10, .requests = 8}, scheduled);
  EXPECT_EQ(on_time.busy, 2U);
  EXPECT_EQ(on_time.held_back, seconds(0));
  EXPECT_EQ(scheduled.sent_at[4], milliseconds(400)) << "the schedule says when to go on";
}

TEST(Load, AnErrorEndsTheRunAndWhatWasMeasuredStays) {
  Imagined sender;
  sender.answers = [](std::uint64_t number) -> Result<Sent> {
    if (number == 5) return fail(ErrorKind::unavailable, "gone");
    return Sent{};
  };
  const auto tally = run({.requests = 100}, sender);
  EXPECT_EQ(tally.taken, 5U);
  ASSERT_TRUE(tally.error);
  EXPECT_EQ(tally.error->message, "gone");
}

// Real threads: every number once, whoever takes it.
TEST(Load, ConnectionsShareTheRequests) {
  std::vector<std::vector<std::uint64_t>> numbers(8);
  class Recording final : public Sender {
   public:
    Recording(std::vector<std::uint64_t>& to, std::atomic<std::int64_t>& time) : to_(to), time_(time) {}
    void prepare(std::uint64_t number) override { to_.push_back(number); }
    Result<Sent> send() override { return Sent{}; }
    nanoseconds now() override { return nanoseconds(++time_); }
    void wait_until(nanoseconds) override {}

   private:
    std::vector<std::uint64_t>& to_;
    std::atomic<std::int64_t>& time_;
  };
  std::atomic<std::int64_t> time{0};
  std::size_t made = 0;
  const auto outcome = run_load(
      {.requests_per_second = 1e9, .requests = 5'000}, 8,
      [&](nanoseconds) { return std::make_unique<Recording>(numbers[made++], time); },
      [](std::uint64_t, nanoseconds) {});
  EXPECT_EQ(outcome.tally.taken, 5'000U);
  std::set<std::uint64_t> seen;
  for (const auto& list : numbers) seen.insert(list.begin(), list.end());
  EXPECT_EQ(seen.size(), 5'000U);
  EXPECT_EQ(*seen.rbegin(), 4'999U);
}

}  // namespace
}  // namespace vestige::cli::load
