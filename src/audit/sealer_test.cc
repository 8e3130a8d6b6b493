// Defends: sealing loses nothing and leaks nothing. Of any event, whoever has the keys reads back exactly
// what was sent, to the last digit; the entry's own bytes are canonical and hold no personal value; the
// content MAC is the same for the same content; what is erased is gone and said to be, and nothing else is.
#include "audit/sealer.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "audit/entry_view.h"
#include "audit/limits.h"
#include "audit/testing/random_events.h"
#include "audit/testing/world.h"
#include "base/encoding.h"
#include "base/time_text.h"

namespace vestige::audit {
namespace {

using testing::Random;
using testing::Tree;
using testing::World;

// What a reader must see of an event, less index, leaf, receivedAt and the sections' states.
Tree expected_of(const testing::MarkedEvent& marked, const World& world, const std::string& time) {
  Tree expected = marked.event;
  expected.members["tenant"] = Tree::text("default");
  expected.members["time"] = Tree::text(time);
  auto& context = expected.members.try_emplace("context", Tree::object()).first->second;
  context.members.try_emplace("node", Tree::text(world.server.node));
  context.members.try_emplace("serverLocation", Tree::text(world.server.location));
  context.members.try_emplace("service", Tree::text(world.request.service));
  if (marked.subjects.size() == 1) expected.members["subject"] = Tree::text(marked.subjects.front());
  return expected;
}

Tree without_bookkeeping(Tree event) {
  for (const char* name : {"index", "leaf", "receivedAt", "sealed"}) event.members.erase(name);
  return event;
}

bool holds(std::string_view text, std::string_view piece) { return text.find(piece) != text.npos; }

TEST(Sealer, RandomEventsComeBackAsSentAndLeakNothing) {
  const auto seed = testing::seed_of_test();
  Random random(seed);
  World world(seed);
  world.open();
  std::uint64_t sealed_values = 0, clear_values = 0, sections = 0;
  for (std::size_t round = 0; round < testing::rounds(600); ++round) {
    const auto marked = testing::random_marked_event(random);
    const auto body = marked.event.json();
    const auto sent = world.send(body);
    ASSERT_TRUE(sent) << sent.error().message << sent.error().path << "\n" << body;
    const auto index = sent->events.front().index;
    const auto clear = world.clear_bytes(index);
    ASSERT_EQ(Tree::of_text(clear), clear) << "not canonical; sent: " << body;
    for (const auto& value : marked.sealed)
      ASSERT_FALSE(holds(clear, value)) << value << "\n" << clear << "\n" << body;
    for (const auto& value : marked.clear)
      ASSERT_TRUE(holds(clear, value)) << value << "\n" << clear << "\n" << body;
    sealed_values += marked.sealed.size();
    clear_values += marked.clear.size();

    const auto rendered = world.rendered(index);
    ASSERT_EQ(Tree::of_text(rendered).size(), rendered.size())
        << "a reader's event has white space or escapes";
    const auto event = Tree::parse(rendered);
    const auto* time = marked.event.find("time");
    const auto wanted =
        expected_of(marked, world, time != nullptr ? time->value() : format_time(world.clock.now()));
    ASSERT_EQ(without_bookkeeping(event).canonical(), wanted.canonical()) << body << "\n" << clear;
    if (const auto* states = event.find("sealed"); states != nullptr) {
      for (const auto& state : states->elements) ASSERT_EQ(state.find("state")->scalar, "\"present\"");
      sections += states->elements.size();
      ASSERT_FALSE(marked.subjects.empty());
    } else {
      ASSERT_TRUE(marked.subjects.empty()) << body;
    }
    if (round % 50 == 0) world.clock.advance(std::chrono::milliseconds(random.below(5'000)));
  }
  EXPECT_GT(sealed_values, testing::rounds(600));
  EXPECT_GT(clear_values, testing::rounds(600));
  EXPECT_GT(sections, testing::rounds(100));
}

TEST(Sealer, NumbersKeepEveryDigitBesideAndInSections) {
  const auto seed = testing::seed_of_test();
  Random random(seed);
  World world(seed);
  world.open();
  Tree numbers = Tree::array();
  for (std::size_t i = 0; i < 4'000; ++i) {
    const auto value = i % 2 == 0 ? std::bit_cast<double>(random.next())
                                  : static_cast<double>(random.next() >> 11) *
                                        std::pow(10.0, -static_cast<double>(random.below(25)));
    if (!std::isfinite(value)) continue;
    std::string text;
    json::append_number(text, value);
    numbers.elements.push_back(Tree::raw(text));
  }
  Tree event = Tree::parse(R"({"kind":"test.marks","action":"DID","subject":"p"})");
  Tree detail = Tree::object();
  detail.members.emplace("own", numbers);
  detail.members.emplace("plain", numbers);
  event.members.emplace("detail", detail);
  const auto sent = world.send(event.json());
  ASSERT_TRUE(sent) << sent.error().message;
  EXPECT_EQ(Tree::parse(world.rendered(0)).find("detail")->canonical(), detail.canonical());
}

std::optional<Block16> mac_of(World& world, std::uint64_t index) {
  const auto record = world.stream().snapshot().read(index);
  Unsealer unsealer(*world.vault, "default/audit");
  const auto mac =
      unsealer.content_mac(record->entry, [&]() -> Result<std::vector<Bytes>> { return record->blobs; });
  EXPECT_TRUE(mac) << mac.error().message;
  return mac ? *mac : std::nullopt;
}

TEST(Sealer, TheContentMacIsThatOfTheContentLessTheId) {
  const auto seed = testing::seed_of_test();
  Random random(seed);
  World world(seed);
  world.open();
  for (std::size_t round = 0; round < testing::rounds(60); ++round) {
    auto marked = testing::random_marked_event(random);
    const auto first = world.send(marked.event.json());
    marked.event.members["id"] = Tree::text(testing::random_uuid(random));
    world.clock.advance(std::chrono::seconds(1));
    const auto same = world.send(marked.event.canonical());
    marked.event.members["id"] = Tree::text(testing::random_uuid(random));
    marked.event.members["action"] = Tree::text("DID SOMETHING ELSE");
    const auto other = world.send(marked.event.json());
    ASSERT_TRUE(first && same && other);
    const auto mac = mac_of(world, first->events.front().index);
    ASSERT_TRUE(mac);
    EXPECT_EQ(mac, mac_of(world, same->events.front().index));
    EXPECT_NE(mac, mac_of(world, other->events.front().index));
    crypto::HmacKey key(world.vault->purpose_key(content_mac_purpose, "default"));
    marked.event.members.erase("id");
    const auto naive = key.mac(view(marked.event.canonical()));
    EXPECT_TRUE(
        std::equal(naive.begin(), naive.begin() + 16, mac_of(world, other->events.front().index)->begin()));
  }
}

// ----------------------------------------------------------------------------------------- the format's
// example

TEST(Sealer, TheWorkedExampleOfTheFormat) {
  World world(1);
  world.open();
  ASSERT_TRUE(world.send(
      R"({"kind": "data.change", "action": "UPDATED", "sourceId": "u-7", "targetId": "c-1", "subject": "c-1",
          "changes": [{"field": "phone", "old": "555-1", "new": "555-2"}],
          "context": {"ip": "203.0.113.9", "service": "crm"}})"));
  const auto record = world.stream().snapshot().read(0);
  const auto entry = Tree::parse(record->entry);
  EXPECT_EQ(entry.find("changes")->json(), R"([{"field":"phone"}])");
  EXPECT_EQ(entry.find("targetId"), nullptr);
  EXPECT_EQ(entry.find("subject"), nullptr);
  EXPECT_EQ(entry.find("mac"), nullptr);
  EXPECT_EQ(entry.find("sourceId")->scalar, "\"u-7\"");
  EXPECT_EQ(entry.find("context")->find("ip")->scalar, "\"203.0.113.9\"");
  Unsealer unsealer(*world.vault, "default/audit");
  const auto opened =
      unsealer.open(record->entry, [&]() -> Result<std::vector<Bytes>> { return record->blobs; });
  ASSERT_TRUE(opened) << opened.error().message;
  ASSERT_EQ(opened->pairs.size(), 1u);
  std::vector<std::string> paths;
  for (const auto& pair : opened->pairs.front()) paths.push_back(pair.path);
  EXPECT_EQ(paths,
            (std::vector<std::string>{"/changes/0/new", "/changes/0/old", "/targetId", "/subject", "mac"}));
}

TEST(Sealer, AnEmptyDetailIsSealedAndAListOfOneIsReadAsAString) {
  World world(1);
  world.open();
  ASSERT_TRUE(world.send(R"({"kind":"data.change","action":"X","subject":["p"],"detail":{}})"));
  EXPECT_EQ(Tree::parse(world.clear_bytes(0)).find("detail"), nullptr);
  const auto event = Tree::parse(world.rendered(0));
  EXPECT_EQ(event.find("detail")->json(), "{}");
  EXPECT_EQ(event.find("subject")->scalar, "\"p\"");
}

TEST(Sealer, SeveralSubjectsHaveASectionEachAndOneTogether) {
  World world(1);
  world.open();
  ASSERT_TRUE(world.send(R"({"kind":"data.change","action":"X","subject":["p","q"],"detail":{"a":1}})"));
  const auto entry = Tree::parse(world.clear_bytes(0));
  EXPECT_EQ(entry.find("subject")->json(), "[null,null]");
  ASSERT_EQ(entry.find("sealed")->elements.size(), 3u);
  EXPECT_NE(entry.find("sealed")->elements[2].find("any"), nullptr);
  EXPECT_EQ(Tree::parse(world.rendered(0)).find("subject")->json(), R"(["p","q"])");
}

TEST(Sealer, APlaceThatTheServerAddsIsSealedInPairsOfTheFormat) {
  World world(1);
  world.server.locate = [](std::string_view) {
    return std::optional<std::string>(R"({"city":"Manila","country":"PH"})");
  };
  world.open();
  for (const char* subject : {"u-7", "somebody else"})
    ASSERT_TRUE(world.send(fmt::format(
        R"({{"kind":"data.change","action":"X","subject":"{}","sourceId":"u-7","context":{{"ip":"203.0.113.9"}}}})",
        subject)));
  EXPECT_FALSE(holds(world.clear_bytes(0), "Manila"));
  EXPECT_TRUE(holds(world.clear_bytes(1), "Manila"));
  for (const std::uint64_t index : {0, 1}) {
    EXPECT_EQ(Tree::parse(world.rendered(index)).find("context")->find("location")->json(),
              R"({"city":"Manila","country":"PH"})");
    const auto record = world.stream().snapshot().read(index);
    Unsealer unsealer(*world.vault, "default/audit");
    const auto opened =
        unsealer.open(record->entry, [&]() -> Result<std::vector<Bytes>> { return record->blobs; });
    ASSERT_TRUE(opened);
    for (const auto& pair : opened->pairs.front())
      EXPECT_TRUE(pair.value == "{}" || pair.value == "[]" || !holds("{[", pair.value.substr(0, 1)))
          << pair.path;
  }
}

// --------------------------------------------------------------------------------------------------- erased

TEST(Sealer, WhatIsErasedIsGoneAndSaidToBe) {
  World world(1);
  world.open();
  for (const char* kind : {"test.marks", "test.marks.all"})
    ASSERT_TRUE(world.send(fmt::format(
        R"({{"kind":"{}","action":"X","subject":["p","q"],"targetId":"p","detail":{{"own":"both","target":"of p","plain":1}}}})",
        kind)));
  world.vault->erase("default", "p");
  const auto any = Tree::parse(world.rendered(0));
  EXPECT_EQ(any.find("detail")->json(), R"({"plain":1})");
  EXPECT_EQ(any.find("subject")->json(), R"([null,"q"])");
  EXPECT_EQ(any.find("targetId"), nullptr);
  std::vector<std::string> states;
  for (const auto& section : any.find("sealed")->elements) states.push_back(section.find("state")->value());
  EXPECT_EQ(states, (std::vector<std::string>{"erased", "present", "erased"}));

  // Gone when all are.
  EXPECT_EQ(Tree::parse(world.rendered(1)).find("detail")->json(), R"({"own":"both","plain":1})");
  world.vault->erase("default", "q");
  EXPECT_EQ(Tree::parse(world.rendered(1)).find("detail")->json(), R"({"plain":1})");
}

TEST(Sealer, LaterEventsAboutAnErasedPersonAreKeptWithoutThePersonalValues) {
  World world(1);
  world.open();
  world.vault->erase("default", "p");
  const auto sent = world.send(
      R"({"kind":"data.change","action":"X","subject":"p","sourceId":"p","targetId":"t","detail":{"a":"secret-1"},"context":{"ip":"secret-2"}})");
  ASSERT_TRUE(sent) << sent.error().message;
  const auto clear = world.clear_bytes(0);
  EXPECT_FALSE(holds(clear, "secret")) << clear;
  const auto entry = Tree::parse(clear);
  EXPECT_EQ(Tree::of_text(clear), clear);
  EXPECT_EQ(entry.find("sealed"), nullptr);
  EXPECT_NE(entry.find("mac"), nullptr);
  std::vector<std::string> discarded;
  for (const auto& path : entry.find("discarded")->elements) discarded.push_back(path.value());
  std::ranges::sort(discarded);
  EXPECT_EQ(discarded, (std::vector<std::string>{"/context/ip", "/detail", "/sourceId", "/subject"}));
  const auto event = Tree::parse(world.rendered(0));
  EXPECT_EQ(event.find("targetId")->scalar, "\"t\"");
  EXPECT_NE(event.find("discarded"), nullptr);
}

// --------------------------------------------------------------------------------------------------- limits

std::string many_values(std::size_t count) {
  std::string body = R"({"kind":"data.change","action":"X","subject":"p","detail":{"a":[)";
  for (std::size_t i = 0; i < count; ++i) body += i > 0 ? ",0" : "0";
  return body + "]}}";
}

TEST(Sealer, TooManyPersonalValuesAreRefusedAndWhatIsAcceptedCanBeRead) {
  World world(1);
  world.open();
  const auto refused = world.send(many_values(70'000));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::exhausted);
  EXPECT_FALSE(refused.error().limit.empty());
  const auto sent = world.send(many_values(65'000));
  ASSERT_TRUE(sent) << sent.error().message;
  EXPECT_EQ(Tree::parse(world.rendered(0)).find("detail")->find("a")->elements.size(), 65'000u);
}

TEST(Sealer, LongNamesAboveManyValuesAreRefusedBeforeTheyFillTheMemory) {
  World world(1);
  world.open();
  // 500 kB that would make 16 GB: every value repeats the name above it.
  std::string body =
      R"({"kind":"data.change","action":"X","subject":"p","detail":{")" + std::string(300'000, 'k') + "\":{";
  for (std::size_t i = 0; i < 20'000; ++i) body += fmt::format("{}\"{}\":0", i > 0 ? "," : "", i);
  body += "}}}";
  const auto refused = world.send(body);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::exhausted);
  EXPECT_FALSE(refused.error().limit.empty());
  // As much as fits is kept and can be read.
  for (const std::size_t children : {20, 25, 26, 27, 30}) {
    body = R"({"kind":"data.change","action":"X","subject":"p","detail":{")" + std::string(300'000, 'k') +
           "\":{";
    for (std::size_t i = 0; i < children; ++i) body += fmt::format("{}\"{}\":0", i > 0 ? "," : "", i);
    body += "}}}";
    if (const auto sent = world.send(body); sent) {
      EXPECT_EQ(Tree::parse(world.rendered(sent->events.front().index))
                    .find("detail")
                    ->members.begin()
                    ->second.members.size(),
                children);
    } else {
      EXPECT_EQ(sent.error().kind, ErrorKind::exhausted) << sent.error().message;
      EXPECT_GT(children, 25u);
    }
  }
}

}  // namespace
}  // namespace vestige::audit
