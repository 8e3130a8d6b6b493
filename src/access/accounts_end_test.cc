// Defends: from its end on an account lets nobody in, in the words of a wrong password, and has no session,
// whatever a clock that is set back says; that it ended is on record once, and by then for good; who has a
// role that takes an end has one, however the role and the end came about; and an end leaves nobody without
// an administrator. Through any sequence of acts: accounts_model_test.cc.
#include <gtest/gtest.h>

#include "access/testing/world.h"
#include "base/time_text.h"

namespace vestige::access {
namespace {

using testing::good_password;
using testing::World;
using namespace std::chrono_literals;
using Texts = std::vector<std::string>;

constexpr std::int64_t hour_ms = 3'600'000, day_ms = 24 * hour_ms;

class Ending : public ::testing::Test {
 protected:
  UnixMs in(std::int64_t milliseconds) { return world.clock().now() + milliseconds; }
  Result<Account> set_end(const Account& account, std::optional<UnixMs> end) {
    return world.note(world.accounts->set_end(world.administrator(), World::here(), account.id, end));
  }
  Result<Invitation> create(const std::string& name, std::vector<std::string> roles,
                            std::optional<UnixMs> end) {
    return world.note(world.accounts->create(
        world.administrator(), World::here(),
        {.login_name = name, .display_name = name, .roles = std::move(roles), .expires = end}));
  }
  template <typename Outcome>
  void expect_invalid(const Outcome& outcome, std::string_view path, std::string_view words) {
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().kind, ErrorKind::invalid);
    EXPECT_EQ(outcome.error().path, path);
    EXPECT_NE(outcome.error().message.find(words), std::string::npos) << outcome.error().message;
    EXPECT_TRUE(world.events().empty());
  }
  std::string login_error(const std::string& name, const std::string& password = std::string(good_password)) {
    const auto login = world.log_in(name, password, World::here());
    return login ? "let in" : login.error().message;
  }

