// Defends: who knows name, password and code comes in, and nobody else; whatever is wrong is refused in the
// same words; what is good once works once; each act is exactly one event, none where it is refused; and no
// secret is ever said.
#include "access/accounts.h"

#include <gtest/gtest.h>

#include <thread>

#include "access/internal/accounts_store.h"
#include "access/testing/world.h"
#include "access/totp.h"

namespace vestige::access {
namespace {

using testing::good_password;
using testing::World;
using namespace std::chrono_literals;
using Texts = std::vector<std::string>;

constexpr std::string_view other_password = "seven brass lanterns swing";

Bytes from_base32(std::string_view text) {
  Bytes out;
  std::uint32_t waiting = 0;
  unsigned bits = 0;
  for (const char c : text) {
    waiting = (waiting << 5) | static_cast<std::uint32_t>(c >= 'A' ? c - 'A' : c - '2' + 26);
    if ((bits += 5) >= 8) out.push_back(static_cast<std::uint8_t>(waiting >> (bits -= 8)));
  }
  return out;
}

// With a second factor and its recovery codes.
struct Enrolled {
  Sessions::Opened session;
  Bytes secret;
  Texts recovery_codes;
  std::string code(World& world, std::int64_t off = 0) const {
    return totp_code(secret, totp_step(world.clock().now()) + off);
  }
};
Enrolled enrol(World& world, const std::string& login_name) {
  const auto session = world.must_log_in(login_name);
  const auto self = session.session.principal();
  const auto offer = world.accounts->offer_second_factor(self, World::here(), {std::string(good_password)});
  EXPECT_TRUE(offer) << offer.error().message;
  Enrolled enrolled{.session = {}, .secret = from_base32(offer->secret), .recovery_codes = {}};
  EXPECT_NE(offer->uri.find(offer->secret), std::string::npos);
  const auto set = world.accounts->confirm_second_factor(self, World::here(), enrolled.code(world));
  EXPECT_TRUE(set) << set.error().message;
  enrolled.session = set->session;
  enrolled.recovery_codes = set->recovery_codes;
  world.keep_secret(offer->secret);
  for (const auto& code : set->recovery_codes) world.keep_secret(code);
  world.events();
  world.clock().advance(30s);
  return enrolled;
}

bool is_denied(const Result<Login>& login) { return !login && login.error().kind == ErrorKind::denied; }

TEST(Accounts, AnInvitationAndALogin) {
  World world;
  const auto invited = world.accounts->create(world.administrator(), World::here(),
                                              {.login_name = "Ada.L",
                                               .display_name = "Ada Lovelace",
                                               .email = "ada@Example.org",
                                               .phone = "+27 82 123 4567",
                                               .roles = {"legal", "management"}});
  ASSERT_TRUE(invited) << invited.error().message;
  world.keep_secret(invited->token);
  EXPECT_EQ(invited->account.login_name, "ada.l");
  EXPECT_EQ(invited->account.phone, "+27821234567");
  EXPECT_FALSE(invited->account.has_password);
  EXPECT_EQ(world.acts(), Texts{"CREATED account_created"});
  // Nobody comes in before a password is set, with none in particular.
  EXPECT_TRUE(is_denied(world.log_in("ada.l", "", World::here())));
  EXPECT_EQ(world.events()[0].details, "wrong_password");
  EXPECT_EQ(
      world.note(world.accounts->redeem_invitation(testing::tenant, invited->token, "short", World::here()))
          .error()
          .kind,
      ErrorKind::invalid);
  EXPECT_TRUE(world.events().empty());
  ASSERT_TRUE(
      world.accounts->redeem_invitation(testing::tenant, invited->token, good_password, World::here()));
  EXPECT_EQ(world.acts(), Texts{"UPDATED password_changed"});
  EXPECT_FALSE(
      world.accounts->redeem_invitation(testing::tenant, invited->token, other_password, World::here()));
  EXPECT_EQ(world.events()[0].details, "wrong_invitation");
  const auto session = world.must_log_in("ADA.L");
  EXPECT_EQ(session.session.roles, (Texts{"legal", "management"}));
  EXPECT_EQ(session.session.method, Method::password);
  EXPECT_EQ(world.acts(), Texts{"LOGGED_IN"});
  const auto found = world.accounts->find(world.administrator(), invited->account.id);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->email, "ada@example.org");
  EXPECT_TRUE(found->has_password);
  world.keep_secret(std::string(good_password));
  world.keep_secret(session.token);
  world.expect_no_secret_said();
}

TEST(Accounts, WhateverIsWrongIsRefusedInTheSameWords) {
  World world;
  const auto ada = world.make_account("ada");
  world.make_account("bob");
  ASSERT_TRUE(world.accounts->disable(world.administrator(), World::here(), world.make_account("gone").id));
  world.events();
  Texts words, why;
  for (const auto& [name, password] :
       std::vector<std::pair<std::string, std::string>>{{"ada", "a wrong password"},
                                                        {"nobody", std::string(good_password)},
                                                        {"gone", std::string(good_password)},
                                                        {"", ""},
                                                        {"my password typed here by mistake!", "x"},
                                                        {"ada' OR '1'='1", "x"},
                                                        {"\xff", "\xff"}}) {
    const auto login = world.log_in(name, password, World::here());
    ASSERT_TRUE(is_denied(login)) << name;
    words.push_back(login.error().message);
    const auto events = world.events();
    ASSERT_EQ(events.size(), 1u) << name;
    EXPECT_EQ(events[0].kind, "access.security");
    EXPECT_EQ(events[0].action, "FAILED");
    EXPECT_EQ(events[0].type, "failed_login");
    why.push_back(events[0].details);
    EXPECT_EQ(events[0].text.find("typed here"), std::string::npos);
    EXPECT_EQ(events[0].text.find("nobody"), std::string::npos);
    if (name == "ada") EXPECT_EQ(events[0].target, format_uuid(ada.id));
    if (name == "nobody") EXPECT_EQ(events[0].target.size(), 64u) << "a keyed index";
    world.clock().advance(3h);
  }
  EXPECT_EQ(std::ranges::count(words, words.front()), static_cast<std::ptrdiff_t>(words.size()));
  EXPECT_EQ(why, (Texts{"wrong_password", "unknown_name", "disabled", "unknown_name", "unknown_name",
                        "unknown_name", "unknown_name"}));
}

TEST(Accounts, ALockIsSilentAndForOneAddress) {
  World world;
  world.make_account("ada");
  const auto attacker = World::from("198.51.100.4");
  std::string words;
  for (std::uint32_t i = 1; i <= limits::pair_failures_max; ++i)
    words = world.log_in("ada", "a wrong password", attacker).error().message;
  auto events = world.events();
  ASSERT_EQ(events.size(), limits::pair_failures_max);
  EXPECT_EQ(events.back().action, "LOCKED");
  EXPECT_EQ(events.back().response, "Locked for this address for 30 s.");
  // The right password says the same as a wrong one, and does not lengthen the lock.
  for (int i = 0; i < 3; ++i) {
    const auto login = world.log_in("ada", std::string(good_password), attacker);
    ASSERT_TRUE(is_denied(login));
    EXPECT_EQ(login.error().message, words);
    events = world.events();
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].details, "locked");
    EXPECT_EQ(events[0].action, "FAILED");
  }
  EXPECT_TRUE(world.log_in("ada", std::string(good_password), World::from("198.51.100.5")));
  world.clock().advance(limits::first_lock);
  EXPECT_TRUE(world.log_in("ada", std::string(good_password), attacker));
}

