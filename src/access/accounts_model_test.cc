// Property: through any sequence of logins right and wrong, from several places, with and without codes, of
// waiting, of clocks that are set forward and back, of changes of password, state, roles and end, of locks
// and unlocks, revocations and restarts, whoever is let in and every session that is open is what a naive
// model of the rules says, and each act is told by as many events as it should be; that an account ended, by
// one.
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

// When something is over, on each of the two clocks.
struct Over {
  std::int64_t wall = 0, steady = 0;
  bool by(std::int64_t now, std::int64_t ms) const { return now >= wall || ms >= steady; }
};
struct Person {
  Account account;
  std::string password;
  bool active = true;
  std::optional<Over> end;
  bool told = false;  // that it ended
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
  std::int64_t created_ms = 0, seen_ms = 0;  // on the clock that never goes back
  std::optional<Over> until;
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
    if (choice < 48) return log_in();
    if (choice < 59) return world_.clock().advance(std::chrono::milliseconds(random_() % 20'000));
    if (choice < 61) return world_.clock().advance(std::chrono::minutes(random_() % 40));
    if (choice < 66) return set_clock();
    if (choice < 71) return change_password();
    if (choice < 75) return set_second_factor();
    if (choice < 79) return administer();
    if (choice < 86) return set_end();
    if (choice < 87) return put_ends_on_record();
    if (choice < 89) return unlock();
    if (choice < 91) return revoke();
    if (choice < 93) return restart();
    return use_session();
  }

  void verify() {
    for (const auto& session : model_.sessions) {
      const bool alive = !is_over(session);
      ASSERT_EQ(world_.sessions->find(testing::tenant, session.id).has_value(), alive);
      if (!alive) ASSERT_FALSE(world_.sessions->authenticate(session.token));
    }
    for (const auto& [name, person] : model_.people) {
      const auto account = world_.accounts->find(world_.administrator(), person.account.id);
      ASSERT_TRUE(account);
      const auto state = has_ended(person) ? Account::State::ended : Account::State::active;
      ASSERT_EQ(account->state, person.active ? state : Account::State::disabled) << name;
    }
    for (const auto& token : model_.dead) ASSERT_FALSE(world_.sessions->authenticate(token));
  }

  void finish() { world_.expect_no_secret_said(); }
  std::size_t let_in = 0, locked_out = 0, codes = 0;
  std::size_t too_late = 0;   // the right password, after the end
  std::size_t kept_shut = 0;  // and only because one clock does not go back
  std::size_t ends_told = 0;

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
  Over over_at(UnixMs end) { return {end.value, ms() + std::max<std::int64_t>(0, end - now())}; }
  UnixMs now() { return world_.clock().now(); }
  bool is_over(const OpenSession& session) {
    const std::int64_t absolute = 12 * 3'600'000, idle = 30 * 60'000;
    return now() - session.created >= absolute || ms() - session.created_ms >= absolute ||
           now() - session.seen >= idle || ms() - session.seen_ms >= idle ||
           (session.until && session.until->by(now().value, ms()));
  }
  bool has_ended(const Person& person) {
    return person.end && (person.told || person.end->by(now().value, ms()));
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
    // And so does somebody whose account ended, always where the wall clock says that it has not.
    for (const auto* over : {"ada", "bob"}) {
      const auto& person = model_.people[over];
      if (has_ended(person) && (now().value < person.end->wall || random_() % 3 == 0)) name = over;
    }
    auto* const person = name == "nobody" ? nullptr : &model_.people[name];
    const bool right = person != nullptr && random_() % 5 < 2;
    const auto code = person == nullptr ? std::string() : some_code(*person);
    const bool recovery = person != nullptr && is_recovery(*person, code);
    const auto login =
        world_.log_in(name, right ? person->password : "a wrong password", World::from(address), code);

    const bool locked = is_locked(name, address);
    locked_out += locked && right ? 1 : 0;
    const bool ended = person != nullptr && has_ended(*person);
    if (ended && right && !locked && person->active) {
      ++too_late;
      if (now().value < person->end->wall) ++kept_shut;
    }
    if (locked || !right || !person->active || ended) {
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
    const auto& end = model_.people[name].end;
    if (end) ASSERT_LE(world_.sessions->expires(opened.session).value, end->wall);
    model_.sessions.push_back({opened.token, name, opened.session.id, now(), now(), ms(), ms(), end});
  }

  OpenSession* some_session() {
    world_.sessions->sweep().value();
    std::erase_if(model_.sessions, [&](const OpenSession& session) {
      const bool over = is_over(session);
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
      session->seen = now();
      session->seen_ms = ms();
    }
  }

  void set_clock() {
    const auto by = static_cast<std::int64_t>(random_() % 3'600'000);
    // Before an end that has just passed, if there is one.
    for (const auto& [name, person] : model_.people)
      if (has_ended(person) && !person.told && random_() % 2 == 0)
        return world_.clock().set(UnixMs{person.end->wall} + -by);
    world_.clock().set(now() + (random_() % 3 == 0 ? by / 6 : -by));
  }

  void set_end() {
    auto chosen = std::next(model_.people.begin(), static_cast<std::ptrdiff_t>(random_() % 2));
    // Rather somebody who ended, or nobody would be let in for long.
    for (auto each = model_.people.begin(); each != model_.people.end(); ++each)
      if (has_ended(each->second)) chosen = each;
    auto& [name, person] = *chosen;
    const auto by = world_.administrator();
    some_session();  // so that what is over is not brought back below
    if (random_() % 8 == 0) {
      const auto refused = world_.note(world_.accounts->set_end(
          by, World::here(), person.account.id, now() + -static_cast<std::int64_t>(random_() % 1'000)));
      ASSERT_FALSE(refused);
      ASSERT_EQ(refused.error().path, "/expiresAt");
      return expect_events(0, "an end that is past");
    }
    std::optional<UnixMs> end;
    if (random_() % 4 != 0) end = now() + static_cast<std::int64_t>(1 + random_() % 900'000);
    const auto set = world_.accounts->set_end(by, World::here(), person.account.id, end);
    ASSERT_TRUE(set) << set.error().message;
    ASSERT_EQ(set->expires, end);
    const bool untold = has_ended(person) && !person.told;
    ends_told += untold ? 1 : 0;
    expect_events((end || person.end ? 1u : 0u) + (untold ? 1u : 0u), "another end");
    person.end = end ? std::optional(over_at(*end)) : std::nullopt;
    person.told = false;
    for (auto& session : model_.sessions)
      if (session.name == name) session.until = person.end;
  }

  // What the server does once a minute.
  void put_ends_on_record() {
    some_session();
    std::size_t events = 0;
    for (auto& [name, person] : model_.people) {
      if (!has_ended(person) || person.told) continue;
      person.told = true;
      ++ends_told;
      events += 1 + model_.end_sessions(name);
    }
    ASSERT_TRUE(world_.accounts->sweep());
    expect_events(events, "accounts that ended");
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
    // So that what was seen is written, also after a clock was set back: when it is, is another test's
    // business.
    for (const auto wait : {0min, 1min}) {
      world_.clock().advance(wait);
      for (auto& session : model_.sessions)
        if (world_.sessions->authenticate(session.token)) {
          session.seen = now();
          session.seen_ms = ms();
        }
      some_session();
    }
    world_.restart();
    // What the clock that never goes back said of before is forgotten; the wall clock is asked anew.
    for (auto& session : model_.sessions) {
      session.created_ms = ms() - std::max<std::int64_t>(0, now() - session.created);
      session.seen_ms = ms() - std::max<std::int64_t>(0, now() - session.seen);
      if (session.until) session.until = over_at(UnixMs{session.until->wall});
    }
    for (auto& [name, person] : model_.people)
      if (person.end) person.end = over_at(UnixMs{person.end->wall});
    put_ends_on_record();
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
  std::size_t let_in = 0, locked_out = 0, codes = 0, too_late = 0, kept_shut = 0, ended = 0;
  std::printf("seed %llu (VESTIGE_TEST_SEED)\n", static_cast<unsigned long long>(vestige::testing::seed()));
  for (std::size_t round = 0; round < vestige::testing::scaled(4); ++round) {
    Life run(vestige::testing::seed() * 1'000 + round);
    for (int step = 0; step < 260; ++step) {
      run.step();
      run.verify();
      if (::testing::Test::HasFailure()) FAIL() << "round " << round << ", step " << step;
    }
    run.finish();
    let_in += run.let_in;
    locked_out += run.locked_out;
    codes += run.codes;
    too_late += run.too_late;
    kept_shut += run.kept_shut;
    ended += run.ends_told;
  }
  // The rare states were reached.
  EXPECT_GT(let_in, 50u);
  EXPECT_GT(locked_out, 0u);
  EXPECT_GT(codes, 0u);
  EXPECT_GT(too_late, 0u);
  EXPECT_GT(kept_shut, 0u);
  EXPECT_GT(ended, 0u);
}

}  // namespace
}  // namespace vestige::access
