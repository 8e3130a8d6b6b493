// Property: through any sequence of acts, by those who may and those who may not, with any input, clocks set
// back and restarts, the tenants that there are, who is let in, and which sessions are open is what a naive
// list says; and each act that changed something is told once in the home tenant and once in the tenant
// itself.
#include "access/tenants.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <random>
#include <thread>

#include "access/internal/tenants_store.h"
#include "access/testing/world.h"
#include "base/testing/shared_data.h"

namespace vestige::access {
namespace {

using testing::World;
using Use = Tenants::Use;

// "<tenant of the stream> <action> <target>" of one event.
using Told = std::string;

struct TenantsWorld : World {
  explicit TenantsWorld(std::uint64_t seed = 1) : World(seed) { open(); }
  void open() {
    auto opened = Tenants::open(*database, *outbox, *sessions, clock(), [this](const std::string& tenant) {
      if (provides) provided.push_back(tenant);
      return provides ? Status{} : fail(ErrorKind::unavailable, "the disk is full");
    });
    ASSERT_TRUE(opened) << opened.error().message;
    tenants = *std::move(opened);
  }
  void restart_all() {
    tenants.reset();
    restart();
    open();
  }
  // What waits in the outbox since the last call; texts are kept in `texts`.
  std::vector<Told> told() {
    std::vector<Told> all;
    texts.clear();
    const auto taken = outbox->evict([](const state::OutboxEvent& event) {
      return event.event.find("system.tenant") != std::string::npos;
    });
    EXPECT_TRUE(taken);
    for (const auto& each : taken->events) {
      EXPECT_EQ(each.stream, "audit");
      const auto seen = testing::read_event(each.event);
      EXPECT_EQ(seen.kind, "system.tenant");
      all.push_back(fmt::format("{} {} {}", each.tenant, seen.action, seen.target));
      texts.push_back(each.event);
    }
    return all;
  }
  Result<Tenant> create(const std::string& id, const std::string& name = "A name") {
    return tenants->create(administrator(), here(), {.id = id, .name = name, .tier = Tier::premium});
  }
  Result<Tenant> suspend(std::string_view id) { return tenants->suspend(administrator(), here(), id); }
  Result<Tenant> resume(std::string_view id) { return tenants->resume(administrator(), here(), id); }
  Result<Tenant> set_tier(std::string_view id, Tier tier) {
    return tenants->set_tier(administrator(), here(), id, tier);
  }
  std::string sign_in(const std::string& of_tenant, std::uint8_t account = 1) {
    const auto opened = sessions->open_session(
        {.tenant = of_tenant, .account = make_uuid_v8({account}), .name = "Somebody", .roles = {"legal"}},
        here());
    EXPECT_TRUE(opened) << opened.error().message;
    return opened->token;
  }
  std::unique_ptr<Tenants> tenants;
  std::vector<std::string> texts;
  bool provides = true;
  std::vector<std::string> provided;
};

TEST(Tenants, TheHomeTenantIsThereByItselfAndCannotBeMadeOrSuspended) {
  TenantsWorld world;
  const auto home = world.tenants->find("default");
  ASSERT_TRUE(home);
  EXPECT_EQ(home->tier, Tier::enterprise);
  EXPECT_EQ(world.tenants->list().size(), 1U);
  EXPECT_EQ(world.create("default").error().kind, ErrorKind::conflict);
  EXPECT_EQ(world.suspend("default").error().kind, ErrorKind::conflict);
  EXPECT_TRUE(world.tenants->admit("default", Use::other));
  EXPECT_TRUE(world.told().empty());
  ASSERT_TRUE(world.set_tier("default", Tier::premium));
  EXPECT_EQ(world.told(), std::vector<Told>{"default CHANGED default"});
  world.clock().advance(std::chrono::hours(1));
  world.restart_all();
  EXPECT_EQ(world.tenants->find("default")->tier, Tier::premium);
  EXPECT_EQ(world.tenants->find("default")->created, home->created);
}

TEST(Tenants, IdsAreGoodForPathsAndOrigins) {
  for (const auto* good : {"a", "0", "acme", "a-b", "a--b", "9-lives"})
    EXPECT_TRUE(is_tenant_id(good)) << good;
  EXPECT_TRUE(is_tenant_id(std::string(63, 'a')));
  for (const auto* bad :
       {"", "-", "-a", "a-", "A", "a_b", "a/b", "..", ".", "a b", "\xc3\xbc", "a.b", "default\n"})
    EXPECT_FALSE(is_tenant_id(bad)) << bad;
  EXPECT_FALSE(is_tenant_id(std::string(64, 'a')));
  EXPECT_FALSE(is_tenant_id(std::string_view("a\0b", 3)));
}

TEST(Tenants, WhatIsWrongSaysWhereAndChangesNothing) {
  TenantsWorld world;
  ASSERT_TRUE(world.create("acme"));
  world.told();
  const auto bad_id = world.create("Acme");
  EXPECT_EQ(bad_id.error().kind, ErrorKind::invalid);
  EXPECT_EQ(bad_id.error().path, "/id");
  for (const auto& name : {std::string(), std::string(257, 'x'), std::string("\xff")}) {
    const auto bad_name = world.create("other", name);
    EXPECT_EQ(bad_name.error().kind, ErrorKind::invalid);
    EXPECT_EQ(bad_name.error().path, "/name");
  }
  EXPECT_EQ(world.create("acme").error().kind, ErrorKind::conflict);
  EXPECT_EQ(world.suspend("nobody").error().kind, ErrorKind::not_found);
  EXPECT_EQ(world.resume("nobody").error().kind, ErrorKind::not_found);
  EXPECT_EQ(world.set_tier("nobody", Tier::premium).error().kind, ErrorKind::not_found);
  // Not by anybody of another tenant, whatever roles they have there.
  auto other = world.administrator();
  other.tenant = "acme";
  const auto here = World::here();
  EXPECT_EQ(world.tenants->create(other, here, {.id = "mine", .name = "x"}).error().kind, ErrorKind::denied);
  EXPECT_EQ(world.tenants->set_tier(other, here, "acme", Tier::enterprise).error().kind, ErrorKind::denied);
  EXPECT_EQ(world.tenants->suspend(other, here, "acme").error().kind, ErrorKind::denied);
  EXPECT_EQ(world.tenants->resume(other, here, "acme").error().kind, ErrorKind::denied);
  // What changes nothing is no event.
  ASSERT_TRUE(world.set_tier("acme", Tier::premium));
  ASSERT_TRUE(world.resume("acme"));
  EXPECT_TRUE(world.told().empty());
  EXPECT_EQ(world.tenants->list().size(), 2U);
}

TEST(Tenants, AsManyAsOneTrailTakesAndNoMore) {
  TenantsWorld world;
  for (std::size_t i = 1; i < limits::tenants_max; ++i)
    ASSERT_TRUE(world.create(fmt::format("tenant-{}", i)));
  const auto more = world.create("one-more");
  EXPECT_EQ(more.error().kind, ErrorKind::exhausted);
  EXPECT_EQ(more.error().limit, "tenants_max = 127");
  world.restart_all();
  EXPECT_EQ(world.tenants->list().size(), limits::tenants_max);
}

TEST(Tenants, ASuspendedOneIsLetInNowhereButRecords) {
  TenantsWorld world;
  ASSERT_TRUE(world.create("acme"));
  ASSERT_TRUE(world.create("acme-2"));
  std::vector<std::string> dead, alive;
  for (std::uint8_t account = 0; account < 5; ++account) {
    dead.push_back(world.sign_in("acme", account));
    alive.push_back(world.sign_in("acme-2", account));
    alive.push_back(world.sign_in("default", account));
  }
  ASSERT_TRUE(world.suspend("acme"));
  EXPECT_EQ(world.tenants->admit("acme", Use::other).error().kind, ErrorKind::denied);
  EXPECT_TRUE(world.tenants->admit("acme", Use::record));
  EXPECT_TRUE(world.tenants->admit("acme-2", Use::other));
  for (const auto use : {Use::record, Use::other})
    EXPECT_EQ(world.tenants->admit("nobody", use).error().kind, ErrorKind::denied);
  const auto expect_sessions = [&] {
    for (const auto& token : dead) EXPECT_FALSE(world.sessions->authenticate(token));
    for (const auto& token : alive) EXPECT_TRUE(world.sessions->authenticate(token));
  };
  expect_sessions();
  world.restart_all();
  EXPECT_FALSE(world.tenants->admit("acme", Use::other));
  expect_sessions();
  ASSERT_TRUE(world.resume("acme"));
  EXPECT_TRUE(world.tenants->admit("acme", Use::other));
  expect_sessions();
}

// More than one transaction ends.
TEST(Tenants, AllSessionsEndHoweverManyThereAre) {
  TenantsWorld world;
  ASSERT_TRUE(world.create("acme"));
  const auto kept = world.sign_in("default");
  const auto opened = world.sessions->write([&](state::Transaction& transaction,
                                                Sessions::Changes& changes) -> Result<std::size_t> {
    for (std::size_t i = 0; i < 1'100; ++i) {
      const auto account = make_uuid_v8({static_cast<std::uint8_t>(i), static_cast<std::uint8_t>(i >> 8)});
      VESTIGE_TRY(const auto one,
                  world.sessions->start(transaction, changes,
                                        {.tenant = "acme", .account = account, .name = "x", .roles = {}},
                                        World::here()));
    }
    return 0;
  });
  ASSERT_TRUE(opened) << opened.error().message;
  ASSERT_EQ(world.sessions->size(), 1'101U);
  ASSERT_TRUE(world.suspend("acme"));
  EXPECT_EQ(world.sessions->size(), 1U);
  EXPECT_TRUE(world.sessions->authenticate(kept));
  std::size_t ended = 0;
  for (const auto& seen : world.events()) ended += seen.action == "LOGGED_OUT";
  EXPECT_EQ(ended, 1'100U);
}

// A crash between the two steps of suspending: what is left opens nothing, and less when it is resumed.
TEST(Tenants, SessionsThatACrashLeftEndBeforeTheTenantIsResumed) {
  TenantsWorld world;
  ASSERT_TRUE(world.create("acme"));
  ASSERT_TRUE(world.suspend("acme"));
  const auto left = world.sign_in("acme");
  EXPECT_FALSE(world.tenants->admit("acme", Use::other));
  ASSERT_TRUE(world.resume("acme"));
  EXPECT_FALSE(world.sessions->authenticate(left));
  ASSERT_TRUE(world.suspend("acme"));
  const auto again = world.sign_in("acme");
  ASSERT_TRUE(world.suspend("acme"));
  EXPECT_FALSE(world.sessions->authenticate(again));
}

TEST(Tenants, EachActIsToldInTheHomeTenantWithWhoAndInTheTenantWithout) {
  TenantsWorld world;
  ASSERT_TRUE(world.create("acme", "Acme & \"Sons\""));
  EXPECT_EQ(world.told(), std::vector<Told>{"default CREATED acme"});
  ASSERT_TRUE(world.set_tier("acme", Tier::enterprise));
  EXPECT_EQ(world.told(), (std::vector<Told>{"default CHANGED acme", "acme CHANGED acme"}));
  const auto who = format_uuid(world.administrator().id);
  EXPECT_NE(world.texts[0].find(who), std::string::npos);
  EXPECT_NE(world.texts[0].find("203.0.113.9"), std::string::npos);
  EXPECT_EQ(world.texts[1].find(who), std::string::npos);
  EXPECT_EQ(world.texts[1].find("203.0.113.9"), std::string::npos);
  for (const auto& text : world.texts) {
    EXPECT_NE(text.find(R"("changes":[{"field":"tier","old":"premium","new":"enterprise"}])"),
              std::string::npos);
    EXPECT_NE(text.find(R"("detail":{"name":"Acme & \"Sons\"","tier":"enterprise","state":"active"})"),
              std::string::npos)
        << text;
  }
  ASSERT_TRUE(world.suspend("acme"));
  EXPECT_EQ(world.told(), (std::vector<Told>{"default SUSPENDED acme", "acme SUSPENDED acme"}));
  ASSERT_TRUE(world.resume("acme"));
  EXPECT_EQ(world.told(), (std::vector<Told>{"default RESUMED acme", "acme RESUMED acme"}));
}

// Killed after an act was acknowledged and before the relay ran: the files of that moment have both, the
// state and what tells of it, once.
TEST(Tenants, WhatWasAcknowledgedIsInTheFilesAtThatMoment) {
  TenantsWorld world;
  ASSERT_TRUE(world.create("acme"));
  ASSERT_TRUE(world.create("bolt"));
  const auto dead = world.sign_in("acme");
  ASSERT_TRUE(world.suspend("acme"));
  ASSERT_TRUE(world.set_tier("bolt", Tier::standard));
  TenantsWorld after(2);
  after.tenants.reset();
  after.database.close();
  std::filesystem::copy(
      world.database.folder(), after.database.folder(),
      std::filesystem::copy_options::overwrite_existing | std::filesystem::copy_options::recursive);
  after.clock().set(world.clock().now());
  after.restart_all();
  EXPECT_FALSE(after.tenants->admit("acme", Use::other));
  EXPECT_EQ(after.tenants->find("bolt")->tier, Tier::standard);
  EXPECT_FALSE(after.sessions->authenticate(dead));
  const std::vector<Told> all{"default CREATED acme", "default CREATED bolt", "default SUSPENDED acme",
                              "acme SUSPENDED acme",  "default CHANGED bolt", "bolt CHANGED bolt"};
  EXPECT_EQ(after.told(), all);
  after.restart_all();
  EXPECT_TRUE(after.told().empty());
}

TEST(Tenants, WhatTheDatabaseCannotMeanIsRefused) {
  const std::vector<store::TenantRow> rows{
      {.id = "acme", .name = "x", .tier = "gold", .state = "active"},
      {.id = "acme", .name = "x", .tier = "premium", .state = ""},
      {.id = "../x", .name = "x", .tier = "premium", .state = "active"},
      {.id = "default", .name = "x", .tier = "premium", .state = "suspended"},
  };
  for (const auto& row : rows) {
    TenantsWorld world;
    world.tenants.reset();
    ASSERT_TRUE(world.database->write([&](state::Transaction& transaction) -> Status {
      store::put_tenant(transaction, row);
      return {};
    }));
    const auto opened = Tenants::open(*world.database, *world.outbox, *world.sessions, world.clock(),
                                      [](const std::string&) { return Status{}; });
    ASSERT_FALSE(opened) << row.id;
    EXPECT_EQ(opened.error().kind, ErrorKind::corrupt);
  }
}

TEST(Tenants, NoneIsKnownThatWasNotProvidedFor) {
  TenantsWorld world;
  EXPECT_EQ(world.provided, std::vector<std::string>{"default"});
  world.provided.clear();
  world.provides = false;
  EXPECT_EQ(world.create("acme").error().kind, ErrorKind::unavailable);
  EXPECT_FALSE(world.tenants->find("acme"));
  EXPECT_TRUE(world.tenants->alone());
  EXPECT_TRUE(world.told().empty());
  world.provides = true;
  // What is refused is provided nothing for.
  EXPECT_FALSE(world.create("No id"));
  EXPECT_TRUE(world.provided.empty());
  ASSERT_TRUE(world.create("acme"));
  EXPECT_FALSE(world.create("acme"));
  EXPECT_FALSE(world.tenants->alone());
  EXPECT_EQ(world.provided, std::vector<std::string>{"acme"});
  world.provided.clear();
  world.restart_all();
  EXPECT_EQ(world.provided, (std::vector<std::string>{"acme", "default"}));
}

TEST(Tenants, ALinkForTheirFirstAdministratorIsOnRecordInBoth) {
  TenantsWorld world;
  ASSERT_TRUE(world.create("acme"));
  world.told();
  const auto tenant = *world.tenants->find("acme");
  auto stranger = world.administrator();
  stranger.tenant = "acme";
  EXPECT_EQ(world.tenants->record_offer(stranger, world.here(), tenant).error().kind, ErrorKind::denied);
  EXPECT_TRUE(world.told().empty());
  ASSERT_TRUE(world.tenants->record_offer(world.administrator(), world.here(), tenant));
  EXPECT_EQ(world.told(),
            (std::vector<Told>{"default ADMINISTRATOR_INVITED acme", "acme ADMINISTRATOR_INVITED acme"}));
  EXPECT_EQ(world.tenants->find("acme")->changed, tenant.changed);
}

// Look-ups of other threads see each act whole, and never wait for one.
TEST(Tenants, LookUpsGoOnWhileOthersAct) {
  TenantsWorld world;
  ASSERT_TRUE(world.create("acme"));
  std::atomic<bool> stop = false;
  std::thread reader([&] {
    while (!stop) {
      EXPECT_TRUE(world.tenants->admit("acme", Use::record));
      EXPECT_TRUE(world.tenants->admit("default", Use::other));
      const auto found = world.tenants->find("acme");
      ASSERT_TRUE(found);
      EXPECT_EQ(found->name, "A name");
      EXPECT_GE(world.tenants->list().size(), 2U);
      (void)world.tenants->admit("acme", Use::other);
    }
  });
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(world.suspend("acme"));
    EXPECT_TRUE(world.create(fmt::format("more-{}", i)));
    EXPECT_TRUE(world.resume("acme"));
  }
  stop = true;
  reader.join();
}

struct NaiveTenant {
  std::string name;
  Tier tier;
  bool active = true;
};

class Life {
 public:
  explicit Life(std::uint64_t seed) : random_(seed), world_(seed) {
    model_["default"] = {"default", Tier::enterprise};
  }

