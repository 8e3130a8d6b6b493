// Defends: records. Whatever the order in which steps arrive, whatever lies between them, in the head, sealed
// or after a restart, they fold into one record: the last step that sets a field wins, each list has one
// element a step in the order of time, and nothing is in the record that no step or rule says. Where a person
// was erased the record keeps its form, says so, and holds nothing of theirs. A limit that was hit is said.
#include "audit/records.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "audit/limits.h"
#include "audit/testing/record_steps.h"
#include "audit/testing/world.h"
#include "base/time_text.h"

namespace vestige::audit {
namespace {

using testing::Random;
using testing::Tree;
using testing::ValueMaker;
using testing::World;

// --------------------------------------------------------------------------------- the naive model

const Tree* find_path(const Tree& tree, std::string_view path) {
  const Tree* at = &tree;
  while (at != nullptr && !path.empty()) {
    const auto slash = path.find('/');
    at = at->find(std::string(path.substr(0, slash)));
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
  }
  return at;
}

using Leaves = std::map<std::string, std::string>;

// Sets a leaf: what stood there, below it or in its way is gone.
void set_leaf(Leaves& leaves, const std::string& path, const std::string& value) {
  std::erase_if(leaves, [&](const auto& leaf) {
    return leaf.first == path || leaf.first.starts_with(path + "/") || path.starts_with(leaf.first + "/");
  });
  leaves[path] = value;
}

void set_leaves(Leaves& leaves, const Tree& value, const std::string& path) {
  if (value.form != Tree::Form::object) return set_leaf(leaves, path, value.canonical());
  for (const auto& [name, member] : value.members)
    set_leaves(leaves, member, path.empty() ? name : path + "/" + name);
}

bool contains(std::span<const std::string_view> names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

Leaves expected_fields(const RecordType& type, const std::vector<Tree>& in_time) {
  Leaves leaves;
  for (const auto& step : in_time) {
    const auto* detail = step.find("detail");
    if (detail == nullptr || step.find("kind")->value() != type.fields_kind) continue;
    for (const auto& [name, member] : detail->members)
      if (!contains(type.leave_out, name)) set_leaves(leaves, member, name);
  }
  return leaves;
}

// Of each element of a list: the leaves that steps give it. `makers` gets the step that each began with.
std::vector<Leaves> expected_elements(const RecordList& list, const std::vector<Tree>& in_time,
                                      std::vector<const Tree*>& makers) {
  std::vector<Leaves> elements;
  std::map<std::string, std::size_t> places;
  for (const auto& step : in_time) {
    if (!list.kind.empty() && step.find("kind")->value() != list.kind) continue;
    if (!list.when.empty() && find_path(step, list.when) == nullptr) continue;
    const auto* from = list.from.empty() ? nullptr : find_path(step, list.from);
    std::size_t place = elements.size();
    if (!list.key.empty()) {
      const auto* key = from == nullptr ? nullptr : from->find(std::string(list.key));
      place = places.try_emplace(key == nullptr ? step.find("id")->scalar : key->scalar, place).first->second;
    }
    if (place == elements.size()) elements.emplace_back(), makers.push_back(&step);
    if (from == nullptr || from->form != Tree::Form::object) continue;
    for (const auto& [name, member] : from->members)
      if (!contains(list.leave_out, name)) set_leaves(elements[place], member, name);
  }
  return elements;
}

// What a rule says of one step, as JSON; empty: nothing. Renamed lists are compared by their length alone.
std::string said_by(const Rule& rule, const Tree& step) {
  if (!rule.when.empty()) {
    const auto* condition = find_path(step, rule.when);
    if (condition == nullptr) return "";
    if (!rule.equals.empty() && condition->scalar != "\"" + std::string(rule.equals) + "\"") return "";
  }
  if (rule.from.starts_with('=')) return "\"" + std::string(rule.from.substr(1)) + "\"";
  const auto* value = find_path(step, rule.from);
  if (value == nullptr || (rule.from == "subject" && !value->is_text())) return "";
  return value->canonical();
}

// A field that no step sets has what the rules say: of the first step that one says something of, or the
// last.
void expect_rules(const RecordType& type, const Tree& record, const Leaves& fields,
                  const std::vector<Tree>& in_time) {
  std::map<std::string, std::string> expected;
  for (const auto& step : in_time)
    for (const auto& rule : type.rules)
      if (const auto said = said_by(rule, step); !said.empty() && rule.take == Rule::Take::first)
        expected.try_emplace(std::string(rule.to), said);
  // Where rules share a field, the later step decides, and of one step the later rule.
  for (const auto& step : in_time)
    for (const auto& rule : type.rules)
      if (const auto said = said_by(rule, step); !said.empty() && rule.take == Rule::Take::last)
        expected[std::string(rule.to)] = said;
  for (const auto& [path, value] : expected) {
    if (std::ranges::any_of(fields, [&](const auto& field) {
          return field.first == path || field.first.starts_with(path + "/") ||
                 path.starts_with(field.first + "/");
        }))
      continue;
    const auto* found = find_path(record, path);
    ASSERT_TRUE(found != nullptr) << path;
    ASSERT_EQ(found->canonical(), value) << path;
  }
}

void expect_element_rules(const RecordList& list, const Tree& element, const Leaves& own, const Tree& step) {
  std::set<std::string_view> done;
  for (const auto& rule : list.rules) {
    const auto said = said_by(rule, step);
    if (said.empty() || own.contains(std::string(rule.to)) || !done.insert(rule.to).second) continue;
    const auto* found = element.find(std::string(rule.to));
    ASSERT_TRUE(found != nullptr) << rule.to;
    if (rule.names.empty())
      ASSERT_EQ(found->canonical(), said) << rule.to;
    else
      ASSERT_EQ(found->elements.size(), Tree::parse(said).elements.size());
  }
}

void expect_record(const RecordType& type, const Tree& record, const std::vector<Tree>& in_time) {
  auto fields = expected_fields(type, in_time);
  for (const auto& list : type.lists) {
    std::vector<const Tree*> makers;
    const auto elements = expected_elements(list, in_time, makers);
    const auto* found = find_path(record, list.to);
    const auto whole = fields.find(std::string(list.to));
    const auto before = whole == fields.end() ? 0 : Tree::parse(whole->second).elements.size();
    if (!elements.empty()) fields.erase(std::string(list.to));
    ASSERT_EQ(found == nullptr ? 0 : found->elements.size(), before + elements.size()) << list.to;
    for (std::size_t i = 0; i < elements.size(); ++i) {
      ASSERT_NO_FATAL_FAILURE(
          expect_element_rules(list, found->elements[before + i], elements[i], *makers[i]));
      for (const auto& [path, value] : elements[i]) {
        const auto* leaf = find_path(found->elements[before + i], path);
        ASSERT_TRUE(leaf != nullptr) << list.to << " " << i << " " << path;
        ASSERT_EQ(leaf->canonical(), value) << list.to << " " << i << " " << path;
      }
    }
  }
  for (const auto& [path, value] : fields) {
    const auto* leaf = find_path(record, path);
    ASSERT_TRUE(leaf != nullptr) << path;
    ASSERT_EQ(leaf->canonical(), value) << path;
  }
  ASSERT_NO_FATAL_FAILURE(expect_rules(type, record, fields, in_time));
  Leaves all;
  set_leaves(all, record, "");
  for (const auto& [path, value] : all)
    EXPECT_TRUE(fields.contains(path) ||
                std::ranges::any_of(type.lists, [&](const auto& list) { return list.to == path; }) ||
                std::ranges::any_of(type.rules,
                                    [&](const auto& rule) {
                                      return path == rule.to || path.starts_with(std::string(rule.to) + "/");
                                    }))
        << path << " comes from nowhere";
}

// -------------------------------------------------------------------------------------------- scenes

// Steps in the order of time; no two at the same.
std::vector<Tree> random_steps(Random& random, const RecordType& type, const KindRegistry& kinds,
                               std::size_t count, ValueMaker& maker) {
  std::vector<Tree> steps;
  std::int64_t time = 1'700'000'000'000;
  for (std::size_t i = 0; i < count; ++i) {
    time += 1 + static_cast<std::int64_t>(random.below(100'000));
    steps.push_back(testing::random_step(random, type, kinds, "R-1", UnixMs{time}, maker));
  }
  return steps;
}

template <typename T>
void shuffle(std::vector<T>& of, Random& random) {
  for (std::size_t i = of.size(); i > 1; --i) std::swap(of[i - 1], of[random.below(i)]);
}

Tree folded(const RecordType& type, const Gathered& gathered) {
  const auto answer = fold_record(type, "R-1", gathered);
  EXPECT_TRUE(answer) << answer.error().message;
  return answer ? Tree::parse(*answer) : Tree();
}

Result<Gathered> gather_record(World& world, const RecordType& type) {
  Wanted wanted;
  wanted.text("targetId", "R-1");
  return gather(*world.reader, {Visibility{}, "somebody"}, wanted, type.kinds);
}

TEST(Records, AnyOrderOfArrivalGivesTheRecordOfTheModel) {
  Random random(testing::seed_of_test());
  const auto kinds = *KindRegistry::with_shipped_kinds();
  for (std::size_t round = 0; round < testing::rounds(15); ++round)
    for (const auto& type : record_types()) {
      SCOPED_TRACE(type.name);
      ValueMaker maker(random);
      const auto steps = random_steps(random, type, *kinds, 1 + random.below(10), maker);
      std::optional<std::string> first;
      for (int turn = 0; turn < 3; ++turn) {
        auto arrived = steps;
        if (turn > 0) shuffle(arrived, random);
        Gathered gathered;
        for (std::size_t i = 0; i < arrived.size(); ++i)
          gathered.steps.push_back(testing::step_of(arrived[i], 7 * i));
        shuffle(gathered.steps, random);
        const auto answer = folded(type, gathered);
        const auto& record = *answer.find("record");
        ASSERT_NO_FATAL_FAILURE(expect_record(type, record, steps));
        if (!first) first = record.canonical();
        ASSERT_EQ(record.canonical(), *first);
        const auto& entries = answer.find("entries")->elements;
        ASSERT_EQ(entries.size(), steps.size());
        for (std::size_t i = 0; i < steps.size(); ++i)
          ASSERT_EQ(entries[i].find("id")->scalar, steps[i].find("id")->scalar);
        ASSERT_EQ(answer.find("complete")->scalar, "true");
      }
    }
}

TEST(Records, OfTheTrailTheyAreThoseOfTheStepsThatWereSent) {
  const auto seed = testing::seed_of_test();
  Random random(seed);
  for (std::size_t round = 0; round < testing::rounds(1); ++round)
    for (const auto& type : record_types()) {
      SCOPED_TRACE(type.name);
      World world(seed + round);
      world.open();
      ValueMaker maker(random);
      auto steps = random_steps(random, type, *world.kinds, 12, maker);
      const auto in_time = steps;
      shuffle(steps, random);
      Gathered sent;
      for (std::size_t i = 0; i < steps.size(); ++i) {
        sent.steps.push_back(testing::step_of(steps[i], i));
        ASSERT_TRUE(world.send(steps[i].json())) << steps[i].json();
        // Of another kind, and of another record.
        ASSERT_TRUE(world.send(R"({"kind":"test.marks","action":"X","targetId":"R-1"})"));
        auto stranger = steps[i];
        stranger.members["id"] = Tree::text(testing::random_uuid(random));
        stranger.members["targetId"] = Tree::text("R-2");
        ASSERT_TRUE(world.send(stranger.json()));
        if (random.chance(15)) world.seal_everything();
        if (random.chance(15)) {
          world.close();
          ASSERT_NO_FATAL_FAILURE(world.open());
        }
      }
      const auto gathered = gather_record(world, type);
      ASSERT_TRUE(gathered) << gathered.error().message;
      ASSERT_EQ(gathered->size, world.stream().size());
      const auto answer = folded(type, *gathered);
      ASSERT_EQ(answer.find("record")->canonical(), folded(type, sent).find("record")->canonical());
      for (const auto& entry : answer.find("entries")->elements) ASSERT_EQ(entry.find("erased"), nullptr);

      world.vault->erase("default", "p-1");
      const auto after = gather_record(world, type);
      ASSERT_TRUE(after) << after.error().message;
      const auto erased = folded(type, *after);
      const auto text = erased.find("record")->json();
      const auto& entries = erased.find("entries")->elements;
      ASSERT_EQ(entries.size(), in_time.size());
      for (std::size_t i = 0; i < in_time.size(); ++i) {
        const auto* subject = in_time[i].find("subject");
        const bool gone = subject != nullptr && subject->json().find("p-1") != std::string::npos;
        EXPECT_EQ(entries[i].find("erased") != nullptr, gone);
      }
      EXPECT_EQ(text.find("\"p-1\""), std::string::npos) << text;
    }
}

TEST(Records, WhatWasPersonalOfAnErasedPersonIsInNoRecord) {
  const auto seed = testing::seed_of_test();
  Random random(seed);
  for (std::size_t round = 0; round < testing::rounds(1); ++round)
    for (const auto& type : record_types()) {
      SCOPED_TRACE(type.name);
      World world(seed + round);
      world.open();
      ValueMaker maker(random);
      auto steps = random_steps(random, type, *world.kinds, 6, maker);
      for (auto& step : steps) {
        step.members["subject"] = Tree::text("p-1");
        ASSERT_TRUE(world.send(step.json()));
      }
      const auto before = folded(type, *gather_record(world, type)).find("record")->json();
      ASSERT_FALSE(maker.sealed.empty());
      world.vault->erase("default", "p-1");
      const auto record = folded(type, *gather_record(world, type)).find("record")->json();
      for (const auto& text : maker.sealed) EXPECT_EQ(record.find(text), std::string::npos) << text;
      // What an erased step had replaced may come back; what was clear stays.
      for (const auto& text : maker.clear)
        EXPECT_TRUE(before.find(text) == std::string::npos || record.find(text) != std::string::npos) << text;
    }
}

TEST(Records, ALimitIsSaidAndTheOldestAreFolded) {
  World world(1);
  world.open();
  for (std::size_t batch = 0; batch < 2; ++batch) {
    std::string body = "[";
    for (std::size_t i = 0; i < fold_entries_max / 2 + batch; ++i)
      body += fmt::format(R"({}{{"kind":"ticket","action":"X","targetId":"R-1","detail":{{"n":{}}}}})",
                          i > 0 ? "," : "", batch);
    ASSERT_TRUE(world.send(body + "]"));
    const auto gathered = gather_record(world, *find_record_type("ticket"));
    ASSERT_TRUE(gathered) << gathered.error().message;
    EXPECT_EQ(gathered->steps.size(), fold_entries_max / 2 * (batch + 1));
    EXPECT_EQ(gathered->limit, batch == 0 ? "" : fmt::format("fold_entries_max = {}", fold_entries_max));
  }
  const auto answer = folded(*find_record_type("ticket"), *gather_record(world, *find_record_type("ticket")));
  EXPECT_EQ(answer.find("complete")->scalar, "false");
  EXPECT_EQ(answer.find("limit")->value(), "fold_entries_max = 10000");
}

// Of a modification that was recorded under an approval: no other step says anything of it, whenever it
// happened, and the approval is the server's word alone.
TEST(Records, WhatWasApprovedIsShownAsItWasApproved) {
  const std::string approval = R"({"approver":"boss","id":"a-1","rule":"four_eyes"})";
  const auto step = [](std::int64_t time, std::uint64_t index, std::string_view rest) {
    return Step{UnixMs{time}, index,
                fmt::format(R"({{"kind":"data.change","action":"UPDATED","targetId":"R-1","index":{},{}}})",
                            index, rest)};
  };
  const std::string forged =
      R"("detail":{"modification_id":"m-1","approver":"me","approval":{"id":"a-2"},"field_changes":[],"user_id":"u"})";
  Gathered gathered;
  gathered.steps = {
      step(1, 1, R"("id":"f-1",)" + forged),
      step(2, 0,
           R"("id":"m-1","sourceId":"crm","context":{"approval":)" + approval +
               R"(},"changes":[{"field":"iban","new":"DE02"}],"detail":{"approval":{"id":"a-3"}})"),
      step(3, 2, R"("id":"f-2",)" + forged), step(4, 3, R"("id":"m-2","detail":{"approval":{"id":"a-4"}})")};
  const auto answer = folded(*find_record_type("data"), gathered);
  const auto* events = answer.find("record")->find("modification_events");
  ASSERT_EQ(events->elements.size(), 3u) << events->json();
  std::size_t approved = 0;
  for (const auto& each : events->elements) {
    if (each.find("approval") == nullptr) continue;
    ++approved;
    EXPECT_EQ(each.json(),
              R"({"approval":)" + approval +
                  R"(,"approval_required":"yes","approval_status":"approved","approver":"boss",)"
                  R"("field_changes":[{"field_name":"iban","new_value":"DE02"}],"modification_id":"m-1",)"
                  R"("modification_type":"update","user_id":"crm"})");
  }
  EXPECT_EQ(approved, 1u);
  const auto& entries = answer.find("entries")->elements;
  EXPECT_EQ(entries[1].find("approval")->json(), approval);
  EXPECT_EQ(entries[0].find("approval"), nullptr);
}

TEST(Records, StepsAtOneTimeFollowTheirIndex) {
  Gathered gathered;
  for (const auto index : {5u, 3u, 4u})
    gathered.steps.push_back(
        {UnixMs{0}, index,
         fmt::format(R"({{"kind":"ticket","index":{0},"detail":{{"title":"{0}"}}}})", index)});
  EXPECT_EQ(folded(*find_record_type("ticket"), gathered).find("record")->find("title")->value(), "5");
}

TEST(Records, EveryKindOfARecordIsShippedAndEveryRuleNamesSomethingThatItsStepsHave) {
  const auto kinds = *KindRegistry::with_shipped_kinds();
  const auto known = [&](const RecordType& type, std::string_view path) {
    if (!path.starts_with("detail/")) return true;
    return std::ranges::any_of(type.kinds, [&](std::string_view kind) {
      const SchemaNode* node = kinds->find(kind)->root.properties.at("detail").get();
      for (auto rest = path.substr(7);;) {
        const auto found = node->properties.find(rest.substr(0, rest.find('/')));
        if (found == node->properties.end()) return false;
        if (rest.find('/') == std::string_view::npos) return true;
        node = found->second.get();
        rest = rest.substr(rest.find('/') + 1);
      }
    });
  };
  for (const auto& type : record_types()) {
    for (const auto kind : type.kinds) ASSERT_NE(kinds->find(kind), nullptr) << kind;
    for (const auto& list : type.lists)
      EXPECT_TRUE(known(type, list.when) && known(type, list.from)) << list.to;
    for (const auto& rule : type.rules)
      EXPECT_TRUE(known(type, rule.from) && known(type, rule.when)) << rule.to;
  }
}

}  // namespace
}  // namespace vestige::audit
