// Defends: a search finds what its filter says, no more and no less. Random filters over random events agree
// with a matcher written anew from the words of the requirement; what pages and bytes can tell beforehand
// never hides a match.
#include "audit/filter.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "audit/limits.h"
#include "audit/testing/random_events.h"
#include "audit/testing/world.h"

namespace vestige::audit {
namespace {

using testing::Random;
using testing::Tree;
using testing::World;

constexpr UnixMs now{1'764'081'611'000};  // 2025-11-25T14:40:11Z

// ------------------------------------------------------------------------------------------ the naive
// matcher

bool naive_contains(const Tree* event, const Tree& filter) {
  if (event == nullptr) return false;
  if (filter.form == Tree::Form::object) {
    if (event->form != Tree::Form::object) return false;
    for (const auto& [name, member] : filter.members)
      if (!naive_contains(event->find(name), member)) return false;
    return true;
  }
  if (filter.form == Tree::Form::array) {
    if (event->form != Tree::Form::array) return false;
    return std::ranges::all_of(filter.elements, [&](const Tree& wanted) {
      return std::ranges::any_of(event->elements,
                                 [&](const Tree& each) { return naive_contains(&each, wanted); });
    });
  }
  if (event->form != Tree::Form::scalar) return false;
  if (event->scalar == filter.scalar) return true;
  // A string also equals a number or boolean by its text.
  return filter.is_text() && !event->is_text() && event->scalar != "null" && filter.value() == event->scalar;
}

void naive_words(const Tree& tree, std::vector<std::string>& to) {
  if (tree.form == Tree::Form::scalar) {
    const bool number = tree.scalar[0] == '-' || (tree.scalar[0] >= '0' && tree.scalar[0] <= '9');
    if (!tree.is_text() && !number) return;
    std::string word;
    for (const char c : (number ? tree.scalar : tree.value()) + " ") {
      const auto byte = static_cast<unsigned char>(c);
      // The only letter beyond ASCII in these events is an e with an accent, which folds to its second byte
      // here.
      if (byte == 0xC3) continue;
      if (byte == 0xA9 || std::isalnum(byte) != 0) {
        word.push_back(byte == 0xA9 ? 'e' : static_cast<char>(std::tolower(byte)));
      } else if (!word.empty()) {
        to.push_back(std::exchange(word, {}));
      }
    }
  }
  for (const auto& [name, member] : tree.members) naive_words(member, to);
  for (const auto& element : tree.elements) naive_words(element, to);
}

bool naive_matches(const Tree& filter, const Tree& event) {
  for (const auto& [name, wanted] : filter.members) {
    if (wanted.scalar == "null" && wanted.form == Tree::Form::scalar) continue;
    const auto* value = event.find(name);
    if (name == "sourceEntityMeta" || name == "targetEntityMeta" || name == "detail") {
      if (!naive_contains(value, wanted)) return false;
    } else if (name == "targetType") {
      if (wanted.elements.empty()) continue;
      if (value == nullptr || std::ranges::none_of(wanted.elements, [&](const Tree& type) {
            return type.scalar == value->scalar;
          }))
        return false;
    } else if (name == "timeFrom") {
      // Texts of one form compare as the times do.
      if (event.find("time")->value() < wanted.value()) return false;
    } else if (name == "timeTo") {
      if (event.find("time")->value() >= wanted.value()) return false;
    } else if (name == "text") {
      std::vector<std::string> asked, there;
      naive_words(wanted, asked);
      Tree visible = event;
      for (const char* hidden : {"id", "index", "leaf", "lossless", "receivedAt", "sealed", "tenant", "time"})
        visible.members.erase(hidden);
      naive_words(visible, there);
      for (const auto& word : asked)
        if (std::ranges::find(there, word) == there.end()) return false;
    } else if (name != "order" && name != "limit" && name != "cursor") {
      if (value == nullptr || value->scalar != wanted.scalar) return false;
    }
  }
  return true;
}

// A filter made of pieces of an event, some of them changed.
Tree random_filter(Random& random, const Tree& like) {
  Tree filter = Tree::object();
  for (const char* name : {"sourceId", "sourceType", "action", "targetId", "kind"}) {
    if (!random.chance(15)) continue;
    const auto* value = like.find(name);
    filter.members.emplace(name, value != nullptr && random.chance(80)
                                     ? *value
                                     : Tree::text(random.pick<std::string>({"a", "b", "", "zz"})));
  }
  if (random.chance(20)) {
    Tree types = Tree::array();
    for (auto left = random.below(3); left > 0; --left)
      types.elements.push_back(Tree::text(random.pick<std::string>({"a", "b", "\xc3\xa9", "q\"", ""})));
    filter.members.emplace("targetType", types);
  }
  const auto weaken = [&](const auto& self, Tree tree) -> Tree {
    for (auto it = tree.members.begin(); it != tree.members.end();) {
      if (random.chance(40)) {
        it = tree.members.erase(it);
      } else {
        it->second = self(self, it->second);
        ++it;
      }
    }
    if (!tree.elements.empty() && random.chance(50)) tree.elements.erase(tree.elements.begin());
    for (auto& element : tree.elements) element = self(self, element);
    if (tree.form == Tree::Form::scalar && !tree.is_text() && random.chance(40))
      tree = Tree::text(tree.scalar);
    if (tree.form == Tree::Form::scalar && random.chance(10))
      tree = Tree::raw(random.pick<std::string>({"1", "\"1\"", "null", "{}", "[]"}));
    return tree;
  };
  for (const char* name : {"detail", "sourceEntityMeta", "targetEntityMeta"}) {
    if (!random.chance(25)) continue;
    const auto* value = like.find(name);
    filter.members.emplace(name, value != nullptr ? weaken(weaken, *value) : Tree::object());
  }
  if (random.chance(20))
    filter.members.emplace(
        "timeFrom", Tree::text(fmt::format("2026-11-25T14:40:1{}.{:03}Z", random.below(3), random.below(3))));
  if (random.chance(20))
    filter.members.emplace(
        "timeTo", Tree::text(fmt::format("2026-11-25T14:40:1{}.{:03}Z", random.below(3), random.below(3))));
  if (random.chance(20))
    filter.members.emplace(
        "text", Tree::text(random.pick<std::string>({"b", "B C", "1.5", "caf\xc3\xa9", "x caf\xc3\xa9", "1",
                                                     "CREATED", "true", "updated c", "1e 21", "n1"})));
  for (const char* name :
       {"id", "sourceId", "detail", "timeTo", "limit", "cursor", "order", "text", "targetType"})
    if (random.chance(5)) filter.members.emplace(name, Tree::raw("null"));
  return filter;
}

struct ParsedSearch {
  json::Document document;
  Search search;
};
std::unique_ptr<ParsedSearch> parse(const std::string& text) {
  auto parsed = std::make_unique<ParsedSearch>();
  json::Parser parser;
  EXPECT_TRUE(parser.parse(text, parsed->document)) << text;
  auto search = parse_search(parsed->document, now);
  EXPECT_TRUE(search) << text << ": " << search.error().message;
  if (search) parsed->search = *std::move(search);
  return parsed;
}

// -------------------------------------------------------------------------------------------------
// properties

TEST(Filter, RandomFiltersAgreeWithANaiveMatcherAndNothingHidesAMatch) {
  const auto seed = testing::seed_of_test();
  Random random(seed);
  World world(seed);
  world.open();
  std::vector<Tree> events;
  for (std::size_t i = 0; i < 400; ++i) {
    ASSERT_TRUE(world.send(testing::random_plain_event(random).json()));
    // A part of them in pages of a segment, a part in blocks, a part in memory.
    if (i == 200) world.seal_everything();
  }
  for (std::size_t i = 0; i < 400; ++i) events.push_back(Tree::parse(world.rendered(i)));
  std::uint64_t matched = 0, rejected = 0;
  for (std::size_t round = 0; round < testing::rounds(500); ++round) {
    const auto filter = Tree::parse(random_filter(random, random.pick(events)).json());
    auto body = filter;
    body.members["limit"] = Tree::raw("1000");
    const auto parsed = parse(body.json());
    std::vector<std::string> wanted;
    for (const auto& event : events) {
      const bool naive = naive_matches(filter, event);
      json::Parser parser;
      json::Document document;
      ASSERT_TRUE(parser.parse(event.json(), document));
      ASSERT_EQ(matches(parsed->search, document.root()), naive) << filter.json() << "\n" << event.json();
      if (naive) wanted.push_back(event.find("id")->value());
    }
    matched += wanted.size();
    rejected += events.size() - wanted.size();
    // Newest first.
    std::ranges::reverse(wanted);
    const auto answer = world.reader->search(parsed->search, {}, "somebody");
    ASSERT_TRUE(answer) << answer.error().message;
    std::vector<std::string> found;
    for (const auto& event : answer->events) found.push_back(Tree::parse(event).find("id")->value());
    ASSERT_EQ(found, wanted) << filter.json();
    ASSERT_FALSE(answer->cursor);
  }
  EXPECT_GT(matched, testing::rounds(500));
  EXPECT_GT(rejected, testing::rounds(500));
}

// ---------------------------------------------------------------------------------------------- by example

bool found(const std::string& filter, const std::string& event) {
  json::Parser parser;
  json::Document document;
  EXPECT_TRUE(parser.parse(event, document)) << event;
  return matches(parse(filter)->search, document.root());
}

TEST(Filter, TheExampleBodyOfTheRequirement) {
  const std::string filter = R"({
    "id": "3fa85f64-5717-4562-b3fc-2c963f66afa6", "sourceId": "string", "sourceType": "CUSTOMER_USER",
    "sourceEntityMeta": {"additionalProp1": {}}, "action": "COMMUNICATED", "targetId": "string",
    "targetType": ["CUSTOMER"], "targetEntityMeta": {"additionalProp1": {}},
    "timeFrom": "2022-11-24T13:26:35.213Z", "timeTo": "2022-11-24T13:26:35.213Z",
    "detail": {"additionalProp1": "string", "additionalProp2": "string", "additionalProp3": "string"}})";
  Tree event = Tree::parse(R"({
    "id": "3fa85f64-5717-4562-b3fc-2c963f66afa6", "sourceId": "string", "sourceType": "CUSTOMER_USER",
    "sourceEntityMeta": {"additionalProp1": {"x": 1}, "y": 2}, "action": "COMMUNICATED", "targetId": "string",
    "targetType": "CUSTOMER", "targetEntityMeta": {"additionalProp1": {}}, "time": "2022-11-24T13:26:35.213Z",
    "detail": {"additionalProp1": "string", "additionalProp2": "string", "additionalProp3": "string", "more": 1}})");
  // As it stands its time range is empty: from inclusive, to exclusive.
  EXPECT_FALSE(found(filter, event.json()));
  Tree open = Tree::parse(filter);
  open.members["timeTo"] = Tree::text("2022-11-24T13:26:35.214Z");
  EXPECT_TRUE(found(open.json(), event.json()));
  // Every field counts.
  for (const auto& [name, value] : event.members) {
    Tree other = event;
    other.members.erase(name);
    if (name == "time") other.members[name] = Tree::text("2022-11-24T13:26:35.212Z");
    EXPECT_FALSE(found(open.json(), other.json())) << name;
  }
  // And every field may be left out or null.
  for (const auto& [name, value] : open.members) {
    Tree fewer = open;
    fewer.members.erase(name);
    EXPECT_TRUE(found(fewer.json(), event.json())) << name;
    fewer.members[name] = Tree::raw("null");
    EXPECT_TRUE(found(fewer.json(), event.json())) << name;
  }
}