TEST(Accounts, ANetworkThatFailsTooOftenIsToldSoWhateverItTries) {
  World world;
  world.make_account("ada");
  const auto attacker = World::from("2001:db8::1");
  for (std::uint32_t i = 1; i <= limits::address_failures_max; ++i)
    EXPECT_TRUE(is_denied(world.log_in("name" + std::to_string(i), "x", attacker)));
  EXPECT_EQ(world.events().back().response, "The address is locked for 30 s.");
  for (const auto* name : {"ada", "nobody"}) {
    const auto login = world.log_in(name, std::string(good_password), World::from("2001:db8::2"));
    ASSERT_FALSE(login);
    EXPECT_EQ(login.error().kind, ErrorKind::unavailable);
    EXPECT_EQ(world.events()[0].details, "address_locked");
  }
  EXPECT_TRUE(world.log_in("ada", std::string(good_password), World::here()));
  world.clock().advance(limits::first_lock);
  EXPECT_TRUE(world.log_in("ada", std::string(good_password), attacker));
}

TEST(Accounts, AnAccountWideLockOutlivesARestartAndSparesKnownAddresses) {
  World world;
  const auto ada = world.make_account("ada");
  world.must_log_in("ada");
  world.events();
  std::size_t told = 0;
  bool locked = false;
  for (std::uint32_t i = 1; i <= limits::account_failures_max; ++i) {
    EXPECT_TRUE(
        is_denied(world.log_in("ada", "a wrong password", World::from("10.0." + std::to_string(i) + ".1"))));
    for (const auto& seen : world.events()) {
      ++told;
      locked = locked || seen.response.find("Locked for 900 s") != std::string::npos;
    }
  }
  EXPECT_TRUE(locked);  // although the minute's events were spent by then
  EXPECT_EQ(told, limits::failure_events_per_minute_max + 1);
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(is_denied(world.log_in("ada", std::string(good_password), World::from("192.0.2.1"))));
    EXPECT_TRUE(world.log_in("ada", std::string(good_password), World::here()));
    EXPECT_TRUE(world.accounts->find(world.administrator(), ada.id)->locked_until);
    world.restart();
  }
  world.clock().advance(1min);
  world.events();
  ASSERT_TRUE(world.accounts->unlock(world.administrator(), World::here(), ada.id));
  EXPECT_EQ(world.acts(), Texts{"UNLOCKED account_unlocked"});
  EXPECT_TRUE(world.log_in("ada", std::string(good_password), World::from("192.0.2.1")));
}

