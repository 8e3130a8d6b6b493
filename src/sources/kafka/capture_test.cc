// Property: whatever is killed, restarted, disturbed or handed from one consumer to another, each command of
// each partition is on record once and in the partition's order, or refused: then an entry and a dead letter
// tell so.
#include "sources/kafka/capture.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <numeric>
#include <random>
#include <set>
#include <thread>

#include "audit/testing/world.h"
#include "json/json.h"
#include "sources/kafka/broker.h"
#include "sources/kafka/limits.h"
#include "sources/kafka/progress.h"
#include "sources/kafka/testing/mock_cluster.h"

namespace vestige::sources::kafka {
namespace {

using testing::MockCluster;
constexpr std::string_view tenant = "acme";
constexpr auto long_enough = std::chrono::seconds(60);

// Runs with the machine's, and may be put ahead of it.
class AheadClock : public platform::Clock {
 public:
  UnixMs now() override { return platform::system_clock().now(); }
  std::chrono::nanoseconds monotonic() override {
    ++asked;
    return platform::system_clock().monotonic() + ahead.load();
  }
  std::atomic<std::chrono::nanoseconds> ahead{};
  std::atomic<int> asked = 0;
};

// A tenant's trail with a committer, on a disk that outlives it.
class TrailWorld {
 public:
  TrailWorld() : world(7) { open(); }
  ~TrailWorld() { close(false); }

  void open() {
    world.open();
    ledger_ = std::make_unique<audit::ErasureLedger>();
    stop_ = false;
    committer_ = std::thread([this] {
      while (!stop_) {
        static_cast<void>(world.log->commit_once());
        std::this_thread::sleep_for(std::chrono::microseconds(200));
      }
    });
    for (const auto name : {audit::audit_stream_name, audit::access_stream_name})
      if (world.log->stream(tenant, name) == nullptr)
        EXPECT_TRUE(world.log->add_stream({std::string(tenant), std::string(name), true}));
    auto opened = audit::TenantTrail::open({.log = *world.log,
                                            .vault = *world.vault,
                                            .kinds = *world.kinds,
                                            .clock = world.clock,
                                            .entropy = world.entropy,
                                            .data = *world.data_files,
                                            .signer_files = *world.signer_files,
                                            .origin_prefix = "log.example",
                                            .server = world.server,
                                            .ledger = *ledger_,
                                            .erasure = {}},
                                           tenant);
    EXPECT_TRUE(opened) << opened.error().message;
    trail = *std::move(opened);
  }
  void close(bool crashed) {
    if (!committer_.joinable()) return;
    stop_ = true;
    committer_.join();
    trail.reset();
    crashed ? world.kill() : world.close();
  }
  // All events, in order.
  std::vector<std::string> events() {
    std::vector<std::string> all;
    const auto visited =
        trail->reader().visit(0, trail->reader().size(), {}, {.personal = true, .sensitive = true},
                              [&](const audit::MatchedEntry& entry) -> Result<bool> {
                                all.emplace_back(entry.event);
                                return true;
                              });
    EXPECT_TRUE(visited) << visited.error().message;
    return all;
  }

  audit::testing::World world;
  std::unique_ptr<audit::TenantTrail> trail;

