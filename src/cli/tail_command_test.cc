// Defends: tail prints every index exactly once and in order, whatever connections are lost and whatever the
// server repeats; a gap is an error and never a silence.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <charconv>
#include <random>

#include "base/mutex.h"
#include "cli/cli.h"
#include "cli/internal/json_text.h"
#include "cli/internal/tail.h"
#include "cli/testing/recorder.h"
#include "cli/testing/scripted_server.h"

namespace vestige::cli {
namespace {

std::string event_json(std::uint64_t index) {
  return JsonObject().text("action", "A").number("index", index).text("kind", "data.change").str();
}
std::string entry(std::uint64_t index) {
  return fmt::format("id: {}\nevent: entry\ndata: {}\n\n", index, event_json(index));
}

// A trail of `size` entries whose streams are cut off anywhere, begin too early, or are refused for now.
class Unsteady {
 public:
  Unsteady(std::uint64_t size, std::uint64_t seed) : size_(size), random_(seed) {}

  void add_routes(http::Router& router) {
    router.add("GET", "/api/events/stream", [this](http::Request request, http::Responder responder) {
      const Lock lock(mutex_);
      stream(request, std::move(responder));
    });
    router.add("POST", "/auditlog/events/v2", [this](http::Request request, http::Responder responder) {
      json::Parser parser;
      json::Document document;
      ASSERT_TRUE(parser.parse(request.body, document));
      std::string events;
      for (std::uint64_t i = 0; i < std::min(number_of(document.root(), "limit", 0), size_); ++i)
        events += (events.empty() ? "" : ",") + event_json(size_ - 1 - i);
      responder.respond(testing::answer(
          fmt::format(R"({{"events":[{}],"cursor":null,"tree":{{"size":{},"root":""}}}})", events, size_)));
    });
  }
  // Both before the server starts.
  void leave_out(std::uint64_t index) { left_out_ = index; }
  void grow(std::uint64_t more) { shown_ += more; }

 private:
  void stream(const http::Request& request, http::Responder responder) REQUIRES(mutex_) {
    std::uint64_t from = 0;
    const auto asked = request.query_value("from").value_or("");
    std::from_chars(asked.data(), asked.data() + asked.size(), from);
    if (random_() % 4 == 0) return responder.respond(testing::answer("{}", 503));
    if (random_() % 3 == 0 && from > 0) --from;
    std::string text = ": hello\n\n";
    for (auto index = from; index < size_ + shown_; ++index)
      if (index != left_out_) text += entry(index);
    if (random_() % 5 != 0 && !left_out_) text.resize(random_() % (text.size() + 1));
    responder.stream()->send(text);
  }

