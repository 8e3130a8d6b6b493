// Property: whatever members a command has, each of its values is in the event or in detail.original, under
// the same name; whatever its bytes are, it is an event or refused.
#include "sources/kafka/command.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include "sources/kafka/limits.h"

namespace vestige::sources::kafka {
namespace {

const Configuration configuration{.name = "bank", .headers = {"traceparent", "producer"}};

Result<audit::CapturedEvent> read(const std::string& value) {
  return read_command({.place = {"commands", 3}, .offset = 17, .time = UnixMs{5}, .value = value},
                      configuration, "C");
}

// Whatever the order in which its members are written.
std::string canonical_event(const Result<audit::CapturedEvent>& event) {
  if (!event) return event.error().message;
  json::Parser parser;
  json::Document document;
  const auto parsed = parser.parse(event->event, document);
  return parsed ? json::canonical(document.root()) : parsed.error().message;
}

std::string event_of(const std::string& value) { return canonical_event(read(value)); }

TEST(Command, EveryValueIsKeptUnderItsName) {
  constexpr std::string_view of_event[] = {"action", "changes", "kind", "sourceId", "targetType", "time"};
  constexpr std::string_view of_none[] = {"branch", "index", "tenant", "lossless", "Action", "a/b"};
  std::mt19937 random(2);
  for (int round = 0; round < 500; ++round) {
    std::map<std::string, std::string> members;
    for (const auto& names : {std::span(of_event), std::span(of_none)})
      for (const auto name : names)
        if (random() % 2 == 0) members[std::string(name)] = fmt::format("[{}]", random() % 1000);
    std::string command = "{";
    for (const auto& [name, value] : members)
      command += fmt::format("{}\"{}\":{}", command.size() > 1 ? "," : "", name, value);
    json::Parser parser;
    json::Document document;
    ASSERT_TRUE(parser.parse(event_of(command + "}"), document));
    const auto root = document.root();
    for (const auto& [name, value] : members) {
      const bool known = std::ranges::find(of_event, name) != std::end(of_event);
      const auto found = known ? root.find(name) : root.find("detail").find("original").find(name);
      ASSERT_TRUE(found.exists()) << name << " of " << command;
      EXPECT_EQ(json::canonical(found), value);
    }
    if (!members.contains("kind")) EXPECT_EQ(root.find("kind").string(), "data.change");
  }
}

TEST(Command, AnyBytesAreAnEventOrRefused) {
  const std::string good =
      R"({"action":"X","id":"00000000-0000-4000-8000-000000000001","context":{"topic":1}})";
  std::mt19937 random(4);
  std::size_t taken = 0;
  for (int round = 0; round < 5'000; ++round) {
    auto bytes = good;
    for (auto count = random() % 3; count > 0; --count)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    if (const auto event = read(bytes)) {
      ++taken;
      EXPECT_TRUE(canonical_event(event).starts_with('{')) << event->event;
    } else {
      EXPECT_FALSE(event.error().message.empty());
    }
  }
  EXPECT_GT(taken, 1'000U);
}

TEST(Command, NumbersBeyondADoubleAreTextWhereverTheyAreMoved) {
  EXPECT_EQ(
      event_of(
          R"({"action":"X","amount":12345678901234567890,"changes":[{"field":"a","new":0.10000000000000000001}]})"),
      R"({"action":"X","changes":[{"field":"a","new":"0.10000000000000000001"}],)"
      R"("detail":{"original":{"amount":"12345678901234567890"}},"kind":"data.change",)"
      R"("lossless":["/detail/original/amount","/changes/0/new"]})");
}

TEST(Command, WhereItStoodIsTheCapturesWord) {
  EXPECT_EQ(event_of(R"({"action":"X","context":{"offset":1,"ip":"::1"}})"),
            R"({"action":"X","context":{"ip":"::1"},"detail":{"original":{"context":{"offset":1}}},)"
            R"("kind":"data.change"})");
  Message message{.place = {"commands", 3}, .offset = 17, .value = R"({"action":"X"})"};
  message.headers = {{"producer", "a"}, {"producer", "b"}, {"traceparent", "\xff"}, {"cookie", "secret"}};
  const auto event = read_command(message, configuration, "C");
  ASSERT_TRUE(event);
  std::map<std::string, std::string> context;
  for (const auto& [name, json] : event->context) context[name] = json;
  EXPECT_EQ(context.at("capture"), R"("bank")");
  EXPECT_EQ(context.at("topic"), R"("commands")");
  EXPECT_EQ(context.at("partition"), "3");
  EXPECT_EQ(context.at("offset"), "17");
  EXPECT_EQ(
      context.at("headers"),
      R"({"producer":"b","traceparent":"sha256:a8100ae6aa1940d0b663bb31cd466142ebbdbd5187131b92d93818987832eb89"})");
}

TEST(Command, RefusedWhereSomethingHasNoPlace) {
  EXPECT_FALSE(read(R"({"action":"X","id":"17"})"));
  EXPECT_FALSE(read(R"({"action":"X","detail":{"original":1},"branch":2})"));
  EXPECT_FALSE(read(R"({"action":"X","detail":"text","branch":2})"));
  EXPECT_TRUE(read(R"({"action":"X","detail":{"original":1}})"));
  EXPECT_FALSE(read_command({.place = {"commands", 3}}, configuration, "C"));
}

TEST(Command, AnotherMessageAtTheSameOffsetIsAnotherPosition) {
  const Message one{.place = {"commands", 3}, .offset = 17, .key = "k", .value = "v"};
  auto other = one;
  EXPECT_EQ(position_of(one, "C"), position_of(other, "C"));
  EXPECT_NE(position_of(one, "C"), position_of(other, "D"));
  other.time = UnixMs{5};
  EXPECT_NE(position_of(one, "C"), position_of(other, "C"));
  other = one;
  other.key = "kv";
  other.value = "";
  EXPECT_NE(position_of(one, "C"), position_of(other, "C"));
  other.key.reset();
  other.value = "kv";
  EXPECT_NE(position_of(one, "C"), position_of(other, "C"));
}

TEST(Command, ReasonsAreShortAndText) {
  EXPECT_EQ(bounded_text("a\xC3\xBC", 2), "a");
  EXPECT_EQ(bounded_text("\xff", 10), "1 bytes that are no text");
}

TEST(Command, OfAnotherShapeIsWhatItsMappingSaysWithAllOfItBeside) {
  auto mapped = configuration;
  mapped.mappings["v2"] = [](const json::Value& command) {
    return fmt::format(R"({{"kind":"data.change","action":{},"detail":{{"a":1}}}})",
                       json::canonical(command.find("what")));
  };
  const auto read_from = [&](const std::string& topic, const std::string& value) {
    return read_command({.place = {topic, 0}, .offset = 1, .value = value}, mapped, "C");
  };
  const std::string id = "3fa85f64-5717-4562-b3fc-2c963f66afa6";
  const auto event = read_from("bank.command.v2",
                               fmt::format(R"({{"what":"MOVED","id":"{}","n":12345678901234567890}})", id));
  ASSERT_TRUE(event) << event.error().message;
  EXPECT_EQ(canonical_event(event),
            R"({"action":"MOVED","detail":{"a":1,"original":{"id":")" + id +
                R"(","n":"12345678901234567890","what":"MOVED"}},"kind":"data.change",)"
                R"("lossless":["/detail/original/n"]})");
  ASSERT_TRUE(event->id);
  EXPECT_EQ(format_uuid(*event->id), id);
  // An id that is none of ours stays in the command.
  const auto other = read_from("bank.command.v2", R"({"what":"MOVED","id":17})");
  ASSERT_TRUE(other);
  EXPECT_FALSE(other->id);
  EXPECT_FALSE(read_from("bank.command.v1", R"({"what":"MOVED","id":17})"));
  EXPECT_EQ(mapped.mapping_of("v2"), mapped.mapping_of("bank.command.v2"));
  EXPECT_EQ(mapped.mapping_of("bank.command.xv2"), nullptr);
}

}  // namespace
}  // namespace vestige::sources::kafka