 private:
  std::unique_ptr<audit::ErasureLedger> ledger_;
  std::atomic<bool> stop_ = false;
  std::thread committer_;
};

Configuration configuration_for(const MockCluster& cluster, std::vector<std::string> topics) {
  return {.name = "bank",
          .tenant = std::string(tenant),
          .brokers = cluster.brokers(),
          .topics = std::move(topics),
          .options = {{"topic.metadata.refresh.interval.ms", "200"},
                      {"session.timeout.ms", "6000"},
                      {"heartbeat.interval.ms", "200"},
                      {"reconnect.backoff.max.ms", "200"}}};
}

class Running {
 public:
  Running(
      TrailWorld& world, const Configuration& configuration, std::function<void()> warned = [] {},
      platform::Clock& clock = platform::system_clock(),
      std::function<void(const std::string&)> said = [](const std::string&) {})
      : capture(configuration, {.log = *world.world.log,
                                .trail = *world.trail,
                                .clock = clock,
                                .say = std::move(said),
                                .warn = [warned](const std::string&) { warned(); }}) {
    const auto checked = check(configuration);
    EXPECT_TRUE(checked) << checked.error().message;
    capture.start();
  }
  Capture capture;
};

bool soon(const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + long_enough;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

// What a trail says of commands: by partition, offsets that are on record in order, and those that were
// refused.
struct Told {
  std::map<Place, std::vector<std::int64_t>> recorded, refused;
  std::vector<std::string> gaps, covered;
  std::size_t commands() const {
    std::size_t count = 0;
    for (const auto* all : {&recorded, &refused})
      for (const auto& [place, offsets] : *all) count += offsets.size();
    return count;
  }
};

Told told_by(TrailWorld& world) {
  Told told;
  json::Parser parser;
  json::Document document;
  for (const auto& event : world.events()) {
    EXPECT_TRUE(parser.parse(event, document));
    const auto root = document.root();
    if (root.find("kind").string() != "system.capture") {
      const auto context = root.find("context");
      told.recorded[{std::string(context.find("topic").string()),
                     static_cast<std::int32_t>(context.find("partition").number_value())}]
          .push_back(static_cast<std::int64_t>(context.find("offset").number_value()));
      continue;
    }
    const auto detail = root.find("detail");
    const auto action = root.find("action").string();
    if (action == "GAP") told.gaps.push_back(event);
    if (action == "COVERED") told.covered.push_back(event);
    if (action == "REFUSED")
      told.refused[{std::string(detail.find("topic").string()),
                    static_cast<std::int32_t>(detail.find("partition").number_value())}]
          .push_back(std::stoll(std::string(detail.find("offset").string())));
  }
  return told;
}

std::string command(int number) {
  return fmt::format(
      R"({{"action":"UPDATED","sourceId":"agent-{}","sourceType":"STAFF","targetId":"T-{}",)"
      R"("targetType":"CUSTOMER","subject":"p-{}","changes":[{{"field":"phone","new":"{}"}}]}})",
      number % 5, number, number % 7, number);
}

std::string with_id(const std::string& command, int number) {
  return fmt::format(R"({{"id":"00000000-0000-4000-8000-{:012}",)", number) + command.substr(1);
}

// Produces commands of every sort, and knows what has to become of each.
class Model {
 public:
  Model(MockCluster& cluster, std::vector<Place> places) : cluster_(cluster), places_(std::move(places)) {}

  void produce(std::mt19937& random) {
    const auto& place = places_[random() % places_.size()];
    const auto send = [&](const std::string& value) {
      return cluster_.produce(place.topic, place.partition, value);
    };
    const auto number = ++number_;
    switch (random() % 10) {
      case 0: {
        constexpr std::string_view poison[] = {"{\"action\":",
                                               "[1]",
                                               "\xff\xfe",
                                               R"({"kind":"data.change"})",
                                               R"({"kind":"system.key","action":"X"})",
                                               R"({"action":"X","id":"17"})"};
        expected.refused[place].push_back(send(std::string(poison[random() % std::size(poison)])));
        return;
      }
      case 1:
        with_ids_[number] = place;
        expected.recorded[place].push_back(send(with_id(command(number), number)));
        return;
      case 2:
      case 3: {
        // The same id again, in the partition of the first: what comes of others first is anybody's guess.
        if (with_ids_.empty()) break;
        auto first = with_ids_.begin();
        std::advance(first, random() % with_ids_.size());
        const bool other = random() % 2 == 0;
        const auto offset = cluster_.produce(first->second.topic, first->second.partition,
                                             with_id(command(other ? number : first->first), first->first));
        if (other) expected.refused[first->second].push_back(offset);
        return;
      }
      default:
        break;
    }
    expected.recorded[place].push_back(send(command(number)));
  }

  Told expected;

 private:
  MockCluster& cluster_;
  const std::vector<Place> places_;
  std::map<int, Place> with_ids_;
  int number_ = 0;
};

void expect_once_and_in_order(TrailWorld& world, const Told& expected) {
  ASSERT_TRUE(soon([&] { return told_by(world).commands() >= expected.commands(); }))
      << told_by(world).commands() << " of " << expected.commands();
  const auto told = told_by(world);
  EXPECT_EQ(told.recorded, expected.recorded);
  EXPECT_EQ(told.refused, expected.refused);
}

TEST(Capture, EachCommandOnceAndInOrderWhateverIsRestarted) {
  constexpr std::int16_t fetch = 1, list_offsets = 2, join_group = 11, offset_commit = 8;
  MockCluster cluster(2);
  const std::vector<std::string> topics = {"bank.command.v1", "bank.command.v2"};
  std::vector<Place> places;
  for (const auto& topic : topics) {
    cluster.create(topic, 2);
    for (int partition = 0; partition < 2; ++partition) places.push_back({topic, partition});
  }
  const auto configuration = configuration_for(cluster, {R"(^bank\.command\.[^.]+$)"});
  TrailWorld world;
  Model model(cluster, places);
  std::mt19937 random(3);
  // The brokers let a group wait three seconds for more members, so rounds are dear.
  for (int round = 0; round < 3; ++round) {
    {
      Running running(world, configuration);
      for (auto count = random() % 60; count > 0; --count) model.produce(random);
      if (random() % 2 == 0) {
        for (const auto request : {fetch, list_offsets, join_group, offset_commit})
          cluster.fail_next(request,
                            {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR__TRANSPORT});
        for (auto count = random() % 40; count > 0; --count) model.produce(random);
      }
      if (random() % 2 == 0) ASSERT_TRUE(soon([&] { return running.capture.figures().commands > 0; }));
    }
    for (auto count = random() % 20; count > 0; --count) model.produce(random);
    world.close(random() % 2 == 0);
    world.open();
  }
  Running running(world, configuration);
  expect_once_and_in_order(world, model.expected);
  EXPECT_TRUE(told_by(world).gaps.empty());
  // Each that was refused is a dead letter, at least once, with its origin.
  std::set<std::pair<Place, std::int64_t>> letters;
  for (const auto& topic : topics)
    for (int partition = 0; partition < 4; ++partition)
      for (const auto& letter : cluster.read(topic + ".dlq", partition)) {
        EXPECT_FALSE(letter.headers.at("vestige.reason").empty());
        letters.insert(
            {{letter.headers.at("vestige.topic"), std::stoi(letter.headers.at("vestige.partition"))},
             std::stoll(letter.headers.at("vestige.offset"))});
      }
  std::set<std::pair<Place, std::int64_t>> wanted;
  for (const auto& [place, offsets] : model.expected.refused)
    for (const auto offset : offsets) wanted.insert({place, offset});
  EXPECT_EQ(letters, wanted);
}

TEST(Capture, TwoConsumersOfOneTrailShareAndTakeOver) {
  MockCluster cluster;
  cluster.create("commands", 4);
  std::vector<Place> places;
  for (int partition = 0; partition < 4; ++partition) places.push_back({"commands", partition});
  TrailWorld world;
  Model model(cluster, places);
  std::mt19937 random(5);
  const auto configuration = configuration_for(cluster, {"commands"});
  Running first(world, configuration);
  for (int i = 0; i < 50; ++i) model.produce(random);
  {
    Running second(world, configuration);
    ASSERT_TRUE(soon([&] { return second.capture.figures().rebalances > 0; }));
    for (int i = 0; i < 50; ++i) model.produce(random);
    expect_once_and_in_order(world, model.expected);
    EXPECT_GT(second.capture.figures().commands, 0U);
  }
  for (int i = 0; i < 50; ++i) model.produce(random);
  expect_once_and_in_order(world, model.expected);
  EXPECT_GE(first.capture.figures().rebalances, 2U);
}

TEST(Capture, APartitionWaitsWhileItsDeadLetterCannotBeWrittenAndOthersGoOn) {
  MockCluster cluster;
  cluster.create("commands", 2);
  cluster.create("commands.dlq", 1);
  cluster.fail_topic("commands.dlq", RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
  TrailWorld world;
  Running running(world, configuration_for(cluster, {"commands"}));
  cluster.produce("commands", 0, command(1));
  cluster.produce("commands", 0, "poison");
  cluster.produce("commands", 0, command(2));
  cluster.produce("commands", 1, command(3));
  ASSERT_TRUE(soon([&] { return told_by(world).commands() == 2; }));
  cluster.produce("commands", 1, command(4));
  ASSERT_TRUE(soon([&] { return told_by(world).commands() == 3; }));
  auto told = told_by(world);
  EXPECT_EQ(told.recorded.at({"commands", 0}), std::vector<std::int64_t>({0}));
  EXPECT_EQ(told.recorded.at({"commands", 1}), std::vector<std::int64_t>({0, 1}));
  cluster.fail_topic("commands.dlq", RD_KAFKA_RESP_ERR_NO_ERROR);
  ASSERT_TRUE(soon([&] { return told_by(world).commands() == 5; }));
  told = told_by(world);
  EXPECT_EQ(told.recorded.at({"commands", 0}), std::vector<std::int64_t>({0, 2}));
  EXPECT_EQ(told.refused.at({"commands", 0}), std::vector<std::int64_t>({1}));
}

// librdkafka keeps it paused while it is another's.
TEST(Capture, APartitionThatWaitedIsReadWhenItComesBack) {
  MockCluster cluster;
  cluster.create("commands", 2);
  cluster.create("commands.dlq", 1);
  cluster.fail_topic("commands.dlq", RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
  TrailWorld world;
  const auto configuration = configuration_for(cluster, {"commands"});
  std::atomic<int> warnings = 0;
  Running first(world, configuration, [&] { ++warnings; });
  for (int partition = 0; partition < 2; ++partition) cluster.produce("commands", partition, "poison");
  ASSERT_TRUE(soon([&] { return warnings == 2; }));
  {
    Running second(world, configuration);
    ASSERT_TRUE(soon([&] { return second.capture.figures().rebalances > 0; }));
  }
  cluster.fail_topic("commands.dlq", RD_KAFKA_RESP_ERR_NO_ERROR);
  for (int partition = 0; partition < 2; ++partition)
    cluster.produce("commands", partition, command(partition));
  EXPECT_TRUE(soon([&] { return told_by(world).commands() == 4; }));
}

// A request may be too large as it has many of them; then they are sent one by one.
TEST(Capture, ADeadLetterThatIsTooLargeForItsTopicIsBare) {
  constexpr std::int16_t produce_request = 0;
  for (const std::size_t refusals : {0, 1, 2}) {
    SCOPED_TRACE(refusals);
    MockCluster cluster;
    cluster.create("commands", 1);
    cluster.create("commands.dlq", 1);
    for (const auto& value : {command(1), std::string("poison"), command(2)})
      cluster.produce("commands", 0, value, {{"producer", "crm"}});
    cluster.fail_next(produce_request, std::vector(refusals, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE));
    TrailWorld world;
    Running running(world, configuration_for(cluster, {"commands"}));
    ASSERT_TRUE(soon([&] { return told_by(world).commands() == 3; }));
    const auto told = told_by(world);
    EXPECT_EQ(told.recorded.at({"commands", 0}), std::vector<std::int64_t>({0, 2}));
    EXPECT_EQ(told.refused.at({"commands", 0}), std::vector<std::int64_t>({1}));
    const auto letters = cluster.read("commands.dlq", 0);
    ASSERT_EQ(letters.size(), 1U);
    const auto& letter = letters.front();
    const bool bare = refusals == 2;
    EXPECT_EQ(letter.value, bare ? "" : "poison");
    EXPECT_EQ(letter.headers.at("vestige.offset"), "1");
    EXPECT_EQ(letter.headers.contains("producer"), !bare);
    ASSERT_EQ(letter.headers.contains("vestige.bytes"), bare);
    if (bare)
      EXPECT_EQ(letter.headers.at("vestige.bytes"),
                std::to_string(std::string_view("poisonproducercrm").size()));
  }
}

// The mock keeps five megabytes of a partition.
TEST(Capture, WhatKafkaNoLongerHasIsAGap) {
  MockCluster cluster;
  cluster.create("commands", 1);
  const auto configuration = configuration_for(cluster, {"commands"});
  TrailWorld world;
  {
    Running running(world, configuration);
    cluster.produce("commands", 0, command(1));
    ASSERT_TRUE(soon([&] { return told_by(world).commands() == 1; }));
  }
  const std::string large(400'000, 'x');
  for (int i = 0; i < 30; ++i)
    cluster.produce("commands", 0,
                    fmt::format(R"({{"action":"NOTED","detail":{{"text":"{}{}"}}}})", i, large));
  const auto first = cluster.first_of("commands", 0);
  ASSERT_GT(first, 1);
  Running running(world, configuration);
  ASSERT_TRUE(soon([&] { return told_by(world).commands() == 1 + 31 - static_cast<std::size_t>(first); }));
  const auto told = told_by(world);
  ASSERT_EQ(told.gaps.size(), 1U);
  EXPECT_NE(told.gaps[0].find(R"("cause":"offsets_gone")"), std::string::npos) << told.gaps[0];
  EXPECT_NE(told.gaps[0].find(R"("from":"1")"), std::string::npos) << told.gaps[0];
  EXPECT_NE(told.gaps[0].find(fmt::format(R"("to":"{}")", first)), std::string::npos) << told.gaps[0];
  EXPECT_EQ(running.capture.figures().gaps, 1U);
}

// A topic that was made anew, or lost its end when a replica that was behind became its leader. What the
// trail has of a partition is of the log before, of which what is there now has the first three commands.
TEST(Capture, ALogThatIsAnotherThanWhatWasReadIsBegunAnew) {
  struct Before {
    std::int64_t last, next;
    bool same;
  };
  const std::vector<Before> partitions = {{2, 3, true},  {2, 3, false}, {1, 2, false},
                                          {1, 3, false}, {3, 4, false}, {8, 9, false}};
  MockCluster cluster;
  cluster.create("commands", static_cast<int>(partitions.size()));
  const auto configuration = configuration_for(cluster, {"commands"});
  TrailWorld world;
  const auto produce = [&](int number) {
    for (std::size_t i = 0; i < partitions.size(); ++i)
      cluster.produce("commands", static_cast<int>(i), command(number));
  };
  {
    Running running(world, configuration);
    for (int number = 0; number < 3; ++number) produce(number);
    ASSERT_TRUE(soon([&] { return told_by(world).commands() == 3 * partitions.size(); }));
  }
  Progress progress(*world.world.log, *world.trail, configuration.name);
  progress.set_cluster(cluster.id());
  std::set<std::string> gaps;
  for (std::size_t i = 0; i < partitions.size(); ++i) {
    const auto& [last, next, same] = partitions[i];
    const Place place{"commands", static_cast<std::int32_t>(i)};
    const auto seen = progress.last_of(place);
    ASSERT_TRUE(seen);
    EXPECT_EQ(seen->offset, 2);
    if (same) continue;
    gaps.insert(fmt::format(R"("from":"{}","partition":{},"to":"0")", next, i));
    ASSERT_TRUE(progress.move({.next = {{place, next}}, .last = {{place, {last, seen->digest + 1}}}}));
  }
  Running running(world, configuration);
  ASSERT_TRUE(soon([&] { return told_by(world).gaps.size() == gaps.size(); }));
  produce(3);
  ASSERT_TRUE(soon([&] { return told_by(world).commands() == 4 * partitions.size(); }));
  running.capture.stop();
  const auto told = told_by(world);
  for (const auto& [place, offsets] : told.recorded)
    EXPECT_EQ(offsets, std::vector<std::int64_t>({0, 1, 2, 3})) << place.partition;
  EXPECT_EQ(told.gaps.size(), gaps.size());
  for (const auto& gap : gaps)
    EXPECT_EQ(std::ranges::count_if(told.gaps,
                                    [&](const auto& entry) {
                                      return entry.find(gap) != std::string::npos &&
                                             entry.find(R"("cause":"offsets_moved")") != std::string::npos;
                                    }),
              1)
        << gap;
}

// Also where that is the message that is read again.
TEST(Capture, WhatWasReadAndIsRemovedIsNoGap) {
  MockCluster cluster;
  cluster.create("commands", 2);
  const auto configuration = configuration_for(cluster, {"commands"});
  const Place place{"commands", 0};
  TrailWorld world;
  {
    Running running(world, configuration);
    for (int partition = 0; partition < 2; ++partition)
      cluster.produce("commands", partition, command(partition));
    ASSERT_TRUE(soon([&] { return told_by(world).commands() == 2; }));
  }
  const std::string large(400'000, 'x');
  for (int i = 0; i < 30; ++i)
    cluster.produce("commands", 0, fmt::format(R"({{"action":"NOTED","detail":{{"text":"{}"}}}})", large));
  const auto first = cluster.first_of("commands", 0);
  ASSERT_GT(first, 1);
  Progress progress(*world.world.log, *world.trail, configuration.name);
  progress.set_cluster(cluster.id());
  ASSERT_TRUE(progress.move({.next = {{place, first}}, .covered = {{place, first}}}));
  Running running(world, configuration);
  cluster.produce("commands", 1, command(2));
  ASSERT_TRUE(soon([&] { return told_by(world).commands() == 2 + 32 - static_cast<std::size_t>(first); }));
  EXPECT_TRUE(told_by(world).gaps.empty());
}

TEST(Capture, AnotherClusterIsAGapAndBegunFromItsStart) {
  TrailWorld world;
  // Both are there to the end: a cluster's id is made of where it lies in the memory.
  std::array<MockCluster, 2> clusters;
  for (std::size_t round = 0; round < clusters.size(); ++round) {
    auto& cluster = clusters[round];
    cluster.create("commands", 1);
    cluster.produce("commands", 0, command(static_cast<int>(round)));
    Running running(world, configuration_for(cluster, {"commands"}));
    ASSERT_TRUE(soon([&] { return told_by(world).commands() == round + 1; }));
  }
  const auto told = told_by(world);
  ASSERT_EQ(told.gaps.size(), 1U);
  EXPECT_NE(told.gaps[0].find("other_system"), std::string::npos) << told.gaps[0];
}

TEST(Capture, BrokersThatGoAndComeBack) {
  MockCluster cluster;
  cluster.create("commands", 1);
  TrailWorld world;
  Running running(world, configuration_for(cluster, {"commands"}));
  cluster.produce("commands", 0, command(1));
  ASSERT_TRUE(soon([&] { return told_by(world).commands() == 1; }));
  cluster.take_down(1);
  ASSERT_TRUE(soon([&] { return !running.capture.figures().connected; }));
  cluster.bring_up(1);
  cluster.produce("commands", 0, command(2));
  ASSERT_TRUE(soon([&] { return told_by(world).commands() == 2; }));
  ASSERT_TRUE(soon([&] { return running.capture.figures().connected; }));
}

// Entries COVERED and GAP of each partition follow one upon the other from its first command to its last,
// wherever the server was killed, and the last one has counted all.
TEST(Capture, WhatIsCoveredIsOneRun) {
  MockCluster cluster;
  cluster.create("commands", 2);
  const auto configuration = configuration_for(cluster, {"commands"});
  TrailWorld world;
  std::size_t sent = 0;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 10; ++i, ++sent)
      cluster.produce("commands", i % 2, i == 7 ? "poison" : command(static_cast<int>(sent)));
    Running running(world, configuration);
    ASSERT_TRUE(soon([&] { return told_by(world).commands() == sent; }));
    if (round == 1) continue;
    // The power goes, so that it ends without an entry COVERED.
    world.world.disk.fail_call(1, platform::sim::SimDisk::Fault::power_loss);
    running.capture.stop();
    world.close(true);
    world.open();
  }
  {
    Running running(world, configuration);
    ASSERT_TRUE(soon([&] { return running.capture.figures().connected; }));
    ASSERT_TRUE(soon([&] { return running.capture.figures().rebalances > 0; }));
  }
  std::map<std::int64_t, std::int64_t> upto;
  json::Parser parser;
  json::Document document;
  std::int64_t commands = 0, refused = 0;
  for (const auto& event : told_by(world).covered) {
    ASSERT_TRUE(parser.parse(event, document));
    const auto detail = document.root().find("detail");
    commands = static_cast<std::int64_t>(detail.find("commands").number_value());
    refused = static_cast<std::int64_t>(detail.find("refused").number_value());
    const auto partitions = detail.find("partitions");
    for (std::size_t i = 0; i < partitions.size(); ++i) {
      const auto one = partitions.at(i);
      auto& end = upto[static_cast<std::int64_t>(one.find("partition").number_value())];
      EXPECT_EQ(std::to_string(end), one.find("from").string()) << event;
      end = std::stoll(std::string(one.find("to").string()));
    }
  }
  EXPECT_EQ(upto, (std::map<std::int64_t, std::int64_t>{{0, 15}, {1, 15}}));
  EXPECT_EQ(commands, 27);
  EXPECT_EQ(refused, 3);
}

TEST(Capture, WhileNothingComesItSaysSo) {
  MockCluster cluster;
  cluster.create("commands", 2);
  TrailWorld world;
  AheadClock clock;
  Running running(world, configuration_for(cluster, {"commands"}), [] {}, clock);
  cluster.produce("commands", 1, command(1));
  ASSERT_TRUE(soon([&] { return told_by(world).commands() == 1; }));
  for (std::size_t told = 1; told <= 3; ++told) {
    EXPECT_LT(told_by(world).covered.size(), told);
    clock.ahead = clock.ahead.load() + limits::covered_period;
    ASSERT_TRUE(soon([&] { return told_by(world).covered.size() == told; }));
  }
  const auto covered = told_by(world).covered;
  EXPECT_NE(covered[0].find(R"("from":"0")"), std::string::npos) << covered[0];
  EXPECT_NE(covered[1].find(R"("partitions":[])"), std::string::npos) << covered[1];
  EXPECT_NE(covered[2].find(R"("commands":1)"), std::string::npos) << covered[2];
  // Who is cut off says nothing.
  cluster.take_down(1);
  ASSERT_TRUE(soon([&] { return !running.capture.figures().connected; }));
  clock.ahead = clock.ahead.load() + limits::covered_period;
  const auto asked = clock.asked.load();
  ASSERT_TRUE(soon([&] { return clock.asked > asked + 50; }));
  running.capture.stop();
  EXPECT_EQ(told_by(world).covered.size(), 3U);
}

TEST(Capture, WhoIsGivenNoPartitionSaysSoOnce) {
  MockCluster cluster;
  cluster.create("commands", 1);
  TrailWorld world;
  AheadClock clock;
  const auto configuration = configuration_for(cluster, {"commands"});
  std::atomic<int> idle = 0;
  const auto said = [&](const std::string& text) {
    if (text.find("no partition") != std::string::npos) ++idle;
  };
  Running first(world, configuration, [] {}, clock, said);
  ASSERT_TRUE(soon([&] { return first.capture.figures().rebalances > 0; }));
  clock.ahead = clock.ahead.load() + 2 * limits::idle_patience;
  Running second(world, configuration, [] {}, clock, said);
  ASSERT_TRUE(soon([&] { return second.capture.figures().rebalances > 0; }));
  ASSERT_TRUE(soon([&] { return first.capture.figures().rebalances > 1; }));
  EXPECT_EQ(idle, 0);
  for (int round = 0; round < 3; ++round) {
    clock.ahead = clock.ahead.load() + 2 * limits::idle_patience;
    ASSERT_TRUE(soon([&] { return idle == 1; }));
    const auto asked = clock.asked.load();
    ASSERT_TRUE(soon([&] { return clock.asked > asked + 100; }));
  }
  EXPECT_EQ(idle, 1);
}

TEST(Capture, WhatTheTrailDoesNotTakeNowWaitsInKafka) {
  MockCluster cluster;
  cluster.create("commands", 2);
  TrailWorld world;
  std::atomic<int> warnings = 0;
  Running running(world, configuration_for(cluster, {"commands"}), [&] { ++warnings; });
  cluster.produce("commands", 0, command(0));
  ASSERT_TRUE(soon([&] { return told_by(world).commands() == 1; }));
  world.world.vault->be_full(true);
  constexpr std::size_t many = 2 * limits::batch_commands_max;
  for (std::size_t i = 1; i < many; ++i) cluster.produce("commands", 0, command(static_cast<int>(i)));
  cluster.produce("commands", 1, "poison");
  ASSERT_TRUE(soon([&] { return warnings > 0; }));
  // What is no command is about nobody, and may be on record already.
  EXPECT_EQ(told_by(world).recorded.at({"commands", 0}), std::vector<std::int64_t>({0}));
  world.world.vault->be_full(false);
  ASSERT_TRUE(soon([&] { return told_by(world).commands() == many + 1; }));
  const auto told = told_by(world);
  std::vector<std::int64_t> all(many);
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(told.recorded.at({"commands", 0}), all);
  EXPECT_EQ(told.refused.at({"commands", 1}), std::vector<std::int64_t>({0}));
  EXPECT_EQ(warnings, 1);
}

}  // namespace
}  // namespace vestige::sources::kafka