  void step() {
    expected_.clear();
    switch (random_() % 10) {
      case 0:
      case 1:
        create();
        break;
      case 2:
      case 3:
        set_tier();
        break;
      case 4:
      case 5:
        set_state();
        break;
      case 6: {
        const auto id = any_id();
        if (model_.contains(id))
          sessions_.emplace_back(id, world_.sign_in(id, static_cast<std::uint8_t>(random_())));
        break;
      }
      case 7:
        world_.clock().set(
            UnixMs{world_.clock().now().value + static_cast<std::int64_t>(random_() % 2'000) - 1'000});
        break;
      case 8:
        if (random_() % 4 == 0) world_.restart_all();
        break;
      default:
        break;
    }
    EXPECT_EQ(world_.told(), expected_);
    verify();
  }

 private:
  std::string any_id() {
    static const std::vector<std::string> ids{"default", "acme", "bolt", "c-3", "Acme", "", "../x"};
    return ids[random_() % ids.size()];
  }
  Tier any_tier() { return std::array{Tier::standard, Tier::premium, Tier::enterprise}[random_() % 3]; }
  Principal anybody() {
    auto by = world_.administrator();
    if (random_() % 8 == 0) by.tenant = "acme";
    return by;
  }
  void expect(const std::string& id, const char* action) {
    expected_.push_back(fmt::format("default {} {}", action, id));
    if (std::string_view(action) != "CREATED" && id != "default")
      expected_.push_back(fmt::format("{0} {1} {0}", id, action));
  }

  void create() {
    const auto by = anybody();
    const auto id = any_id();
    const auto tier = any_tier();
    const auto name = random_() % 6 == 0 ? std::string() : fmt::format("name {}", random_());
    const auto made = world_.tenants->create(by, World::here(), {.id = id, .name = name, .tier = tier});
    const bool may = by.tenant == "default" && is_tenant_id(id) && !name.empty() && !model_.contains(id);
    ASSERT_EQ(made.has_value(), may);
    if (!may) return;
    model_[id] = {name, tier};
    expect(id, "CREATED");
  }
  void set_tier() {
    const auto by = anybody();
    const auto id = any_id();
    const auto tier = any_tier();
    const auto set = world_.tenants->set_tier(by, World::here(), id, tier);
    const bool may = by.tenant == "default" && model_.contains(id);
    ASSERT_EQ(set.has_value(), may);
    if (!may || model_[id].tier == tier) return;
    model_[id].tier = tier;
    expect(id, "CHANGED");
  }
  void set_state() {
    const auto by = anybody();
    const auto id = any_id();
    const bool active = random_() % 2 == 0;
    const auto set = active ? world_.tenants->resume(by, World::here(), id)
                            : world_.tenants->suspend(by, World::here(), id);
    const bool may = by.tenant == "default" && model_.contains(id) && (active || id != "default");
    ASSERT_EQ(set.has_value(), may);
    if (!may) return;
    const bool ends = !active || !model_[id].active;
    if (ends)
      std::erase_if(sessions_, [&](const auto& session) {
        if (session.first != id) return false;
        dead_.push_back(session.second);
        return true;
      });
    if (model_[id].active == active) return;
    model_[id].active = active;
    expect(id, active ? "RESUMED" : "SUSPENDED");
  }

  void verify() {
    const auto all = world_.tenants->list();
    ASSERT_EQ(all.size(), model_.size());
    auto expected = model_.begin();
    for (const auto& tenant : all) {
      const auto& [id, naive] = *expected++;
      ASSERT_EQ(tenant.id, id);
      ASSERT_EQ(tenant.name, naive.name);
      ASSERT_EQ(tenant.tier, naive.tier);
      ASSERT_EQ(tenant.state == TenantState::active, naive.active);
      ASSERT_GE(tenant.changed, tenant.created);
      ASSERT_EQ(world_.tenants->find(id)->changed, tenant.changed);
      ASSERT_TRUE(world_.tenants->admit(id, Use::record));
      ASSERT_EQ(world_.tenants->admit(id, Use::other).has_value(), naive.active);
    }
    for (const auto* nobody : {"Acme", "", "../x"}) ASSERT_FALSE(world_.tenants->admit(nobody, Use::record));
    for (const auto& [id, token] : sessions_) ASSERT_TRUE(world_.sessions->authenticate(token));
    for (const auto& token : dead_) ASSERT_FALSE(world_.sessions->authenticate(token));
  }

  std::mt19937_64 random_;
  TenantsWorld world_;
  std::map<std::string, NaiveTenant> model_;
  std::vector<std::pair<std::string, std::string>> sessions_;  // tenant, token
  std::vector<std::string> dead_;
  std::vector<Told> expected_;
};

TEST(Tenants, AreWhatANaiveListSays) {
  for (std::size_t round = 0; round < vestige::testing::scaled(10); ++round) {
    SCOPED_TRACE(fmt::format("seed {}", vestige::testing::seed() + round));
    Life life(vestige::testing::seed() + round);
    for (int step = 0; step < 80; ++step) {
      life.step();
      if (HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace vestige::access
