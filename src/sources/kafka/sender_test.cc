// Property: whatever brokers do, and whenever a sender is dropped, every number that it lets go of is in the
// topic, the first occurrences stand in order in their partition, and with the next sender from first_held()
// on all of them are there. The topic is read by a reader that is not ours.
#include "sources/kafka/sender.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "sources/kafka/limits.h"
#include "sources/kafka/testing/mock_cluster.h"

namespace vestige::sources::kafka {
namespace {

using testing::MockCluster;

constexpr std::int16_t produce = 0, metadata = 3, init_producer = 22;
constexpr int partitions = 3;
constexpr std::chrono::seconds long_enough{60};
const std::string topic = "entries";

// Errors that a broker gives now and not for ever.
constexpr rd_kafka_resp_err_t passing[] = {
    RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR__TRANSPORT,
    RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,      RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,        RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
    RD_KAFKA_RESP_ERR_POLICY_VIOLATION,         RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
    RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE};

Cluster cluster_of(const MockCluster& cluster) {
  return {.brokers = cluster.brokers(),
          .options = {{"reconnect.backoff.max.ms", "200"},
                      {"retry.backoff.ms", "20"},
                      {"topic.metadata.refresh.interval.ms", "500"}}};
}

Outgoing numbered(std::uint64_t number) {
  return {.key = number % 6 == 0 ? std::nullopt : std::optional(fmt::format("k{}", number % 7)),
          .value = fmt::format("{} {}", number, std::string(number * 37 % 900, 'x')),
          .headers = {{"number", std::to_string(number)}}};
}

class World {
 public:
  World() { cluster.create(topic, partitions); }

  std::unique_ptr<Sender> sender() {
    auto made = unconnected();
    const auto connected = made->connect();
    EXPECT_TRUE(connected) << connected.error().message;
    return made;
  }
  std::unique_ptr<Sender> unconnected() {
    return std::make_unique<Sender>(
        cluster_of(cluster), topic,
        Sender::Parts{.clock = platform::system_clock(),
                      .say = [this](const std::string& text) { said.push_back(text); },
                      .too_large = too_large});
  }

  // Numbers of each partition, as they stand there.
  std::map<int, std::vector<std::uint64_t>> numbers() {
    std::map<int, std::vector<std::uint64_t>> all;
    for (int partition = 0; partition < partitions; ++partition)
      for (const auto& letter : cluster.read(topic, partition)) {
        const auto number = std::stoull(letter.headers.at("number"));
        if (!letter.value.starts_with("in place of")) {
          EXPECT_EQ(letter.value, numbered(number).value);
        }
        EXPECT_EQ(letter.key, numbered(number).key);
        all[partition].push_back(number);
      }
    return all;
  }

  // All below `end` are there, and for the first time in order.
  void expect_all_below(std::uint64_t end) {
    std::set<std::uint64_t> seen;
    for (const auto& [partition, found] : numbers()) {
      std::optional<std::uint64_t> last;
      for (const auto number : found) {
        if (!seen.insert(number).second) continue;
        EXPECT_TRUE(!last || number > *last) << number << " comes after " << *last << " in " << partition;
        last = number;
      }
    }
    for (std::uint64_t number = 0; number < end; ++number)
      EXPECT_TRUE(seen.contains(number)) << number << " of " << end << " is missing";
  }