TEST(Filter, Containment) {
  struct Case {
    const char* filter;
    const char* detail;
    bool found;
  };
  for (const auto& each : {
           Case{"{}", "{}", true},
           Case{"{}", R"({"a":1})", true},
           Case{R"({"a":{}})", R"({"a":{"b":1}})", true},
           Case{R"({"a":{}})", R"({"a":1})", false},
           Case{R"({"a":{}})", R"({"a":[]})", false},
           Case{R"({"a":"1"})", R"({"a":1})", true},
           Case{R"({"a":"1.0"})", R"({"a":1})", false},
           Case{R"({"a":1})", R"({"a":"1"})", false},
           Case{R"({"a":1.0})", R"({"a":1})", true},
           Case{R"({"a":"true"})", R"({"a":true})", true},
           Case{R"({"a":true})", R"({"a":"true"})", false},
           Case{R"({"a":"null"})", R"({"a":null})", false},
           Case{R"({"a":null})", R"({"a":null})", true},
           Case{R"({"a":null})", "{}", false},
           Case{R"({"a":"1e+21"})", R"({"a":1e21})", true},
           Case{R"({"a":[]})", R"({"a":[1]})", true},
           Case{R"({"a":[1,1]})", R"({"a":[2,1]})", true},
           Case{R"({"a":[3]})", R"({"a":[2,1]})", false},
           Case{R"({"a":[{"b":1}]})", R"({"a":[{"b":1,"c":2}]})", true},
           Case{R"({"a":["1"]})", R"({"a":[1]})", true},
           Case{R"({"a":"x"})", R"({"a":["x"]})", false},
           Case{R"({"a":{"b":{"c":"x"}}})", R"({"a":{"b":{"c":"x","d":1}}})", true},
           Case{R"({"":"x"})", R"({"":"x"})", true},
       }) {
    EXPECT_EQ(
        found(fmt::format(R"({{"detail":{}}})", each.filter), fmt::format(R"({{"detail":{}}})", each.detail)),
        each.found)
        << each.filter << " in " << each.detail;
  }
  EXPECT_FALSE(found(R"({"detail":{}})", "{}"));
}

