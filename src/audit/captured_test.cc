// Property: a change is on record once for each position of its source, whatever comes again and whatever
// others send; what is the same position of another source is another change.
#include "audit/captured.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

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

}  // namespace
}  // namespace vestige::audit
