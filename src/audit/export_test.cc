// Defends: an export is what a search finds, whole, in order, as of one tree; entries, values and hashes in
// it lead to that tree's signed root, whatever is left out; what may not be read is not in it; one that
// cannot be finished says so. That it has the same events as a search is defended in search_model_test.cc as
// well, for every kind of filter and state.
#include "audit/export.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "audit/limits.h"
#include "audit/testing/export_reader.h"
#include "audit/testing/random_events.h"
#include "audit/testing/world.h"
#include "base/encoding.h"
#include "trail/format/note.h"

namespace vestige::audit {
namespace {

using testing::Random;
using testing::ReadExport;
using testing::Tree;
using testing::World;

constexpr UnixMs now{1'795'617'620'000};
const Uuid exporter = *parse_uuid("0192f0c1-7c55-7a3e-9b1d-5f2f6d1c8e10");

// Keeps what a search points into.
struct Asked {
  json::Document document;
  ExportOrder order;
};

std::unique_ptr<Asked> ask(const std::string& body, bool csv) {
  auto asked = std::make_unique<Asked>();
  json::Parser parser;
  EXPECT_TRUE(parser.parse(body, asked->document)) << body;
  auto search = parse_search(asked->document, now);
  EXPECT_TRUE(search) << body;
  asked->order = {.search = *search,
                  .asked = json::canonical(asked->document.root()),
                  .csv = csv,
                  .exporter = exporter,
                  .exporter_name = "a \"key\"",
                  .now = now};
  return asked;
}

std::string export_of(World& world, const std::string& body, bool csv = false,
                      const Visibility& visibility = {}, const std::function<void()>& between = {}) {
  const auto asked = ask(body, csv);
  auto begun = Export::begin(*world.reader, visibility, asked->order);
  EXPECT_TRUE(begun) << begun.error().message;
  std::string file;
  while ((*begun)->next(file))
    if (between) between();
  EXPECT_FALSE((*begun)->next(file));
  return file;
}

// Holds what is in an export against the trail, and gives it.
ReadExport check(World& world, const std::string& file) {
  auto read = testing::read_export(file);
  const auto note = trail::parse_note(read.header.find("checkpoint")->value());
  EXPECT_TRUE(note);
  const auto key = world.signer->verifier_key();
  EXPECT_TRUE(trail::verify_note(*note, std::span(&key, 1)));
  const auto checkpoint = trail::parse_checkpoint(note->text);
  EXPECT_EQ(read.root(checkpoint->size), checkpoint->root);
  std::map<std::string, std::uint64_t> states;
  for (const auto& line : read.lines) {
    const auto index = std::stoull(line.find("event")->find("index")->scalar);
    EXPECT_EQ(Tree::of_text(line.find("entry")->json()), world.clear_bytes(index));
    if (const auto* sections = line.find("event")->find("sealed"))
      for (const auto& section : sections->elements) ++states[section.find("state")->value()];
  }
  const auto statement = trail::parse_note(read.closing.find("statement")->value());
  EXPECT_TRUE(statement && trail::verify_note(*statement, std::span(&key, 1)));
  std::vector<std::string> times;
  for (const auto& line : read.lines) times.push_back(line.find("event")->find("time")->scalar);
  std::ranges::sort(times);
  EXPECT_EQ(
      statement->text,
      fmt::format("vestige export "
                  "v1\n{{\"digest\":{},\"events\":{},\"sections\":{{\"closed\":{},\"erased\":{},\"present\":"
                  "{},\"unknown\":{}}},\"size\":{},\"timeFirst\":{},\"timeLast\":{}}}\n",
                  read.closing.find("after")->scalar, read.lines.size(), states["closed"], states["erased"],
                  states["present"], states["unknown"], checkpoint->size,
                  times.empty() ? "null" : times.front(), times.empty() ? "null" : times.back()));
  return read;
}

void send(World& world, Random& random, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const auto event = testing::random_marked_event(random);
    ASSERT_TRUE(world.send(event.event.json()));
  }
}

TEST(Export, OfEverythingAndOfSomeLeadsToTheSignedRootInEveryState) {
  const auto seed = testing::seed_of_test();
  Random random(seed);
  World world(seed);
  world.open();
  check(world, export_of(world, "{}"));
  for (int state = 0; state < 4; ++state) {
    ASSERT_NO_FATAL_FAILURE(send(world, random, 40));
    if (state == 1) world.seal_everything();
    if (state == 2) {
      world.close();
      world.open();
    }
    const auto size = world.stream().size();
    const auto all = check(world, export_of(world, "{}", state % 2 == 1));
    ASSERT_EQ(all.lines.size(), size);
    for (const auto& line : all.lines) ASSERT_EQ(line.find("nodes"), nullptr);
    for (std::size_t round = 0; round < testing::rounds(8); ++round) {
      std::string list;
      std::vector<std::uint64_t> wanted;
      for (std::uint64_t i = 0; i < size; ++i)
        if (random.below(size) < random.below(20)) {
          list += (list.empty() ? "" : ",") + all.lines[i].find("event")->find("id")->scalar;
          wanted.push_back(i);
        }
      const auto some = check(
          world, export_of(world, R"({"filter":{"field":"id","in":[)" + list + "]}}", random.chance(50)));
      ASSERT_EQ(some.indexes(), wanted);
      for (std::size_t i = 0; i < wanted.size(); ++i)
        ASSERT_EQ(some.lines[i].find("event")->json(), Tree::parse(world.rendered(wanted[i])).json());
    }
  }
}

// What is open gives the root in the entry, by the words of the format.
TEST(Export, OpenSectionsAreTheOnesOfTheEntry) {
  Random random(testing::seed_of_test());
  World world(3);
  world.open();
  ASSERT_NO_FATAL_FAILURE(send(world, random, 30));
  std::size_t sections = 0;
  for (const auto& line : check(world, export_of(world, "{}")).lines) {
    const auto* sealed = line.find("entry")->find("sealed");
    ASSERT_EQ(sealed == nullptr, line.find("open") == nullptr);
    for (std::size_t i = 0; sealed != nullptr && i < sealed->elements.size(); ++i) {
      const auto& open = line.find("open")->elements.at(i);
      std::vector<seal::Pair> pairs;
      for (const auto& pair : open.find("pairs")->elements)
        pairs.push_back({pair.elements.at(0).value(), pair.elements.at(1).json()});
      const auto seed = array_from_base64<16>(open.find("seed")->value());
      ASSERT_TRUE(seed);
      ASSERT_EQ(to_base64(seal::pairs_root(pairs, *seed)), sealed->elements[i].find("root")->value());
      ++sections;
    }
  }
  EXPECT_GT(sections, 10U);
}

TEST(Export, IsAsOfItsBeginningWhateverComesMeanwhile) {
  Random random(testing::seed_of_test());
  World world(4);
  world.open();
  ASSERT_NO_FATAL_FAILURE(send(world, random, 30));
  const auto size = world.stream().size();
  const auto file = export_of(world, "{}", false, {}, [&] {
    ASSERT_NO_FATAL_FAILURE(send(world, random, 5));
    world.seal_everything();
  });
  EXPECT_EQ(check(world, file).lines.size(), size);
}

TEST(Export, WhoMayNotReadPersonalValuesGetsNoneAndItStillHolds) {
  Random random(testing::seed_of_test());
  World world(5);
  world.open();
  std::vector<std::string> secrets;
  for (int i = 0; i < 20; ++i) {
    const auto event = testing::random_marked_event(random);
    ASSERT_TRUE(world.send(event.event.json()));
    for (const auto& text : event.sealed)
      if (text.size() > 8) secrets.push_back(text);
  }
  ASSERT_GT(secrets.size(), 20U);
  Visibility visibility;
  visibility.personal = false;
  const auto file = export_of(world, "{}", false, visibility);
  check(world, file);
  const auto open = export_of(world, "{}");
  for (const auto& secret : secrets) {
    ASSERT_EQ(file.find(secret), std::string::npos) << secret;
    ASSERT_NE(open.find(secret), std::string::npos) << secret;
  }
  // Rows that the reader does not see are hashes like any that were not asked for.
  json::Parser parser;
  json::Document document;
  ASSERT_TRUE(parser.parse(R"({"field":"index","range":{"lt":7}})", document));
  visibility.rows = *parse_condition(document.root(), "");
  EXPECT_EQ(check(world, export_of(world, "{}", false, visibility)).lines.size(), 7U);
}

TEST(Export, WhatHandsOutAHiddenFieldIsDenied) {
  World world(6);
  world.open();
  Visibility visibility;
  visibility.hidden.push_back({{"detail", "salary"}});
  const auto asked = ask("{}", false);
  const auto begun = Export::begin(*world.reader, visibility, asked->order);
  ASSERT_FALSE(begun);
  EXPECT_EQ(begun.error().kind, ErrorKind::denied);
  EXPECT_NE(begun.error().message.find("detail.salary"), std::string::npos);
}

TEST(Export, AnErasedPersonIsInNoExportAndTheRestHolds) {
  World world(7);
  world.open();
  for (const std::string who : {"anna", "bert"})
    ASSERT_TRUE(world.send(R"({"kind":"test.marks","action":"CREATED","subject":")" + who +
                           R"(","detail":{"own":"secret of )" + who + R"("},"sourceId":")" + who + R"("})"));
  world.seal_everything();
  EXPECT_NE(export_of(world, "{}").find("secret of anna"), std::string::npos);
  ASSERT_TRUE(world.erasures->erase({.subject = "anna", .reason = "asked for", .actor = "key-1"}));
  for (const bool csv : {false, true}) {
    const auto file = export_of(world, "{}", csv);
    EXPECT_EQ(file.find("anna"), std::string::npos);
    EXPECT_NE(file.find("secret of bert"), std::string::npos);
    const auto read = check(world, file);
    const auto& state = read.lines.at(0).find("event")->find("sealed")->elements.at(0);
    EXPECT_EQ(state.find("state")->value(), "erased");
    EXPECT_NE(state.find("erasedBy"), nullptr);
    EXPECT_EQ(read.lines[0].find("open")->elements.at(0).scalar, "null");
  }
}

