#include "access/policies.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "access/testing/world.h"

namespace vestige::access {
namespace {

using testing::World;

std::string with_small_count(unsigned count) {
  auto text = Policy::shipped()->text();
  const std::string before = "\"small_count\":5";
  text.replace(text.find(before), before.size(), fmt::format("\"small_count\":{}", count));
  return text;
}

struct PoliciesWorld : World {
  PoliciesWorld() { open(); }
  void open() {
    auto opened = Policies::open(*database, *outbox, clock());
    ASSERT_TRUE(opened) << opened.error().message;
    policies = *std::move(opened);
  }
  Principal of_tenant(std::string tenant) const {
    auto by = administrator();
    by.tenant = std::move(tenant);
    return by;
  }
  std::unique_ptr<Policies> policies;
};

TEST(Policies, ShippedUntilItIsChangedAndChangedForOneTenantAlone) {
  PoliciesWorld world;
  EXPECT_EQ(world.policies->of("default").policy, Policy::shipped());
  EXPECT_EQ(world.policies->of("default").version, 0u);
  const auto changed = world.policies->change(world.of_tenant("acme"), World::here(), with_small_count(9), 0);
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_EQ(changed->version, 1u);
  EXPECT_EQ(world.policies->of("acme").policy->small_count(), 9u);
  EXPECT_EQ(world.policies->of("default").policy->small_count(), 5u);
}

TEST(Policies, AChangeIsOneEntryWithTheWholePolicyAndOutlivesARestart) {
  PoliciesWorld world;
  ASSERT_TRUE(world.policies->change(world.administrator(), World::here(), with_small_count(7), 0));
  ASSERT_TRUE(world.policies->change(world.administrator(), World::here(), with_small_count(8), 1));
  const auto seen = world.events();
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[1].kind, "system.policy");
  EXPECT_EQ(seen[1].action, "CHANGED");
  EXPECT_NE(seen[1].text.find("\"version\":2"), std::string::npos);
  EXPECT_NE(seen[1].text.find(with_small_count(8)), std::string::npos);
  world.policies.reset();
  world.restart();
  world.open();
  EXPECT_EQ(world.policies->of("default").version, 2u);
  EXPECT_EQ(world.policies->of("default").policy->small_count(), 8u);
}

TEST(Policies, WhatWasChangedSinceIsNotOverwritten) {
  PoliciesWorld world;
  ASSERT_TRUE(world.policies->change(world.administrator(), World::here(), with_small_count(7), 0));
  for (const std::uint64_t expected : {0U, 2U}) {
    const auto late =
        world.policies->change(world.administrator(), World::here(), with_small_count(8), expected);
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().kind, ErrorKind::conflict);
  }
  EXPECT_EQ(world.policies->of("default").policy->small_count(), 7u);
  EXPECT_EQ(world.events().size(), 1u);
}

TEST(Policies, WhatIsNoPolicyChangesNothing) {
  PoliciesWorld world;
  const auto refused = world.policies->change(world.administrator(), World::here(), "{}", 0);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::invalid);
  EXPECT_EQ(world.policies->of("default").version, 0u);
  EXPECT_TRUE(world.events().empty());
}

TEST(Policies, WhoMayGiveARoleIsSaidByThePolicy) {
  const auto policy = Policy::shipped();
  EXPECT_TRUE(policy->may_give("administrator", "legal"));
  EXPECT_FALSE(policy->may_give("administrator", service_role));
  EXPECT_TRUE(policy->may_give(service_role, service_role));
  EXPECT_FALSE(policy->may_give(service_role, "nobody"));
}

}  // namespace
}  // namespace vestige::access
