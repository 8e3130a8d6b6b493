// Property: through any sequence of asking, deciding, withdrawing, using, waiting, clocks set back, restarts
// and erasures, by several people and their keys, each call does what a naive model of the rules says, every
// state is the model's, no approval is ever used twice, and each step is one event.
#include <gtest/gtest.h>

#include <random>

#include "access/approvals.h"
#include "access/testing/world.h"
#include "base/testing/shared_data.h"

namespace vestige::access {
namespace {

using testing::World;
using State = Approval::State;

struct Actor {
  Principal principal;
  int person = 0;
};

struct Modelled {
  Uuid id{};
  std::size_t asker = 0;
  std::string body, person;
  std::int64_t expires = 0;  // by the clock of the model, which never goes back
  State state = State::asked;
  int uses = 0;
  bool open() const { return state == State::asked || state == State::approved; }
};

class Life {
 public:
  explicit Life(std::uint64_t seed) : random_(seed), world_(seed) {
    const auto add = [&](PrincipalKind kind, int person, std::vector<std::string> roles, bool maker) {
      const auto number = static_cast<std::uint8_t>(actors_.size() + 1);
      Principal principal{.kind = kind,
                          .id = make_uuid_v8({number}),
                          .name = "Actor " + std::to_string(number),
                          .tenant = std::string(testing::tenant),
                          .roles = std::move(roles)};
      if (maker) principal.maker = make_uuid_v8({static_cast<std::uint8_t>(person)});
      actors_.push_back({principal, person});
    };
    add(PrincipalKind::account, 1, {"legal"}, false);
    add(PrincipalKind::account, 2, {"management"}, false);
    add(PrincipalKind::account, 3, {"legal", "management"}, false);
    add(PrincipalKind::service, 3, {"management"}, true);
    add(PrincipalKind::service, 1, {"legal"}, true);
    // A decider's key has to be there when its yes is used.
    auto made =
        world_.keys->make({.name = "k", .tenant = std::string(testing::tenant), .role = "management"});
    EXPECT_TRUE(made && world_.keys->add(*made, nullptr));
    actors_.push_back({made->about.principal(), 6});
    world_.events();
    expected_time_ = world_.clock().now().value;
  }

  void step() {
    switch (random_() % 12) {
      case 0:
      case 1:
      case 2:
        return ask();
      case 3:
      case 4:
      case 5:
        return decide();
      case 6:
      case 7:
      case 8:
        return use();
      case 9:
        return random_() % 3 == 0 ? forget() : withdraw();
      default:
        return pass_time();
    }
  }

  void verify() {
    ASSERT_TRUE(world_.approvals->sweep());
    for (const auto& each : model_) {
      const auto found = world_.approvals->find(actors_[each.asker].principal, policy(), each.id);
      ASSERT_TRUE(found) << found.error().message;
      ASSERT_EQ(found->state, each.state);
      ASSERT_EQ(found->request.empty(), !each.open());
      ASSERT_LE(each.uses, 1);
    }
    std::size_t told = 0;
    for (const auto& event : world_.events()) told += event.kind == "access.approval" ? 1 : 0;
    ASSERT_EQ(told, steps_);
    steps_ = 0;
  }

  std::size_t used = 0, replays = 0, own = 0, expired = 0;