  World world;
};

TEST_F(Ending, LetsNobodyInAndEndsWhatIsOpen) {
  const auto ada = world.make_account("ada");
  const auto session = world.must_log_in("ada");
  const auto end = in(5'000);
  ASSERT_TRUE(set_end(ada, end));
  world.events();
  EXPECT_EQ(world.sessions->expires(*world.sessions->find(testing::tenant, session.session.id)), end);
  world.clock().advance(4'999ms);
  EXPECT_TRUE(world.sessions->authenticate(session.token));
  const auto late = world.must_log_in("ada");
  EXPECT_EQ(world.sessions->expires(late.session), end);
  world.events();
  world.clock().advance(1ms);
  EXPECT_FALSE(world.sessions->authenticate(session.token));
  EXPECT_FALSE(world.sessions->authenticate(late.token));
  const auto wrong = login_error("ada", "a wrong password");
  EXPECT_EQ(login_error("ada"), wrong);
  EXPECT_EQ(world.accounts->find(world.administrator(), ada.id)->state, Account::State::ended);
  const auto refused = world.events();
  ASSERT_EQ(refused.size(), 2u);
  EXPECT_EQ(refused[0].details, "wrong_password");
  EXPECT_EQ(refused[1].details, "ended");
  // On record once: that the sessions ended, when they did, and that the account did.
  world.clock().advance(30s);
  ASSERT_TRUE(world.sessions->sweep());
  ASSERT_TRUE(world.accounts->sweep());
  const auto told = world.events();
  ASSERT_EQ(told.size(), 3u);
  for (int i = 0; i < 2; ++i)
    EXPECT_NE(told[i].text.find("\"logout_timestamp\":\"" + format_time(end) + "\""), std::string::npos)
        << told[i].text;
  EXPECT_EQ(told[2].action + " " + told[2].type, "ENDED account_ended");
  EXPECT_EQ(told[2].target, format_uuid(ada.id));
  EXPECT_EQ(told[2].details, format_time(end));
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(world.accounts->sweep());
    EXPECT_TRUE(world.events().empty());
    world.restart();
  }
}

TEST_F(Ending, AClockThatIsSetBackOpensNothing) {
  const auto ada = world.make_account("ada");
  ASSERT_TRUE(set_end(ada, in(60'000)));
  const auto session = world.must_log_in("ada");
  world.clock().advance(60s);
  world.clock().set(in(-hour_ms));
  EXPECT_FALSE(world.sessions->authenticate(session.token));
  EXPECT_NE(login_error("ada"), "let in");
  // What is on record stays over, also where nothing else is known any more.
  ASSERT_TRUE(world.accounts->sweep());
  world.events();
  world.restart();
  EXPECT_NE(login_error("ada"), "let in");
  EXPECT_FALSE(world.sessions->authenticate(session.token));
  EXPECT_EQ(world.accounts->find(world.administrator(), ada.id)->state, Account::State::ended);
  // Until somebody says another end, or the same one by the clock as it is now.
  world.events();
  ASSERT_TRUE(set_end(ada, in(hour_ms)));
  EXPECT_EQ(world.acts(), Texts{"UPDATED account_end_set"});
  EXPECT_EQ(login_error("ada"), "let in");
  EXPECT_FALSE(world.sessions->authenticate(session.token));
  // Given before the sweep has seen that it ended: that is told first.
  const auto open = world.must_log_in("ada");
  world.clock().advance(1h);
  world.events();
  ASSERT_TRUE(set_end(ada, in(hour_ms)));
  EXPECT_EQ(world.acts(),
            (Texts{"LOGGED_OUT", "LOGGED_OUT", "ENDED account_ended", "UPDATED account_end_set"}));
  EXPECT_FALSE(world.sessions->authenticate(open.token));
}

TEST_F(Ending, ASessionTakesItsEndOverARestart) {
  const auto ada = world.make_account("ada");
  const auto session = world.must_log_in("ada");
  ASSERT_TRUE(set_end(ada, in(60'000)));
  world.restart();
  ASSERT_TRUE(world.sessions->authenticate(session.token));
  ASSERT_TRUE(set_end(ada, in(90'000)));
  world.clock().advance(89s);
  EXPECT_TRUE(world.sessions->authenticate(session.token));
  ASSERT_TRUE(set_end(ada, std::nullopt));
  world.restart();
  world.clock().advance(1s);
  EXPECT_TRUE(world.sessions->authenticate(session.token));
}

TEST_F(Ending, NoInvitationOutlivesIt) {
  const auto brief = create("ada", {}, in(60'000));
  ASSERT_TRUE(brief);
  EXPECT_EQ(brief->expires, in(60'000));
  EXPECT_EQ(create("bob", {}, in(2 * day_ms))->expires, in(day_ms));
  const auto cut = create("cy", {}, std::nullopt);
  ASSERT_TRUE(cut);
  ASSERT_TRUE(set_end(cut->account, in(60'000)));
  world.clock().advance(60s);
  for (const auto& invitation : {*brief, *cut}) {
    // Also where the account goes on: the link was good until its end.
    ASSERT_EQ(world.accounts->reset_password(world.administrator(), World::here(), invitation.account.id)
                  .error()
                  .kind,
              ErrorKind::conflict);
    ASSERT_TRUE(set_end(invitation.account, in(hour_ms)));
    const auto redeemed =
        world.accounts->redeem_invitation(testing::tenant, invitation.token, good_password, World::here());
    ASSERT_FALSE(redeemed);
    EXPECT_EQ(redeemed.error().kind, ErrorKind::denied);
  }
  const auto again = world.accounts->reset_password(world.administrator(), World::here(), cut->account.id);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->expires, in(hour_ms));
  EXPECT_TRUE(world.accounts->redeem_invitation(testing::tenant, again->token, good_password, World::here()));
}

TEST_F(Ending, IsOnRecordWithWhatItWasBefore) {
  const auto end = in(hour_ms);
  ASSERT_TRUE(create("ada", {"legal"}, end));
  const auto made = world.events();
  EXPECT_NE(made.back().text.find(R"({"field":"expires_at","new":")" + format_time(end) + "\"}"),
            std::string::npos)
      << made.back().text;
  const auto ada = world.accounts->list(world.administrator(), "", 1)->front();
  EXPECT_EQ(ada.expires, end);
  ASSERT_TRUE(set_end(ada, end));
  EXPECT_TRUE(world.events().empty());
  ASSERT_TRUE(set_end(ada, std::nullopt));
  const auto taken = world.events();
  ASSERT_EQ(taken.size(), 1u);
  EXPECT_NE(taken[0].text.find(R"({"field":"expires_at","old":")" + format_time(end) + "\"}"),
            std::string::npos)
      << taken[0].text;
  EXPECT_FALSE(world.accounts->find(world.administrator(), ada.id)->expires);
  expect_invalid(set_end(ada, world.clock().now()), "/expiresAt", "past");
  expect_invalid(create("bob", {}, in(0)), "/expiresAt", "past");
}

TEST_F(Ending, ARoleThatTakesAnEndIsHadByNobodyWithoutOne) {
  const auto latest = in(90 * day_ms), too_late = latest + 1;
  const auto at_the_latest = "at the latest " + format_time(latest);
  for (const auto& end : {std::optional<UnixMs>(), std::optional(too_late)})
    expect_invalid(create("ada", {"legal", "auditor"}, end), "/expiresAt", at_the_latest);
  const auto ada = create("ada", {"legal", "auditor"}, latest);
  ASSERT_TRUE(ada);
  const auto bob = create("bob", {"legal"}, std::nullopt);
  const auto cy = create("cy", {"legal"}, too_late);
  ASSERT_TRUE(bob && cy);
  world.events();
  const auto give = [&](const Invitation& to, std::vector<std::string> roles) {
    return world.accounts->set_roles(world.administrator(), World::here(), to.account.id, roles);
  };
  for (const auto* one : {&*bob, &*cy}) {
    expect_invalid(give(*one, {"legal", "auditor"}), "/roles/1", at_the_latest);
    EXPECT_EQ(world.accounts->find(world.administrator(), one->account.id)->roles, Texts{"legal"});
  }
  expect_invalid(set_end(ada->account, std::nullopt), "/expiresAt", at_the_latest);
  expect_invalid(set_end(ada->account, too_late), "/expiresAt", at_the_latest);
  EXPECT_EQ(world.accounts->find(world.administrator(), ada->account.id)->expires, latest);
  // With an end in time, it may be given; once it is gone, the end may go.
  ASSERT_TRUE(set_end(bob->account, latest));
  EXPECT_TRUE(give(*bob, {"auditor"}));
  EXPECT_TRUE(give(*ada, {"legal"}));
  EXPECT_TRUE(set_end(ada->account, std::nullopt));
  // Later, later.
  world.clock().advance(24h);
  EXPECT_TRUE(set_end(bob->account, in(90 * day_ms)));
}

TEST_F(Ending, LeavesAnAdministratorWhoStays) {
  const Texts role{std::string(administrator_role)};
  const auto ada = world.make_account("ada", std::string(good_password), role);
  const auto expect_last = [&](const Result<Account>& outcome) {
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().kind, ErrorKind::conflict);
  };
  expect_last(set_end(ada, in(hour_ms)));
  const auto guest = create("guest", role, in(hour_ms));
  ASSERT_TRUE(guest);
  expect_last(set_end(ada, in(hour_ms)));
  expect_last(world.accounts->disable(world.administrator(), World::here(), ada.id));
  ASSERT_TRUE(set_end(guest->account, std::nullopt));
  ASSERT_TRUE(set_end(ada, in(hour_ms)));
  expect_last(set_end(guest->account, in(hour_ms)));
  // Where nobody stays at all, a new one comes in by the link once the last one ended.
  World other;
  const auto only = other.accounts->create(
      other.administrator(), World::here(),
      {.login_name = "only", .display_name = "x", .roles = role, .expires = other.clock().now() + hour_ms});
  ASSERT_TRUE(only);
  FirstAdministrator first(*other.accounts);
  EXPECT_FALSE(*first.offer(testing::tenant));
  EXPECT_EQ(other.accounts->disable(other.administrator(), World::here(), only->account.id).error().kind,
            ErrorKind::conflict);
  other.clock().advance(1h);
  EXPECT_TRUE(*first.offer(testing::tenant));
}

}  // namespace
}  // namespace vestige::access
