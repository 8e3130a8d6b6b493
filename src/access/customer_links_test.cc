// Defends: a link is good for its own customer and tenant, until it ends, and once where it says so; no byte
// of it can be changed, and nobody can read in it whose it is.
#include "access/customer_links.h"

#include <gtest/gtest.h>

#include <thread>

#include "access/testing/world.h"
#include "base/encoding.h"

namespace vestige::access {
namespace {

using testing::World;
using namespace std::chrono_literals;

std::string make(World& world, const CustomerLinks::Wanted& wanted) {
  const auto made = world.links->make(world.administrator(), World::here(), wanted);
  EXPECT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->expires, world.clock().now() + wanted.valid.count());
  world.keep_secret(made->token);
  return made->token;
}

TEST(CustomerLinks, OpensOneSessionOnce) {
  World world;
  const auto token = make(world, {.subject = "c-4711", .valid = 1h});
  auto events = world.events();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].type, "customer_link_made");
  EXPECT_EQ(events[0].subject, "c-4711");
  const auto opened = world.links->redeem(testing::tenant, token, World::here());
  ASSERT_TRUE(opened) << opened.error().message;
  const auto principal = world.sessions->authenticate(opened->token)->principal();
  EXPECT_EQ(principal.kind, PrincipalKind::customer);
  EXPECT_EQ(principal.subject, "c-4711");
  EXPECT_EQ(principal.roles, std::vector<std::string>{"customer"});
  EXPECT_EQ(principal.id, opened->session.id);
  EXPECT_EQ(world.acts(), std::vector<std::string>{"LOGGED_IN"});
  for (int i = 0; i < 2; ++i) {
    const auto again = world.note(world.links->redeem(testing::tenant, token, World::here()));
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().kind, ErrorKind::denied);
    events = world.events();
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].details, "used_link");
    EXPECT_EQ(events[0].subject, "c-4711");
    world.restart();
  }
  world.clock().advance(2h);
  EXPECT_TRUE(world.links->sweep());
  EXPECT_FALSE(world.links->redeem(testing::tenant, token, World::here()));
  EXPECT_EQ(world.events()[0].details, "expired_link");
  world.expect_no_secret_said();
}

TEST(CustomerLinks, AUsedOneStaysUsedWhenTheClockIsSetBack) {
  World world;
  const auto token = make(world, {.subject = "c-1", .valid = 1h});
  ASSERT_TRUE(world.links->redeem(testing::tenant, token, World::here()));
  const auto before = world.clock().now();
  world.clock().advance(5h);
  ASSERT_TRUE(world.links->sweep());
  world.clock().set(before);
  EXPECT_FALSE(world.links->redeem(testing::tenant, token, World::here()));
}

TEST(CustomerLinks, AReusableOneUntilItEnds) {
  World world;
  const auto token = make(world, {.subject = "c-1", .valid = 1h, .reusable = true});
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(world.links->redeem(testing::tenant, token, World::here()));
  world.clock().advance(1h);
  EXPECT_FALSE(world.links->redeem(testing::tenant, token, World::here()));
}

TEST(CustomerLinks, NothingElseOpens) {
  World world;
  const auto token = make(world, {.subject = "c-1", .valid = 1h});
  world.events();
  EXPECT_FALSE(world.links->redeem("other", token, World::here()));
  EXPECT_EQ(world.events()[0].details, "wrong_link");
  for (std::size_t at = 0; at < token.size(); ++at) {
    auto changed = token;
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    const auto redeemed = world.links->redeem(testing::tenant, changed, World::here());
    ASSERT_FALSE(redeemed) << at;
    EXPECT_EQ(redeemed.error().kind, ErrorKind::denied);
  }
  for (const auto& wrong :
       {std::string(), std::string("vsl_"), token + "A", token.substr(0, token.size() - 1),
        "vsl_" + std::string(5'000, 'A'), std::string("vsl_\xff")})
    EXPECT_FALSE(world.links->redeem(testing::tenant, wrong, World::here())) << wrong;
  EXPECT_EQ(world.sessions->size(), 0u);
  EXPECT_TRUE(world.links->redeem(testing::tenant, token, World::here()));
}

TEST(CustomerLinks, NobodyReadsWhoseItIs) {
  World world;
  const auto token = make(world, {.subject = "c-4711", .valid = 1h});
  const auto bytes = from_base64url(token.substr(4));
  ASSERT_TRUE(bytes);
  EXPECT_EQ(std::string(bytes->begin(), bytes->end()).find("4711"), std::string::npos);
  // Two subjects of nearly one length make links of one length.
  EXPECT_EQ(token.size(), make(world, {.subject = "c-471123", .valid = 1h}).size());
  EXPECT_NE(token, make(world, {.subject = "c-4711", .valid = 1h}));
}

TEST(CustomerLinks, TheExampleOfTheFormat) {
  World world;
  Key key;
  key.fill(1);
  CustomerLinks links(*world.database, *world.outbox, *world.fields, *world.sessions, *world.failures,
                      world.clock(), world.entropy, key);
  world.clock().set(UnixMs{1'796'222'400'000 - 1});
  const auto opened = links.redeem(
      "default",
      "vsl_AQABAgMEBQYHCAkKC7umIxQXXAd5_nr21jN93bW53nIQ7o1YHm7NXOXH5kjeJtW5iUX0I5kKVwSV8QCAg1b3UCdGo3eFxP_"
      "aAMFWDaKGq3StruaDpbdheNiOTitz",
      World::here());
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(opened->session.subject, "c-4711");
}

TEST(CustomerLinks, WishesThatAreRefused) {
  World world;
  const auto refused = [&](const CustomerLinks::Wanted& wanted, std::string_view path) {
    const auto made = world.links->make(world.administrator(), World::here(), wanted);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().kind, ErrorKind::invalid);
    EXPECT_EQ(made.error().path, path);
  };
  refused({.subject = "", .valid = 1h}, "/subject");
  refused({.subject = std::string(1'025, 'x'), .valid = 1h}, "/subject");
  refused({.subject = "\xff", .valid = 1h}, "/subject");
  refused({.subject = "c-1", .valid = 0ms}, "/validSeconds");
  refused({.subject = "c-1", .valid = limits::single_use_link_valid_max + 1ms}, "/validSeconds");
  refused({.subject = "c-1", .valid = 13h, .reusable = true}, "/validSeconds");
  EXPECT_TRUE(world.events().empty());
}

TEST(CustomerLinks, OfTwoAtTheSameMomentOneWins) {
  for (int round = 0; round < 5; ++round) {
    World world(static_cast<std::uint64_t>(round));
    const auto token = make(world, {.subject = "c-1", .valid = 1h});
    std::atomic<int> won = 0;
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < 4; ++i)
        threads.emplace_back(
            [&] { won += world.links->redeem(testing::tenant, token, World::here()) ? 1 : 0; });
    }
    EXPECT_EQ(won, 1);
    EXPECT_EQ(world.sessions->size(), 1u);
  }
}

}  // namespace
}  // namespace vestige::access