TEST(Accounts, FailuresPastTheMinutesShareAreToldAsASum) {
  World world;
  world.make_account("ada");
  std::size_t made = 0;
  for (std::uint32_t i = 0; i < limits::failure_events_per_minute_max + 25; ++i, ++made)
    EXPECT_TRUE(
        is_denied(world.log_in("name" + std::to_string(i), "x", World::from("10.1.0." + std::to_string(i)))));
  EXPECT_EQ(world.events().size(), limits::failure_events_per_minute_max);
  ASSERT_TRUE(world.failures->sweep());
  EXPECT_TRUE(world.events().empty());  // the minute is not over
  world.clock().advance(1min);
  ASSERT_TRUE(world.failures->sweep());
  auto events = world.events();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].action, "COUNTED");
  EXPECT_EQ(events[0].details, "25 more were counted and not told one by one");
  ASSERT_TRUE(world.failures->sweep());
  EXPECT_TRUE(world.events().empty());
  EXPECT_TRUE(is_denied(world.log_in("again", "x", World::here())));
  EXPECT_EQ(world.events().size(), 1u);
}

TEST(Accounts, ANewPasswordEndsOtherSessionsAndRenewsTheToken) {
  World world;
  const auto ada = world.make_account("ada");
  const auto other = world.must_log_in("ada");
  const auto own = world.must_log_in("ada");
  const auto self = own.session.principal();
  world.events();
  const auto wrong =
      world.note(world.accounts->change_password(self, World::here(), {"a wrong password"}, other_password));
  EXPECT_EQ(wrong.error().kind, ErrorKind::denied);
  EXPECT_EQ(world.acts(), Texts{"FAILED failed_login"});
  EXPECT_EQ(world.accounts->change_password(self, World::here(), {std::string(good_password)}, good_password)
                .error()
                .path,
            "/password");
  EXPECT_EQ(world.accounts
                ->change_password(world.administrator(), World::here(), {std::string(good_password)},
                                  other_password)
                .error()
                .kind,
            ErrorKind::denied);
  EXPECT_TRUE(world.events().empty());
  const auto changed =
      world.accounts->change_password(self, World::here(), {std::string(good_password)}, other_password);
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_EQ(world.acts(), (Texts{"UPDATED password_changed", "LOGGED_OUT"}));
  EXPECT_EQ(changed->session.id, own.session.id);
  EXPECT_FALSE(world.sessions->authenticate(other.token));
  EXPECT_FALSE(world.sessions->authenticate(own.token));
  EXPECT_TRUE(world.sessions->authenticate(changed->token));
  EXPECT_TRUE(is_denied(world.log_in("ada", std::string(good_password), World::here())));
  world.restart();
  EXPECT_FALSE(world.sessions->authenticate(own.token));
  EXPECT_TRUE(world.sessions->authenticate(changed->token));
  world.must_log_in("ada", std::string(other_password));
  for (const auto& secret :
       {std::string(good_password), std::string(other_password), own.token, changed->token})
    world.keep_secret(secret);
  world.expect_no_secret_said();
}

