// Defends: whatever is killed when, every entry is in the topic at least once, as the server gives it; in
// each partition the first occurrences are in the trail's order; and the saved cursor is never beyond what is
// there. A topic that a capture of the trail reads is never written to for long, and nothing is left out in
// silence.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <charconv>
#include <fstream>
#include <random>
#include <set>
#include <thread>

#include "base/mutex.h"
#include "cli/cli.h"
#include "cli/internal/forward.h"
#include "cli/internal/json_text.h"
#include "cli/testing/recorder.h"
#include "cli/testing/scripted_server.h"
#include "sources/kafka/sender.h"
#include "sources/kafka/testing/mock_cluster.h"

namespace vestige::cli {
namespace {

using sources::kafka::testing::Letter;
using sources::kafka::testing::MockCluster;

constexpr std::int16_t produce = 0;
constexpr int partitions = 3;
constexpr int haste = 20;  // how much faster time passes than it does
constexpr std::chrono::seconds long_enough{60};
const std::string topic = "audit.entries";

// A terminal that remembers, in a world where time passes faster.
class Hasty final : public Surroundings {
 public:
  void print(std::string_view text) override { recorder.print(text); }
  bool flush() override { return true; }
  void say(std::string_view text) override { recorder.say(text); }
  std::optional<std::string> ask(std::string_view) override { return std::nullopt; }
  bool output_is_terminal() const override { return false; }
  bool errors_are_terminal() const override { return false; }
  unsigned columns() const override { return 80; }
  std::optional<std::string> environment(const std::string&) const override { return std::nullopt; }
  void pause(std::chrono::milliseconds duration) override { std::this_thread::sleep_for(duration / haste); }
  std::chrono::nanoseconds monotonic() const override {
    return std::chrono::steady_clock::now().time_since_epoch() * haste;
  }
  testing::Recorder recorder;
};

std::string event_json(std::uint64_t index) {
  JsonObject event;
  event.text("action", "UPDATED").text("id", fmt::format("00000000-0000-4000-8000-{:012}", index));
  event.number("index", index).text("kind", "data.change");
  if (index % 7 != 0) event.text("targetId", index % 5 == 0 ? "•••" : fmt::format("C-{}", index % 11));
  event.text("targetType", "CUSTOMER").text("tenant", "default");
  return event.str();
}

std::optional<std::string> key_for(std::uint64_t index) {
  if (index % 7 == 0 || index % 5 == 0) return std::nullopt;
  return fmt::format("CUSTOMER/C-{}", index % 11);
}

// A trail whose streams are cut off anywhere, begin too early, or are refused for now, and its saved cursor.
class Trail {
 public:
  Trail(std::uint64_t size, std::uint64_t seed, bool steady = false)
      : steady_(steady),
        size_(size),
        random_(seed),
        server_([this](http::Router& router) { add_routes(router); }) {}

  ConnectionArguments connection() const { return server_.connection(); }
  void grow(std::uint64_t more) {
    const Lock lock(mutex_);
    size_ += more;
  }
  std::uint64_t size() const {
    const Lock lock(mutex_);
    return size_;
  }
  std::optional<std::uint64_t> cursor() const {
    const Lock lock(mutex_);
    return cursor_;
  }
  // In the place of the entry of this index.
  void set(std::uint64_t index, std::string event) {
    const Lock lock(mutex_);
    others_[index] = std::move(event);
  }
  // What a search finds.
  void found(std::vector<std::string> events) {
    const Lock lock(mutex_);
    found_ = std::move(events);
  }
  std::vector<std::string> asked() const {
    const Lock lock(mutex_);
    return asked_;
  }

 private:
  void add_routes(http::Router& router) {
    const auto add = [&](const char* method, const char* path,
                         http::Response (Trail::*answer)(const http::Request&)) {
      router.add(method, path, [this, answer](const http::Request& request, http::Responder responder) {
        const Lock lock(mutex_);
        responder.respond((this->*answer)(request));
      });
    };
    router.add("GET", "/api/events/stream", [this](const http::Request& request, http::Responder responder) {
      const Lock lock(mutex_);
      stream(request, std::move(responder));
    });
    add("GET", "/api/cursors/{name}", &Trail::read_cursor);
    add("PUT", "/api/cursors/{name}", &Trail::save_cursor);
    add("POST", "/auditlog/events/v2", &Trail::search);
    add("GET", "/tlog/{tenant}/audit/vkey", &Trail::verifier_key);
  }