TEST(Export, CellsOfATableAreTheEventsMembersAndNoFormulas) {
  World world(8);
  world.open();
  const std::string harmless = "plain, \"quoted\" and\r\non two lines";
  const std::vector<std::string> bad = {"=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx", "'x", "\uFF1D1"};
  auto ids = bad;
  ids.push_back(harmless);
  for (const auto& id : ids) {
    std::string quoted;
    json::append_quoted(quoted, id);
    ASSERT_TRUE(world.send(R"({"kind":"data.change","action":"A","targetId":)" + quoted +
                           R"(,"detail":{"=x":"=1"}})"));
  }
  const auto read = check(world, export_of(world, "{}", true));
  const auto& names = read.cells.at(0);
  const auto column = [&](const std::string& name) {
    return static_cast<std::size_t>(std::ranges::find(names, name) - names.begin());
  };
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto& cells = read.cells.at(i + 1);
    ASSERT_EQ(cells.size(), names.size());
    EXPECT_EQ(cells.at(column("targetId")), ids[i] == harmless ? harmless : "'" + ids[i]);
    EXPECT_EQ(cells.at(column("detail")), R"({"=x":"=1"})");
    EXPECT_EQ(cells.at(column("index")), std::to_string(i));
    EXPECT_EQ(cells.at(column("changes")), "");
  }
  for (const auto& cell : read.cells.back()) EXPECT_EQ(cell, "");
}