TEST(Accounts, APasswordThatHasToBeChangedLetsInToThatOnly) {
  World world;
  const auto ada = world.make_account("ada");
  const auto before = world.must_log_in("ada");
  world.events();
  ASSERT_TRUE(world.accounts->require_password_change(world.administrator(), World::here(), ada.id));
  EXPECT_EQ(world.acts(), (Texts{"LOGGED_OUT", "UPDATED password_change_required"}));
  ASSERT_TRUE(world.accounts->require_password_change(world.administrator(), World::here(), ada.id));
  EXPECT_TRUE(world.events().empty());  // nothing was done
  EXPECT_FALSE(world.sessions->authenticate(before.token));
  const auto session = world.must_log_in("ada");
  EXPECT_TRUE(session.session.restricted);
  const auto self = session.session.principal();
  EXPECT_TRUE(self.roles.empty());
  // A new second factor renews the token, and grants nothing else.
  const auto offer = world.accounts->offer_second_factor(self, World::here(), {std::string(good_password)});
  const auto secret = from_base32(offer->secret);
  const auto set = world.accounts->confirm_second_factor(self, World::here(),
                                                         totp_code(secret, totp_step(world.clock().now())));
  ASSERT_TRUE(set);
  EXPECT_TRUE(world.sessions->authenticate(set->session.token)->principal().roles.empty());
  world.restart();
  EXPECT_TRUE(world.sessions->authenticate(set->session.token)->principal().roles.empty());
  ASSERT_TRUE(world.accounts->remove_second_factor(world.administrator(), World::here(), ada.id));
  const auto again = world.must_log_in("ada").session.principal();
  const auto changed =
      world.accounts->change_password(again, World::here(), {std::string(good_password)}, other_password);
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_EQ(world.sessions->authenticate(changed->token)->principal().roles, Texts{"legal"});
  EXPECT_FALSE(world.must_log_in("ada", std::string(other_password)).session.restricted);
}

TEST(Accounts, AResetLinkIsGoodOnceAndReplacesTheOneBefore) {
  World world;
  const auto ada = world.make_account("ada");
  const auto session = world.must_log_in("ada");
  world.events();
  const auto first = world.accounts->reset_password(world.administrator(), World::here(), ada.id);
  const auto second = world.accounts->reset_password(world.administrator(), World::here(), ada.id);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(world.acts(), (Texts{"UPDATED password_reset_offered", "UPDATED password_reset_offered"}));
  EXPECT_TRUE(world.sessions->authenticate(session.token));
  const auto redeem = [&](const std::string& token, std::string_view tenant = testing::tenant) {
    return world.accounts->redeem_invitation(tenant, token, other_password, World::here());
  };
  EXPECT_FALSE(redeem(first->token));
  EXPECT_FALSE(redeem(second->token, "other"));
  ASSERT_TRUE(redeem(second->token));
  EXPECT_FALSE(redeem(second->token));
  EXPECT_FALSE(world.sessions->authenticate(session.token));
  world.must_log_in("ada", std::string(other_password));
  const auto third = world.accounts->reset_password(world.administrator(), World::here(), ada.id);
  world.clock().advance(limits::one_time_link_valid);
  EXPECT_FALSE(redeem(third->token));
  EXPECT_TRUE(world.accounts->sweep());
  const auto fourth = world.accounts->reset_password(world.administrator(), World::here(), ada.id);
  ASSERT_TRUE(world.accounts->disable(world.administrator(), World::here(), ada.id));
  ASSERT_TRUE(world.accounts->enable(world.administrator(), World::here(), ada.id));
  EXPECT_FALSE(redeem(fourth->token));
  for (const auto& invitation : {first, second, third, fourth}) world.keep_secret(invitation->token);
  world.expect_no_secret_said();
}