  void stream(const http::Request& request, http::Responder responder) REQUIRES(mutex_) {
    std::uint64_t from = 0;
    const auto asked = request.query_value("from").value_or("");
    std::from_chars(asked.data(), asked.data() + asked.size(), from);
    asked_.emplace_back(request.query_value("query").value_or(""));
    if (!steady_ && heard_ && random_() % 4 == 0) return responder.respond(testing::answer("{}", 503));
    heard_ = true;
    if (!steady_ && random_() % 3 == 0 && from > 0) --from;
    std::string text = ": hello\n\n";
    for (auto index = from; index < size_; ++index)
      text += fmt::format("id: {}\nevent: entry\ndata: {}\n\n", index,
                          others_.contains(index) ? others_.at(index) : event_json(index));
    if (!steady_ && random_() % 3 == 0) text.resize(random_() % (text.size() + 1));
    responder.stream()->send(text);
  }
  http::Response read_cursor(const http::Request& request) REQUIRES(mutex_) {
    EXPECT_EQ(request.captures.at("name"), "forward." + topic);
    heard_ = false;  // a command begins, and its first connection works
    return cursor_ ? testing::answer(fmt::format(R"({{"name":"c","next":{}}})", *cursor_))
                   : testing::answer("{}", 404);
  }
  http::Response save_cursor(const http::Request& request) REQUIRES(mutex_) {
    if (!steady_ && random_() % 3 == 0) return testing::answer("{}", 503);
    json::Parser parser;
    json::Document document;
    EXPECT_TRUE(parser.parse(request.body, document));
    cursor_ = number_of(document.root(), "next", UINT64_MAX);
    return testing::answer("{}");
  }
  http::Response search(const http::Request& request) REQUIRES(mutex_) {
    EXPECT_NE(request.body.find("system.capture"), std::string::npos) << request.body;
    std::string events;
    for (const auto& event : found_) events += (events.empty() ? "" : ",") + event;
    return testing::answer(
        fmt::format(R"({{"events":[{}],"cursor":null,"tree":{{"size":{},"root":""}}}})", events, size_));
  }
  http::Response verifier_key(const http::Request& request) REQUIRES(mutex_) {
    EXPECT_EQ(request.captures.at("tenant"), "default");
    return testing::answer("log.example/default/audit+e8f7ccb0+AWrK8jNu\n");
  }

  const bool steady_;
  mutable Mutex mutex_;
  std::uint64_t size_ GUARDED_BY(mutex_);
  std::optional<std::uint64_t> cursor_ GUARDED_BY(mutex_);
  std::map<std::uint64_t, std::string> others_ GUARDED_BY(mutex_);
  std::vector<std::string> found_ GUARDED_BY(mutex_), asked_ GUARDED_BY(mutex_);
  bool heard_ GUARDED_BY(mutex_) = false;
  std::mt19937_64 random_ GUARDED_BY(mutex_);
  testing::ScriptedServer server_;
};

class Cluster : public MockCluster {
 public:
  Cluster() { create(topic, partitions); }

