// Defends: a token opens its own session until it is revoked, replaced, idle for too long or too old, and
// never again, whatever restarts and clocks do; each beginning and end is one event; and no token is written
// anywhere.
#include "access/sessions.h"

#include <gtest/gtest.h>

#include <random>

#include "access/internal/token.h"
#include "access/testing/world.h"
#include "base/encoding.h"
#include "base/testing/shared_data.h"

namespace vestige::access {
namespace {

using testing::World;
using namespace std::chrono_literals;

Sessions::NewSession account_session(std::uint8_t number, const std::string& tenant = "default") {
  return {.tenant = tenant,
          .kind = PrincipalKind::account,
          .account = make_uuid_v8({number}),
          .subject = {},
          .name = "Person " + std::to_string(number),
          .roles = {"legal"},
          .method = Method::password,
          .restricted = false};
}
Sessions::NewSession customer_session(const std::string& subject) {
  return {.tenant = "default",
          .kind = PrincipalKind::customer,
          .account = {},
          .subject = subject,
          .name = subject,
          .roles = {"customer"},
          .method = Method::link,
          .restricted = false};
}

Sessions::Opened must_open(World& world, const Sessions::NewSession& wanted) {
  auto opened = world.sessions->open_session(wanted, World::here());
  EXPECT_TRUE(opened) << opened.error().message;
  world.keep_secret(opened->token);
  world.keep_secret(opened->csrf);
  return *std::move(opened);
}

TEST(Sessions, ATokenIsItsSession) {
  World world;
  const auto opened = must_open(world, account_session(1));
  EXPECT_EQ(opened.token.size(), 47u);
  EXPECT_TRUE(opened.token.starts_with("vss_"));
  const auto seen = world.sessions->authenticate(opened.token);
  ASSERT_TRUE(seen);
  const auto principal = seen->principal();
  EXPECT_EQ(principal.id, make_uuid_v8({1}));
  EXPECT_EQ(principal.session, opened.session.id);
  EXPECT_EQ(principal.roles, std::vector<std::string>{"legal"});
  EXPECT_EQ(principal.tenant, "default");
  for (const auto& wrong : {std::string(), opened.token + "x", opened.token.substr(1),
                            format_uuid(opened.session.id), std::string(10'000, 'x')})
    EXPECT_FALSE(world.sessions->authenticate(wrong));
  const auto events = world.events();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].kind, "access.session");
  EXPECT_EQ(events[0].action, "LOGGED_IN");
  EXPECT_EQ(events[0].target, format_uuid(opened.session.id));
  EXPECT_EQ(events[0].subject, format_uuid(make_uuid_v8({1})));
  EXPECT_NE(events[0].text.find(R"("login_method":"password")"), std::string::npos);
  EXPECT_NE(events[0].text.find(R"("context":{"ip":"203.0.113.9","userAgent":"Firefox/133","sessionId":")"),
            std::string::npos)
      << events[0].text;
  world.expect_no_secret_said();
}

TEST(Sessions, TheExamplesOfTheFormat) {
  World world;
  Key key;
  key.fill(1);
  const auto sessions =
      Sessions::open(*world.database, *world.outbox, *world.fields, world.clock(), world.entropy, key);
  const std::string token = "vss_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
  EXPECT_EQ(to_hex(token_digest(token)), "7567181a11579e56301b2a127b023a0daea8555d74b51439432c72cb3120606b");
  EXPECT_EQ((*sessions)->csrf_token(token), "Si3J2qHjVl_XVppI3t2mWv3N8nsShYosPVzrXgBa6gg");
}

TEST(Sessions, TheEndThatIsSaidIsTheEnd) {
  World world;
  const auto opened = must_open(world, account_session(1));
  std::mt19937_64 random(7);
  for (;;) {
    const auto seen = world.sessions->authenticate(opened.token);
    ASSERT_TRUE(seen);
    const auto left = world.sessions->expires(*seen) - world.clock().now();
    ASSERT_GT(left, 0);
    ASSERT_LE(left, limits::idle_default.count());
    if (random() % 16 == 0) {
      world.clock().advance(std::chrono::milliseconds(left));
      EXPECT_FALSE(world.sessions->authenticate(opened.token));
      return;
    }
    world.clock().advance(std::chrono::milliseconds(left - 1));
  }
}

TEST(Sessions, ARestrictedSessionHasNoRoles) {
  World world;
  auto wanted = account_session(1);
  wanted.restricted = true;
  const auto opened = must_open(world, wanted);
  EXPECT_TRUE(world.sessions->authenticate(opened.token)->principal().roles.empty());
  world.restart();
  EXPECT_TRUE(world.sessions->authenticate(opened.token)->principal().roles.empty());
}

TEST(Sessions, CsrfTokensBelongToOneSession) {
  World world;
  const auto one = must_open(world, account_session(1));
  const auto two = must_open(world, account_session(1));
  EXPECT_TRUE(world.sessions->csrf_matches(one.token, one.csrf));
  EXPECT_FALSE(world.sessions->csrf_matches(one.token, two.csrf));
  EXPECT_FALSE(world.sessions->csrf_matches(one.token, ""));
  EXPECT_FALSE(world.sessions->csrf_matches(one.token, one.token));
  EXPECT_FALSE(world.sessions->csrf_matches(one.token, one.csrf + "A"));
  world.restart();
  EXPECT_TRUE(world.sessions->csrf_matches(one.token, one.csrf));
}

TEST(Sessions, EndsAreOnRecordOnce) {
  World world;
  const auto one = must_open(world, account_session(1));
  const auto two = must_open(world, account_session(1));
  const auto three = must_open(world, account_session(2));
  world.events();
  EXPECT_TRUE(world.sessions->log_out(one.token, World::here()));
  EXPECT_TRUE(world.sessions->log_out(one.token, World::here()));
  auto events = world.events();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].action, "LOGGED_OUT");
  EXPECT_EQ(events[0].target, format_uuid(one.session.id));
  EXPECT_NE(events[0].text.find(R"("activity":{"action":"logout")"), std::string::npos);