TEST(Accounts, ASecondFactorCountsOnceConfirmed) {
  World world;
  world.make_account("ada");
  const auto session = world.must_log_in("ada");
  const auto other = world.must_log_in("ada");
  const auto self = session.session.principal();
  world.events();
  EXPECT_EQ(world.accounts->confirm_second_factor(self, World::here(), "123456").error().kind,
            ErrorKind::conflict);
  EXPECT_EQ(world.accounts->offer_second_factor(self, World::here(), {"a wrong password"}).error().kind,
            ErrorKind::denied);
  EXPECT_EQ(world.acts(), Texts{"FAILED failed_login"});
  const auto offer = world.accounts->offer_second_factor(self, World::here(), {std::string(good_password)});
  ASSERT_TRUE(offer);
  EXPECT_TRUE(world.events().empty());  // it counts for nothing yet
  world.must_log_in("ada");
  EXPECT_EQ(world.note(world.accounts->confirm_second_factor(self, World::here(), "12345")).error().path,
            "/code");
  world.events();
  const auto code = totp_code(from_base32(offer->secret), totp_step(world.clock().now()));
  const auto set = world.accounts->confirm_second_factor(self, World::here(), code);
  ASSERT_TRUE(set) << set.error().message;
  EXPECT_EQ(set->recovery_codes.size(), limits::recovery_codes);
  EXPECT_FALSE(world.sessions->authenticate(session.token));
  EXPECT_FALSE(world.sessions->authenticate(other.token));
  EXPECT_TRUE(world.sessions->authenticate(set->session.token));
  EXPECT_EQ(world.acts(), (Texts{"UPDATED second_factor_set", "LOGGED_OUT", "LOGGED_OUT"}));
  world.keep_secret(offer->secret);
  world.expect_no_secret_said();
}

