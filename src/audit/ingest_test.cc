// Defends: the one way in. Against a model that is a list and a map: each id is stored once and for ever with
// its first content, a batch is stored whole or not at all, answers stand in the order of the request,
// indexes and leaves are those of the log, receipt times never go back, and a restart changes none of it.
#include "audit/ingest.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "audit/limits.h"
#include "audit/testing/random_events.h"
#include "audit/testing/world.h"
#include "base/time_text.h"
#include "trail/format/page.h"

namespace vestige::audit {
namespace {

using testing::Random;
using testing::Tree;
using testing::World;

std::string event_text(const std::string& id, unsigned content, bool personal) {
  return fmt::format(R"({{{}"kind":"data.change","action":"A{}"{},"detail":{{"n":{}}}}})",
                     id.empty() ? "" : fmt::format("\"id\":\"{}\",", id), content,
                     personal ? R"(,"subject":"p")" : "", content);
}

struct Stored {
  std::string id;
  unsigned content;
  bool personal;
  Hash leaf;
};

struct Model {
  std::vector<Stored> entries;
  std::map<std::string, std::uint64_t> index_of;
};

struct Wish {
  std::string id;  // empty: the server's to make
  unsigned content;
  bool personal;
};

std::string body_of(Random& random, const std::vector<Wish>& wishes, BodyForm& form) {
  std::string body;
  form = random.chance(50) ? BodyForm::ndjson : BodyForm::json;
  if (form == BodyForm::json && wishes.size() == 1 && random.chance(50))
    return event_text(wishes[0].id, wishes[0].content, wishes[0].personal);
  for (const auto& wish : wishes) {
    body += form == BodyForm::json ? (body.empty() ? "[" : ",")
            : body.empty()         ? ""
            : random.chance(20)    ? "\r\n \n"
                                   : "\n";
    body += event_text(wish.id, wish.content, wish.personal);
  }
  return body + (form == BodyForm::json ? "]" : random.chance(50) ? "\n" : "");
}

// What must happen: the places of the events, or nothing where the batch conflicts.
struct Expected {
  bool conflict = false;
  std::vector<std::uint64_t> indexes;
  std::vector<bool> duplicates;
};

Expected expect(Model& model, const std::vector<Wish>& wishes) {
  Expected expected;
  Model next = model;
  for (const auto& wish : wishes) {
    const auto found = wish.id.empty() ? next.index_of.end() : next.index_of.find(wish.id);
    if (found == next.index_of.end()) {
      if (!wish.id.empty()) next.index_of[wish.id] = next.entries.size();
      expected.indexes.push_back(next.entries.size());
      expected.duplicates.push_back(false);
      next.entries.push_back({wish.id, wish.content, wish.personal, {}});
      continue;
    }
    const auto& there = next.entries[found->second];
    if (there.content != wish.content || there.personal != wish.personal) expected.conflict = true;
    expected.indexes.push_back(found->second);
    expected.duplicates.push_back(true);
  }
  if (!expected.conflict) model = std::move(next);
  return expected;
}

void verify(World& world, const Model& model) {
  const auto snapshot = world.stream().snapshot();
  ASSERT_EQ(snapshot.size(), model.entries.size());
  std::string last_received;
  for (std::size_t i = 0; i < model.entries.size(); ++i) {
    const auto bytes = snapshot.read(i);
    ASSERT_TRUE(bytes);
    ASSERT_EQ(trail::leaf_hash(view(bytes->entry)), model.entries[i].leaf) << i;
    const auto event = Tree::parse(world.rendered(i));
    ASSERT_EQ(event.find("id")->value(), model.entries[i].id);
    ASSERT_EQ(event.find("action")->value(), fmt::format("A{}", model.entries[i].content));
    ASSERT_EQ(event.find("detail")->find("n")->scalar, fmt::format("{}", model.entries[i].content));
    const auto received = event.find("receivedAt")->value();
    ASSERT_GE(received, last_received) << i;
    last_received = received;
  }
}

TEST(Ingest, RandomBatchesAgainstAListAndAMap) {
  const auto seed = testing::seed_of_test();
  Random random(seed);
  World world(seed);
  world.open();
  Model model;
  std::uint64_t conflicts = 0, duplicates = 0, restarts = 0;
  std::vector<std::string> ids;
  for (int i = 0; i < 60; ++i) ids.push_back(testing::random_uuid(random));
  for (std::size_t round = 0; round < testing::rounds(400); ++round) {
    std::vector<Wish> wishes;
    for (auto left = 1 + random.below(random.chance(10) ? 300 : 5); left > 0; --left) {
      const auto content = static_cast<unsigned>(random.below(100) < 95 ? 0 : 1);
      wishes.push_back({random.chance(30)   ? random.pick(ids)
                        : random.chance(50) ? testing::random_uuid(random)
                                            : "",
                        content, random.chance(10)});
      // Whether it is personal belongs to the content: the same for one id, mostly.
      if (!wishes.back().id.empty() && random.chance(90))
        wishes.back().personal = wishes.back().id.back() < '8';
    }
    BodyForm form;
    const auto body = body_of(random, wishes, form);
    const auto expected = expect(model, wishes);
    const auto sent = world.send(body, form);
    if (expected.conflict) {
      ++conflicts;
      ASSERT_FALSE(sent) << body;
      ASSERT_EQ(sent.error().kind, ErrorKind::conflict);
      ASSERT_TRUE(sent.error().path.ends_with("/id")) << sent.error().path;
      ASSERT_EQ(world.stream().size(), model.entries.size()) << "something of a refused batch was stored";
    } else {
      ASSERT_TRUE(sent) << sent.error().message << "\n" << body;
      ASSERT_EQ(sent->events.size(), wishes.size());
      std::uint64_t fresh = 0;
      for (std::size_t i = 0; i < wishes.size(); ++i) {
        const auto& event = sent->events[i];
        ASSERT_EQ(event.index, expected.indexes[i]);
        ASSERT_EQ(event.duplicate, expected.duplicates[i]);
        ASSERT_FALSE(event.erased);
        if (!wishes[i].id.empty()) ASSERT_EQ(format_uuid(event.id), wishes[i].id);
        auto& stored = model.entries[event.index];
        if (!event.duplicate) {
          ++fresh;
          stored.id = format_uuid(event.id);
          stored.leaf = event.leaf;
          if (random.chance(20)) ids[random.below(ids.size())] = stored.id;
          model.index_of[stored.id] = event.index;
        }
        ASSERT_EQ(event.leaf, stored.leaf);
      }
      ASSERT_EQ(sent->accepted, fresh);
      ASSERT_EQ(sent->duplicates, wishes.size() - fresh);
      duplicates += sent->duplicates;
    }
    // Time may stand still, and may go back.
    if (random.chance(30)) world.clock.advance(std::chrono::milliseconds(random.below(2'000)));
    if (random.chance(5)) world.clock.set(UnixMs{world.clock.now().value - 10'000});
    if (random.chance(3)) world.seal_everything();
    if (random.chance(4)) {
      ++restarts;
      random.chance(50) ? world.close() : world.kill();
      ASSERT_NO_FATAL_FAILURE(world.open());
      ASSERT_NO_FATAL_FAILURE(verify(world, model));
    }
  }
  ASSERT_NO_FATAL_FAILURE(verify(world, model));
  EXPECT_GT(conflicts, 0u);
  EXPECT_GT(duplicates, testing::rounds(50));
  EXPECT_GT(restarts, 0u);
}

TEST(Ingest, RequestsOfOneGroupAreDecidedInTheirOrder) {
  World world(1);
  world.open();
  Random random(1);
  const auto id = testing::random_uuid(random);
  std::vector<Result<BatchOutcome>> outcomes;
  outcomes.reserve(4);
  world.submit(event_text(id, 1, true), outcomes);
  world.submit(event_text(id, 1, true), outcomes);
  world.submit("[" + event_text("", 7, false) + "," + event_text(id, 2, true) + "]", outcomes);
  world.submit(event_text(id, 1, true), outcomes);
  world.commit();
  ASSERT_TRUE(outcomes[0] && outcomes[1] && outcomes[3]);
  EXPECT_EQ(outcomes[0]->accepted, 1u);
  EXPECT_EQ(outcomes[1]->duplicates, 1u);
  EXPECT_EQ(outcomes[1]->events[0].leaf, outcomes[0]->events[0].leaf);
  ASSERT_FALSE(outcomes[2]);
  EXPECT_EQ(outcomes[2].error().kind, ErrorKind::conflict);
  EXPECT_EQ(outcomes[2].error().path, "/1/id");
  EXPECT_EQ(outcomes[3]->duplicates, 1u);
  EXPECT_EQ(world.stream().size(), 1u);
}

TEST(Ingest, ADuplicateOfWhatWasErasedIsNotCompared) {
  World world(1);
  world.open();
  Random random(1);
  const auto id = testing::random_uuid(random);
  const auto first = world.send(event_text(id, 1, true));
  ASSERT_TRUE(first);
  world.vault->erase("default", "p");
  for (const unsigned content : {1u, 2u}) {
    const auto again = world.send(event_text(id, content, true));
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_TRUE(again->events[0].duplicate && again->events[0].erased);
    EXPECT_EQ(again->events[0].leaf, first->events[0].leaf);
  }
}

// ------------------------------------------------------------------------------------------------- refusals

TEST(Ingest, RefusalsNamePathPositionAndLimit) {
  World world(1);
  world.open();
  const std::string good = R"({"kind":"data.change","action":"A"})";
  struct Case {
    std::string body;
    BodyForm form;
    std::string path;
    std::optional<std::uint64_t> position;
  };
  const std::string bad = R"({"kind":"data.change","action":1})";
  const auto at = bad.find('1');
  for (const auto& each : std::vector<Case>{
           {bad, BodyForm::json, "/action", at},
           {"[" + good + "," + bad + "]", BodyForm::json, "/1/action", 1 + good.size() + 1 + at},
           {good + "\n\n" + bad, BodyForm::ndjson, "/1/action", good.size() + 2 + at},
           {"[1]", BodyForm::json, "/0", 1},
           {"7", BodyForm::json, "", 0},
           {good + "\n{\"kind\":", BodyForm::ndjson, "/1/kind", std::nullopt},
           {"[" + good + ",{\"a\":1,\"a\":2}]", BodyForm::json, "/1/a", std::nullopt},
           {R"({"kind":"data.change","action":"A","detail":{"x":9007199254740993}})", BodyForm::json,
            "/detail/x", std::nullopt},
       }) {
    const auto sent = world.send(each.body, each.form);
    ASSERT_FALSE(sent) << each.body;
    EXPECT_EQ(sent.error().kind, ErrorKind::invalid) << each.body;
    EXPECT_EQ(sent.error().path, each.path) << each.body;
    EXPECT_TRUE(sent.error().position) << each.body;
    if (each.position) EXPECT_EQ(sent.error().position, each.position) << each.body;
  }
  for (const auto* nothing : {"", " ", "[]", "\n \r\n"})
    for (const auto form : {BodyForm::json, BodyForm::ndjson}) {
      const auto sent = world.send(nothing, form);
      ASSERT_FALSE(sent) << nothing;
      EXPECT_EQ(sent.error().kind, ErrorKind::invalid);
    }
  EXPECT_EQ(world.stream().size(), 0u);
}

// ------------------------------------------------------------------------------------------------ approvals

TEST(Ingest, OnlyTheServerSaysUnderWhichApprovalAnEntryWasRecorded) {
  World world(1);
  world.open();
  const std::string claims[] = {R"("context":{"approval":{"id":"x"}})", R"("context":{"approval":null})"};
  for (const auto& claim : claims)
    for (const auto* kind : {"data.change", "ticket"}) {
      const auto sent = world.send(fmt::format(R"([{{"kind":"{}","action":"A",{}}}])", kind, claim));
      ASSERT_FALSE(sent) << claim;
      EXPECT_EQ(sent.error().path, "/0/context/approval");
    }
  const auto line =
      fmt::format(R"({{"record":{{"n":1}},"event":{{"kind":"ticket","action":"A",{}}}}})", claims[0]);
  EXPECT_FALSE(world.ingest->prepare_import(line, "json", world.request));
  // Of approvals that are none of this server's anybody may tell, but not where one of this server's is.
  const auto told = [](std::string_view kind, std::string_view name) {
    return fmt::format(R"({{"kind":"{}","action":"A","subject":"p","detail":{{"{}":"approved"}}}})", kind,
                       name);
  };
  EXPECT_TRUE(world.send(told("data.change", "approval_status")));
  world.request.approval = R"({"id":"a-1","rule":"four_eyes"})";
  for (const auto* name : {"approval_status", "approver", "modification_id"}) {
    const auto sent = world.send(told("data.change", name));
    ASSERT_FALSE(sent) << name;
    EXPECT_EQ(sent.error().path, fmt::format("/detail/{}", name));
  }
  EXPECT_FALSE(world.send(R"({"kind":"data.change","action":"A","detail":{"approval_required":"no"}})"));
  EXPECT_TRUE(world.send(told("template", "approval_status")));
  ASSERT_TRUE(world.send(event_text("", 7, true)));
  const auto last = world.stream().snapshot().size() - 1;
  const auto entry = Tree::parse(world.clear_bytes(last));
  EXPECT_EQ(entry.find("context")->find("approval")->json(), world.request.approval);
  world.vault->erase("default", "p");
  EXPECT_EQ(Tree::parse(world.rendered(last)).find("context")->find("approval")->json(),
            world.request.approval);
  EXPECT_EQ(Tree::parse(world.rendered(0)).find("context")->find("approval"), nullptr);
}

TEST(Ingest, WhatIsExaminedIsCheckedAndLeavesNothingBehind) {
  World world(1);
  world.open();
  std::vector<std::string> seen;
  const auto see = [&](const Event& event) -> Status {
    seen.emplace_back(event.action);
    if (event.action == "A2") return fail(ErrorKind::denied, "no");
    return {};
  };
  const auto list = fmt::format("[{},{}]", event_text("", 1, true), event_text("", 3, true));
  EXPECT_TRUE(world.ingest->examine(list, BodyForm::json, see));
  EXPECT_TRUE(world.ingest->examine(event_text("", 4, true) + "\n\n" + event_text("", 5, false),
                                    BodyForm::ndjson, see));
  EXPECT_TRUE(world.ingest->examine_import(
      R"({"record":{"n":1},"event":{"kind":"ticket","action":"A6","subject":"p"}})", "json", see));
  EXPECT_EQ(seen, (std::vector<std::string>{"A1", "A3", "A4", "A5", "A6"}));
  const auto refused = world.ingest->examine(
      fmt::format("[{},{}]", event_text("", 1, true), event_text("", 2, true)), BodyForm::json, see);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().path, "/1");
  EXPECT_EQ(world.ingest->examine_import("{\"record\":{\"kind\":\"data.change\"}}", "json", see).error().kind,
            ErrorKind::invalid);
  EXPECT_FALSE(world.ingest->examine("[]", BodyForm::json, see));
  EXPECT_FALSE(world.ingest->examine(R"({"kind":"nothing","action":"A"})", BodyForm::json, see));
  EXPECT_EQ(world.vault->look_up("default", "p")->state, vault::SubjectState::never);
  EXPECT_EQ(world.stream().size(), 0u);
}

std::string nested(std::size_t levels) {
  // The event itself and its detail are two of them.
  return R"({"kind":"data.change","action":"A","detail":{"a":)" + std::string(levels - 2, '[') +
         std::string(levels - 2, ']') + "}}";
}

TEST(Ingest, AnEventMayBe64LevelsDeepHoweverItIsSent) {
  World world(1);
  world.open();
  for (const char* subject : {"", R"("subject":"p",)"}) {
    const auto deep = [&](std::size_t levels) {
      auto body = nested(levels);
      return body.insert(1, subject);
    };
    EXPECT_TRUE(world.send(deep(64)));
    EXPECT_TRUE(world.send("[" + deep(64) + "]"));
    EXPECT_TRUE(world.send(deep(64), BodyForm::ndjson));
    EXPECT_EQ(Tree::parse(world.rendered(world.stream().size() - 1)).find("detail")->canonical(),
              "{\"a\":" + std::string(62, '[') + std::string(62, ']') + "}");
    for (const auto& refused :
         {world.send(deep(65)), world.send(" [" + deep(65) + "]"), world.send(deep(65), BodyForm::ndjson)}) {
      ASSERT_FALSE(refused);
      EXPECT_EQ(refused.error().kind, ErrorKind::invalid);
      EXPECT_FALSE(refused.error().limit.empty());
    }
  }
  EXPECT_EQ(world.stream().size(), 6u);
}

TEST(Ingest, AnEventMayHaveOneMebibyte) {
  World world(1);
  world.open();
  const std::string frame = R"({"action":"A","detail":{"a":""},"kind":"data.change"})";
  const auto of_size = [&](std::size_t size) {
    auto text = frame;
    return text.insert(text.find("\"\"") + 1, std::string(size - frame.size(), 'x'));
  };
  for (const auto form : {BodyForm::json, BodyForm::ndjson}) {
    EXPECT_TRUE(world.send(of_size(event_bytes_max), form));
    const auto refused = world.send(of_size(event_bytes_max + 1), form);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::exhausted);
    EXPECT_EQ(refused.error().limit, fmt::format("event_bytes_max = {}", event_bytes_max));
  }
  const auto listed = world.send("[" + frame + "," + of_size(event_bytes_max + 1) + "]");
  ASSERT_FALSE(listed);
  EXPECT_EQ(listed.error().path, "/1");
  EXPECT_EQ(world.stream().size(), 2u);
}

TEST(Ingest, ABatchMayHaveTenThousandEvents) {
  World world(1);
  world.open();
  const std::string one = R"({"kind":"data.change","action":"A"})";
  std::string list = "[" + one, lines = one + "\n";
  for (std::size_t i = 1; i < batch_events_max; ++i) {
    list += "," + one;
    lines += one + "\n";
  }
  EXPECT_TRUE(world.send(list + "]"));
  EXPECT_TRUE(world.send(lines, BodyForm::ndjson));
  for (const auto& refused :
       {world.send(list + "," + one + "]"), world.send(lines + one, BodyForm::ndjson)}) {
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::exhausted);
    EXPECT_EQ(refused.error().limit, "batch_events_max = 10000");
  }
  EXPECT_EQ(world.stream().size(), 2 * batch_events_max);
}

}  // namespace
}  // namespace vestige::audit
