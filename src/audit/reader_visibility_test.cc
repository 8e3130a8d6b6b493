// Defends: what a reader may not see, nothing tells. The trails of two worlds that differ only in such values
// give them the same answers to the same questions, whatever is asked, counted or sorted; who sees one person
// sees exactly the entries that hold something of theirs, and who sees their own only nothing of anybody else
// in them; a value that is there and not told stands as a mask, and nothing else does.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "audit/reader.h"
#include "audit/testing/random_events.h"
#include "audit/testing/world.h"

namespace vestige::audit {
namespace {

using testing::Random;
using testing::Tree;
using testing::World;

constexpr std::size_t people = 4;

// What is in clear of an event, and who it is about; its personal values are another thing.
struct Outline {
  std::string kind;
  std::string action;
  std::string about;
  std::vector<std::size_t> subjects;
};

Outline random_outline(Random& random) {
  Outline outline;
  outline.kind = random.chance(50) ? "communication.note" : "communication.call";
  outline.action = random.chance(50) ? "ADDED" : "CHANGED";
  outline.about = fmt::format("matter{}", random.below(5));
  for (std::size_t i = 0; i < people; ++i)
    if (random.chance(35)) outline.subjects.push_back(i);
  return outline;
}

// The event with personal values of the world's own: `word` is in all of them, and in nothing else.
std::string event_of(const Outline& outline, std::size_t number, const std::string& word) {
  std::string subjects;
  for (const auto subject : outline.subjects)
    subjects += fmt::format("{}\"person-{}\"", subjects.empty() ? "" : ",", subject);
  const auto values =
      outline.kind == "communication.note"
          ? fmt::format(R"("about":"{}","content":"content{}x {}","attachments":["attached{}x"])",
                        outline.about, word, number, word)
          : fmt::format(
                R"("call_purpose":"{}","call_summary":"summary{}x {}","recording_reference":"content{}x")",
                outline.about, word, number, word);
  return fmt::format(
      R"({{"id":"01930000-0000-7000-8000-{:012}","time":"2026-11-29T10:{:02}:00.000Z","kind":"{}","action":"{}",)"
      R"("targetType":"MATTER","targetId":"m-{}"{},"detail":{{{}}}}})",
      number, number % 60, outline.kind, outline.action, number % 7,
      subjects.empty() ? "" : fmt::format(R"(,"subject":[{}])", subjects), values);
}

void fill(World& world, Random& random, const std::vector<Outline>& outlines, const std::string& word) {
  for (std::size_t i = 0; i < outlines.size(); ++i) {
    const auto outcome = world.send(event_of(outlines[i], i, word));
    ASSERT_TRUE(outcome) << outcome.error().message;
    if (random.chance(4)) world.seal_everything();
  }
}

std::string random_question(Random& random) {
  const std::string words[] = {"red",         "blue",   "contentredx", "contentbluex",
                               "summaryred*", "*bluex", "matter1",     "ADDED"};
  const auto word = words[random.below(std::size(words))];
  const std::string conditions[] = {
      fmt::format(R"("text":"{}")", word),
      fmt::format(R"("text":"-{}")", word),
      fmt::format(R"("filter":{{"field":"detail.content","equals":"{}"}})", word),
      fmt::format(R"("filter":{{"field":"detail","contains":{{"call_summary":"{}"}}}})", word),
      R"("filter":{"field":"detail.recording_reference","exists":true})",
      fmt::format(R"("filter":{{"or":[{{"field":"detail.about","wildcard":"matt*"}},{{"text":"{}"}}]}})",
                  word),
      R"("subject":"person-1")",
      fmt::format(R"("action":"ADDED","text":"{}")", word),
      R"("kind":"communication.note")",
      fmt::format(R"("filter":{{"not":{{"text":"{}"}}}})", word),
      R"("detail":{"attachments":["attachedredx"]})",
  };
  const std::string tallies[] = {"", R"(,"total":true)", R"(,"facets":["detail.content"])",
                                 R"(,"total":true,"facets":["action","detail.about"],"histogram":"10m")"};
  return fmt::format(R"({{{}{},"limit":{},"order":"{}"}})", conditions[random.below(std::size(conditions))],
                     tallies[random.below(std::size(tallies))], 1 + random.below(30),
                     random.chance(50) ? "asc" : "desc");
}

// Everything of an answer that does not follow from the leaves, which differ.
std::string told(const Result<SearchAnswer>& answer) {
  if (!answer) return fmt::format("{} {}", name_of(answer.error().kind), answer.error().message);
  std::string out = fmt::format("{} {} {}", answer->tally, answer->cursor.has_value(), answer->size);
  for (const auto& event : answer->events) {
    const auto leaf = event.find(",\"leaf\":\"");
    EXPECT_NE(leaf, std::string::npos);
    out += "\n" + event.substr(0, leaf);
  }
  return out;
}

Result<SearchAnswer> ask(World& world, const std::string& body, const Visibility& visibility) {
  json::Parser parser;
  json::Document document;
  VESTIGE_CHECKED(parser.parse(body, document));
  VESTIGE_TRY(const auto search, parse_search(document, UnixMs{0}));
  return world.reader->search(search, visibility, "somebody");
}

Visibility masked(const World& world, bool personal, bool sensitive) {
  Visibility visibility;
  visibility.personal = personal;
  visibility.sensitive = sensitive;
  visibility.masks = true;
  visibility.kinds = world.kinds.get();
  return visibility;
}

class ReaderVisibility : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  void SetUp() override {
    for (int i = 0; i < 60; ++i) outlines_.push_back(random_outline(random_));
  }
  void fill(World& world, const std::string& word) {
    world.open();
    Random sealing(GetParam());
    ASSERT_NO_FATAL_FAILURE(audit::fill(world, sealing, outlines_, word));
  }
  bool is_about(std::size_t event, std::size_t person) const {
    const auto& subjects = outlines_[event].subjects;
    return std::ranges::find(subjects, person) != subjects.end();
  }