TEST(Accounts, ACodeIsGoodOnce) {
  World world;
  world.make_account("ada");
  const auto ada = enrol(world, "ada");
  const std::string password(good_password);
  auto login = world.log_in("ada", password, World::here());
  ASSERT_TRUE(login);
  EXPECT_TRUE(std::holds_alternative<CodeNeeded>(*login));
  EXPECT_TRUE(world.events().empty());
  const auto code = ada.code(world);
  EXPECT_EQ(world.must_log_in("ada", password, code).session.method, Method::mfa);
  EXPECT_EQ(world.acts(), Texts{"LOGGED_IN"});
  world.restart();
  EXPECT_TRUE(is_denied(world.log_in("ada", password, World::here(), code)));
  EXPECT_EQ(world.events()[0].details, "wrong_code");
  EXPECT_TRUE(is_denied(world.log_in("ada", password, World::here(), ada.code(world, -1))));
  EXPECT_TRUE(is_denied(world.log_in("ada", "a wrong password", World::here(), ada.code(world, 1))));
  world.must_log_in("ada", password, ada.code(world, 1));
  // A recovery code, once, in any spelling.
  auto spelt = ada.recovery_codes[0];
  std::erase(spelt, '-');
  std::ranges::transform(spelt, spelt.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  world.events();
  world.must_log_in("ada", password, spelt);
  EXPECT_EQ(world.acts(), (Texts{"USED recovery_code_used", "LOGGED_IN"}));
  EXPECT_TRUE(is_denied(world.log_in("ada", password, World::here(), ada.recovery_codes[0])));
  world.must_log_in("ada", password, ada.recovery_codes[1]);
  world.expect_no_secret_said();
}

TEST(Accounts, WithASecondFactorEveryChangeTakesACode) {
  World world;
  const auto account = world.make_account("ada");
  const auto ada = enrol(world, "ada");
  const std::string password(good_password);
  const auto self = ada.session.session.principal();
  EXPECT_FALSE(world.accounts->change_password(self, World::here(), {password}, other_password));
  EXPECT_FALSE(world.accounts->offer_second_factor(self, World::here(), {password, "000000"}));
  EXPECT_EQ(world.acts(), (Texts{"FAILED failed_login", "FAILED failed_login"}));
  const auto codes = world.accounts->renew_recovery_codes(self, World::here(), {password, ada.code(world)});
  ASSERT_TRUE(codes) << codes.error().message;
  EXPECT_EQ(world.acts(), Texts{"UPDATED recovery_codes_renewed"});
  EXPECT_FALSE(
      world.accounts->change_password(self, World::here(), {password, ada.code(world)}, other_password));
  EXPECT_TRUE(is_denied(world.log_in("ada", password, World::here(), ada.recovery_codes[0])));
  EXPECT_TRUE(world.log_in("ada", password, World::here(), codes->front()));
  world.events();
  ASSERT_TRUE(world.accounts->remove_second_factor(world.administrator(), World::here(), account.id));
  EXPECT_EQ(world.acts(), (Texts{"LOGGED_OUT", "LOGGED_OUT", "UPDATED second_factor_removed"}));
  world.must_log_in("ada");
}

TEST(Accounts, RolesAndStatesEndSessionsAndTheLastAdministratorStays) {
  World world;
  const auto by = world.administrator();
  const auto ada = world.make_account("ada", std::string(good_password), {"administrator"});
  const auto bob = world.make_account("bob");
  const auto session = world.must_log_in("bob");
  world.events();
  const auto changed = world.accounts->set_roles(by, World::here(), bob.id, {"management", "administrator"});
  ASSERT_TRUE(changed);
  EXPECT_FALSE(world.sessions->authenticate(session.token));
  auto events = world.events();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_NE(
      events[1].text.find(R"("changes":[{"field":"roles","old":"legal","new":"management,administrator"}])"),
      std::string::npos)
      << events[1].text;
  EXPECT_TRUE(world.accounts->set_roles(by, World::here(), bob.id, {"management", "administrator"}));
  EXPECT_TRUE(world.events().empty());
  ASSERT_TRUE(world.accounts->disable(by, World::here(), ada.id));
  EXPECT_EQ(world.acts(), Texts{"DISABLED account_disabled"});
  for (const auto& refused : {world.accounts->disable(by, World::here(), bob.id),
                              world.accounts->set_roles(by, World::here(), bob.id, {"legal"}),
                              world.accounts->set_roles(by, World::here(), bob.id, {})}) {
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::conflict);
  }
  for (const auto& roles : {Texts{"nobody"}, Texts{"legal", "legal"}, Texts{"le,gal"}, Texts(17, "legal")})
    EXPECT_EQ(world.accounts->set_roles(by, World::here(), bob.id, roles).error().kind, ErrorKind::invalid);
  auto stranger = by;
  stranger.tenant = "other";
  EXPECT_EQ(world.accounts->disable(stranger, World::here(), ada.id).error().kind, ErrorKind::not_found);
  EXPECT_EQ(world.accounts->find(stranger, ada.id).error().kind, ErrorKind::not_found);
  EXPECT_TRUE(world.accounts->list(stranger, "", 10)->empty());
  EXPECT_TRUE(world.events().empty());
  ASSERT_TRUE(world.accounts->enable(by, World::here(), ada.id));
  EXPECT_TRUE(world.accounts->disable(by, World::here(), bob.id));
  EXPECT_EQ(world.accounts->list(by, "", 1)->front().login_name, "ada");
  EXPECT_EQ(world.accounts->list(by, "ada", 10)->size(), 1u);
}

TEST(Accounts, WishesThatAreRefused) {
  World world;
  world.make_account("ada");
  const auto refused = [&](const NewAccount& wanted, std::string_view path) {
    const auto made = world.accounts->create(world.administrator(), World::here(), wanted);
    ASSERT_FALSE(made) << path;
    EXPECT_EQ(made.error().path, path);
  };
  refused({.login_name = "", .display_name = "x"}, "/loginName");
  refused({.login_name = "has blank", .display_name = "x"}, "/loginName");
  refused({.login_name = std::string(129, 'a'), .display_name = "x"}, "/loginName");
  refused({.login_name = "bob", .display_name = ""}, "/displayName");
  refused({.login_name = "bob", .display_name = "\xff"}, "/displayName");
  refused({.login_name = "bob", .display_name = "Bob", .email = "no address"}, "/email");
  refused({.login_name = "bob", .display_name = "Bob", .phone = "12"}, "/phone");
  refused({.login_name = "bob", .display_name = "Bob", .roles = {"nobody"}}, "/roles/0");
  const auto taken = world.accounts->create(world.administrator(), World::here(),
                                            {.login_name = "ADA", .display_name = "x"});
  EXPECT_EQ(taken.error().kind, ErrorKind::conflict);
  NewAccount with_email{.login_name = "bob", .display_name = "Bob", .email = "bob@example.org"};
  EXPECT_TRUE(world.accounts->create(world.administrator(), World::here(), with_email));
  with_email.login_name = "bob2";
  with_email.email = "BOB@example.org";
  EXPECT_EQ(world.accounts->create(world.administrator(), World::here(), with_email).error().kind,
            ErrorKind::conflict);
}

