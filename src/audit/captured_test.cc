// Property: a change is on record once for each position of its source, whatever comes again and whatever
// others send; what is the same position of another source is another change.
#include "audit/captured.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "audit/testing/world.h"

namespace vestige::audit {
namespace {

using testing::World;

CapturedEvent change(int position, int value) {
  return {
      fmt::format("7/shop/0/{}", position),
      fmt::format(
          R"({{"kind":"data.change","action":"UPDATED","subject":"p-{}","changes":[{{"field":"a","new":{}}}]}})",
          position % 3, value)};
}

TEST(Captured, OncePerPosition) {
  World world(5);
  world.open();
  std::mt19937 random(11);
  std::set<std::string> known;
  for (int round = 0; round < 60; ++round) {
    const std::string source = random() % 2 == 0 ? "crm" : "shop";
    std::vector<CapturedEvent> events;
    std::size_t fresh = 0;
    for (auto count = 1 + random() % 8; count > 0; --count) {
      events.push_back(change(static_cast<int>(random() % 60), static_cast<int>(random() % 5)));
      fresh += known.insert(source + events.back().position).second ? 1 : 0;
    }
    if (random() % 7 == 0) world.seal_everything();
    if (random() % 7 == 0) {
      world.kill();
      world.open();
    }
    auto batch = world.ingest->prepare_captured(source, events);
    ASSERT_TRUE(batch) << batch.error().message;
    const auto outcome = world.append(*std::move(batch));
    ASSERT_TRUE(outcome) << outcome.error().message;
    EXPECT_EQ(outcome->accepted, fresh);
    EXPECT_EQ(world.stream().size(), known.size());
  }
}

TEST(Captured, NobodyElseMakesTheSameIds) {
  const CaptureIds ours(Key{1}), others(Key{2});
  const auto id = ours.id_of("crm", "7/shop/0/1");
  EXPECT_EQ(id, ours.id_of("crm", "7/shop/0/1"));
  EXPECT_NE(id, others.id_of("crm", "7/shop/0/1"));
  // Neither does a name that ends where a position begins.
  EXPECT_NE(ours.id_of("crm7", "/shop"), ours.id_of("crm", "7/shop"));
}

TEST(Captured, WhatIsNoEventIsRefusedWithItsPosition) {
  World world(5);
  world.open();
  const std::vector<CapturedEvent> events{change(1, 1),
                                          {"7/shop/0/2", R"({"kind":"nothing.known","action":"X"})"}};
  const auto batch = world.ingest->prepare_captured("crm", events);
  ASSERT_FALSE(batch);
  EXPECT_EQ(batch.error().kind, ErrorKind::invalid);
  EXPECT_NE(batch.error().message.find("7/shop/0/2"), std::string::npos) << batch.error().message;
}

// Where a group is refused, each that stands in its way is told of, and the others are taken without them.
TEST(Captured, EachThatIsRefusedIsTold) {
  World world(5);
  world.open();
  std::mt19937 random(12);
  std::map<int, int> taken;  // id -> value
  for (int round = 0; round < 80; ++round) {
    std::vector<CapturedEvent> events;
    std::vector<std::optional<std::pair<int, int>>> content;
    for (auto count = 1 + random() % 12; count > 0; --count) {
      auto& event = events.emplace_back(change(round * 10 + static_cast<int>(count), 0));
      content.emplace_back();
      if (random() % 5 == 0) {
        event.event = R"({"kind":"nothing.known","action":"X"})";
        continue;
      }
      content.back() = {static_cast<int>(random() % 12), static_cast<int>(random() % 3)};
      const auto [id, value] = *content.back();
      event = change(id, value);
      event.id = parse_uuid(fmt::format("00000000-0000-4000-8000-{:012}", id));
    }
    // What the model refuses: what is no event; else what differs from the first of its id, in the group and
    // in the trail.
    std::set<std::size_t> no_events, differ;
    auto after = taken;
    for (std::size_t i = 0; i < content.size(); ++i) {
      if (!content[i])
        no_events.insert(i);
      else if (const auto [at, fresh] = after.insert(*content[i]); !fresh && at->second != content[i]->second)
        differ.insert(i);
    }
    std::set<std::size_t> told;
    for (;;) {
      std::vector<Refused> refused;
      std::vector<CapturedEvent> rest;
      std::vector<std::size_t> numbers;
      for (std::size_t i = 0; i < events.size(); ++i)
        if (!told.contains(i)) {
          rest.push_back(events[i]);
          numbers.push_back(i);
        }
      if (rest.empty()) break;
      auto batch = world.ingest->prepare_captured("crm", rest, &refused);
      Status done;
      if (batch) {
        batch->conflicting = [&](Refused each) { refused.push_back(std::move(each)); };
        if (const auto outcome = world.append(*std::move(batch)); !outcome)
          done = std::unexpected(outcome.error());
      } else {
        done = std::unexpected(batch.error());
      }
      EXPECT_EQ(done.has_value(), refused.empty());
      if (done) break;
      for (const auto& each : refused) told.insert(numbers[each.number]);
    }
    auto expected = no_events;
    expected.insert(differ.begin(), differ.end());
    ASSERT_EQ(told, expected) << "round " << round;
    taken = after;
  }
  EXPECT_EQ(world.stream().size(), taken.size());
}

TEST(Captured, AFullVaultRefusesNobodyForEver) {
  World world(5);
  world.open();
  world.vault->be_full(true);
  std::vector<Refused> refused;
  const auto batch = world.ingest->prepare_captured("crm", std::vector{change(1, 1)}, &refused);
  ASSERT_FALSE(batch);
  EXPECT_EQ(batch.error().kind, ErrorKind::exhausted);
  EXPECT_TRUE(refused.empty());
}

}  // namespace
}  // namespace vestige::audit
