// Defends: history of an entity. For random changes, arriving in any order, of several people of whom some
// are erased, state, diff and blame say of every field exactly what a model says that reads the changes one
// by one: the value and the entry that set it; removed; erased; a value that only the next change tells; else
// nothing.
#include "audit/entities.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <set>

#include "audit/testing/random_events.h"
#include "audit/testing/world.h"
#include "base/time_text.h"

namespace vestige::audit {
namespace {

using testing::Random;
using testing::Tree;
using testing::World;

struct ModelChange {
  std::string field;
  std::optional<std::string> before;  // JSON; empty: not said
  std::optional<std::string> after;
};

struct ModelEvent {
  std::int64_t time;
  std::uint64_t index;
  bool erased = false;     // what it said of values is gone, and whether it said anything as well
  bool discarded = false;  // came after the erasure: the values are gone, and where they were is known
  std::string subject;
  std::vector<ModelChange> changes;
};

// What is said of a field: "value 1 set 5", "removed set 5", "erased set 5", "value 1 replaced 7", or
// nothing.
using Said = std::map<std::string, std::string>;

std::string after_of(const ModelEvent& event, const ModelChange& change) {
  if (event.erased || (event.discarded && change.after)) return "erased";
  return change.after ? "value " + *change.after : "removed";
}

Said model_state(const std::vector<ModelEvent>& in_time, std::int64_t at) {
  Said said;
  std::map<std::string, std::string> early;
  for (const auto& event : in_time)
    for (const auto& change : event.changes) {
      if (event.time <= at) {
        said[change.field] = fmt::format("{} set {}", after_of(event, change), event.index);
        continue;
      }
      // Only the first change after the time tells what was there, and only its first mention of the field.
      const bool known = !event.erased && !event.discarded && change.before;
      early.try_emplace(change.field,
                        known ? fmt::format("value {} replaced {}", *change.before, event.index) : "");
    }
  for (const auto& [field, text] : early)
    if (!text.empty()) said.try_emplace(field, text);
  return said;
}

std::string said_of(const Tree& state) {
  if (state.form != Tree::Form::object) return "";
  std::string text;
  if (const auto* value = state.find("value")) text = "value " + value->canonical();
  if (state.find("removed") != nullptr) text += "removed";
  if (state.find("erased") != nullptr) text += "erased";
  if (state.find("hidden") != nullptr) text += "hidden";
  if (const auto* set = state.find("setBy")) text += " set " + set->find("index")->scalar;
  if (const auto* replaced = state.find("replacedBy")) text += " replaced " + replaced->find("index")->scalar;
  return text;
}

Said said_by(const Tree& fields) {
  Said said;
  for (const auto& [field, state] : fields.members) said[field] = said_of(state);
  return said;
}

std::string first_words(const std::string& text) {
  if (text.starts_with("erased")) return text;
  return text.substr(0, std::min(text.rfind(" set "), text.rfind(" replaced ")));
}

// One entity's changes sent out of order to a trail, beside the model's.
class Scene {
 public:
  Scene(World& world, Random& random) : world_(world), random_(random) {}

  void send(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      ModelEvent event{static_cast<std::int64_t>(random_.below(40)) * 1'000,
                       world_.stream().size(),
                       false,
                       false,
                       random_.pick<std::string>({"", "p-1", "p-2"}),
                       {}};
      std::string changes;
      for (auto left = random_.below(4); left > 0; --left) {
        ModelChange change{fmt::format("f{}", random_.below(5)), value(), value()};
        changes += fmt::format(R"({}{{"field":"{}"{}{}}})", changes.empty() ? "" : ",", change.field,
                               change.before ? ",\"old\":" + *change.before : "",
                               change.after ? ",\"new\":" + *change.after : "");
        event.changes.push_back(change);
      }
      const auto sent = world_.send(fmt::format(
          R"({{"kind":"data.change","action":"UPDATED","targetType":"CONTACT","targetId":"c/1 \u00e9",)"
          R"("time":"{}","changes":[{}]{}}})",
          format_time(UnixMs{event.time}), changes,
          event.subject.empty() ? "" : fmt::format(R"(,"subject":"{}")", event.subject)));
      ASSERT_TRUE(sent) << sent.error().message;
      event.discarded = erased_.contains(event.subject);
      events_.push_back(std::move(event));
      // About others: another id, another type.
      ASSERT_TRUE(world_.send(
          R"([{"kind":"data.change","action":"X","targetType":"CONTACT","targetId":"c-2","changes":[{"field":"f0","new":9}]},)"
          R"({"kind":"data.change","action":"X","targetType":"OTHER","targetId":"c/1 \u00e9","changes":[{"field":"f0","new":9}]}])"));
      if (random_.chance(5)) world_.seal_everything();
    }
  }