TEST(Accounts, AHashOfAnotherCostIsReplacedAtTheNextLogin) {
  World world(1, {.memory_kib = 16, .passes = 1});
  world.make_account("ada");
  PasswordHasher dearer(world.entropy, {.memory_kib = 24, .passes = 2});
  Accounts accounts({*world.database, *world.outbox, *world.fields, *world.sessions, dearer, *world.failures,
                     world.clock(), world.entropy, [](auto, auto) { return RoleTerms{}; }});
  const auto stored_hash = [&] {
    const auto hash = world.database->read([&](state::Transaction& transaction) -> Result<std::string> {
      const auto row = store::find_by_login_name(transaction, std::string(testing::tenant), "ada");
      return world.fields->open("account.password", row->id, row->sealed_password);
    });
    EXPECT_TRUE(hash);
    return *hash;
  };
  EXPECT_TRUE(stored_hash().starts_with("$argon2id$v=19$m=16,t=1,p=1$"));
  const LoginRequest request{std::string(testing::tenant), "ada", std::string(good_password)};
  ASSERT_FALSE(accounts.log_in({request.tenant, request.login_name, "a wrong password"}, World::here()));
  EXPECT_TRUE(stored_hash().starts_with("$argon2id$v=19$m=16,t=1,p=1$"));
  ASSERT_TRUE(accounts.log_in(request, World::here()));
  EXPECT_TRUE(stored_hash().starts_with("$argon2id$v=19$m=24,t=2,p=1$"));
  ASSERT_TRUE(accounts.log_in(request, World::here()));
}

// Does something once, when random bytes are asked for: between the check of a password, of which the hash is
// then made anew, and the transaction that opens the session.
class Interfering final : public platform::Entropy {
 public:
  explicit Interfering(platform::Entropy& entropy) : entropy_(entropy) {}
  void fill(std::span<std::uint8_t> out) override {
    if (auto act = std::exchange(once, {})) act();
    entropy_.fill(out);
  }
  std::function<void()> once;

 private:
  platform::Entropy& entropy_;
};

TEST(Accounts, WhatWasCheckedHasToHoldStillUntilTheSessionIsOpen) {
  World world(1, {.memory_kib = 16, .passes = 1});
  const auto ada = world.make_account("ada");
  Interfering entropy(world.entropy);
  PasswordHasher dearer(entropy, {.memory_kib = 24, .passes = 1});
  Accounts accounts({*world.database, *world.outbox, *world.fields, *world.sessions, dearer, *world.failures,
                     world.clock(), world.entropy, [](auto, auto) { return RoleTerms{}; }});
  const LoginRequest request{std::string(testing::tenant), "ada", std::string(good_password)};
  const auto by = world.administrator();
  entropy.once = [&] { EXPECT_TRUE(world.accounts->disable(by, World::here(), ada.id)); };
  EXPECT_FALSE(accounts.log_in(request, World::here()));
  EXPECT_FALSE(entropy.once);
  ASSERT_TRUE(world.accounts->enable(by, World::here(), ada.id));
  entropy.once = [&] {
    const auto link = world.accounts->reset_password(by, World::here(), ada.id);
    EXPECT_TRUE(
        world.accounts->redeem_invitation(testing::tenant, link->token, other_password, World::here()));
  };
  EXPECT_FALSE(accounts.log_in(request, World::here()));
  EXPECT_FALSE(entropy.once);
  EXPECT_EQ(world.sessions->size(), 0u);
  EXPECT_FALSE(accounts.log_in(request, World::here()));
  EXPECT_TRUE(accounts.log_in({request.tenant, "ada", std::string(other_password)}, World::here()));
}