TEST(Filter, WhatIsNoSearchIsRefusedWithItsPath) {
  struct Case {
    std::string filter, path;
  };
  std::string types = R"({"targetType":[)", words = R"({"text":")";
  for (std::size_t i = 0; i <= search_types_max; ++i) types += fmt::format("{}\"{}\"", i > 0 ? "," : "", i);
  for (std::size_t i = 0; i <= search_words_max; ++i) words += fmt::format(" w{}", i);
  for (const auto& each : std::vector<Case>{
           {"[]", ""},
           {"1", ""},
           {"null", ""},
           {R"({"what":1})", "/what"},
           {R"({"a/b":1})", "/a~1b"},
           {R"({"Id":1})", "/Id"},
           {R"({"id":1})", "/id"},
           {R"({"id":"x"})", "/id"},
           {R"({"sourceId":1})", "/sourceId"},
           {R"({"sourceType":[]})", "/sourceType"},
           {R"({"action":{}})", "/action"},
           {R"({"targetId":true})", "/targetId"},
           {R"({"kind":1})", "/kind"},
           {R"({"targetType":1})", "/targetType"},
           {R"({"targetType":["a",1]})", "/targetType/1"},
           {R"({"targetType":["a",null]})", "/targetType/1"},
           {types + "]}", "/targetType"},
           {words + "\"}", "/text"},
           {R"({"detail":[]})", "/detail"},
           {R"({"detail":"x"})", "/detail"},
           {R"({"sourceEntityMeta":1})", "/sourceEntityMeta"},
           {R"({"targetEntityMeta":[]})", "/targetEntityMeta"},
           {R"({"timeFrom":"now"})", "/timeFrom"},
           {R"({"timeFrom":1})", "/timeFrom"},
           {R"({"timeTo":"2026-11-25"})", "/timeTo"},
           {R"({"text":1})", "/text"},
           {R"({"order":"up"})", "/order"},
           {R"({"order":1})", "/order"},
           {R"({"limit":0})", "/limit"},
           {R"({"limit":1001})", "/limit"},
           {R"({"limit":-1})", "/limit"},
           {R"({"limit":1.5})", "/limit"},
           {R"({"limit":"5"})", "/limit"},
           {R"({"limit":1e300})", "/limit"},
           {R"({"cursor":1})", "/cursor"},
           {R"({"cursor":""})", "/cursor"},
       }) {
    json::Parser parser;
    json::Document document;
    ASSERT_TRUE(parser.parse(each.filter, document)) << each.filter;
    const auto search = parse_search(document, now);
    ASSERT_FALSE(search) << each.filter;
    EXPECT_EQ(search.error().kind, ErrorKind::invalid);
    EXPECT_EQ(search.error().path, each.path) << each.filter;
    EXPECT_TRUE(search.error().position) << each.filter;
  }
  EXPECT_EQ(parse("{}")->search.limit, search_limit_default);
  EXPECT_EQ(parse(R"({"limit":1000})")->search.limit, 1'000u);
}

}  // namespace
}  // namespace vestige::audit