  Random random_{GetParam()};
  std::vector<Outline> outlines_;
};

// Every event has a person here: one without has nobody's values, and what it says is for all.
TEST_P(ReaderVisibility, WorldsThatDifferInMaskedValuesGiveTheSameAnswers) {
  for (auto& outline : outlines_)
    if (outline.subjects.empty()) outline.subjects.push_back(random_.below(people));
  World red(GetParam());
  World blue(GetParam());
  ASSERT_NO_FATAL_FAILURE(fill(red, "red"));
  ASSERT_NO_FATAL_FAILURE(fill(blue, "blue"));
  std::size_t found = 0;
  std::size_t denied = 0;
  for (int i = 0; i < 300; ++i) {
    const auto question = random_question(random_);
    auto visibility = masked(red, false, false);
    visibility.masks = random_.chance(80);
    if (random_.chance(30)) visibility.person = "person-1";
    visibility.small_count = random_.below(4);
    const auto of_red = ask(red, question, visibility);
    visibility.kinds = blue.kinds.get();
    const auto of_blue = ask(blue, question, visibility);
    EXPECT_EQ(told(of_red), told(of_blue)) << question;
    EXPECT_EQ(told(of_red).find("redx"), std::string::npos) << question;
    found += of_red ? of_red->events.size() : 0;
    denied += of_red ? 0 : 1;
  }
  EXPECT_GT(found, 100U);
  EXPECT_GT(denied, 10U);
}

TEST_P(ReaderVisibility, WhoSeesOnePersonSeesTheirEntriesAndNoOthers) {
  World world(GetParam());
  ASSERT_NO_FATAL_FAILURE(fill(world, "red"));
  for (std::size_t person = 0; person < people; ++person)
    for (const bool own : {false, true}) {
      auto visibility = masked(world, own, own);
      visibility.person = fmt::format("person-{}", person);
      visibility.own = own;
      visibility.given_out = std::make_shared<GivenOut>();
      const auto answer = ask(world, R"({"limit":1000,"order":"asc","total":true})", visibility);
      ASSERT_TRUE(answer) << answer.error().message;
      std::vector<std::size_t> expected;
      for (std::size_t i = 0; i < outlines_.size(); ++i)
        if (is_about(i, person)) expected.push_back(i);
      std::vector<std::size_t> got;
      for (const auto& event : answer->events)
        got.push_back(std::stoul(Tree::parse(event).find("index")->scalar));
      EXPECT_EQ(got, expected);
      EXPECT_EQ(answer->tally, fmt::format(",\"total\":{}", expected.size()));
      EXPECT_EQ(visibility.given_out->entries, expected.size());
      const auto named = ask(
          world, fmt::format(R"({{"subject":"person-{}","limit":1000,"order":"asc"}})", person), visibility);
      ASSERT_TRUE(named) << named.error().message;
      EXPECT_EQ(named->events, answer->events);
      for (std::size_t i = 0; i < outlines_.size(); ++i) {
        const auto id = *parse_uuid(fmt::format("01930000-0000-7000-8000-{:012}", i));
        const auto event = world.reader->event(id, visibility);
        EXPECT_EQ(event.has_value(), is_about(i, person));
        EXPECT_EQ(world.reader->sealed_bytes(id, visibility).has_value(), is_about(i, person));
        EXPECT_EQ(world.reader->proof(id, visibility).has_value(), is_about(i, person));
        const auto nobody =
            world.reader->event(*parse_uuid("01930000-0000-7000-8000-999999999999"), visibility);
        if (!event) EXPECT_EQ(event.error().kind, nobody.error().kind);
      }
    }
}

TEST_P(ReaderVisibility, WhoSeesTheirOwnSeesNoOtherPersonInIt) {
  World world(GetParam());
  ASSERT_NO_FATAL_FAILURE(fill(world, "red"));
  auto visibility = masked(world, true, true);
  visibility.person = "person-2";
  visibility.own = true;
  const auto ref = world.vault->look_up("default", "person-2")->ref;
  ASSERT_TRUE(ref);
  const auto answer = ask(world, R"({"limit":1000})", visibility);
  ASSERT_TRUE(answer);
  EXPECT_FALSE(answer->events.empty());
  for (const auto& event : answer->events) {
    const auto tree = Tree::parse(event);
    ASSERT_NE(tree.find("sealed"), nullptr);
    EXPECT_EQ(event.find("person-1"), std::string::npos);
    EXPECT_EQ(event.find("person-3"), std::string::npos);
  }
}

TEST_P(ReaderVisibility, AMaskStandsForWhatIsThereAndForNothingElse) {
  World world(GetParam());
  ASSERT_NO_FATAL_FAILURE(fill(world, "red"));
  for (const bool personal : {false, true}) {
    const auto visibility = masked(world, personal, false);
    for (std::size_t i = 0; i < outlines_.size(); ++i) {
      const auto id = *parse_uuid(fmt::format("01930000-0000-7000-8000-{:012}", i));
      auto whole = Tree::parse(*world.reader->event(id, {}));
      const auto seen = Tree::parse(*world.reader->event(id, visibility));
      const bool sealed = !outlines_[i].subjects.empty();
      const auto& detail = *whole.find("detail");
      const auto& seen_detail = *seen.find("detail");
      const bool note = outlines_[i].kind == "communication.note";
      const auto told = [&](const char* name) {
        return seen_detail.find(name)->scalar == detail.find(name)->scalar;
      };
      const auto masks = [&](const char* name) {
        return seen_detail.find(name)->scalar == fmt::format("\"{}\"", mask);
      };
      EXPECT_TRUE(told(note ? "about" : "call_purpose"));
      EXPECT_EQ(masks(note ? "content" : "recording_reference"), sealed);
      EXPECT_EQ(told(note ? "content" : "recording_reference"), !sealed);
      if (!note) EXPECT_EQ(told("call_summary"), !sealed || personal);
      EXPECT_EQ(seen.find("action")->scalar, whole.find("action")->scalar);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, ReaderVisibility, ::testing::Values(1, 2, 3));

TEST(Visibility, WhatIsNotToldCannotBeAskedFor) {
  World world(1);
  world.open();
  const auto kind_of_refusal = [&](const std::string& body, bool personal,
                                   bool sensitive) -> std::optional<ErrorKind> {
    const auto answer = ask(world, body, masked(world, personal, sensitive));
    return answer ? std::nullopt : std::optional(answer.error().kind);
  };
  for (const auto* body :
       {R"({"filter":{"field":"detail.content","exists":true}})", R"({"subject":"p"})",
        R"({"facets":["detail.customer_phone"]})", R"({"filter":{"field":"context.ip","cidr":"10.0.0.0/8"}})",
        R"({"filter":{"not":{"field":"detail.call_summary","equals":"x"}}})"}) {
    EXPECT_EQ(kind_of_refusal(body, false, false), ErrorKind::denied) << body;
    EXPECT_EQ(kind_of_refusal(body, true, true), std::nullopt) << body;
  }
  EXPECT_EQ(kind_of_refusal(R"({"filter":{"field":"detail.content","exists":true}})", true, false),
            ErrorKind::denied);
  EXPECT_EQ(kind_of_refusal(R"({"filter":{"field":"detail.call_summary","exists":true}})", true, false),
            std::nullopt);
  EXPECT_EQ(kind_of_refusal(R"({"filter":{"field":"detail.about","exists":true},"facets":["action"]})", false,
                            false),
            std::nullopt);
}

}  // namespace
}  // namespace vestige::audit