TEST(FirstAdministrator, ComesInOnceWhileThereIsNone) {
  World world;
  FirstAdministrator first(*world.accounts);
  const auto old = first.offer(testing::tenant);
  const auto offered = first.offer(testing::tenant);
  ASSERT_TRUE(old && *old && offered && *offered);
  const auto redeem = [&](const std::string& token, const std::string& name = "root.user") {
    return world.note(first.redeem(testing::tenant, token, name, good_password, World::here()));
  };
  EXPECT_EQ(redeem(**old).error().kind, ErrorKind::denied);  // replaced at each start
  EXPECT_EQ(redeem("").error().kind, ErrorKind::denied);
  EXPECT_EQ(world.acts(), (Texts{"FAILED failed_login", "FAILED failed_login"}));
  EXPECT_EQ(first.redeem(testing::tenant, **offered, "root.user", "short", World::here()).error().kind,
            ErrorKind::invalid);
  EXPECT_FALSE(first.redeem("other", **offered, "root.user", good_password, World::here()));
  world.events();
  const auto made = redeem(**offered);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(world.acts(), Texts{"CREATED first_administrator_created"});
  EXPECT_EQ(made->roles, Texts{"administrator"});
  EXPECT_FALSE(redeem(**offered, "second.user"));
  EXPECT_FALSE(*first.offer(testing::tenant));
  EXPECT_TRUE(*first.offer("other"));
  world.must_log_in("root.user");
  world.keep_secret(**old);
  world.keep_secret(**offered);
  world.expect_no_secret_said();
}

TEST(FirstAdministrator, TheLinkEndsAfterADay) {
  World world;
  FirstAdministrator first(*world.accounts);
  const auto offered = first.offer(testing::tenant);
  world.clock().advance(limits::one_time_link_valid);
  EXPECT_FALSE(first.redeem(testing::tenant, **offered, "root.user", good_password, World::here()));
}

// --- two at the same moment ---

template <typename Try>
int winners(int threads, Try&& attempt) {
  std::atomic<int> won = 0;
  std::vector<std::jthread> running;
  for (int i = 0; i < threads; ++i) running.emplace_back([&won, &attempt, i] { won += attempt(i) ? 1 : 0; });
  running.clear();
  return won;
}

TEST(Accounts, OfSeveralAtTheSameMomentOneWins) {
  for (std::uint64_t round = 0; round < 3; ++round) {
    World world(round);
    const auto account = world.make_account("ada");
    const auto ada = enrol(world, "ada");
    const std::string password(good_password);
    const auto code = ada.code(world);
    const auto log_in = [&](const std::string& with) {
      return world.accounts->log_in({std::string(testing::tenant), "ada", password, with}, World::here())
          .has_value();
    };
    EXPECT_EQ(winners(3, [&](int) { return log_in(code); }), 1);
    EXPECT_EQ(winners(3, [&](int) { return log_in(ada.recovery_codes[3]); }), 1);
    const auto link = world.accounts->reset_password(world.administrator(), World::here(), account.id);
    EXPECT_EQ(winners(3,
                      [&](int) {
                        return world.accounts
                            ->redeem_invitation(testing::tenant, link->token, other_password, World::here())
                            .has_value();
                      }),
              1);
    FirstAdministrator first(*world.accounts);
    const auto token = **first.offer(testing::tenant);
    EXPECT_EQ(winners(3,
                      [&](int i) {
                        return first
                            .redeem(testing::tenant, token, "root" + std::to_string(i), good_password,
                                    World::here())
                            .has_value();
                      }),
              1);
  }
}

TEST(Accounts, NoSessionOutlivesADisabledAccount) {
  for (std::uint64_t round = 0; round < 5; ++round) {
    World world(round);
    const auto ada = world.make_account("ada");
    std::vector<std::string> tokens(3);
    winners(4, [&](int i) {
      if (i == 3) return world.accounts->disable(world.administrator(), World::here(), ada.id).has_value();
      const auto login = world.accounts->log_in(
          {std::string(testing::tenant), "ada", std::string(good_password)}, World::here());
      if (login) tokens[static_cast<std::size_t>(i)] = std::get<Sessions::Opened>(*login).token;
      return login.has_value();
    });
    for (const auto& token : tokens) EXPECT_FALSE(world.sessions->authenticate(token));
    EXPECT_EQ(world.sessions->size(), 0u);
  }
}

}  // namespace
}  // namespace vestige::access
