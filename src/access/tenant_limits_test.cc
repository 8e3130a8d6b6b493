// Property: what one tenant has used up binds that tenant alone. Another can still make everything, and is
// never told by a refusal how much others have.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <soci/soci.h>

#include "access/testing/world.h"

namespace vestige::access {
namespace {

using namespace std::chrono_literals;
using testing::World;

constexpr std::string_view full = "full";  // the tenant that has as much as it may

Principal administrator_of(const World& world, std::string_view tenant) {
  auto principal = world.administrator();
  principal.tenant = std::string(tenant);
  return principal;
}

// As many rows as `count`, made by the database, since the real way to a hundred thousand takes minutes. In
// `columns` and `values`, `n` stands for the row's number.
void fill(World& world, std::string_view table, std::string_view columns, std::string_view values,
          std::size_t count) {
  const auto filled = world.database->write([&](state::Transaction& transaction) -> Status {
    transaction.sql() << fmt::format(
        "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {}) "
        "INSERT INTO {} ({}) SELECT {} FROM numbers",
        count, table, columns, values);
    return {};
  });
  ASSERT_TRUE(filled) << filled.error().message;
}

template <typename Outcome>
void expect_exhausted(const Outcome& outcome, std::string_view limit) {
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().limit, limit);
}

TEST(TenantLimits, Accounts) {
  World world;
  fill(world, "access_accounts",
       "id, tenant, login_name, display_name, sealed_email, email_index, sealed_phone, phone_index, roles, "
       "state, created, sealed_password, must_change_password, sealed_totp, sealed_totp_offered, totp_step, "
       "locked_until",
       "'id ' || n, 'full', 'name ' || n, 'x', '', '', '', '', '', 'invited', 0, '', 0, '', '', 0, 0",
       limits::accounts_max);
  const auto make = [&](std::string_view tenant) {
    return world.accounts->create(administrator_of(world, tenant), World::here(),
                                  {.login_name = "new", .display_name = "New", .roles = {"legal"}});
  };
  expect_exhausted(make(full), "accounts_max = 100000");
  EXPECT_TRUE(make(testing::tenant));
}

TEST(TenantLimits, Keys) {
  World world;
  fill(world, "access_api_keys",
       "id, tenant, name, service, scopes, role, digest, created, expires, ranges, used",
       "'id ' || n, 'full', 'x', '', 'append', '', 'digest ' || n, 0, 0, '', 0", limits::keys_max);
  const auto make = [&](std::string_view tenant) {
    const auto by = administrator_of(world, tenant);
    const auto made = world.keys->make({.name = "feeder", .tenant = std::string(tenant), .role = "legal"});
    EXPECT_TRUE(made);
    return world.keys->add(*made, &by);
  };
  expect_exhausted(make(full), "keys_max = 10000");
  EXPECT_TRUE(make(testing::tenant));
}

TEST(TenantLimits, Sessions) {
  World world;
  const auto sessions = Sessions::open(*world.database, *world.outbox, *world.fields, world.clock(),
                                       world.entropy, Key{9}, {.per_tenant_max = 2})
                            .value();
  std::uint8_t number = 0;
  const auto open = [&](std::string_view tenant) {
    return sessions->open_session({.tenant = std::string(tenant),
                                   .kind = PrincipalKind::account,
                                   .account = make_uuid_v8({++number}),
                                   .name = "Somebody",
                                   .roles = {"legal"},
                                   .method = Method::password},
                                  World::here());
  };
  const auto first = open(full);
  ASSERT_TRUE(first && open(full));
  expect_exhausted(open(full), "sessions_max = 2");
  EXPECT_TRUE(open(testing::tenant));
  ASSERT_TRUE(sessions->log_out(first->token, World::here()));
  EXPECT_TRUE(open(full));
  expect_exhausted(open(full), "sessions_max = 2");
}

TEST(TenantLimits, LinksThatWereUsed) {
  World world;
  fill(world, "access_used_links", "digest, expires, tenant", "'digest ' || n, 9999999999999, 'full'",
       limits::used_links_max);
  const auto redeem = [&](std::string_view tenant) {
    const auto made =
        world.links->make(administrator_of(world, tenant), World::here(), {.subject = "c-1", .valid = 1h});
    EXPECT_TRUE(made);
    return world.links->redeem(tenant, made->token, World::here());
  };
  expect_exhausted(redeem(full), "used_links_max = 1000000");
  EXPECT_TRUE(redeem(testing::tenant));
}

constexpr std::string_view approval_columns =
    "id, tenant, number, rule, operation, role, digest, asker_kind, asker_id, asker_name, asker_person, "
    "state, "
    "asked, expires, ended, subject_index, sealed_subject, sealed_request, sealed_words, sealed_reason, "
    "sealed_comment, decider_kind, decider_id, decider_name, decider_role, decided";

std::string approval_values(std::string_view state, std::string_view ended) {
  return fmt::format(
      "'id ' || n, 'full', 1000000 + n, 'bulk_export', 'exportSearch', 'legal', 'digest ' || n, 'account', "
      "'asker ' || n, 'x', '', '{}', 1, 9999999999999, {}, '', '', '', '', '', '', '', '', '', '', 0",
      state, ended);
}

Result<Approval> ask(World& world, std::string_view tenant, std::string_view why) {
  return world.approvals->ask(administrator_of(world, tenant), World::here(), *Policy::shipped(),
                              {.request = {.operation = "exportSearch",
                                           .method = "POST",
                                           .path = "/api/export",
                                           .body = fmt::format("{{\"text\":\"{}\"}}", why),
                                           .role = "legal"},
                               .rule = "bulk_export",
                               .reason = std::string(why)});
}

TEST(TenantLimits, OpenApprovals) {
  World world;
  fill(world, "access_approvals", approval_columns, approval_values("open", "0"), limits::open_approvals_max);
  expect_exhausted(ask(world, full, "the yearly review"), "open_approvals_max = 5000");
  EXPECT_TRUE(ask(world, testing::tenant, "the yearly review"));
}

TEST(TenantLimits, TheOldestEndedApprovalThatLeavesIsOfTheSameTenant) {
  World world;
  const auto other = ask(world, testing::tenant, "the yearly review");
  ASSERT_TRUE(other && world.approvals->withdraw(world.administrator(), World::here(), other->id));
  world.clock().advance(1s);
  const auto ended = std::to_string(world.clock().now().value);
  fill(world, "access_approvals", approval_columns, approval_values("used", ended), limits::approvals_max);
  EXPECT_TRUE(ask(world, full, "the yearly review"));
  EXPECT_TRUE(world.approvals->find(world.administrator(), *Policy::shipped(), other->id));
  const auto kept = world.database->write([](state::Transaction& transaction) -> Result<int> {
    int count = 0;
    transaction.sql() << "SELECT COUNT(*) FROM access_approvals WHERE tenant = 'full'", soci::into(count);
    return count;
  });
  EXPECT_EQ(kept.value_or(0), static_cast<int>(limits::approvals_max));
}

}  // namespace
}  // namespace vestige::access