  std::vector<Letter> letters() {
    std::vector<Letter> all;
    for (int partition = 0; partition < partitions; ++partition)
      for (auto& letter : read(topic, partition)) all.push_back(std::move(letter));
    return all;
  }
  // All entries below `end` are there, as the server gives them, for the first time in order.
  void expect_all_below(std::uint64_t end) {
    std::set<std::uint64_t> seen;
    for (int partition = 0; partition < partitions; ++partition) {
      std::optional<std::uint64_t> last;
      for (const auto& letter : read(topic, partition)) {
        const auto index = std::stoull(letter.headers.at("vestige.index"));
        EXPECT_EQ(letter.value, event_json(index));
        EXPECT_EQ(letter.key, key_for(index));
        EXPECT_EQ(letter.headers.at("vestige.origin"), "log.example/default/audit");
        EXPECT_EQ(letter.headers.at("vestige.id"), fmt::format("00000000-0000-4000-8000-{:012}", index));
        if (!seen.insert(index).second) continue;
        EXPECT_TRUE(!last || index > *last) << index << " comes after " << *last << " in " << partition;
        last = index;
      }
    }
    for (std::uint64_t index = 0; index < end; ++index)
      EXPECT_TRUE(seen.contains(index)) << index << " of " << end << " is missing";
  }
};

ForwardArguments arguments_for(const Trail& trail, const MockCluster& cluster) {
  return {.connection = trail.connection(),
          .brokers = cluster.brokers(),
          .topic = topic,
          .options = {"reconnect.backoff.max.ms=200", "retry.backoff.ms=20"}};
}

TEST(Forward, EveryEntryAtLeastOnceAndInOrderWhateverIsKilledWhen) {
  const auto seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  Trail trail(0, random());
  Cluster cluster;
  for (int life = 0; life < testing::rounds(5); ++life) {
    trail.grow(random() % 200);
    const auto last_question = random() % 600;
    const auto how = random() % 2 == 0 ? Ending::at_once : Ending::in_order;
    bool is_down = false;
    std::uint64_t questions = 0;
    Hasty surroundings;
    const auto code = forward(arguments_for(trail, cluster), surroundings, [&] {
      if (++questions >= last_question) return how;
      if (questions % 97 == 0) trail.grow(random() % 20);
      if (random() % 100 == 0) cluster.fail_next(produce, {RD_KAFKA_RESP_ERR__TRANSPORT});
      if (questions > 50 && random() % 100 == 0) {
        is_down ? cluster.bring_up(1) : cluster.take_down(1);
        is_down = !is_down;
      }
      return Ending::not_yet;
    });
    if (is_down) cluster.bring_up(1);
    ASSERT_EQ(code, exit_ok) << surroundings.recorder.errors;
    cluster.expect_all_below(trail.cursor().value_or(0));
    if (::testing::Test::HasFailure()) return;
  }
  // And the rest of it.
  const auto end = std::chrono::steady_clock::now() + long_enough;
  Hasty surroundings;
  const auto code = forward(arguments_for(trail, cluster), surroundings, [&] {
    const bool done = trail.cursor() == trail.size() || std::chrono::steady_clock::now() > end;
    return done ? Ending::in_order : Ending::not_yet;
  });
  ASSERT_EQ(code, exit_ok) << surroundings.recorder.errors;
  EXPECT_EQ(trail.cursor(), trail.size());
  cluster.expect_all_below(trail.size());
}

TEST(Forward, TheCursorWaitsForTheBrokers) {
  Trail trail(40, 1, true);
  Cluster cluster;
  bool is_down = false;
  Hasty surroundings;
  const auto started = std::chrono::steady_clock::now();
  const auto code = forward(arguments_for(trail, cluster), surroundings, [&] {
    if (!is_down) cluster.take_down(1);
    is_down = true;
    const bool long_ago = std::chrono::steady_clock::now() - started > std::chrono::seconds(2);
    return long_ago ? Ending::in_order : Ending::not_yet;
  });
  EXPECT_EQ(code, exit_ok) << surroundings.recorder.errors;
  EXPECT_EQ(trail.cursor().value_or(0), 0U);
  EXPECT_NE(surroundings.recorder.output.find("\"unacknowledged\":40"), std::string::npos)
      << surroundings.recorder.output;
}

TEST(Forward, EndsAfterACountAndGoesOnBehindIt) {
  Trail trail(30, 1, true);
  Cluster cluster;
  auto arguments = arguments_for(trail, cluster);
  arguments.count = 12;
  arguments.from = 3;
  arguments.query = "action:UPDATED";
  for (const std::uint64_t next : {15, 27}) {
    Hasty surroundings;
    ASSERT_EQ(forward(arguments, surroundings, [] { return Ending::not_yet; }), exit_ok)
        << surroundings.recorder.errors;
    EXPECT_EQ(trail.cursor(), next) << "the cursor outranks --from";
    EXPECT_EQ(surroundings.recorder.output,
              fmt::format(
                  "{{\"acknowledged\":12,\"cursor\":\"forward.{}\",\"next\":{},\"saved\":true,\"skipped\":0,"
                  "\"unacknowledged\":0}}\n",
                  topic, next));
  }
  EXPECT_EQ(cluster.letters().size(), 24U);
  EXPECT_EQ(trail.asked(), std::vector<std::string>(2, "action:UPDATED"));
}

TEST(Forward, WhatIsTooLargeEndsItOrIsNamedInItsPlace) {
  Trail trail(1, 1, true);
  Cluster cluster;
  auto arguments = arguments_for(trail, cluster);
  arguments.count = 1;
  const auto too_large = RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
  cluster.fail_next(produce, {too_large, too_large});
  Hasty refused;
  EXPECT_EQ(forward(arguments, refused, [] { return Ending::not_yet; }), exit_found_wrong);
  for (const auto* said : {"entry 0 has", "max.message.bytes", "--skip-too-large"})
    EXPECT_NE(refused.recorder.errors.find(said), std::string::npos) << refused.recorder.errors;
  EXPECT_EQ(trail.cursor().value_or(0), 0U);
  EXPECT_TRUE(cluster.letters().empty());
  arguments.skip_too_large = true;
  cluster.fail_next(produce, {too_large, too_large});
  Hasty skipped;
  EXPECT_EQ(forward(arguments, skipped, [] { return Ending::not_yet; }), exit_ok) << skipped.recorder.errors;
  EXPECT_NE(skipped.recorder.errors.find("entry 0 has"), std::string::npos) << skipped.recorder.errors;
  EXPECT_NE(skipped.recorder.output.find("\"skipped\":1"), std::string::npos) << skipped.recorder.output;
  EXPECT_EQ(trail.cursor(), 1U);
  const auto letters = cluster.letters();
  ASSERT_EQ(letters.size(), 1U);
  const auto bytes = event_json(0).size();
  EXPECT_EQ(
      letters[0].value,
      fmt::format(R"({{"id":"00000000-0000-4000-8000-000000000000","index":0,"skippedBytes":{}}})", bytes));
  EXPECT_EQ(letters[0].headers.at("vestige.skipped"), std::to_string(bytes));
  EXPECT_EQ(letters[0].headers.at("vestige.index"), "0");
}

std::string started(std::uint64_t index, const std::string& capture, const std::string& cluster,
                    const std::string& topics) {
  return fmt::format(
      R"({{"action":"STARTED","detail":{{"capture":"{}","cluster":"{}","topics":{}}},"id":"x","index":{},"kind":"system.capture","tenant":"default"}})",
      capture, cluster, topics, index);
}

std::string captured(std::uint64_t index, const std::string& capture) {
  return fmt::format(
      R"({{"action":"UPDATED","context":{{"capture":"{}","topic":"{}"}},"id":"x","index":{},"kind":"data.change","tenant":"default"}})",
      capture, topic, index);
}

class Loops : public ::testing::Test {
 protected:
  // Whether it is refused.
  bool refused(std::uint64_t count) {
    auto arguments = arguments_for(trail, cluster);
    arguments.count = count;
    Hasty surroundings;
    const auto code = forward(arguments, surroundings, [] { return Ending::not_yet; });
    if (code == exit_ok) return false;
    EXPECT_NE(surroundings.recorder.errors.find("Forward to another topic"), std::string::npos)
        << surroundings.recorder.errors;
    return true;
  }
  // Of librdkafka's mock; a broker that is down has none.
  std::string cluster_id() {
    sources::kafka::Sender sender({.brokers = cluster.brokers()}, topic,
                                  {.clock = platform::system_clock(), .say = {}, .too_large = {}});
    const auto id = sender.connect();
    EXPECT_TRUE(id) << id.error().message;
    return id.value_or("");
  }

