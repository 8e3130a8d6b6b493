// Defends: an approval opens the one request that it was given for, once, to the one who asked, and only
// after another person said yes in time; every step is on record, and nothing of the request is kept once it
// is over or the person whom it is about is erased.
#include "access/approvals.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "access/limits.h"
#include "access/testing/world.h"

namespace vestige::access {
namespace {

using testing::World;
using namespace std::chrono_literals;
using State = Approval::State;

Principal account(std::uint8_t number, std::vector<std::string> roles = {}) {
  return {.kind = PrincipalKind::account,
          .id = make_uuid_v8({number}),
          .name = "Person " + std::to_string(number),
          .tenant = std::string(testing::tenant),
          .roles = std::move(roles),
          .method = Method::password};
}
Principal key(std::uint8_t number, std::vector<std::string> roles = {}, std::optional<Uuid> maker = {}) {
  auto principal = account(number, std::move(roles));
  principal.kind = PrincipalKind::service;
  principal.maker = maker;
  return principal;
}

const Policy& policy() { return *Policy::shipped(); }

ExactRequest export_request() {
  return {.operation = "exportSearch",
          .method = "POST",
          .path = "/api/export",
          .query = {{"format", "csv"}},
          .body = R"({"kind":"ticket","timeFrom":"2026-01-01T00:00:00Z"})",
          .role = "legal",
          .person = ""};
}

class Approving : public ::testing::Test {
 protected:
  // Asks for a bulk export, which management decides about.
  Approval ask(const Principal& by, ExactRequest request = export_request()) {
    auto asked = world.approvals->ask(by, World::here(), policy(),
                                      {.request = std::move(request),
                                       .rule = "bulk_export",
                                       .reason = "the yearly review",
                                       .words = "4711 entries",
                                       .knows_person = true});
    EXPECT_TRUE(asked) << asked.error().message;
    return asked ? *asked : Approval{};
  }
  Result<Approval> decide(const Principal& by, const Uuid& id, bool approve = true) {
    return world.approvals->decide(by, World::here(), policy(), id, {.approve = approve, .comment = "fine"});
  }
  Result<Approval> use(const Principal& by, const Uuid& id, const ExactRequest& request = export_request(),
                       std::string_view reason = {}) {
    return world.approvals->use(by, World::here(), policy(), id, request, reason);
  }
  void expect_refused(const Result<Approval>& outcome, ErrorKind kind, std::string_view words) {
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().kind, kind) << outcome.error().message;
    EXPECT_NE(outcome.error().message.find(words), std::string::npos) << outcome.error().message;
  }
  std::string files() const {
    std::string all;
    for (const auto& file : std::filesystem::directory_iterator(world.database.folder()))
      all += std::string(std::istreambuf_iterator<char>(std::ifstream(file.path()).rdbuf()), {});
    return all;
  }
  // The texts of the steps that are on record since the last call.
  std::vector<std::string> texts() {
    std::vector<std::string> out;
    for (const auto& event : world.events()) out.push_back(event.text);
    return out;
  }