  void erase(const std::string& person) {
    world_.vault->erase("default", person);
    for (auto& event : events_) event.erased = event.erased || event.subject == person;
    erased_.insert(person);
  }

  std::vector<ModelEvent> in_time() const {
    auto sorted = events_;
    std::ranges::sort(sorted, {}, [](const ModelEvent& event) { return std::pair(event.time, event.index); });
    // The model reads several changes of one field in one event as one.
    for (auto& event : sorted) {
      std::vector<ModelChange> merged;
      for (const auto& change : event.changes) {
        const auto same = std::ranges::find(merged, change.field, &ModelChange::field);
        same == merged.end() ? static_cast<void>(merged.push_back(change))
                             : static_cast<void>(same->after = change.after);
      }
      event.changes = std::move(merged);
    }
    return sorted;
  }

  Gathered gathered(const Visibility& visibility = {}) {
    Wanted wanted;
    wanted.raw("targetType", "[\"CONTACT\"]").text("targetId", "c/1 \xc3\xa9");
    auto found = gather(*world_.reader, {visibility, "somebody"}, wanted, {});
    EXPECT_TRUE(found) << found.error().message;
    return *std::move(found);
  }

 private:
  std::optional<std::string> value() {
    const std::vector<std::string> values = {"1", "\"a\"", "null", "{\"x\":[1]}", "[]", "true"};
    return random_.chance(25) ? std::nullopt : std::optional(random_.pick(values));
  }