 private:
  static const Policy& policy() { return *Policy::shipped(); }
  Actor& actor() { return actors_[random_() % actors_.size()]; }
  std::size_t index_of(const Actor& actor) const { return static_cast<std::size_t>(&actor - actors_.data()); }
  Modelled* some() {
    if (model_.empty()) return nullptr;
    // The later ones more often: the others are mostly over.
    const auto back = random_() % std::min<std::size_t>(model_.size(), random_() % 4 == 0 ? 1'000 : 6);
    return &model_[model_.size() - 1 - back];
  }
  static ExactRequest request_of(const std::string& body, const std::string& person) {
    return {.operation = "exportSearch",
            .method = "POST",
            .path = "/api/export",
            .body = body,
            .role = "legal",
            .person = person};
  }
  void pass_time() {
    if (random_() % 5 == 0) world_.clock().set(world_.clock().now() + -std::int64_t(random_() % 3'600'000));
    const auto by = std::chrono::milliseconds(random_() % 8'000'000);
    world_.clock().advance(by);
    expected_time_ += by.count();
    catch_up();
    for (auto& each : model_) {
      if (!each.open() || each.expires > expected_time_) continue;
      each.state = State::expired;
      ++steps_;
      ++expired;
    }
  }
  // Sometimes a clock that was set back is set right. A restart has no other time to go by, so it comes only
  // when the clock is right.
  void catch_up() {
    if (random_() % 2 == 0) world_.clock().set(UnixMs{expected_time_});
    if (world_.clock().now().value == expected_time_ && random_() % 3 == 0) world_.restart();
  }

  void ask() {
    auto& by = actor();
    const auto body = std::to_string(random_() % 3);
    const std::string person = random_() % 3 == 0 ? "customer-1" : "";
    const auto asked = world_.approvals->ask(
        by.principal, World::here(), policy(),
        {.request = request_of(body, person), .rule = "bulk_export", .reason = "why", .knows_person = true});
    ASSERT_TRUE(asked) << asked.error().message;
    for (const auto& each : model_)
      if (each.open() && each.asker == index_of(by) && each.body == body && each.person == person) {
        ASSERT_EQ(asked->id, each.id);
        return;
      }
    ASSERT_EQ(asked->state, State::asked);
    model_.push_back({asked->id, index_of(by), body, person, expected_time_ + 1440 * 60'000});
    ++steps_;
  }

  void decide() {
    auto* about = some();
    if (about == nullptr) return;
    const auto& by = actor();
    const bool yes = random_() % 4 != 0;
    const auto decided = world_.approvals->decide(by.principal, World::here(), policy(), about->id,
                                                  {.approve = yes, .comment = ""});
    const bool may = std::ranges::count(by.principal.roles, "management") > 0;
    const bool same = by.person == actors_[about->asker].person;
    own += same && may ? 1 : 0;
    if (!may || same || about->state != State::asked) {
      ASSERT_FALSE(decided);
      const auto kind = same ? ErrorKind::denied : !may ? ErrorKind::not_found : ErrorKind::conflict;
      ASSERT_EQ(decided.error().kind, kind) << decided.error().message;
      return;
    }
    ASSERT_TRUE(decided) << decided.error().message;
    about->state = yes ? State::approved : State::refused;
    deciders_[about->id] = index_of(by);
    ++steps_;
  }

  void use() {
    auto* about = some();
    if (about == nullptr) return;
    const bool right_person = random_() % 4 != 0;
    const bool right_request = random_() % 4 != 0;
    const auto& by = right_person ? actors_[about->asker] : actor();
    const auto body = right_request ? about->body : about->body + "0";
    const auto got = world_.approvals->use(by.principal, World::here(), policy(), about->id,
                                           request_of(body, about->person), "");
    replays += about->state == State::used ? 1 : 0;
    // The keys of people 1 and 3 are in no table, as if they had been revoked: their yes does not count.
    const auto decider = deciders_.find(about->id);
    const bool stands = decider == deciders_.end() || !actors_[decider->second].principal.maker.has_value();
    if (index_of(by) != about->asker || !right_request || about->state != State::approved || !stands) {
      ASSERT_FALSE(got);
      ASSERT_EQ(got.error().kind, index_of(by) != about->asker ? ErrorKind::not_found : ErrorKind::denied);
      return;
    }
    ASSERT_TRUE(got) << got.error().message;
    about->state = State::used;
    ++about->uses;
    ++used;
    ++steps_;
  }

  void withdraw() {
    auto* about = some();
    if (about == nullptr) return;
    const auto& by = random_() % 3 == 0 ? actor() : actors_[about->asker];
    const auto done = world_.approvals->withdraw(by.principal, World::here(), about->id);
    ASSERT_EQ(done.has_value(), index_of(by) == about->asker && about->open());
    if (!done) return;
    about->state = State::withdrawn;
    ++steps_;
  }

  void forget() {
    ASSERT_TRUE(world_.approvals->forget_subject(testing::tenant, "customer-1"));
    for (auto& each : model_) {
      if (each.person != "customer-1" || !each.open()) continue;
      each.state = State::withdrawn;
      ++steps_;
    }
  }

  std::mt19937_64 random_;
  World world_;
  std::vector<Actor> actors_;
  std::vector<Modelled> model_;
  std::map<Uuid, std::size_t> deciders_;
  std::int64_t expected_time_ = 0;
  std::size_t steps_ = 0;
};

TEST(ApprovalsModel, AnySequenceOfStepsIsAsTheRulesSay) {
  std::size_t used = 0, replays = 0, own = 0, expired = 0;
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    Life life(seed);
    for (int i = 0; i < 250; ++i) {
      life.step();
      if (i % 10 == 9) life.verify();
      ASSERT_FALSE(::testing::Test::HasFatalFailure()) << "seed " << seed << ", step " << i;
    }
    used += life.used;
    replays += life.replays;
    own += life.own;
    expired += life.expired;
  }
  // The rare ones happened.
  EXPECT_GT(used, 20u);
  EXPECT_GT(replays, 10u);
  EXPECT_GT(own, 20u);
  EXPECT_GT(expired, 20u);
}

}  // namespace
}  // namespace vestige::access