  MockCluster cluster;
  std::vector<std::string> said;
  std::function<Result<Outgoing>(std::uint64_t, const Outgoing&)> too_large = [](std::uint64_t number,
                                                                                 const Outgoing& message) {
    return Result<Outgoing>(
        {.key = message.key, .value = fmt::format("in place of {}", number), .headers = message.headers});
  };
};

// Until nothing is held.
Status drain(Sender& sender) {
  const auto end = std::chrono::steady_clock::now() + long_enough;
  while (sender.held() > 0) {
    if (std::chrono::steady_clock::now() > end) return fail(ErrorKind::unavailable, "it takes too long");
    VESTIGE_CHECKED(sender.serve(std::chrono::milliseconds(20)));
  }
  return {};
}

// The mock does not look at sequence numbers, by which brokers refuse what follows a request that failed.
// Hence connections that are lost while much is under way, and answers that are errors where one message is.
TEST(Sender, AllAreThereAndInOrderWhateverFailsAndWhoeverIsDropped) {
  const auto seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  World world;
  std::uint64_t next = 0;
  for (int life = 0; life < 6; ++life) {
    auto sender = world.sender();
    for (auto steps = random() % 40; steps > 0; --steps) {
      for (auto count = random() % 60; count > 0 && sender->has_room(); --count, ++next)
        sender->add(next, numbered(next));
      switch (random() % 8) {
        case 0:
          world.cluster.fail_next(produce, {RD_KAFKA_RESP_ERR__TRANSPORT});
          break;
        case 1:
          world.cluster.fail_next(metadata, {RD_KAFKA_RESP_ERR__TRANSPORT});
          world.cluster.fail_next(init_producer, {RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS});
          break;
        case 2:
          if (const auto drained = drain(*sender); !drained) FAIL() << drained.error().message;
          world.cluster.fail_next(produce, {passing[random() % std::size(passing)]});
          sender->add(next, numbered(next));
          ++next;
          if (const auto drained = drain(*sender); !drained) FAIL() << drained.error().message;
          break;
        default:
          break;
      }
      const auto served = sender->serve(std::chrono::milliseconds(random() % 20));
      ASSERT_TRUE(served) << served.error().message;
    }
    // What was let go of is there already, whatever becomes of the rest.
    next = sender->first_held().value_or(next);
    sender.reset();
    world.expect_all_below(next);
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(next, 0U);
}

TEST(Sender, WhatIsTooLargeByItselfHasAStandInOrEndsIt) {
  World world;
  auto sender = world.sender();
  for (std::uint64_t number = 0; number < 3; ++number) {
    if (number == 1)
      world.cluster.fail_next(produce,
                              {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE});
    sender->add(number, {.key = "one", .value = fmt::format("{}", number), .headers = {{"number", "1"}}});
    const auto drained = drain(*sender);
    ASSERT_TRUE(drained) << drained.error().message;
    EXPECT_TRUE(sender->has_room()) << "batches again";
  }
  std::vector<std::string> values;
  for (int partition = 0; partition < partitions; ++partition)
    for (const auto& letter : world.cluster.read(topic, partition)) values.push_back(letter.value);
  EXPECT_EQ(values, std::vector<std::string>({"0", "in place of 1", "2"}));
  EXPECT_TRUE(world.said.empty());

  world.too_large = [](std::uint64_t number, const Outgoing&) -> Result<Outgoing> {
    return fail(ErrorKind::exhausted, fmt::format("{} is too large", number));
  };
  auto stricter = world.sender();
  world.cluster.fail_next(produce,
                          {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE});
  stricter->add(3, numbered(3));
  const auto ended = drain(*stricter);
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().message, "3 is too large");
  EXPECT_EQ(stricter->first_held(), 3U);
}

TEST(Sender, AStandInThatIsTooLargeEndsIt) {
  World world;
  auto sender = world.sender();
  world.cluster.fail_next(produce,
                          {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
                           RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE});
  sender->add(4, numbered(4));
  const auto ended = drain(*sender);
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().kind, ErrorKind::exhausted);
}

// Brokers take whatever comes first from a producer, and so does the mock.
TEST(Sender, NothingGetsPastAProducersFirstMessageThatFails) {
  for (const auto code : {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_POLICY_VIOLATION}) {
    for (int round = 0; round < 5; ++round) {
      World world;
      auto sender = world.sender();
      world.cluster.fail_next(produce, {code});
      for (std::uint64_t number = 0; number < 100; ++number) sender->add(number, numbered(number));
      const auto drained = drain(*sender);
      ASSERT_TRUE(drained) << drained.error().message;
      world.expect_all_below(100);
      if (::testing::Test::HasFailure()) return;
    }
  }
}

TEST(Sender, ABatchThatIsTooLargeIsSentSinglyAndToldOnce) {
  World world;
  auto sender = world.sender();
  for (std::uint64_t round = 0; round < 2; ++round) {
    world.cluster.fail_next(produce, {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE});
    sender->add(round, numbered(round));
    const auto drained = drain(*sender);
    ASSERT_TRUE(drained) << drained.error().message;
  }
  world.expect_all_below(2);
  ASSERT_EQ(world.said.size(), 1U);
  EXPECT_NE(world.said[0].find("batch.size"), std::string::npos) << world.said[0];
}

TEST(Sender, ARefusalEndsIt) {
  for (const auto& [code, kind] : {std::pair(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, ErrorKind::denied),
                                   std::pair(RD_KAFKA_RESP_ERR_INVALID_RECORD, ErrorKind::invalid)}) {
    World world;
    auto sender = world.sender();
    world.cluster.fail_next(produce, {code});
    sender->add(17, numbered(17));
    const auto drained = drain(*sender);
    ASSERT_FALSE(drained);
    EXPECT_EQ(drained.error().kind, kind) << drained.error().message;
    EXPECT_NE(drained.error().message.find("17"), std::string::npos) << drained.error().message;
    EXPECT_EQ(sender->first_held(), 17U);
  }
}

TEST(Sender, HoldsNoMoreThanItsLimit) {
  World world;
  auto sender = world.sender();
  auto heavy = world.sender();
  world.cluster.take_down(1);
  std::uint64_t number = 0;
  for (; sender->has_room(); ++number) sender->add(number, numbered(number));
  EXPECT_EQ(sender->held(), limits::unacknowledged_max);
  // Bytes count as well.
  for (number = 0; heavy->has_room(); ++number)
    heavy->add(number, {.value = std::string(limits::unacknowledged_bytes_max / 4, 'x')});
  EXPECT_EQ(heavy->held(), 4U);
}

TEST(Sender, WaitsForBrokersAndTellsOnce) {
  World world;
  auto sender = world.sender();
  world.cluster.take_down(1);
  for (std::uint64_t number = 0; number < 10; ++number) sender->add(number, numbered(number));
  const auto end = std::chrono::steady_clock::now() + limits::stall_patience + std::chrono::seconds(3);
  while (std::chrono::steady_clock::now() < end) {
    const auto served = sender->serve(std::chrono::milliseconds(50));
    ASSERT_TRUE(served) << served.error().message;
  }
  ASSERT_EQ(world.said.size(), 1U);
  EXPECT_NE(world.said[0].find("10 messages wait"), std::string::npos) << world.said[0];
  world.cluster.bring_up(1);
  const auto drained = drain(*sender);
  ASSERT_TRUE(drained) << drained.error().message;
  ASSERT_EQ(world.said.size(), 2U);
  EXPECT_NE(world.said[1].find("acknowledge again"), std::string::npos) << world.said[1];
  world.expect_all_below(10);
}

TEST(Sender, ConnectSaysWhatIsNotThere) {
  World world;
  world.cluster.fail_topic("other", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
  auto unknown = Sender(cluster_of(world.cluster), "other",
                        {.clock = platform::system_clock(), .say = {}, .too_large = {}})
                     .connect();
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().kind, ErrorKind::not_found) << unknown.error().message;
  world.cluster.fail_topic(topic, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
  const auto closed = world.unconnected()->connect();
  ASSERT_FALSE(closed);
  EXPECT_EQ(closed.error().kind, ErrorKind::denied) << closed.error().message;
  world.cluster.take_down(1);
  const auto away = world.unconnected()->connect();
  ASSERT_FALSE(away);
  EXPECT_EQ(away.error().kind, ErrorKind::unavailable) << away.error().message;
}

}  // namespace
}  // namespace vestige::sources::kafka