  const std::uint64_t size_;
  std::uint64_t shown_ = 0;
  std::optional<std::uint64_t> left_out_;
  Mutex mutex_;
  std::mt19937_64 random_ GUARDED_BY(mutex_);
};

std::vector<std::uint64_t> printed(const std::string& output) {
  std::vector<std::uint64_t> indexes;
  for (std::size_t at = 0; at < output.size();) {
    const auto end = output.find('\n', at);
    json::Parser parser;
    json::Document document;
    EXPECT_TRUE(parser.parse(output.substr(at, end - at), document));
    indexes.push_back(number_of(document.root(), "index", UINT64_MAX));
    at = end + 1;
  }
  return indexes;
}

std::vector<std::uint64_t> range(std::uint64_t from, std::uint64_t count) {
  std::vector<std::uint64_t> all(count);
  for (std::uint64_t i = 0; i < count; ++i) all[i] = from + i;
  return all;
}

TEST(Tail, EveryIndexOnceAcrossLostConnections) {
  const auto seed = std::random_device()();
  std::mt19937_64 random(seed);
  for (int round = 0; round < testing::rounds(15); ++round) {
    Unsteady trail(30, random());
    trail.grow(20);
    const testing::ScriptedServer server([&](http::Router& router) { trail.add_routes(router); });
    testing::Recorder surroundings;
    TailArguments arguments{.connection = server.connection()};
    // The very first answer may be a 503, which ends a tail that never worked; with -n it has worked before.
    arguments.last = random() % 5;
    arguments.count = arguments.last + 20;
    ASSERT_EQ(run_tail(arguments, surroundings), exit_ok) << "seed " << seed << "\n" << surroundings.errors;
    ASSERT_EQ(printed(surroundings.output), range(30 - arguments.last, arguments.count)) << "seed " << seed;
    for (const auto pause : surroundings.pauses) ASSERT_LE(pause, reconnect_pause_max);
  }
}

TEST(Tail, AGapIsAnError) {
  Unsteady trail(10, 1);
  trail.grow(10);
  trail.leave_out(15);
  const testing::ScriptedServer server([&](http::Router& router) { trail.add_routes(router); });
  testing::Recorder surroundings;
  EXPECT_EQ(run_tail({.connection = server.connection(), .last = 2}, surroundings), exit_found_wrong);
  EXPECT_EQ(printed(surroundings.output), range(8, 7));
  EXPECT_NE(surroundings.errors.find("left out entries 15 to 15"), std::string::npos) << surroundings.errors;
}

TEST(Tail, ACursorIsGoneOnWithAndSaved) {
  Mutex mutex;
  std::vector<std::string> saved;
  std::optional<std::uint64_t> stands_at;
  const testing::ScriptedServer server([&](http::Router& router) {
    router.add("GET", "/api/cursors/{name}", [&](http::Request request, http::Responder responder) {
      const Lock lock(mutex);
      EXPECT_EQ(request.captures.at("name"), "warehouse");
      responder.respond(stands_at
                            ? testing::answer(fmt::format(R"({{"name":"warehouse","next":{}}})", *stands_at))
                            : testing::answer("{}", 404));
    });
    router.add("PUT", "/api/cursors/{name}", [&](http::Request request, http::Responder responder) {
      const Lock lock(mutex);
      saved.push_back(request.body);
      responder.respond(testing::answer("{}"));
    });
    router.add("GET", "/api/events/stream", [](http::Request request, http::Responder responder) {
      const auto from = std::stoull(std::string(request.query_value("from").value_or("")));
      responder.stream()->send(entry(from) + entry(from + 1) + entry(from + 2));
    });
  });
  testing::Recorder first;
  const TailArguments arguments{
      .connection = server.connection(), .from = 5, .count = 2, .cursor = "warehouse"};
  EXPECT_EQ(run_tail(arguments, first), exit_ok) << first.errors;
  EXPECT_EQ(printed(first.output), range(5, 2));
  EXPECT_EQ(saved.back(), R"({"next":7})") << "what was printed, not what was sent";
  stands_at = 7;
  testing::Recorder second;
  EXPECT_EQ(run_tail(arguments, second), exit_ok) << second.errors;
  EXPECT_EQ(printed(second.output), range(7, 2)) << "the cursor outranks --from";
  EXPECT_EQ(saved.back(), R"({"next":9})");
}

TEST(Tail, ARefusalIsNotRetried) {
  const testing::ScriptedServer server([](http::Router& router) {
    router.add("GET", "/api/events/stream", [](http::Request, http::Responder responder) {
      responder.respond(testing::answer("{}", 403));
    });
  });
  testing::Recorder surroundings;
  EXPECT_EQ(run_tail({.connection = server.connection(), .from = 0}, surroundings), exit_found_wrong);
  EXPECT_TRUE(surroundings.pauses.empty());
}

TEST(Tail, AServerThatNeverAnsweredIsUnreachable) {
  std::string url;
  {
    const testing::ScriptedServer gone([](http::Router&) {});
    url = gone.url();
  }
  testing::Recorder surroundings;
  EXPECT_EQ(run_tail({.connection = {.url = url, .key = "k"}, .from = 0}, surroundings), exit_unreachable);
  EXPECT_TRUE(surroundings.pauses.empty());
}

TEST(Tail, AServerThatStaysAwayIsGivenUp) {
  std::optional<testing::ScriptedServer> server;
  server.emplace([](http::Router& router) {
    router.add("POST", "/auditlog/events/v2", [](http::Request, http::Responder responder) {
      responder.respond(testing::answer(R"({"events":[],"cursor":null,"tree":{"size":0}})"));
    });
    router.add("GET", "/api/events/stream", [](http::Request, http::Responder responder) {
      responder.respond(testing::answer("{}", 503));
    });
  });
  testing::Recorder surroundings;
  EXPECT_EQ(run_tail({.connection = server->connection(), .last = 0}, surroundings), exit_unreachable);
  EXPECT_EQ(surroundings.pauses.size(), reconnects_max);
}

}  // namespace
}  // namespace vestige::cli
