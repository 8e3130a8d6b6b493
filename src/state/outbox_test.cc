// Property: an event waits exactly where the change that it tells of was kept, and nothing of it can be read
// in the files; what is evicted is in no table.
#include "state/outbox.h"

#include <gtest/gtest.h>
#include <soci/soci.h>

#include <fstream>

#include "platform/sim/sim_clock.h"
#include "state/testing/temporary_database.h"

namespace vestige::state {
namespace {

class OutboxTest : public ::testing::Test {
 protected:
  Result<Uuid> add(const std::string& tenant, const std::string& stream, const std::string& event) {
    return database->write(
        [&](Transaction& transaction) { return outbox.add(transaction, tenant, stream, event); });
  }

  testing::TemporaryDatabase database;
  platform::sim::SimEntropy entropy{1};
  Fields fields{Key{7}, entropy};
  Outbox outbox{*database, fields, database.clock, entropy};
};

TEST_F(OutboxTest, AnEventWaitsWhereItsChangeWasKept) {
  int woken = 0;
  outbox.on_added([&] { ++woken; });
  ASSERT_TRUE(add("acme", "audit", "{}"));
  EXPECT_EQ(woken, 1);
  const auto undone = database->write([&](Transaction& transaction) -> Status {
    EXPECT_TRUE(outbox.add(transaction, "acme", "audit", "{}"));
    return fail(ErrorKind::denied, "no");
  });
  EXPECT_FALSE(undone);
  EXPECT_EQ(woken, 1);
  EXPECT_EQ(outbox.figures().value().waiting, 1u);
}

TEST_F(OutboxTest, TheFigureOfTheOldestGrowsAndAClockThatJumpsBackMakesItNoLessThanZero) {
  EXPECT_EQ(outbox.figures().value().oldest.count(), 0);
  ASSERT_TRUE(add("acme", "audit", "{}"));
  database.clock.advance(std::chrono::seconds{90});
  ASSERT_TRUE(add("acme", "audit", "{}"));
  EXPECT_EQ(outbox.figures().value().oldest, std::chrono::seconds{90});
  database.clock.set(UnixMs{1'600'000'000'000});
  EXPECT_EQ(outbox.figures().value().oldest.count(), 0);
}

TEST_F(OutboxTest, NothingOfAnEventCanBeReadInTheFiles) {
  ASSERT_TRUE(add("acme", "audit", R"({"subject":"thandi@example.org"})"));
  for (const auto& file : std::filesystem::directory_iterator(database.folder())) {
    std::ifstream stream(file.path(), std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(stream), {});
    EXPECT_EQ(bytes.find("thandi"), std::string::npos) << file.path();
  }
}

TEST_F(OutboxTest, WhatIsTooLongOrHasNoNameIsRefused) {
  for (const auto& [tenant, stream, event] :
       {std::tuple<std::string, std::string, std::string>{"", "audit", "{}"},
        {"acme", "", "{}"},
        {"acme\n", "audit", "{}"},
        {std::string(256, 'a'), "audit", "{}"},
        {"acme", "audit", std::string(limits::event_bytes_max + 1, 'x')}}) {
    const auto added = add(tenant, stream, event);
    ASSERT_FALSE(added);
    EXPECT_EQ(added.error().kind, ErrorKind::invalid);
  }
  EXPECT_TRUE(add(std::string(255, 'a'), "audit", std::string(limits::event_bytes_max, 'x')));
  EXPECT_EQ(outbox.figures().value().waiting, 1u);
}

TEST_F(OutboxTest, WhereTooManyWaitTheChangeIsRefusedAndOtherStreamsAreNot) {
  ASSERT_TRUE(add("acme", "audit", "{}"));
  ASSERT_TRUE(database->write([](Transaction& transaction) -> Status {
    const auto waiting = static_cast<long long>(limits::waiting_max);
    transaction.sql() << "UPDATE outbox_streams SET waiting = :waiting", soci::use(waiting);
    return {};
  }));
  const auto refused = add("acme", "audit", "{}");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::exhausted);
  EXPECT_EQ(refused.error().limit, "waiting_max 1000000");
  EXPECT_EQ(outbox.figures().value().waiting, limits::waiting_max);  // and it was not counted
  EXPECT_TRUE(add("acme", "access", "{}"));
}

TEST_F(OutboxTest, SoManyMayWaitForTheirEventAndNoMore) {
  const auto id = add("acme", "audit", "{}").value();
  std::uint64_t last = 0;
  for (std::size_t i = 0; i < limits::waiters_max; ++i) last = outbox.when_relayed(id, [](Status) {}).value();
  EXPECT_EQ(outbox.when_relayed(id, [](Status) {}).error().kind, ErrorKind::exhausted);
  outbox.forget(last);
  EXPECT_TRUE(outbox.when_relayed(id, [](Status) {}));
}

TEST_F(OutboxTest, EvictedEventsAreGone) {
  std::vector<Uuid> of_thandi;
  for (int i = 0; i < 600; i += 100)
    ASSERT_TRUE(database->write([&](Transaction& transaction) -> Status {
      for (int k = i; k < i + 100; ++k) {
        VESTIGE_TRY(const auto id,
                    outbox.add(transaction, "acme", "audit", k % 7 == 0 ? "about thandi" : "about"));
        if (k % 7 == 0) of_thandi.push_back(id);
      }
      return {};
    }));
  const auto evicted =
      outbox.evict([](const OutboxEvent& event) { return event.event.find("thandi") != std::string::npos; });
  ASSERT_TRUE(evicted);
  EXPECT_EQ(evicted->damaged, 0u);
  std::vector<Uuid> ids;
  for (const auto& event : evicted->events) ids.push_back(event.id);
  EXPECT_EQ(ids, of_thandi);
  EXPECT_EQ(outbox.figures().value().waiting, 600 - of_thandi.size());
  EXPECT_TRUE(
      outbox.evict([](const OutboxEvent& event) { return event.event == "about thandi"; })->events.empty());
}

TEST_F(OutboxTest, WhatCannotBeReadIsCountedAndLeft) {
  ASSERT_TRUE(add("acme", "audit", "{}"));
  ASSERT_TRUE(add("other", "audit", "{}"));
  // An event that is moved to another tenant does not open there.
  ASSERT_TRUE(database->write([&](Transaction& transaction) -> Status {
    transaction.sql() << "UPDATE outbox SET tenant = 'other'";
    return {};
  }));
  const auto evicted = outbox.evict([](const OutboxEvent&) { return true; });
  ASSERT_TRUE(evicted);
  EXPECT_EQ(evicted->damaged, 1u);
  EXPECT_EQ(evicted->events.size(), 1u);
}

}  // namespace
}  // namespace vestige::state
