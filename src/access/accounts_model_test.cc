// Property: through any sequence of logins right and wrong, from several places, with and without codes, of
// waiting, of changes of password, state and roles, of locks and unlocks, revocations and restarts, whoever
// is let in and every session that is open is what a naive model of the rules says, and each act is told by
// as many events as it should be.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <tuple>

#include "access/testing/world.h"
#include "access/totp.h"
#include "base/testing/shared_data.h"

namespace vestige::access {
namespace {

using testing::World;
using namespace std::chrono_literals;

// The rules of throttling, as a table of failures each.
struct NaiveCount {
  struct Entry {
    std::uint32_t failures = 0;
    std::int64_t last = 0, until = 0;
  };
  std::uint32_t free;
  std::int64_t first, kept;
  std::map<std::string, Entry> entries;

  bool locked(const std::string& key, std::int64_t now) const {
    const auto place = entries.find(key);
    return place != entries.end() && now < place->second.until;
  }
  bool count(const std::string& key, std::int64_t now) {
    std::erase_if(entries, [&](const auto& each) { return each.second.last + kept <= now; });
    auto& entry = entries[key];
    entry.last = now;
    if (++entry.failures < free) return false;
    std::int64_t lock = first;
    for (auto i = free; i < entry.failures && lock < 3'600'000; ++i) lock *= 2;
    entry.until = now + std::min<std::int64_t>(lock, 3'600'000);
    return true;
  }
};

struct Person {
  Account account;
  std::string password;
  bool active = true;
  std::vector<std::string> roles = {"legal"};
  std::optional<Bytes> secret;
  std::int64_t step = 0;
  std::vector<std::string> recovery;
  std::set<std::string> known;  // addresses
};
struct OpenSession {
  std::string token;
  std::string name;
  Uuid id;
  UnixMs created, seen;
};

struct Model {
  std::map<std::string, Person> people;
  std::vector<OpenSession> sessions;
  std::vector<std::string> dead;
  NaiveCount pairs{5, 30'000, 86'400'000, {}};
  NaiveCount addresses{20, 30'000, 7'200'000, {}};

  std::size_t end_sessions(const std::string& name, const std::optional<std::string>& except = {}) {
    return std::erase_if(sessions, [&](const OpenSession& session) {
      if (session.name != name || session.token == except) return false;
      dead.push_back(session.token);
      return true;
    });
  }
};

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

class Life {
 public:
  explicit Life(std::uint64_t seed) : random_(seed), world_(seed) {
    for (const auto* name : {"ada", "bob"}) {
      Person person;
      person.password = fresh_password();
      person.account = world_.make_account(name, person.password);
      model_.people[name] = person;
    }
  }

  void step() {
    world_.events();
    const auto choice = random_() % 100;
    if (choice < 50) return log_in();
    if (choice < 62) return world_.clock().advance(std::chrono::milliseconds(random_() % 20'000));
    if (choice < 65) return world_.clock().advance(std::chrono::minutes(random_() % 40));
    if (choice < 72) return change_password();
    if (choice < 77) return set_second_factor();
    if (choice < 81) return administer();
    if (choice < 85) return unlock();
    if (choice < 89) return revoke();
    if (choice < 92) return restart();
    return use_session();
  }

  void verify() {
    const auto now = world_.clock().now();
    for (const auto& session : model_.sessions) {
      const bool alive = now - session.created < 12 * 3'600'000 && now - session.seen < 30 * 60'000;
      ASSERT_EQ(world_.sessions->find(testing::tenant, session.id).has_value(), alive);
      if (!alive) ASSERT_FALSE(world_.sessions->authenticate(session.token));
    }
    for (const auto& token : model_.dead) ASSERT_FALSE(world_.sessions->authenticate(token));
  }

  void finish() { world_.expect_no_secret_said(); }
  std::size_t let_in = 0, locked_out = 0, codes = 0;

 private:
  std::string fresh_password() {
    auto password = "pass words of " + std::to_string(++passwords_) + " moons";
    world_.keep_secret(password);
    return password;
  }
  template <typename Container>
  auto& pick(Container& from) {
    return *std::next(from.begin(), static_cast<std::ptrdiff_t>(random_() % from.size()));
  }
  std::int64_t ms() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(world_.clock().monotonic()).count();
  }
  void expect_events(std::size_t count, const char* what) {
    const auto events = world_.events();
    EXPECT_EQ(events.size(), count) << what;
  }

  bool is_locked(const std::string& name, const std::string& address) {
    return model_.pairs.locked(name + " " + address, ms()) || model_.addresses.locked(address, ms());
  }
  void failed(const std::string& name, const std::string& address) {
    model_.pairs.count(name + " " + address, ms());
    model_.addresses.count(address, ms());
  }
  // Whether a code is good, which uses it up.
  bool use_code(Person& person, const std::string& code) {
    const auto at = totp_step(world_.clock().now());
    for (auto step = at - 1; step <= at + 1; ++step) {
      if (step <= person.step || totp_code(*person.secret, step) != code) continue;
      person.step = step;
      return true;
    }
    return std::erase(person.recovery, code) > 0;
  }
  std::string some_code(Person& person) {
    if (!person.secret || random_() % 6 == 0) return random_() % 2 == 0 ? "" : "123456";
    if (!person.recovery.empty() && random_() % 5 == 0) return pick(person.recovery);
    return totp_code(*person.secret,
                     totp_step(world_.clock().now()) + static_cast<std::int64_t>(random_() % 5) - 2);
  }
  bool is_recovery(const Person& person, const std::string& code) {
    return std::ranges::find(person.recovery, code) != person.recovery.end();
  }

  void log_in() {
    static const std::vector<std::string> addresses = {"192.0.2.1", "2001:db8::1"};
    std::string name = random_() % 8 == 0 ? "nobody" : random_() % 2 == 0 ? "ada" : "bob";
    auto address = addresses[random_() % addresses.size()];
    // Sometimes somebody who is locked out tries at once, which chance alone seldom brings.
    for (const auto* locked : {"ada", "bob"})
      for (const auto& from : addresses)
        if (random_() % 3 == 0 && is_locked(locked, from)) std::tie(name, address) = std::pair(locked, from);
    auto* const person = name == "nobody" ? nullptr : &model_.people[name];
    const bool right = person != nullptr && random_() % 3 == 0;
    const auto code = person == nullptr ? std::string() : some_code(*person);
    const bool recovery = person != nullptr && is_recovery(*person, code);
    const auto login =
        world_.log_in(name, right ? person->password : "a wrong password", World::from(address), code);

    const bool locked = is_locked(name, address);
    locked_out += locked && right ? 1 : 0;
    if (locked || !right || !person->active) {
      ASSERT_FALSE(login) << name;
      const bool told_so = model_.addresses.locked(address, ms());
      ASSERT_EQ(login.error().kind, told_so ? ErrorKind::unavailable : ErrorKind::denied);
      if (!locked) failed(name, address);
      return expect_events(tell(), "a refused login");
    }
    if (person->secret && code.empty()) {
      ASSERT_TRUE(login && std::holds_alternative<CodeNeeded>(*login));
      return expect_events(0, "a code is asked for");
    }
    if (person->secret && !use_code(*person, code)) {
      ASSERT_FALSE(login);
      failed(name, address);
      return expect_events(tell(), "a wrong code");
    }
    ASSERT_TRUE(login) << login.error().message;
    const auto& opened = std::get<Sessions::Opened>(*login);
    ASSERT_EQ(opened.session.method, person->secret ? Method::mfa : Method::password);
    ASSERT_EQ(opened.session.roles, person->roles);
    expect_events(person->secret && recovery ? 2 : 1, "a login");
    keep(name, opened);
    model_.pairs.entries.erase(name + " " + address);
    ++let_in;
    codes += person->secret ? 1 : 0;
  }

  // One event for a failure, as long as the minute has room.
  std::size_t tell() {
    if (ms() - minute_began_ >= 60'000 || !minute_open_) {
      minute_began_ = ms();
      minute_open_ = true;
      told_ = 0;
    }
    return ++told_ <= limits::failure_events_per_minute_max ? 1 : 0;
  }

  void keep(const std::string& name, const Sessions::Opened& opened) {
    world_.keep_secret(opened.token);
    model_.sessions.push_back(
        {opened.token, name, opened.session.id, world_.clock().now(), world_.clock().now()});
  }

  OpenSession* some_session() {
    world_.sessions->sweep().value();
    const auto now = world_.clock().now();
    std::erase_if(model_.sessions, [&](const OpenSession& session) {
      const bool over = now - session.created >= 12 * 3'600'000 || now - session.seen >= 30 * 60'000;
      if (over) model_.dead.push_back(session.token);
      return over;
    });
    world_.events();
    return model_.sessions.empty() ? nullptr : &pick(model_.sessions);
  }

  void use_session() {
    if (auto* session = some_session(); session != nullptr) {
      const auto seen = world_.sessions->authenticate(session->token);
      ASSERT_TRUE(seen);
      ASSERT_EQ(seen->principal().roles, model_.people[session->name].roles);
      session->seen = world_.clock().now();
    }
  }

  // The proof's verdict, with what a refusal does to the counts.
  bool proves(Person& person, const std::string& name, const Proof& proof, std::size_t& events) {
    const std::string here = "203.0.113.9";
    events = 0;
    const bool locked = is_locked(name, here);
    const bool recovery = is_recovery(person, proof.code);
    if (!locked && proof.password == person.password && (!person.secret || use_code(person, proof.code))) {
      events = person.secret && recovery ? 1 : 0;
      model_.pairs.entries.erase(name + " " + here);
      return true;
    }
    if (!locked) failed(name, here);
    events = tell();
    return false;
  }

  void change_password() {
    auto* session = some_session();
    if (session == nullptr) return;
    const auto name = session->name;
    auto& person = model_.people[name];
    const auto self = world_.sessions->find(testing::tenant, session->id)->principal();
    const Proof proof{random_() % 3 == 0 ? "a wrong password" : person.password, some_code(person)};
    const auto wanted = fresh_password();
    std::size_t events = 0;
    const auto changed = world_.note(world_.accounts->change_password(self, World::here(), proof, wanted));
    const bool proven = proves(person, name, proof, events);
    ASSERT_EQ(changed.has_value(), proven) << (changed ? "" : changed.error().message);
    if (!proven) return expect_events(events, "a proof that is none");
    person.password = wanted;
    const auto old = *session;
    const auto ended = model_.end_sessions(name, old.token);
    renewed(old, *changed);
    expect_events(events + 1 + ended, "a new password");
  }

  void renewed(const OpenSession& old, const Sessions::Opened& opened) {
    for (auto& session : model_.sessions) {
      if (session.token != old.token) continue;
      model_.dead.push_back(session.token);
      session.token = opened.token;
      world_.keep_secret(opened.token);
    }
  }

  void set_second_factor() {
    auto* session = some_session();
    if (session == nullptr) return;
    const auto name = session->name;
    auto& person = model_.people[name];
    const auto self = world_.sessions->find(testing::tenant, session->id)->principal();
    const Proof proof{random_() % 4 == 0 ? "a wrong password" : person.password, some_code(person)};
    std::size_t events = 0;
    const auto offer = world_.note(world_.accounts->offer_second_factor(self, World::here(), proof));
    const bool proven = proves(person, name, proof, events);
    ASSERT_EQ(offer.has_value(), proven);
    expect_events(events, "an offer");
    if (!proven) return;
    const auto secret = from_base32(offer->secret);
    world_.keep_secret(offer->secret);
    const auto step = totp_step(world_.clock().now());
    if (random_() % 4 == 0) {
      const auto refused =
          world_.accounts->confirm_second_factor(self, World::here(), totp_code(secret, step + 5));
      ASSERT_FALSE(refused);
      return expect_events(0, "a code that confirms nothing");
    }
    const auto set = world_.accounts->confirm_second_factor(self, World::here(), totp_code(secret, step));
    ASSERT_TRUE(set) << set.error().message;
    person.secret = secret;
    person.step = step;
    person.recovery = set->recovery_codes;
    for (const auto& code : person.recovery) world_.keep_secret(code);
    const auto old = *session;
    const auto ended = model_.end_sessions(name, old.token);
    renewed(old, set->session);
    expect_events(1 + ended, "a second factor");
  }

  void administer() {
    auto& [name, person] = pick(model_.people);
    const auto by = world_.administrator();
    some_session();  // so that what expired is not counted as revoked below
    switch (random_() % 4) {
      case 0: {
        ASSERT_TRUE(world_.accounts->disable(by, World::here(), person.account.id));
        expect_events(person.active ? 1 + model_.end_sessions(name) : 0, "disabling");
        person.active = false;
        break;
      }
      case 1:
        ASSERT_TRUE(world_.accounts->enable(by, World::here(), person.account.id));
        expect_events(person.active ? 0 : 1, "enabling");
        person.active = true;
        break;
      case 2: {
        const auto roles =
            random_() % 2 == 0 ? std::vector<std::string>{"legal"} : std::vector<std::string>{"management"};
        ASSERT_TRUE(world_.accounts->set_roles(by, World::here(), person.account.id, roles));
        expect_events(person.roles == roles ? 0 : 1 + model_.end_sessions(name), "new roles");
        person.roles = roles;
        break;
      }
      default: {
        ASSERT_TRUE(world_.accounts->remove_second_factor(by, World::here(), person.account.id));
        // An offer that was never confirmed is removed as well, so that is not told from the outside.
        const auto count = world_.events().size();
        if (person.secret) EXPECT_EQ(count, 1 + model_.end_sessions(name));
        if (!person.secret && count > 0) EXPECT_EQ(count, 1 + model_.end_sessions(name));
        person.secret.reset();
        person.recovery.clear();
      }
    }
    person.active = person.active || random_() % 2 == 0;
    if (person.active) {
      ASSERT_TRUE(world_.accounts->enable(by, World::here(), person.account.id));
      world_.events();
    }
  }

  void unlock() {
    auto& [name, person] = pick(model_.people);
    ASSERT_TRUE(world_.accounts->unlock(world_.administrator(), World::here(), person.account.id));
    expect_events(1, "unlocking");
    std::erase_if(model_.pairs.entries, [&](const auto& each) { return each.first.starts_with(name + " "); });
  }

  void revoke() {
    if (const auto* session = some_session(); session != nullptr) {
      if (random_() % 2 == 0) {
        ASSERT_TRUE(world_.sessions->revoke(world_.administrator(), World::here(), session->id));
        expect_events(1, "a revocation");
        model_.dead.push_back(session->token);
        const auto token = session->token;
        std::erase_if(model_.sessions, [&](const OpenSession& each) { return each.token == token; });
      } else {
        const auto name = session->name;
        ASSERT_TRUE(world_.sessions->revoke_all(world_.administrator(), World::here(),
                                                model_.people[name].account.id));
        expect_events(model_.end_sessions(name), "revoking all");
      }
    }
  }

  void restart() {
    // So that what was seen is written: when it is, is another test's business.
    world_.clock().advance(1min);
    for (auto& session : model_.sessions)
      if (world_.sessions->authenticate(session.token)) session.seen = world_.clock().now();
    some_session();
    world_.restart();
    model_.pairs.entries.clear();
    model_.addresses.entries.clear();
    minute_open_ = false;
  }

  std::mt19937_64 random_;
  World world_;
  Model model_;
  int passwords_ = 0;
  std::int64_t minute_began_ = 0;
  bool minute_open_ = false;
  std::size_t told_ = 0;
};

TEST(AccountsModel, WhoIsLetInIsWhatTheRulesSay) {
  std::size_t let_in = 0, locked_out = 0, codes = 0;
  std::printf("seed %llu (VESTIGE_TEST_SEED)\n", static_cast<unsigned long long>(vestige::testing::seed()));
  for (std::size_t round = 0; round < vestige::testing::scaled(4); ++round) {
    Life run(vestige::testing::seed() * 1'000 + round);
    for (int step = 0; step < 220; ++step) {
      run.step();
      run.verify();
      if (::testing::Test::HasFailure()) FAIL() << "round " << round << ", step " << step;
    }
    run.finish();
    let_in += run.let_in;
    locked_out += run.locked_out;
    codes += run.codes;
  }
  // The rare states were reached.
  EXPECT_GT(let_in, 50u);
  EXPECT_GT(locked_out, 0u);
  EXPECT_GT(codes, 0u);
}

}  // namespace
}  // namespace vestige::access