  const auto by = world.administrator();
  auto other_tenant = by;
  other_tenant.tenant = "other";
  EXPECT_EQ(world.note(world.sessions->revoke(other_tenant, World::here(), two.session.id)).error().kind,
            ErrorKind::not_found);
  EXPECT_TRUE(world.sessions->authenticate(two.token));
  EXPECT_TRUE(world.events().empty());
  EXPECT_TRUE(world.sessions->revoke(by, World::here(), two.session.id));
  EXPECT_FALSE(world.sessions->authenticate(two.token));
  events = world.events();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].source, format_uuid(by.id));
  EXPECT_EQ(events[0].text.find("Ada"), std::string::npos) << "a name that cannot be sealed here";
  EXPECT_NE(events[0].text.find(R"("user_id":")" + format_uuid(make_uuid_v8({1}))), std::string::npos);
  EXPECT_EQ(*world.sessions->revoke_all(by, World::here(), make_uuid_v8({2})), 1u);
  EXPECT_FALSE(world.sessions->authenticate(three.token));
  EXPECT_EQ(world.events().size(), 1u);
  EXPECT_EQ(world.sessions->size(), 0u);
}

TEST(Sessions, ACustomersSessionsGoWithTheirPerson) {
  World world;
  const auto one = must_open(world, customer_session("c-1"));
  const auto two = must_open(world, customer_session("c-2"));
  EXPECT_EQ(world.sessions->authenticate(one.token)->principal().subject, "c-1");
  EXPECT_EQ(world.sessions->list_of("default", "c-1").size(), 1u);
  EXPECT_EQ(world.events()[0].subject, "c-1");
  world.restart();
  EXPECT_EQ(*world.sessions->revoke_subject("default", "c-1"), 1u);
  EXPECT_FALSE(world.sessions->authenticate(one.token));
  EXPECT_TRUE(world.sessions->authenticate(two.token));
}

TEST(Sessions, TheSubjectIsNotReadableInTheDatabase) {
  World world;
  must_open(world, customer_session("subject-in-clear-4711"));
  world.database.close();
  for (const auto& entry : std::filesystem::directory_iterator(world.database.folder())) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(file), {});
    EXPECT_EQ(bytes.find("subject-in-clear-4711"), std::string::npos) << entry.path();
    for (const auto& secret : world.secrets) EXPECT_EQ(bytes.find(secret), std::string::npos) << entry.path();
  }
}

TEST(Sessions, WhatWasAcknowledgedIsInTheFilesAtThatMoment) {
  World world;
  const auto revoked = must_open(world, account_session(1));
  const auto renewed = must_open(world, account_session(2));
  const auto kept = must_open(world, account_session(3));
  const auto disabled = world.make_account("ada");
  const auto of_disabled = world.must_log_in("ada");
  ASSERT_TRUE(world.sessions->revoke(world.administrator(), World::here(), revoked.session.id));
  const auto fresh = world.sessions->write([&](auto& transaction, auto& changes) {
    return world.sessions->renew(transaction, changes, renewed.session.id, {"legal"}, false);
  });
  ASSERT_TRUE(fresh);
  ASSERT_TRUE(world.accounts->disable(world.administrator(), World::here(), disabled.id));
  // What a kill -9 leaves: the files as they are, with nothing closed.
  World after(2);
  after.database.close();
  std::filesystem::copy(
      world.database.folder(), after.database.folder(),
      std::filesystem::copy_options::overwrite_existing | std::filesystem::copy_options::recursive);
  after.clock().set(world.clock().now());
  after.restart();
  for (const auto& dead : {revoked.token, renewed.token, of_disabled.token})
    EXPECT_FALSE(after.sessions->authenticate(dead));
  EXPECT_TRUE(after.sessions->authenticate(fresh->token));
  EXPECT_TRUE(after.sessions->authenticate(kept.token));
  EXPECT_FALSE(after.log_in("ada", std::string(testing::good_password), World::here()));
}

