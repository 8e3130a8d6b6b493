// Property: what an operator cannot mean is refused before anything starts, and no message has an option's
// value.
#include "sources/kafka/configuration.h"

#include <gtest/gtest.h>

namespace vestige::sources::kafka {
namespace {

Configuration good() { return {.name = "bank", .brokers = "localhost:9092"}; }

TEST(Configuration, SaysWhatIsWrong) {
  EXPECT_TRUE(check(good()));
  const auto refused = [](auto change) {
    auto configuration = good();
    change(configuration);
    return !check(configuration);
  };
  EXPECT_TRUE(refused([](auto& c) { c.name = "Bank"; }));
  EXPECT_TRUE(refused([](auto& c) { c.brokers = ""; }));
  EXPECT_TRUE(refused([](auto& c) { c.topics = {}; }));
  EXPECT_TRUE(refused([](auto& c) { c.topics = {"a", "^b"}; }));
  EXPECT_TRUE(refused([](auto& c) { c.topics = {"commands.dlq"}; }));
  EXPECT_TRUE(refused([](auto& c) { c.topics = {"a topic"}; }));
  EXPECT_TRUE(refused([](auto& c) { c.headers = {""}; }));
  for (const auto* option : {"group.id", "auto.offset.reset", "enable.auto.commit", "no.such.option"})
    EXPECT_TRUE(refused([&](auto& c) { c.options = {{option, "1"}}; })) << option;
  EXPECT_FALSE(refused([](auto& c) { c.options = {{"security.protocol", "SASL_SSL"}}; }));
}

TEST(Configuration, NoMessageTellsAValue) {
  for (const auto* option : {"security.protocol", "ssl.key.pem", "group.id", "no.such.option"}) {
    auto configuration = good();
    configuration.options = {{option, "a-secret"}};
    const auto checked = check(configuration);
    if (!checked)
      EXPECT_EQ(checked.error().message.find("a-secret"), std::string::npos) << checked.error().message;
  }
}

TEST(Target, SaysWhatIsWrong) {
  EXPECT_TRUE(check_target({.brokers = "localhost:9092"}, "entries"));
  EXPECT_TRUE(
      check_target({.brokers = "localhost:9092", .options = {{"compression.type", "zstd"}}}, "a.b_c-D"));
  EXPECT_FALSE(check_target({}, "entries"));
  for (const auto* topic : {"", ".", "..", "a topic", "^a"})
    EXPECT_FALSE(check_target({.brokers = "localhost:9092"}, topic)) << topic;
  for (const auto* option : {"acks", "enable.idempotence", "message.timeout.ms", "transactional.id",
                             "delivery.report.only.error", "security.protocol", "no.such.option"}) {
    const auto checked =
        check_target({.brokers = "localhost:9092", .options = {{option, "a-secret"}}}, "entries");
    ASSERT_FALSE(checked) << option;
    EXPECT_NE(checked.error().message.find(option), std::string::npos) << checked.error().message;
    EXPECT_EQ(checked.error().message.find("a-secret"), std::string::npos) << checked.error().message;
  }
}

TEST(Configuration, KnowsWhichTopicsACaptureReads) {
  EXPECT_TRUE(reads({"a", "b"}, "b"));
  EXPECT_FALSE(reads({"a", "b"}, "c"));
  EXPECT_TRUE(reads(good().topics, "backoffice.create-audit-log.command.v1"));
  EXPECT_FALSE(reads(good().topics, "backoffice.create-audit-log.command.v1.more"));
  EXPECT_FALSE(reads({"^.*"}, "commands.dlq")) << "dead letters are not read";
  EXPECT_TRUE(reads({"^["}, "a")) << "what is no pattern here was one there";
}

TEST(Configuration, TheGroupIsNamedAfterTheSource) {
  EXPECT_EQ(good().group_name(), "vestige.bank");
  auto other = good();
  other.group = "audit";
  EXPECT_EQ(other.group_name(), "audit");
}

}  // namespace
}  // namespace vestige::sources::kafka