  Trail trail{3, 1, true};
  Cluster cluster;
};

TEST_F(Loops, ATopicThatACaptureReadsIsRefusedAtOnce) {
  trail.found({started(2, "bank", cluster_id(), R"(["^audit\\.[a-z]+$"])")});
  EXPECT_TRUE(refused(1));
  EXPECT_TRUE(cluster.letters().empty());
}

TEST_F(Loops, WhatACaptureSaidBeforeItsLastWordDoesNotCount) {
  trail.found({started(2, "bank", cluster_id(), R"(["commands"])"),
               started(1, "bank", cluster_id(), fmt::format(R"(["{}"])", topic))});
  trail.set(0, captured(0, "bank"));
  EXPECT_FALSE(refused(3));
}

TEST_F(Loops, AnotherClusterAndPostgresAreOthers) {
  trail.found(
      {started(2, "bank", "elsewhere", fmt::format(R"(["{}"])", topic)), started(1, "crm", "", "null")});
  EXPECT_FALSE(refused(3));
}

TEST_F(Loops, ACaptureThatBeginsLaterEndsIt) {
  trail.found({});
  trail.set(3, started(3, "bank", cluster_id(), fmt::format(R"(["{}"])", topic)));
  auto arguments = arguments_for(trail, cluster);
  std::uint64_t questions = 0;
  Hasty surroundings;
  // It comes when what there was has been forwarded.
  const auto code = forward(arguments, surroundings, [&] {
    if (++questions > 100 && trail.size() == 3) trail.grow(2);
    return Ending::not_yet;
  });
  EXPECT_EQ(code, exit_found_wrong) << surroundings.recorder.errors;
  EXPECT_EQ(trail.cursor(), 3U);
  cluster.expect_all_below(3);
}

TEST_F(Loops, WhatComesBackFromTheTopicEndsIt) {
  trail.found({});
  trail.set(1, captured(1, "unheard_of"));
  EXPECT_TRUE(refused(3));
  EXPECT_EQ(cluster.letters().size(), 1U);
}

TEST(Forward, NobodyThereIsSaidAtOnce) {
  Trail trail(3, 1, true);
  auto cluster = std::make_unique<Cluster>();
  auto arguments = arguments_for(trail, *cluster);
  cluster.reset();
  Hasty no_broker;
  EXPECT_EQ(forward(arguments, no_broker, [] { return Ending::not_yet; }), exit_unreachable);
  EXPECT_NE(no_broker.recorder.errors.find("cannot be written to"), std::string::npos)
      << no_broker.recorder.errors;
  {
    const testing::ScriptedServer gone([](http::Router&) {});
    arguments.connection = gone.connection();
  }
  Hasty no_server;
  EXPECT_EQ(forward(arguments, no_server, [] { return Ending::not_yet; }), exit_unreachable);
}

TEST(Forward, OptionsComeFromFileAndLineAndNoMessageTellsTheirValues) {
  const auto file = ::testing::TempDir() + "forward.properties";
  std::ofstream(file) << "# how Kafka is reached\n\nsasl.password=se=cret\r\nlinger.ms=5\n";
  ForwardArguments arguments{
      .brokers = "kafka:9092", .topic = topic, .options = {"linger.ms=7"}, .options_file = file};
  const auto cluster = cluster_of(arguments);
  ASSERT_TRUE(cluster) << cluster.error().message;
  EXPECT_EQ(cluster->options, (sources::kafka::Options{{"linger.ms", "7"}, {"sasl.password", "se=cret"}}));
  for (const auto* wrong : {"a-secret", "=a-secret", "acks=a-secret", "security.protocol=a-secret"}) {
    arguments.options = {wrong};
    const auto refused = cluster_of(arguments);
    ASSERT_FALSE(refused) << wrong;
    EXPECT_EQ(refused.error().kind, ErrorKind::invalid);
    EXPECT_EQ(refused.error().message.find("a-secret"), std::string::npos) << refused.error().message;
  }
  EXPECT_EQ(cursor_of(arguments).value_or(""), "forward." + topic);
  arguments.topic = std::string(60, 't');
  EXPECT_FALSE(cursor_of(arguments));
  arguments.cursor = "warehouse";
  EXPECT_EQ(cursor_of(arguments).value_or(""), "warehouse");
}

}  // namespace
}  // namespace vestige::cli