  World& world_;
  Random& random_;
  std::vector<ModelEvent> events_;
  std::set<std::string> erased_;
};

constexpr EntityName entity{"CONTACT", "c/1 \xc3\xa9"};

Tree parsed(const Result<std::string>& answer) {
  EXPECT_TRUE(answer) << answer.error().message;
  return answer ? Tree::parse(*answer) : Tree();
}

void expect_blame(const Gathered& gathered, const std::vector<ModelEvent>& in_time) {
  const auto blame = parsed(fold_blame(entity, gathered));
  const auto state = model_state(in_time, 1'000'000);
  ASSERT_EQ(said_by(*blame.find("fields")), state);
  for (const auto& [field, said] : blame.find("fields")->members) {
    std::string previous;
    std::string last_after;
    std::size_t changes = 0;
    for (const auto& event : in_time)
      for (const auto& change : event.changes) {
        if (change.field != field) continue;
        const bool gone = event.erased || event.discarded;
        previous = !gone && change.before                               ? "value " + *change.before
                   : !last_after.empty()                                ? last_after
                   : event.erased || (event.discarded && change.before) ? "erased"
                                                                        : "";
        last_after = fmt::format("{} set {}", after_of(event, change), event.index);
        ++changes;
      }
    EXPECT_EQ(said.find("changes")->scalar, fmt::format("{}", changes));
    EXPECT_EQ(said.find("previous") == nullptr ? "" : said_of(*said.find("previous")), previous) << field;
  }
}

void expect_diff(const Gathered& gathered, const std::vector<ModelEvent>& in_time, std::int64_t from,
                 std::int64_t to) {
  const auto diff = parsed(fold_diff(entity, gathered, UnixMs{from}, UnixMs{to}));
  const auto before = model_state(in_time, from);
  const auto after = model_state(in_time, to);
  std::map<std::string, std::pair<std::string, std::string>> expected;
  for (const auto* side : {&before, &after})
    for (const auto& [field, said] : *side) {
      const auto a = before.contains(field) ? before.at(field) : "";
      const auto b = after.contains(field) ? after.at(field) : "";
      if (first_words(a) != first_words(b)) expected[field] = {a, b};
    }
  std::map<std::string, std::pair<std::string, std::string>> found;
  for (const auto& [field, both] : diff.find("fields")->members)
    found[field] = {said_of(*both.find("from")), said_of(*both.find("to"))};
  ASSERT_EQ(found, expected) << from << " " << to;
}

TEST(Entities, StateDiffAndBlameAgreeWithANaiveModel) {
  const auto seed = testing::seed_of_test();
  Random random(seed);
  for (std::size_t round = 0; round < testing::rounds(4); ++round) {
    World world(seed + round);
    world.open();
    Scene scene(world, random);
    for (int part = 0; part < 3; ++part) {
      ASSERT_NO_FATAL_FAILURE(scene.send(12));
      if (part == 1) scene.erase("p-1");
      const auto gathered = scene.gathered();
      const auto in_time = scene.in_time();
      for (std::int64_t at = -1'000; at <= 40'000; at += 500) {
        const auto state = parsed(fold_state(entity, gathered, UnixMs{at}));
        ASSERT_EQ(said_by(*state.find("fields")), model_state(in_time, at)) << at;
        const auto count =
            std::ranges::count_if(in_time, [&](const auto& event) { return event.time <= at; });
        ASSERT_EQ(state.find("entries")->scalar, fmt::format("{}", count));
        ASSERT_EQ(state.find("last")->form == Tree::Form::object, count > 0);
        if (count > 0)
          ASSERT_EQ(state.find("last")->find("index")->scalar,
                    fmt::format("{}", in_time[static_cast<std::size_t>(count - 1)].index));
        ASSERT_NO_FATAL_FAILURE(
            expect_diff(gathered, in_time, at, 1'000 * static_cast<std::int64_t>(random.below(41))));
      }
      const auto now = parsed(fold_state(entity, gathered, std::nullopt));
      ASSERT_EQ(said_by(*now.find("fields")), model_state(in_time, 1'000'000));
      ASSERT_EQ(now.find("at")->scalar, "null");
      ASSERT_NO_FATAL_FAILURE(expect_blame(gathered, in_time));
    }
  }
}

Gathered one_after_the_other(const std::vector<std::string>& changes) {
  Gathered gathered;
  for (std::size_t i = 0; i < changes.size(); ++i)
    gathered.steps.push_back({UnixMs{static_cast<std::int64_t>(1'000 * (i + 1))}, i,
                              fmt::format(R"({{"id":"e{0}","index":{0},"changes":[{1}]}})", i, changes[i])});
  return gathered;
}

TEST(Entities, WhatMayNotBeReadIsHiddenAndNotCalledRemoved) {
  World world(1);
  world.open();
  ASSERT_TRUE(world.send(
      R"([{"kind":"data.change","action":"X","targetType":"CONTACT","targetId":"c/1 \u00e9","subject":"p-1",)"
      R"("changes":[{"field":"a","old":1,"new":2}]},)"
      R"({"kind":"data.change","action":"X","targetType":"CONTACT","targetId":"c/1 \u00e9",)"
      R"("changes":[{"field":"b","old":1,"new":2}]}])"));
  Random random(1);
  Visibility clear_only;
  clear_only.personal = false;
  const auto gathered = Scene(world, random).gathered(clear_only);
  EXPECT_EQ(said_by(*parsed(fold_state(entity, gathered, std::nullopt)).find("fields")),
            (Said{{"a", "hidden set 0"}, {"b", "value 2 set 1"}}));
  const auto blame = parsed(fold_blame(entity, gathered));
  EXPECT_EQ(said_of(*blame.find("fields")->find("a")->find("previous")), "hidden");
}

// A document of two levels, and what happened to it: set as a whole, or in places.
class Document {
 public:
  using Level = std::map<std::string, int>;
  explicit Document(Random& random) : random_(random) {}

  static std::string json(const Level& level) {
    std::string out = "{";
    for (const auto& [name, value] : level)
      out += fmt::format("{}\"{}\":{}", out.size() > 1 ? "," : "", name, value);
    return out + "}";
  }
  std::string json() const {
    std::string out = "{";
    for (const auto& [name, level] : levels_)
      out += fmt::format("{}\"{}\":{}", out.size() > 1 ? "," : "", name, json(level));
    return out + "}";
  }
  // At a place: "" where nothing is there.
  std::string json_at(std::string_view place) const {
    const auto level = levels_.find(std::string(place.substr(3, 1)));
    if (level == levels_.end()) return "";
    if (place.size() == 4) return json(level->second);
    const auto value = level->second.find(std::string(place.substr(5)));
    return value == level->second.end() ? "" : fmt::format("{}", value->second);
  }

  std::string change_as_whole(bool with_old) {
    const auto before = json();
    for (auto left = random_.below(3); left > 0; --left) static_cast<void>(change_inside());
    return fmt::format(R"({{"field":"f"{},"new":{}}})", with_old ? ",\"old\":" + before : "", json());
  }
  std::string change_inside() {
    const auto name = name_of(random_.below(3));
    auto place = "f#/" + name;
    if (!levels_.contains(name) || random_.chance(20)) {
      const auto before = json_at(place);
      if (before.empty() || random_.chance(50))
        levels_[name] = {{"x", static_cast<int>(random_.below(3))}};
      else
        levels_.erase(name);
      return told(place, before);
    }
    place += random_.chance(50) ? "/x" : "/y";
    const auto before = json_at(place);
    if (before.empty() || random_.chance(70))
      levels_[name][place.substr(5)] = static_cast<int>(random_.below(5));
    else
      levels_[name].erase(place.substr(5));
    return told(place, before);
  }

 private:
  static std::string name_of(std::size_t number) { return std::string(1, static_cast<char>('a' + number)); }
  std::string told(const std::string& place, const std::string& before) const {
    const auto after = json_at(place);
    return fmt::format(R"({{"field":"{}"{}{}}})", place, before.empty() ? "" : ",\"old\":" + before,
                       after.empty() ? "" : ",\"new\":" + after);
  }
  Random& random_;
  std::map<std::string, Level> levels_;
};

// What is listed is true, and once the whole was told there is nothing beside it: as documents say that
// were changed by themselves.
TEST(Entities, ChangesInsideAreInTheWholeOnceThatIsKnown) {
  Random random(testing::seed_of_test());
  std::size_t together = 0, apart = 0, before_a_whole = 0;
  for (std::size_t round = 0; round < testing::rounds(60); ++round) {
    Document document(random);
    std::vector<std::string> changes;
    std::vector<Document> moments;
    const auto whole_from = random.below(8);
    std::size_t told_whole = 1'000;
    for (std::size_t step = 0; step < 16; ++step) {
      const bool whole = step >= whole_from && (step == whole_from || random.chance(20));
      if (whole && told_whole == 1'000) told_whole = step;
      changes.push_back(whole ? document.change_as_whole(random.chance(70)) : document.change_inside());
      moments.push_back(document);
    }
    const auto gathered = one_after_the_other(changes);
    const auto time = [](std::size_t step) { return UnixMs{static_cast<std::int64_t>(1'000 * (step + 1))}; };
    for (std::size_t step = 0; step < moments.size(); ++step) {
      const auto state = parsed(fold_state(entity, gathered, time(step)));
      const auto& fields = *state.find("fields");
      if (step >= told_whole) {
        ASSERT_EQ(fields.members.size(), 1U) << fields.canonical();
        ASSERT_EQ(fields.find("f")->find("value")->canonical(), moments[step].json());
        together += changes[step].starts_with(R"({"field":"f#)");
      }
      for (const auto& [field, said] : fields.members) {
        const auto truth = field == "f" ? moments[step].json() : moments[step].json_at(field);
        const auto* value = said.find("value");
        ASSERT_EQ(value == nullptr ? "" : value->canonical(), truth) << field << " at " << step << "\n"
                                                                     << fields.canonical();
        apart += field != "f";
        before_a_whole += field == "f" && step < told_whole;
      }
      const auto other = random.below(moments.size());
      if (std::min(step, other) < told_whole) continue;
      const auto diff = parsed(fold_diff(entity, gathered, time(step), time(other)));
      ASSERT_EQ(diff.find("fields")->members.empty(), moments[step].json() == moments[other].json());
    }
  }
  EXPECT_GT(together, 100U);
  EXPECT_GT(apart, 100U);
  EXPECT_GT(before_a_whole, 10U);
}

TEST(Entities, APlaceThatIsNotInTheValueStandsByItself) {
  const auto said_at = [](const std::vector<std::string>& changes, std::size_t step) {
    const auto at = UnixMs{static_cast<std::int64_t>(1'000 * (step + 1))};
    return said_by(*parsed(fold_state(entity, one_after_the_other(changes), at)).find("fields"));
  };
  // A date whose parts are told of, but which is kept as a text.
  const std::vector<std::string> date = {R"({"field":"d","new":"2025-12-01"})",
                                         R"({"field":"d#/day","old":1,"new":15})",
                                         R"({"field":"d","new":"2026-01-15"})"};
  EXPECT_EQ(said_at(date, 1), (Said{{"d", "value \"2025-12-01\" set 0"}, {"d#/day", "value 15 set 1"}}));
  EXPECT_EQ(said_at(date, 2), (Said{{"d", "value \"2026-01-15\" set 2"}}));

  const std::vector<std::string> list = {R"({"field":"l","new":[1,{"a":2}]})",
                                         R"({"field":"l#/2","new":3},{"field":"l#/1/a","old":2,"new":[]})",
                                         R"({"field":"l#/2","old":3},{"field":"l#/1","old":{"a":[]}})",
                                         R"({"field":"l#/7","new":1})", R"({"field":"l#/-1","new":1})"};
  EXPECT_EQ(said_at(list, 1), (Said{{"l", "value [1,{\"a\":[]},3] set 1"}}));
  EXPECT_EQ(said_at(list, 2), (Said{{"l", "value [1] set 2"}}));
  EXPECT_TRUE(said_at(list, 3).contains("l#/7")) << "there is a hole before it";

  // What a later change replaced was not there before something inside of it changed.
  const std::vector<std::string> late = {R"({"field":"f#/a","old":1,"new":2})",
                                         R"({"field":"f","old":{"a":2},"new":null})"};
  EXPECT_EQ(said_at(late, 0), (Said{{"f", "value {\"a\":2} replaced 1"}, {"f#/a", "value 2 set 0"}}));
  EXPECT_EQ(said_by(*parsed(fold_state(entity, one_after_the_other(late), UnixMs{0})).find("fields")),
            (Said{{"f#/a", "value 1 replaced 0"}}));

  // Names that only look so.
  const std::vector<std::string> names = {
      R"({"field":"C#","new":1},{"field":"C","new":1},{"field":"#/C","new":2})",
      R"({"field":"C#x/y","new":3})"};
  EXPECT_EQ(said_at(names, 1), (Said{{"#/C", "value 2 set 0"},
                                     {"C", "value 1 set 0"},
                                     {"C#", "value 1 set 0"},
                                     {"C#x/y", "value 3 set 1"}}));
}

TEST(Entities, UnknownStaysUnknown) {
  const auto gathered = one_after_the_other(
      {R"({"field":"a","new":1})", R"({"field":"b","old":"x","new":null})", R"({"field":"a","old":1})"});
  const auto at = [&](std::int64_t time) {
    return said_by(*parsed(fold_state(entity, gathered, UnixMs{time})).find("fields"));
  };
  EXPECT_EQ(at(0), (Said{{"b", "value \"x\" replaced 1"}}));
  EXPECT_EQ(at(1'000), (Said{{"a", "value 1 set 0"}, {"b", "value \"x\" replaced 1"}}));
  EXPECT_EQ(at(2'000), (Said{{"a", "value 1 set 0"}, {"b", "value null set 1"}}));
  EXPECT_EQ(at(3'000), (Said{{"a", "removed set 2"}, {"b", "value null set 1"}}));
}

TEST(Entities, WhatWasDiscardedOnArrivalIsErasedAndNothingElseIs) {
  Gathered gathered;
  gathered.steps.push_back(
      {UnixMs{1'000}, 0,
       R"({"id":"e","index":0,"changes":[{"field":"a"},{"field":"b"}],"discarded":["/changes/0/new/x","/subject"]})"});
  EXPECT_EQ(said_by(*parsed(fold_state(entity, gathered, std::nullopt)).find("fields")),
            (Said{{"a", "erased set 0"}, {"b", "removed set 0"}}));
}

}  // namespace
}  // namespace vestige::audit