  World world;
  const Principal asker = account(1, {"legal"});
  const Principal manager = account(2, {"auditor", "management"});
};

TEST_F(Approving, AYesIsUsedOnceByTheAskerForTheSameRequest) {
  const auto asked = ask(asker);
  EXPECT_EQ(asked.state, State::asked);
  EXPECT_EQ(asked.expires - asked.asked, 1440 * 60'000);
  const auto approved = decide(manager, asked.id);
  ASSERT_TRUE(approved) << approved.error().message;
  EXPECT_EQ(approved->state, State::approved);
  EXPECT_EQ(approved->decision->role, "management");
  EXPECT_EQ(approved->decision->by.id, manager.id);
  EXPECT_EQ(approved->decision->comment, "fine");
  // What spells the same JSON otherwise is the same request; so is another order of the query.
  auto again = export_request();
  again.body = "{ \"timeFrom\": \"2026-01-01T00:00:00Z\",\n\"kind\": \"\\u0074icket\"}";
  const auto used = use(asker, asked.id, again);
  ASSERT_TRUE(used) << used.error().message;
  EXPECT_EQ(used->state, State::used);
  EXPECT_EQ(used->reason, "the yearly review");
  EXPECT_EQ(used->request, "");
  expect_refused(use(asker, asked.id), ErrorKind::denied, "good once");
}

TEST_F(Approving, EachPartOfTheRequestCounts) {
  const auto asked = ask(asker);
  ASSERT_TRUE(decide(manager, asked.id));
  const auto differs = [&](auto change) {
    auto other = export_request();
    change(other);
    expect_refused(use(asker, asked.id, other), ErrorKind::denied, "another request");
  };
  differs([](ExactRequest& request) { request.operation = "exportEvents"; });
  differs([](ExactRequest& request) { request.method = "GET"; });
  differs([](ExactRequest& request) { request.path = "/api/export/"; });
  differs([](ExactRequest& request) { request.query = {}; });
  differs([](ExactRequest& request) { request.query.emplace_back("format", "csv"); });
  differs([](ExactRequest& request) { request.query[0].second = "ndjson"; });
  differs([](ExactRequest& request) { request.body = R"({"kind":"ticket"})"; });
  differs([](ExactRequest& request) { request.body += " {"; });
  differs([](ExactRequest& request) { request.body = ""; });
  differs([](ExactRequest& request) { request.role = "auditor"; });
  differs([](ExactRequest& request) { request.person = "customer-1"; });
  expect_refused(use(asker, asked.id, export_request(), "another reason"), ErrorKind::denied,
                 "another reason");
  EXPECT_TRUE(use(asker, asked.id, export_request(), "the yearly review"));
}

TEST_F(Approving, NobodyElseUsesItOrLearnsOfIt) {
  const auto asked = ask(asker);
  auto elsewhere = asker;
  elsewhere.tenant = "other";
  auto customer = asker;
  customer.kind = PrincipalKind::customer;
  for (const auto& other : {account(3, {"legal"}), key(11, {"legal"}), elsewhere, customer}) {
    expect_refused(world.approvals->find(other, policy(), asked.id), ErrorKind::not_found, "no approval");
    expect_refused(decide(other, asked.id), ErrorKind::not_found, "no approval");
    expect_refused(world.approvals->withdraw(other, World::here(), asked.id), ErrorKind::not_found,
                   "no approval");
    EXPECT_TRUE(world.approvals->list(other, policy(), Approvals::Which::to_decide, {}, 10)->empty());
  }
  ASSERT_TRUE(decide(manager, asked.id));
  for (const auto& other : {account(3, {"legal"}), key(11, {"legal"}), elsewhere, customer, manager})
    expect_refused(use(other, asked.id), ErrorKind::not_found, "no approval");
  expect_refused(use(asker, make_uuid_v8({9})), ErrorKind::not_found, "no approval");
  expect_refused(decide(manager, make_uuid_v8({9})), ErrorKind::not_found, "no approval");
}

TEST_F(Approving, NobodyDecidesForThemselves) {
  const auto both = account(1, {"legal", "management"});
  const auto own = ask(both);
  const auto through_key = key(7, {"management"}, both.id);
  expect_refused(decide(both, own.id), ErrorKind::denied, "themselves");
  expect_refused(decide(through_key, own.id), ErrorKind::denied, "themselves");
  // Nor the other way round, nor by a second key of the same maker.
  const auto by_key = ask(through_key);
  expect_refused(decide(both, by_key.id), ErrorKind::denied, "themselves");
  expect_refused(decide(key(8, {"management"}, both.id), by_key.id), ErrorKind::denied, "themselves");
  EXPECT_TRUE(world.approvals->list(both, policy(), Approvals::Which::to_decide, {}, 10)->empty());
  EXPECT_EQ(world.approvals->list(manager, policy(), Approvals::Which::to_decide, {}, 10)->size(), 2u);
  EXPECT_TRUE(decide(key(9, {"management"}), own.id));
  EXPECT_TRUE(decide(manager, by_key.id));
}

TEST_F(Approving, AKeyLeadsBackToTheAccountOrKeyThatMadeIt) {
  const auto make = [&](const Principal* by) {
    auto made = world.keys->make({.name = "k", .tenant = std::string(testing::tenant), .role = "management"});
    EXPECT_TRUE(made && world.keys->add(*made, by));
    return made->about.id;
  };
  const auto admin = world.administrator();
  const auto of_account = make(&admin);
  const auto first = world.keys->find(of_account)->principal();
  const auto of_key = make(&first);
  const auto root = make(nullptr);
  const auto plain = world.keys->find(root)->principal();
  const auto of_plain = make(&plain);
  const auto later = world.keys->find(of_plain)->principal();
  const auto of_later = make(&later);
  // The server's own decides about nothing, so what it makes is somebody else.
  auto server = plain;
  server.roles = {std::string(service_role)};
  const auto of_server = make(&server);
  for (int round = 0; round < 2; ++round) {
    const auto person = [&](const Uuid& id) { return person_of(world.keys->find(id)->principal()); };
    EXPECT_EQ(person(of_account), admin.id);
    EXPECT_EQ(person(of_key), admin.id);
    EXPECT_EQ(person(root), root);
    EXPECT_EQ(person(of_plain), root);
    EXPECT_EQ(person(of_later), root);
    EXPECT_EQ(person(of_server), of_server);
    world.restart();
  }
}

TEST_F(Approving, ADecisionIsTakenOnce) {
  const auto asked = ask(asker);
  ASSERT_TRUE(decide(manager, asked.id, false));
  expect_refused(decide(manager, asked.id), ErrorKind::conflict, "refused");
  expect_refused(use(asker, asked.id), ErrorKind::denied, "refused");
  expect_refused(world.approvals->withdraw(asker, World::here(), asked.id), ErrorKind::conflict, "refused");
  const auto second = ask(asker);
  EXPECT_NE(second.id, asked.id);
  expect_refused(use(asker, second.id), ErrorKind::denied, "nobody has decided");
  ASSERT_TRUE(decide(manager, second.id));
  expect_refused(decide(manager, second.id, false), ErrorKind::conflict, "given already");
  EXPECT_EQ(ask(asker).id, second.id);
  ASSERT_TRUE(world.approvals->withdraw(asker, World::here(), second.id));
  expect_refused(use(asker, second.id), ErrorKind::denied, "withdrawn");
}

TEST_F(Approving, TimeEndsIt) {
  const auto waiting = ask(asker);
  auto other = export_request();
  other.body = "{}";
  const auto approved = ask(asker, other);
  ASSERT_TRUE(decide(manager, approved.id));
  world.clock().advance(24h - 1ms);
  EXPECT_EQ(world.approvals->find(asker, policy(), waiting.id)->state, State::asked);
  world.clock().advance(1ms);
  EXPECT_EQ(world.approvals->find(asker, policy(), waiting.id)->state, State::expired);
  EXPECT_TRUE(world.approvals->list(manager, policy(), Approvals::Which::to_decide, {}, 10)->empty());
  world.events();
  expect_refused(decide(manager, waiting.id), ErrorKind::conflict, "past its time");
  expect_refused(use(asker, approved.id, other), ErrorKind::denied, "past its time");
  EXPECT_EQ(world.acts(), (std::vector<std::string>{"EXPIRED", "EXPIRED"}));
  ASSERT_TRUE(world.approvals->sweep());
  EXPECT_TRUE(world.events().empty());
  EXPECT_NE(ask(asker).id, waiting.id);
}

TEST_F(Approving, AClockThatIsSetBackGivesNoMoreTime) {
  const auto asked = ask(asker);
  ASSERT_TRUE(decide(manager, asked.id));
  world.clock().set(world.clock().now() + -std::int64_t{3'600'000});
  world.clock().advance(24h);
  expect_refused(use(asker, asked.id), ErrorKind::denied, "past its time");
  // Across a restart nothing tells how long it really was: what was asked for in the future is over.
  const auto second = ask(asker);
  ASSERT_TRUE(decide(manager, second.id));
  world.clock().set(world.clock().now() + -std::int64_t{2 * 86'400'000});
  world.restart();
  expect_refused(use(asker, second.id), ErrorKind::denied, "past its time");
}

TEST_F(Approving, WhoIsGoneByThenHasNotApproved) {
  const auto boss = world.make_account("boss", std::string(testing::good_password), {"management"});
  const Principal decider{.kind = PrincipalKind::account,
                          .id = boss.id,
                          .name = "boss",
                          .tenant = std::string(testing::tenant),
                          .roles = {"management"}};
  const auto asked = ask(asker);
  ASSERT_TRUE(decide(decider, asked.id));
  ASSERT_TRUE(world.accounts->disable(world.administrator(), World::here(), boss.id));
  expect_refused(use(asker, asked.id), ErrorKind::denied, "may not decide any more");
  ASSERT_TRUE(world.accounts->enable(world.administrator(), World::here(), boss.id));
  EXPECT_TRUE(use(asker, asked.id));

  const auto third = ask(asker);
  ASSERT_TRUE(decide(decider, third.id));
  ASSERT_TRUE(
      world.accounts->set_end(world.administrator(), World::here(), boss.id, world.clock().now() + 1'000));
  world.clock().advance(1s);
  expect_refused(use(asker, third.id), ErrorKind::denied, "may not decide any more");

  auto made = world.keys->make({.name = "k", .tenant = std::string(testing::tenant), .role = "management"});
  ASSERT_TRUE(made && world.keys->add(*made, nullptr));
  ASSERT_TRUE(world.approvals->withdraw(asker, World::here(), third.id));
  const auto second = ask(asker);
  ASSERT_TRUE(decide(made->about.principal(), second.id));
  ASSERT_TRUE(world.keys->revoke(made->about.id, asker));
  expect_refused(use(asker, second.id), ErrorKind::denied, "may not decide any more");
}

TEST_F(Approving, OfManyWhoUseItAtTheSameTimeOneDoes) {
  for (int round = 0; round < 5; ++round) {
    const auto asked = ask(asker);
    ASSERT_TRUE(decide(manager, asked.id));
    std::atomic<int> used = 0;
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < 6; ++i) threads.emplace_back([&] { used += use(asker, asked.id) ? 1 : 0; });
    }
    EXPECT_EQ(used, 1);
  }
}

TEST_F(Approving, EveryStepIsOnRecordAndARestartChangesNothing) {
  auto about = export_request();
  about.person = "customer-4711";
  const auto asked = ask(asker, about);
  world.restart();
  EXPECT_EQ(ask(asker, about).id, asked.id);
  ASSERT_TRUE(decide(manager, asked.id));
  world.restart();
  ASSERT_TRUE(use(asker, asked.id, about));
  const auto steps = world.events();
  ASSERT_EQ(steps.size(), 3u);
  const char* actions[] = {"ASKED", "APPROVED", "USED"};
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(steps[i].kind, "access.approval");
    EXPECT_EQ(steps[i].action, actions[i]);
    EXPECT_EQ(steps[i].target, format_uuid(asked.id));
    EXPECT_EQ(steps[i].subject, "customer-4711");
    EXPECT_EQ(steps[i].source, format_uuid(i == 1 ? manager.id : asker.id));
    for (const auto* part : {R"("rule":"bulk_export")", R"("operation":"exportSearch")", R"("role":"legal")"})
      EXPECT_NE(steps[i].text.find(part), std::string::npos) << steps[i].text;
    EXPECT_EQ(steps[i].text.find("timeFrom"), std::string::npos) << "the request itself";
  }
  EXPECT_NE(steps[0].text.find(R"("reason":"the yearly review")"), std::string::npos);
  EXPECT_NE(steps[1].text.find(R"("comment":"fine")"), std::string::npos);
  EXPECT_NE(steps[1].text.find(R"("decider_role":"management")"), std::string::npos);
  EXPECT_NE(steps[2].text.find(R"("approved_by":")" + format_uuid(manager.id)), std::string::npos);
}

TEST_F(Approving, TheDeciderReadsTheRequestAndTheFilesDoNotShowIt) {
  auto about = export_request();
  about.person = "customer-4711";
  about.body = R"({"text":"a rather secret word"})";
  const auto asked = ask(asker, about);
  const auto seen = world.approvals->find(manager, policy(), asked.id);
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->request,
            R"({"body":{"text":"a rather secret word"},"method":"POST","operation":"exportSearch",)"
            R"("path":"/api/export","person":"customer-4711","query":[["format","csv"]],"role":"legal"})");
  EXPECT_EQ(seen->words, "4711 entries");
  for (const auto* secret : {"rather secret", "customer-4711", "yearly review", "4711 entries"})
    EXPECT_EQ(files().find(secret), std::string::npos) << secret;
  ASSERT_TRUE(decide(manager, asked.id, false));
  EXPECT_EQ(world.approvals->find(manager, policy(), asked.id)->request, "");
  EXPECT_EQ(world.approvals->find(manager, policy(), asked.id)->words, "");
}

TEST_F(Approving, APersonThatIsErasedIsForgotten) {
  auto about = export_request();
  about.person = "customer-4711";
  const auto open = ask(asker, about);
  ASSERT_TRUE(decide(manager, open.id));
  const auto of_nobody = ask(asker);
  about.body = "";
  const auto over = ask(asker, about);
  ASSERT_TRUE(decide(manager, over.id, false));
  world.events();
  ASSERT_TRUE(world.approvals->forget_subject("other", "customer-4711"));
  ASSERT_TRUE(world.approvals->forget_subject(testing::tenant, "customer-4712"));
  ASSERT_TRUE(world.approvals->forget_subject(testing::tenant, ""));
  EXPECT_TRUE(world.events().empty());
  ASSERT_TRUE(world.approvals->forget_subject(testing::tenant, "customer-4711"));
  const auto said = texts();
  ASSERT_EQ(said.size(), 1u);
  EXPECT_EQ(said[0].find("customer-4711"), std::string::npos) << said[0];
  for (const auto& id : {open.id, over.id}) {
    const auto left = world.approvals->find(asker, policy(), id);
    ASSERT_TRUE(left);
    EXPECT_EQ(left->state, id == open.id ? State::withdrawn : State::refused);
    EXPECT_EQ(left->reason + left->request + left->words + left->decision->comment, "");
    EXPECT_FALSE(left->person);
  }
  EXPECT_EQ(world.approvals->find(asker, policy(), of_nobody.id)->state, State::asked);
}

TEST_F(Approving, ListsArePagedNewestFirst) {
  std::vector<Uuid> ids;
  for (int i = 0; i < 7; ++i) {
    auto request = export_request();
    request.body = std::to_string(i);
    ids.insert(ids.begin(), ask(asker, request).id);
  }
  for (const auto which : {Approvals::Which::own, Approvals::Which::to_decide}) {
    const auto& who = which == Approvals::Which::own ? asker : manager;
    std::vector<Uuid> seen;
    std::optional<Uuid> after;
    for (;;) {
      const auto page = world.approvals->list(who, policy(), which, after, 3);
      ASSERT_TRUE(page);
      if (page->empty()) break;
      EXPECT_LE(page->size(), 3u);
      for (const auto& each : *page) seen.push_back(each.id);
      after = seen.back();
    }
    EXPECT_EQ(seen, ids);
  }
  ASSERT_TRUE(decide(manager, ids[0]));
  EXPECT_EQ(world.approvals->list(manager, policy(), Approvals::Which::to_decide, {}, 10)->size(), 6u);
  EXPECT_EQ(world.approvals->list(asker, policy(), Approvals::Which::own, {}, 10)->size(), 7u);
  EXPECT_FALSE(world.approvals->list(asker, policy(), Approvals::Which::own, make_uuid_v8({9}), 10));
}

TEST_F(Approving, WhatIsNoQuestionIsRefused) {
  const auto refused = [&](Approvals::Wanted wanted, ErrorKind kind) {
    const auto asked = world.approvals->ask(asker, World::here(), policy(), wanted);
    ASSERT_FALSE(asked);
    EXPECT_EQ(asked.error().kind, kind) << asked.error().message;
  };
  const Approvals::Wanted good{.request = export_request(), .rule = "bulk_export", .reason = "why"};
  auto wanted = good;
  wanted.rule = "bulk_exports";
  refused(wanted, ErrorKind::not_found);
  for (const auto& reason :
       {std::string(), std::string(1'025, 'x'), std::string("\xff"), std::string("a\nb")}) {
    wanted = good;
    wanted.reason = reason;
    refused(wanted, ErrorKind::invalid);
  }
  wanted = good;
  wanted.request.body = std::string(limits::approval_request_bytes_max + 1, ' ');
  refused(wanted, ErrorKind::exhausted);
  wanted = good;
  wanted.request.query.emplace_back("q", std::string(limits::approval_request_bytes_max, 'x'));
  refused(wanted, ErrorKind::exhausted);
  wanted = good;
  wanted.request.path = "/\xff";
  refused(wanted, ErrorKind::invalid);
  wanted = good;
  wanted.words = std::string(513, 'x');
  refused(wanted, ErrorKind::invalid);
  auto customer = asker;
  customer.kind = PrincipalKind::customer;
  EXPECT_EQ(world.approvals->ask(customer, World::here(), policy(), good).error().kind, ErrorKind::denied);
  EXPECT_TRUE(world.events().empty());
  // A body that is no JSON is one all the same.
  wanted = good;
  wanted.request.body = std::string("\xff\0{", 3);
  EXPECT_TRUE(world.approvals->ask(asker, World::here(), policy(), wanted));
}

TEST_F(Approving, AnAskerHasSoManyOpenAndOthersGoOn) {
  std::vector<Uuid> ids;
  Approvals::Wanted wanted{.request = export_request(), .rule = "bulk_export", .reason = "why"};
  for (std::size_t i = 0; i < limits::open_approvals_per_asker_max; ++i) {
    wanted.request.body = std::to_string(i);
    const auto asked = world.approvals->ask(asker, World::here(), policy(), wanted);
    ASSERT_TRUE(asked);
    ids.push_back(asked->id);
  }
  wanted.request.body = "[]";
  const auto refused = world.approvals->ask(asker, World::here(), policy(), wanted);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::unavailable);
  EXPECT_EQ(refused.error().limit, "open_approvals_per_asker_max = 64");
  EXPECT_TRUE(world.approvals->ask(account(5, {"legal"}), World::here(), policy(), wanted));
  ASSERT_TRUE(world.approvals->withdraw(asker, World::here(), ids[3]));
  EXPECT_TRUE(world.approvals->ask(asker, World::here(), policy(), wanted));
}

TEST_F(Approving, WhatEndedLongAgoIsDropped) {
  const auto asked = ask(asker);
  ASSERT_TRUE(world.approvals->withdraw(asker, World::here(), asked.id));
  world.clock().advance(limits::ended_approvals_kept - 1ms);
  ASSERT_TRUE(world.approvals->sweep());
  EXPECT_TRUE(world.approvals->find(asker, policy(), asked.id));
  world.clock().advance(1ms);
  ASSERT_TRUE(world.approvals->sweep());
  EXPECT_FALSE(world.approvals->find(asker, policy(), asked.id));
}

}  // namespace
}  // namespace vestige::access