TEST(Sessions, AClockThatIsSetBackKeepsNobodyIn) {
  World world;
  const auto opened = must_open(world, account_session(1));
  world.clock().advance(20min);
  world.clock().set(UnixMs{world.clock().now().value - 3'600'000});
  EXPECT_TRUE(world.sessions->authenticate(opened.token));
  world.clock().advance(31min);
  EXPECT_FALSE(world.sessions->authenticate(opened.token));
}

TEST(Sessions, TheOneThatWasIdleLongestEndsForOneTooMany) {
  World world;
  std::vector<std::string> tokens;
  for (std::size_t i = 0; i < limits::sessions_per_owner_max; ++i) {
    tokens.push_back(must_open(world, account_session(1)).token);
    world.clock().advance(1s);
  }
  EXPECT_TRUE(world.sessions->authenticate(tokens.front()));
  world.events();
  must_open(world, account_session(1));
  EXPECT_TRUE(world.sessions->authenticate(tokens[0]));
  EXPECT_FALSE(world.sessions->authenticate(tokens[1]));
  EXPECT_EQ(world.acts(), (std::vector<std::string>{"LOGGED_OUT", "LOGGED_IN"}));
}

// The naive model: a list of what was opened, with two times each.
struct Known {
  Sessions::Opened opened;
  std::vector<std::string> dead_tokens;
  UnixMs created, seen, written;
  bool ended = false;
};

TEST(Sessions, RandomLivesAgainstAList) {
  std::mt19937_64 random(vestige::testing::seed());
  std::size_t expired = 0, revoked = 0;
  for (std::size_t round = 0; round < vestige::testing::scaled(4); ++round) {
    World world(random());
    std::vector<Known> model;
    const auto alive = [&](const Known& known) {
      const auto now = world.clock().now();
      return !known.ended && now - known.created < 12 * 3'600'000 && now - known.seen < 30 * 60'000;
    };
    for (int step = 0; step < 120; ++step) {
      const auto chosen = model.empty() ? 0 : random() % model.size();
      std::size_t expected_events = 0;
      world.events();
      switch (random() % 9) {
        case 0:
        case 1: {
          if (model.size() > 25) break;
          auto opened = must_open(world, account_session(static_cast<std::uint8_t>(random() % 3)));
          const auto now = world.clock().now();
          model.push_back(
              {.opened = std::move(opened), .dead_tokens = {}, .created = now, .seen = now, .written = now});
          expected_events = 1;
          break;
        }
        case 2:
          world.clock().advance(std::chrono::minutes(random() % 20));
          break;
        case 3:
          if (model.empty()) break;
          ASSERT_EQ(world.sessions->authenticate(model[chosen].opened.token).has_value(),
                    alive(model[chosen]));
          if (alive(model[chosen])) model[chosen].seen = world.clock().now();
          break;
        case 4:
          if (model.empty()) break;
          expected_events = model[chosen].ended ? 0 : 1;
          ASSERT_TRUE(world.sessions->log_out(model[chosen].opened.token, World::here()));
          model[chosen].ended = true;
          break;
        case 5: {
          const auto account = make_uuid_v8({static_cast<std::uint8_t>(random() % 3)});
          for (auto& known : model) {
            if (known.ended || known.opened.session.account != account) continue;
            known.ended = true;
            ++expected_events;
            ++revoked;
          }
          ASSERT_EQ(*world.sessions->revoke_all(world.administrator(), World::here(), account),
                    expected_events);
          break;
        }
        case 6: {
          if (model.empty()) break;
          auto& known = model[chosen];
          auto renewed = world.sessions->write([&](auto& transaction, auto& changes) {
            return world.sessions->renew(transaction, changes, known.opened.session.id, {"legal"}, false);
          });
          ASSERT_EQ(renewed.has_value(), alive(known));
          if (!renewed) break;
          known.dead_tokens.push_back(known.opened.token);
          known.opened = *renewed;
          world.keep_secret(renewed->token);
          break;
        }
        case 7:
          for (auto& known : model) {
            if (!known.ended && !alive(known)) {
              known.ended = true;
              ++expected_events;
              ++expired;
            }
            if (known.seen - known.written >= 60'000) known.written = known.seen;
          }
          ASSERT_TRUE(world.sessions->sweep());
          break;
        default:
          world.restart();
          for (auto& known : model) known.seen = known.written;
      }
      ASSERT_EQ(world.events().size(), expected_events);
      for (const auto& known : model) {
        ASSERT_EQ(world.sessions->find("default", known.opened.session.id).has_value(), alive(known));
        for (const auto& dead : known.dead_tokens) ASSERT_FALSE(world.sessions->authenticate(dead));
        if (!alive(known)) ASSERT_FALSE(world.sessions->authenticate(known.opened.token));
      }
    }
    world.expect_no_secret_said();
  }
  EXPECT_GT(expired, 0u);
  EXPECT_GT(revoked, 0u);
}

}  // namespace
}  // namespace vestige::access
