// Property: whatever the sink answers, whenever the process stops, and whatever is evicted or offered again
// meanwhile, every event whose change was kept is in exactly one place - waiting, set aside, or gone - and
// what is gone is in the trail once, as it was added, or was evicted. A stream's events are offered in the
// order of adding, none before an earlier one has left. Nothing of a change that was undone is ever offered.
// When all faults end, all of it arrives.
#include "state/relay.h"

#include <gtest/gtest.h>
#include <soci/soci.h>

#include <random>
#include <set>
#include <thread>

#include "base/testing/shared_data.h"
#include "platform/sim/sim_clock.h"
#include "state/testing/temporary_database.h"

namespace vestige::state {
namespace {

using std::chrono::milliseconds;
using testing::TemporaryDatabase;

// All that lives as long as a process does.
struct Process {
  Process(TemporaryDatabase& temporary, platform::Entropy& entropy, OutboxSink sink,
          RelayReports reports = {}, RelayOptions options = {})
      : database(temporary.reopen()),
        fields(Key{7}, entropy),
        outbox(database, fields, temporary.clock, entropy),
        lease(database, temporary.clock, "relay", "node", milliseconds{30'000}),
        relay(outbox, lease, std::move(sink), std::move(reports), temporary.clock, options) {}

  Uuid add(const std::string& tenant, const std::string& event) {
    return database
        .write([&](Transaction& transaction) { return outbox.add(transaction, tenant, "audit", event); })
        .value();
  }

  Database& database;
  Fields fields;
  Outbox outbox;
  Lease lease;
  Relay relay;
};

// A sink that a test steers, and what it took.
struct Trail {
  std::vector<OutboxEvent> entries;
  std::size_t calls = 0;
  std::size_t longest = 0;
  std::set<std::string> stuck;    // tenants that it does not take now
  std::string poison = "poison";  // an event that holds this is invalid

  OutboxSink sink() {
    return [this](std::span<const OutboxEvent> events) { return take(events); };
  }
  Status take(std::span<const OutboxEvent> events) {
    ++calls;
    longest = std::max(longest, events.size());
    for (const auto& event : events) {
      if (stuck.contains(event.tenant)) return fail(ErrorKind::unavailable, "stuck");
      if (event.event.find(poison) != std::string::npos) return fail(ErrorKind::invalid, "no such kind");
    }
    for (const auto& event : events)
      if (!has(event.id)) entries.push_back(event);
    return {};
  }
  bool has(const Uuid& id) const {
    return std::ranges::any_of(entries, [&](const auto& entry) { return entry.id == id; });
  }
  std::vector<std::string> of(const std::string& tenant) const {
    std::vector<std::string> found;
    for (const auto& entry : entries)
      if (entry.tenant == tenant) found.push_back(entry.event);
    return found;
  }
};

class RelayTest : public ::testing::Test {
 protected:
  TemporaryDatabase database;
  platform::sim::SimEntropy entropy{1};
  Trail trail;
};

TEST_F(RelayTest, TakesAllInOrderAndWithinItsBounds) {
  Process process(database, entropy, trail.sink(), {},
                  {.batch_events_max = 4, .batch_bytes_max = 25, .batches_max = 3});
  std::vector<std::string> added;
  for (int i = 0; i < 14; ++i) {
    added.push_back("event " + std::to_string(i + 10));  // 8 bytes: three in a batch
    process.add("acme", added.back());
  }
  added.push_back(std::string(100, 'x'));  // longer than a batch: goes alone
  process.add("acme", added.back());
  const auto first = process.relay.run_once().value();
  EXPECT_TRUE(first.more);
  EXPECT_EQ(first.relayed, 9u);
  EXPECT_EQ(trail.longest, 3u);
  const auto second = process.relay.run_once().value();
  EXPECT_FALSE(second.more);
  EXPECT_EQ(second.relayed, 6u);
  EXPECT_EQ(trail.of("acme"), added);
  EXPECT_EQ(trail.calls, 6u);
  EXPECT_EQ(process.relay.run_once().value().relayed, 0u);
  EXPECT_EQ(trail.calls, 6u);
}

TEST_F(RelayTest, AStreamThatIsNotTakenWaitsByItselfLongerEachTimeUpToALimit) {
  std::vector<milliseconds> tries;
  const auto begin = database.clock.monotonic();
  Process process(
      database, entropy, trail.sink(),
      {.set_aside = {},
       .failed =
           [&](const StreamName& stream, const Error& error) {
             EXPECT_EQ(stream, (StreamName{"stuck", "audit"}));
             EXPECT_EQ(error.kind, ErrorKind::unavailable);
             tries.push_back(std::chrono::duration_cast<milliseconds>(database.clock.monotonic() - begin));
           }},
      {.retry_first = milliseconds{100}, .retry_last = milliseconds{1'000}});
  trail.stuck = {"stuck"};
  process.add("stuck", "held");
  for (int i = 0; i < 50; ++i) {
    process.add("free", std::to_string(i));
    ASSERT_TRUE(process.relay.run_once());
    ASSERT_EQ(trail.entries.size(), i + 1u);
    database.clock.advance(milliseconds{100});
  }
  const std::vector<milliseconds> expected = {milliseconds{0},     milliseconds{100},   milliseconds{300},
                                              milliseconds{700},   milliseconds{1'500}, milliseconds{2'500},
                                              milliseconds{3'500}, milliseconds{4'500}};
  EXPECT_EQ(tries, expected);
  trail.stuck.clear();
  database.clock.advance(milliseconds{1'000});
  ASSERT_TRUE(process.relay.run_once());
  EXPECT_EQ(trail.of("stuck"), std::vector<std::string>{"held"});
}

TEST_F(RelayTest, WhatIsInvalidIsSetAsideAloneAndCanBeOfferedAgain) {
  std::vector<Uuid> reported;
  Process process(database, entropy, trail.sink(),
                  {.set_aside =
                       [&](const OutboxEvent& event, const Error& error) {
                         EXPECT_EQ(error.kind, ErrorKind::invalid);
                         EXPECT_EQ(event.event, "");
                         reported.push_back(event.id);
                       },
                   .failed = {}});
  process.add("acme", "a");
  const auto poison = process.add("acme", "poison");
  process.add("acme", "b");
  const auto run = process.relay.run_once().value();
  EXPECT_EQ(run.relayed, 2u);
  EXPECT_EQ(run.set_aside, 1u);
  EXPECT_EQ(trail.of("acme"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(reported, std::vector{poison});
  EXPECT_EQ(process.outbox.figures().value().refused, 1u);
  const auto refused = process.outbox.refused({}, 10).value();
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused[0].id, poison);
  EXPECT_EQ(refused[0].reason, "no such kind");
  EXPECT_TRUE(process.outbox.refused(poison, 10).value().empty());
  EXPECT_EQ(process.outbox.offer_again(Uuid{}).error().kind, ErrorKind::not_found);

  trail.poison = "nothing";
  ASSERT_TRUE(process.outbox.offer_again(poison));
  EXPECT_EQ(process.outbox.figures().value().waiting, 1u);
  ASSERT_TRUE(process.relay.run_once());
  EXPECT_EQ(trail.of("acme"), (std::vector<std::string>{"a", "b", "poison"}));
  EXPECT_EQ(process.outbox.figures().value().refused, 0u);
}

TEST_F(RelayTest, AllThatWasSetAsideIsOfferedAgainAtOnceInItsOldOrder) {
  Process process(database, entropy, trail.sink());
  ASSERT_TRUE(process.outbox.offer_all_again());
  process.add("acme", "poison");
  process.add("acme", "a");
  process.add("beta", "poison");
  ASSERT_TRUE(process.relay.run_once());
  EXPECT_EQ(process.outbox.figures().value().refused, 2u);
  // One whose words cannot be opened any more goes with the others.
  ASSERT_TRUE(process.database.write([](Transaction& transaction) -> Status {
    transaction.sql() << "UPDATE outbox_refused SET reason = 'damaged' WHERE tenant = 'beta'";
    return {};
  }));
  trail.poison = "nothing";
  ASSERT_TRUE(process.outbox.offer_all_again());
  EXPECT_EQ(process.outbox.figures().value().waiting, 2u);
  EXPECT_EQ(process.outbox.figures().value().refused, 0u);
  ASSERT_TRUE(process.relay.run_once());
  EXPECT_EQ(trail.of("acme"), (std::vector<std::string>{"a", "poison"}));
  EXPECT_EQ(trail.of("beta"), std::vector<std::string>{"poison"});
}

TEST_F(RelayTest, AnEventThatIsDamagedIsSetAsideAndTheOthersGoOn) {
  Process process(
      database, entropy, trail.sink(),
      {.set_aside = [](const OutboxEvent&, const Error& error) { EXPECT_EQ(error.kind, ErrorKind::corrupt); },
       .failed = {}});
  process.add("acme", "a");
  const auto damaged = format_uuid(process.add("acme", "b"));
  process.add("acme", "c");
  ASSERT_TRUE(process.database.write([&](Transaction& transaction) -> Status {
    transaction.sql() << "UPDATE outbox SET event = substr(event, 1, 36) WHERE id = :id", soci::use(damaged);
    return {};
  }));
  ASSERT_TRUE(process.relay.run_once());
  EXPECT_EQ(trail.of("acme"), (std::vector<std::string>{"a", "c"}));
  EXPECT_EQ(process.outbox.figures().value().refused, 1u);
}

TEST_F(RelayTest, WhoWaitsIsToldWhenTheEventIsInTheTrailOrSetAside) {
  Process process(database, entropy, trail.sink());
  trail.stuck = {"stuck"};
  const auto good = process.add("acme", "a");
  const auto bad = process.add("acme", "poison");
  const auto held = process.add("stuck", "held");
  std::map<Uuid, Status> told;
  for (const auto& id : {good, bad, held})
    ASSERT_TRUE(process.outbox.when_relayed(id, [&told, id](Status status) { told.emplace(id, status); }));
  const auto forgotten = process.outbox.when_relayed(held, [](Status) { ADD_FAILURE(); }).value();
  process.outbox.forget(forgotten);
  EXPECT_TRUE(told.empty());
  ASSERT_TRUE(process.relay.run_once());
  EXPECT_EQ(told.size(), 2u);
  EXPECT_TRUE(told.at(good));
  EXPECT_EQ(told.at(bad).error().kind, ErrorKind::invalid);
  EXPECT_EQ(process.outbox.wait_until_relayed(held, milliseconds{1}).error().kind, ErrorKind::unavailable);
  EXPECT_TRUE(process.outbox.wait_until_relayed(good, milliseconds{1}));  // it is there already
  trail.stuck.clear();
  database.clock.advance(milliseconds{1'000});
  ASSERT_TRUE(process.relay.run_once());
  EXPECT_TRUE(told.at(held));
}

TEST_F(RelayTest, ItIsWokenOnceForAllThatIsAddedBeforeItRuns) {
  Process process(database, entropy, trail.sink());
  int woken = 0;
  process.outbox.on_added([&] { ++woken; });
  for (int i = 0; i < 3; ++i) process.add("acme", "a");
  EXPECT_EQ(woken, 1);
  ASSERT_TRUE(process.relay.run_once());
  process.add("acme", "poison");
  EXPECT_EQ(woken, 2);
  ASSERT_TRUE(process.relay.run_once());
  ASSERT_TRUE(process.outbox.offer_again(process.outbox.refused({}, 1).value().front().id));
  EXPECT_EQ(woken, 3);
}

TEST_F(RelayTest, WhereTooManyAreSetAsideTheirStreamWaits) {
  Process process(database, entropy, trail.sink());
  ASSERT_TRUE(process.database.write([](Transaction& transaction) -> Status {
    const auto rows = static_cast<long long>(limits::refused_max);
    transaction.sql()
        << "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows) "
           "INSERT INTO outbox_refused SELECT -i, CAST(i AS TEXT), 'a', 'b', 0, 0, '', '' FROM n",
        soci::use(rows);
    return {};
  }));
  process.add("acme", "poison");
  process.add("acme", "after it");
  process.add("other", "free");
  EXPECT_EQ(process.relay.run_once().value().set_aside, 0u);
  EXPECT_EQ(trail.of("other"), std::vector<std::string>{"free"});
  EXPECT_EQ(process.outbox.figures().value().waiting, 2u);
  ASSERT_TRUE(process.database.write([](Transaction& transaction) -> Status {
    transaction.sql() << "DELETE FROM outbox_refused WHERE position = -1";
    return {};
  }));
  database.clock.advance(milliseconds{60'000});
  EXPECT_EQ(process.relay.run_once().value().set_aside, 1u);
  EXPECT_EQ(trail.of("acme"), std::vector<std::string>{"after it"});
}

TEST_F(RelayTest, AnActWaitsForItsIntentBesideTheRelay) {
  Process process(database, entropy, trail.sink());
  const auto id = process.add("acme", "intent");
  std::thread relaying([&] { EXPECT_TRUE(process.relay.run_once()); });
  EXPECT_TRUE(process.outbox.wait_until_relayed(id, std::chrono::hours{1}));
  EXPECT_TRUE(trail.has(id));
  relaying.join();
}

TEST_F(RelayTest, WhoWaitsForAllWaitsForEachStreamAndNotForWhatIsSetAside) {
  Process process(database, entropy, trail.sink());
  EXPECT_TRUE(process.outbox.wait_for_all(milliseconds{1}));
  trail.stuck = {"stuck"};
  process.add("acme", "a");
  process.add("acme", "poison");
  process.add("stuck", "held");
  EXPECT_EQ(process.outbox.wait_for_all(milliseconds{1}).error().kind, ErrorKind::unavailable);
  ASSERT_TRUE(process.relay.run_once());
  EXPECT_EQ(process.outbox.wait_for_all(milliseconds{1}).error().kind, ErrorKind::unavailable);
  trail.stuck.clear();
  database.clock.advance(milliseconds{1'000});
  std::thread relaying([&] { EXPECT_TRUE(process.relay.run_once()); });
  EXPECT_TRUE(process.outbox.wait_for_all(std::chrono::hours{1}));
  relaying.join();
  EXPECT_EQ(trail.of("stuck"), std::vector<std::string>{"held"});
}

TEST_F(RelayTest, OnlyTheHolderOfTheLeaseRelaysAndTheOthersWaitersAreToldAsWell) {
  Process process(database, entropy, trail.sink());
  Lease other(process.database, database.clock, "relay", "other", milliseconds{30'000});
  ASSERT_TRUE(other.keep().value());
  const auto id = process.add("acme", "a");
  bool told = false;
  ASSERT_TRUE(process.outbox.when_relayed(id, [&](Status status) { told = status.has_value(); }));
  ASSERT_TRUE(process.relay.run_once());
  EXPECT_EQ(trail.calls, 0u);
  Relay elsewhere(process.outbox, other, trail.sink(), {}, database.clock);
  ASSERT_TRUE(elsewhere.run_once());
  EXPECT_EQ(trail.calls, 1u);
  EXPECT_TRUE(told);
}

// The model: what was added and kept, in order, and what became of it.
class RelayModel {
 public:
  explicit RelayModel(std::uint64_t seed) : random_(seed), entropy_(seed) { start(); }

  void step() {
    switch (below(12)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return add();
      case 4:
      case 5:
      case 6:
        return relay();
      case 7:
        return evict();
      case 8:
        return offer_again();
      case 9:
        return start();
      default:
        temporary_.clock.advance(milliseconds{below(20'000)});
    }
  }

  void check() {
    std::set<Uuid> waiting;
    std::set<Uuid> refused;
    for (const auto& event : process_->outbox.refused({}, 1000).value()) refused.insert(event.id);
    const auto seen = process_->outbox.evict([&](const OutboxEvent& event) {
      if (!refused.contains(event.id)) EXPECT_TRUE(waiting.insert(event.id).second);
      return false;
    });
    ASSERT_TRUE(seen);
    EXPECT_EQ(seen->damaged, 0u);
    EXPECT_EQ(seen->events.size(), 0u);
    for (const auto& [id, event] : added_) {
      const bool gone = !waiting.contains(id) && !refused.contains(id);
      EXPECT_EQ(gone, left_.contains(id));
      if (gone) EXPECT_TRUE(trail_.contains(id) || evicted_.contains(id));
    }
    EXPECT_EQ(waiting.size() + refused.size() + left_.size(), added_.size());
    const auto figures = process_->outbox.figures().value();
    EXPECT_EQ(figures.waiting, waiting.size());
    EXPECT_EQ(figures.refused, refused.size());
    EXPECT_EQ(refused, refused_);
  }

  void end_well() {
    calm_ = true;
    for (const auto& id : std::set<Uuid>(refused_)) {
      ASSERT_TRUE(process_->outbox.offer_again(id));
      refused_.erase(id);
    }
    // Once over the longest delay; a run may stop at its number of batches.
    temporary_.clock.advance(milliseconds{60'000});
    while (process_->relay.run_once().value().more) {
    }
    for (const auto& [id, event] : added_) EXPECT_TRUE(trail_.contains(id) || evicted_.contains(id));
    EXPECT_EQ(process_->outbox.figures().value().waiting, 0u);
    for (const auto& id : trail_) EXPECT_TRUE(added_.contains(id));
  }

  std::size_t set_aside = 0;
  std::size_t taken_twice = 0;
  std::size_t failures = 0;

 private:
  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }

  // Ends the process, if one runs, and begins the next.
  void start() {
    process_.reset();
    const RelayReports reports{.set_aside =
                                   [this](const OutboxEvent& event, const Error&) {
                                     refused_.insert(event.id);
                                     ++set_aside;
                                   },
                               .failed = [this](const StreamName&, const Error&) { ++failures; }};
    process_ = std::make_unique<Process>(
        temporary_, entropy_, [this](std::span<const OutboxEvent> events) { return take(events); }, reports,
        RelayOptions{.batch_events_max = 5, .batch_bytes_max = 60, .batches_max = 12});
  }

  void add() {
    std::vector<OutboxEvent> events;
    const bool kept = below(4) != 0;
    const auto outcome = process_->database.write([&](Transaction& transaction) -> Status {
      for (auto left = 1 + below(6); left > 0; --left) {
        OutboxEvent event{{},
                          std::string(1, static_cast<char>('a' + below(3))),
                          below(2) == 0 ? "audit" : "access",
                          std::to_string(below(1'000'000)) + (below(10) == 0 ? " poison" : "")};
        VESTIGE_TRY(event.id, process_->outbox.add(transaction, event.tenant, event.stream, event.event));
        events.push_back(event);
      }
      return kept ? Status{} : fail(ErrorKind::denied, "undone");
    });
    ASSERT_EQ(outcome.has_value(), kept);
    if (!kept) return;
    for (const auto& event : events) {
      added_.emplace(event.id, event);
      order_[{event.tenant, event.stream}].push_back(event.id);
    }
  }

  void relay() {
    ASSERT_TRUE(process_->relay.run_once());
    // What the sink said yes to has left.
    left_.insert(accepted_.begin(), accepted_.end());
    accepted_.clear();
  }

  Status take(std::span<const OutboxEvent> events) {
    EXPECT_FALSE(events.empty());
    EXPECT_LE(events.size(), 5u);
    const StreamName stream{events.front().tenant, events.front().stream};
    expect_no_earlier_one_waits(stream, events);
    for (const auto& event : events) {
      const auto found = added_.find(event.id);
      EXPECT_TRUE(found != added_.end());
      if (found == added_.end()) continue;
      EXPECT_EQ(event.tenant, found->second.tenant);
      EXPECT_EQ(event.stream, found->second.stream);
      EXPECT_EQ(event.event, found->second.event);
    }
    if (!calm_ && below(4) == 0) return fail(ErrorKind::unavailable, "not now");
    if (!calm_)
      for (const auto& event : events)
        if (event.event.ends_with("poison")) return fail(ErrorKind::invalid, "poison");
    for (const auto& event : events)
      if (!trail_.insert(event.id).second) ++taken_twice;
    // In the trail, but the answer is lost.
    if (!calm_ && below(5) == 0) return fail(ErrorKind::io, "answer lost");
    for (const auto& event : events) accepted_.insert(event.id);
    return {};
  }

  void expect_no_earlier_one_waits(const StreamName& stream, std::span<const OutboxEvent> events) {
    std::size_t next = 0;
    for (const auto& id : order_[stream]) {
      if (next == events.size()) break;
      if (id == events[next].id) {
        ++next;
      } else {
        EXPECT_TRUE(left_.contains(id) || accepted_.contains(id) || refused_.contains(id));
      }
    }
    EXPECT_EQ(next, events.size());
  }

  void evict() {
    const auto digit = static_cast<char>('0' + below(10));
    const auto evicted =
        process_->outbox.evict([&](const OutboxEvent& event) { return event.event.starts_with(digit); });
    ASSERT_TRUE(evicted);
    std::set<Uuid> expected;
    for (const auto& [id, event] : added_)
      if (event.event.starts_with(digit) && !left_.contains(id)) expected.insert(id);
    std::set<Uuid> found;
    for (const auto& event : evicted->events) {
      EXPECT_EQ(event.event, added_.at(event.id).event);
      found.insert(event.id);
      refused_.erase(event.id);
    }
    EXPECT_EQ(found, expected);
    evicted_.insert(found.begin(), found.end());
    left_.insert(found.begin(), found.end());
  }

  void offer_again() {
    if (refused_.empty()) return;
    const auto id = *std::next(refused_.begin(), static_cast<std::ptrdiff_t>(below(refused_.size())));
    ASSERT_TRUE(process_->outbox.offer_again(id));
    refused_.erase(id);
  }

  std::mt19937_64 random_;
  platform::sim::SimEntropy entropy_;
  TemporaryDatabase temporary_;
  std::unique_ptr<Process> process_;
  bool calm_ = false;
  std::map<Uuid, OutboxEvent> added_;
  std::map<StreamName, std::vector<Uuid>> order_;
  std::set<Uuid> trail_;
  std::set<Uuid> accepted_;  // in the current run
  std::set<Uuid> left_;      // the outbox
  std::set<Uuid> refused_;
  std::set<Uuid> evicted_;
};

TEST(RelayModel, EveryKeptEventIsInOnePlaceAndArrivesInOrder) {
  std::size_t set_aside = 0;
  std::size_t taken_twice = 0;
  std::size_t failures = 0;
  for (std::size_t round = 0; round < vestige::testing::scaled(4); ++round) {
    RelayModel model(vestige::testing::seed() + round);
    for (int i = 0; i < 80; ++i) {
      model.step();
      model.check();
      if (::testing::Test::HasFailure()) FAIL() << "round " << round << ", step " << i;
    }
    model.end_well();
    set_aside += model.set_aside;
    taken_twice += model.taken_twice;
    failures += model.failures;
  }
  // The rare ways were gone.
  EXPECT_GT(set_aside, 5u);
  EXPECT_GT(taken_twice, 5u);
  EXPECT_GT(failures, 20u);
}

}  // namespace
}  // namespace vestige::state
