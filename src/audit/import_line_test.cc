// Defends: a record is recorded once however often, in whatever order of keys and under whatever mapping it
// is imported, unless it occurred more than once; two records never share an id; the record comes back whole;
// a refusal names the member of the line that was sent.
#include "audit/import_line.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "audit/ingest.h"
#include "audit/testing/random_events.h"
#include "audit/testing/world.h"

namespace vestige::audit {
namespace {

using testing::Random;
using testing::Tree;
using testing::World;

Result<BatchOutcome> import_into(World& world, const std::string& body, std::string_view format = "json") {
  auto batch = world.ingest->prepare_import(body, format, world.request);
  if (!batch) return std::unexpected(std::move(batch).error());
  std::optional<Result<BatchOutcome>> outcome;
  world.ingest->submit(*std::move(batch), [&](Result<BatchOutcome> done) { outcome = std::move(done); });
  world.commit();
  return *std::move(outcome);
}

const char* const mapped = R"({"kind":"data.change","action":"DID"})";

std::string line_of(const std::string& record, std::uint64_t occurrence, const std::string& event = mapped) {
  return fmt::format(R"({{"record":{},"occurrence":{},"event":{}}})", record, occurrence, event) + "\n";
}

TEST(Import, RandomRecordsAgainstAMap) {
  const auto seed = testing::seed_of_test();
  Random random(seed);
  World world(seed);
  world.open();
  std::map<std::tuple<std::string, std::string, std::uint64_t>, Uuid> model;
  std::set<Uuid> ids;
  std::uint64_t duplicates = 0;
  for (std::size_t round = 0; round < testing::rounds(150); ++round) {
    std::string body;
    const std::string format = random.chance(50) ? "json" : "csv";
    std::vector<std::tuple<std::string, std::string, std::uint64_t>> names;
    for (auto count = 1 + random.below(6); count > 0; --count) {
      // Few values, so that many records were there before; keys in either order.
      const auto a = random.below(8), b = random.below(3);
      const auto record = random.chance(50) ? fmt::format(R"({{"a":{},"b":"{}"}})", a, b)
                                            : fmt::format(R"({{ "b":"{}", "a":{}.0 }})", b, a);
      const auto occurrence = 1 + random.below(3);
      body += line_of(record, occurrence,
                      fmt::format(R"({{"kind":"data.change","action":"A{}"}})", random.below(3)));
      names.emplace_back(format, fmt::format(R"({{"a":{},"b":"{}"}})", a, b), occurrence);
    }
    const auto sent = import_into(world, body, format);
    ASSERT_TRUE(sent) << "seed " << seed << ": " << sent.error().message;
    ASSERT_EQ(sent->events.size(), names.size());
    for (std::size_t i = 0; i < names.size(); ++i) {
      const auto& event = sent->events[i];
      const auto known = model.find(names[i]);
      ASSERT_EQ(event.duplicate, known != model.end()) << "seed " << seed << "\n" << body;
      if (known != model.end()) {
        ++duplicates;
        ASSERT_EQ(event.id, known->second);
        continue;
      }
      ASSERT_TRUE(ids.insert(event.id).second) << "two records share an id";
      model[names[i]] = event.id;
      const auto stored = Tree::parse(world.rendered(event.index));
      ASSERT_EQ(stored.find("detail")->find("original")->json(), std::get<1>(names[i]));
    }
  }
  ASSERT_EQ(world.stream().size(), model.size());
  EXPECT_GT(duplicates, 20U);
}

TEST(Import, TheIdIsThatOfTheFormat) {
  Key key;
  key.fill(0x33);
  const ImportIds ids(key);
  EXPECT_EQ(format_uuid(ids.id_of("k8s-audit", R"({"auditID":"a-1","verb":"get"})", "", 1)),
            "9584c7f8-398b-89e0-b229-a03738d806c4");
  EXPECT_EQ(format_uuid(ids.id_of("json", R"({"n":"9007199254740993"})", R"(["/n"])", 2)),
            "c351aea7-f048-860b-a66e-65a4b134537f");
  // Where one field ends and the next begins counts.
  EXPECT_NE(ids.id_of("a", "bc", "", 1), ids.id_of("ab", "c", "", 1));
  EXPECT_NE(ids.id_of("a", "b", "c", 1), ids.id_of("a", "bc", "", 1));
}

TEST(Import, TheRecordGoesUnderOriginalBesideWhatTheEventHas) {
  World world(1);
  world.open();
  const auto sent = import_into(
      world, R"({"record":{"n":"9007199254740993","list":["1e999"]},"lossless":["/n","/list/0"],)"
             R"("event":{"kind":"data.change","action":"DID","detail":{"z":1,"a":2},"targetId":"t"}})");
  ASSERT_TRUE(sent) << sent.error().message << sent.error().path;
  const auto stored = Tree::parse(world.rendered(0));
  EXPECT_EQ(stored.find("detail")->json(),
            R"({"a":2,"original":{"list":["1e999"],"n":"9007199254740993"},"z":1})");
  EXPECT_EQ(stored.find("lossless")->json(), R"(["/detail/original/n","/detail/original/list/0"])");
  EXPECT_EQ(stored.find("targetId")->value(), "t");
  EXPECT_EQ(stored.find("id")->value()[14], '8');
}

TEST(Import, ARecordThatIsAnEventKeepsItsIdOrGetsOne) {
  World world(2);
  world.open();
  const std::string own =
      R"({"id":"01930000-0000-7000-8000-000000000001","kind":"data.change","action":"A"})";
  const std::string none = R"({"kind":"data.change","action":"A"})";
  const auto body = fmt::format("{{\"record\":{}}}\n{{\"record\":{},\"occurrence\":2}}\n{{\"record\":{}}}",
                                own, none, none);
  const auto sent = import_into(world, body, "ndjson");
  ASSERT_TRUE(sent) << sent.error().message;
  EXPECT_EQ(sent->accepted, 3U);
  EXPECT_EQ(format_uuid(sent->events[0].id), "01930000-0000-7000-8000-000000000001");
  EXPECT_EQ(Tree::parse(world.rendered(1)).find("detail"), nullptr);
  EXPECT_EQ(import_into(world, body, "ndjson")->duplicates, 3U);
  const auto other = import_into(
      world, R"({"record":{"id":"01930000-0000-7000-8000-000000000001","kind":"data.change","action":"B"}})");
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().kind, ErrorKind::conflict);
}

TEST(Import, WhatIsRefusedIsNamedAsItWasSentAndNothingIsKept) {
  World world(3);
  world.open();
  const auto good = line_of("1", 1);
  const struct {
    std::string line, path;
  } cases[] = {
      {R"([])", "/1"},
      {R"({"event":{}})", "/1/record"},
      {R"({"record":1,"event":[]})", "/1/event"},
      {R"({"record":1,"extra":1})", "/1/extra"},
      {R"({"record":1})", "/1/record"},
      {R"({"record":{},"lossless":[]})", "/1/lossless"},
      {R"({"record":1,"occurrence":0,"event":{}})", "/1/occurrence"},
      {R"({"record":1,"occurrence":1.5,"event":{}})", "/1/occurrence"},
      {R"({"record":1,"occurrence":"1","event":{}})", "/1/occurrence"},
      {R"({"record":1,"event":{"id":"01930000-0000-7000-8000-000000000001"}})", "/1/event/id"},
      {R"({"record":1,"event":{"detail":{"original":1}}})", "/1/event/detail/original"},
      {R"({"record":1,"event":{"detail":1}})", "/1/event/detail"},
      {R"({"record":1,"event":{"action":"A"}})", "/1/event/kind"},
      {R"({"record":1,"event":{"kind":"data.change","action":"A","context":{"ip":1}}})",
       "/1/event/context/ip"},
      {R"({"record":{"kind":"data.change"}})", "/1/record/action"},
      {R"({"record":1,"lossless":["x"],"event":{}})", "/1/lossless/0"},
      {R"({"record":1,"lossless":1,"event":{}})", "/1/lossless"},
      {R"({"record":{"n":9007199254740993},"event":{}})", "/1/record/n"},
      {R"({"record":)" + std::string(63, '[') + std::string(63, ']') + R"(,"event":)" + mapped + "}",
       "/1/record"},
  };
  for (const auto& [line, path] : cases) {
    const auto sent = import_into(world, good + line);
    ASSERT_FALSE(sent) << line;
    EXPECT_TRUE(sent.error().path.starts_with(path)) << line << ": " << sent.error().path;
    EXPECT_GE(sent.error().position.value_or(0), good.size()) << line;
  }
  for (const char* format : {"", "UPPER", "a/b", "a b", "a23456789012345678901234567890123"})
    EXPECT_FALSE(import_into(world, good, format)) << format;
  EXPECT_FALSE(import_into(world, " \n \n"));
  EXPECT_EQ(world.stream().size(), 0U);
}

}  // namespace
}  // namespace vestige::audit