TEST(Export, DamageEndsItWithAReasonAndAnAbandonedOneSaysWhy) {
  World world(9);
  world.open();
  Random random(1);
  ASSERT_NO_FATAL_FAILURE(send(world, random, 300));
  world.seal_everything();
  world.close();
  auto files = world.disk.snapshot();
  for (auto& [path, content] : files)
    if (path.ends_with(".seg")) content.at(content.size() / 2) ^= 1;
  world.disk.restore(files);
  ASSERT_NO_FATAL_FAILURE(world.open());
  const auto file = export_of(world, "{}");
  const auto read = testing::read_export(file);
  ASSERT_NE(read.closing.find("incomplete"), nullptr) << file.substr(file.size() - 300);
  EXPECT_NE(read.closing.find("incomplete")->value().find(".seg"), std::string::npos)
      << read.closing.find("incomplete")->value();
  EXPECT_EQ(read.closing.find("statement"), nullptr);

  const auto asked = ask("{}", true);
  auto begun = Export::begin(*world.reader, {}, asked->order);
  ASSERT_TRUE(begun);
  std::string abandoned;
  (*begun)->abandon(abandoned, "the server was stopped");
  EXPECT_FALSE((*begun)->next(abandoned));
  EXPECT_EQ(testing::read_export(abandoned).closing.find("incomplete")->value(), "the server was stopped");
}

}  // namespace
}  // namespace vestige::audit
