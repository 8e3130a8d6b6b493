// Defends: nothing is sent that nobody confirmed; each event once, under the key that was given; what the
// server refuses as too much is counted apart, any other refusal ends the run and is told; figures are said
// to people with what they mean, and to programs as JSON.
#include <gtest/gtest.h>

#include <set>

#include "base/mutex.h"
#include "cli/cli.h"
#include "cli/internal/bench.h"
#include "cli/testing/recorder.h"
#include "cli/testing/scripted_server.h"
#include "json/json.h"

namespace vestige::cli {
namespace {

// Remembers the events that it took; every `busy_each`-th request is too much for it.
class Trail {
 public:
  unsigned busy_each = 0;
  unsigned refused_from = 0;

  void add_routes(http::Router& router) {
    router.add("POST", "/api/events", [this](http::Request request, http::Responder responder) {
      responder.respond(answer_to(request));
    });
  }
  std::uint64_t requests() const {
    const Lock lock(mutex_);
    return requests_;
  }
  std::set<std::string> lines() const {
    const Lock lock(mutex_);
    return lines_;
  }

 private:
  http::Response answer_to(const http::Request& request) {
    const Lock lock(mutex_);
    EXPECT_EQ(request.header("authorization"), "Bearer test-key");
    EXPECT_EQ(request.header("content-type"), "application/x-ndjson");
    ++requests_;
    if (refused_from > 0 && requests_ >= refused_from)
      return {
          .status = 400, .content_type = "application/problem+json", .body = R"({"detail":"not this one"})"};
    if (busy_each > 0 && requests_ % busy_each == 0) return {.status = 503, .body = "{}"};
    for (std::size_t at = 0; at < request.body.size();) {
      const auto end = request.body.find('\n', at);
      EXPECT_TRUE(lines_.insert(request.body.substr(at, end - at)).second) << "sent twice";
      at = end + 1;
    }
    return testing::answer("{}", 201);
  }

  mutable Mutex mutex_;
  std::uint64_t requests_ GUARDED_BY(mutex_) = 0;
  std::set<std::string> lines_ GUARDED_BY(mutex_);
};

struct Scene {
  Trail trail;
  testing::ScriptedServer server{[this](http::Router& router) { trail.add_routes(router); }};
  testing::Recorder recorder;
  BenchArguments arguments{
      .connection = server.connection(), .connections = 3, .batch = 4, .events = 40, .yes = true};
  json::Document figures;

  // Runs it, and parses what it printed.
  int run() {
    const int code = run_bench_http(arguments, recorder);
    json::Parser parser;
    if (!recorder.output.empty()) EXPECT_TRUE(parser.parse(recorder.output, figures)) << recorder.output;
    return code;
  }
  std::string figure(std::string_view name) const { return json::canonical(figures.root().find(name)); }
};

TEST(Bench, SendsEachEventOnceAndSaysWhatCameOfIt) {
  Scene scene;
  scene.arguments.events = 38;  // whole requests
  ASSERT_EQ(scene.run(), exit_ok) << scene.recorder.errors;
  EXPECT_EQ(scene.trail.lines().size(), 40U);
  EXPECT_EQ(scene.figure("events"), "40");
  EXPECT_EQ(scene.figure("requests"), "10");
  EXPECT_EQ(scene.figure("busy"), "0");
  EXPECT_EQ(scene.figure("complete"), "true");
  EXPECT_EQ(scene.figure("latency"), "null") << "without a schedule nobody knows when a request was due";
  EXPECT_TRUE(scene.figures.root().find("service").find("p999ms").is_number());

  Scene again;
  ASSERT_EQ(again.run(), exit_ok);
  for (const auto& line : again.trail.lines())
    EXPECT_FALSE(scene.trail.lines().contains(line)) << "an old id";
}

TEST(Bench, TooMuchIsCountedApartAndNeverSentAgain) {
  Scene scene;
  scene.trail.busy_each = 5;
  scene.arguments.rate = 100'000;
  ASSERT_EQ(scene.run(), exit_ok) << scene.recorder.errors;
  EXPECT_EQ(scene.trail.requests(), 10U);
  EXPECT_EQ(scene.figure("busy"), "2");
  EXPECT_EQ(scene.figure("requests"), "8");
  EXPECT_EQ(scene.figure("events"), "32");
  EXPECT_TRUE(scene.figures.root().find("latency").find("p50ms").is_number());

  Scene hopeless;
  hopeless.trail.busy_each = 1;
  EXPECT_EQ(hopeless.run(), exit_unreachable);
  EXPECT_NE(hopeless.recorder.errors.find("503"), std::string::npos) << hopeless.recorder.errors;
  EXPECT_EQ(hopeless.recorder.output, "");
}

TEST(Bench, AnyOtherRefusalEndsTheRun) {
  Scene scene;
  scene.arguments.connections = 1;
  scene.trail.refused_from = 4;
  EXPECT_EQ(scene.run(), exit_found_wrong);
  EXPECT_EQ(scene.trail.requests(), 4U);
  EXPECT_NE(scene.recorder.errors.find("not this one"), std::string::npos) << scene.recorder.errors;
  EXPECT_EQ(scene.figure("complete"), "false");
  EXPECT_EQ(scene.figure("events"), "12");
}

TEST(Bench, AsksAPersonAndWritesForOne) {
  Scene scene;
  scene.arguments.yes = false;
  EXPECT_EQ(scene.run(), exit_usage) << "nobody can be asked";
  EXPECT_NE(scene.recorder.errors.find("--yes"), std::string::npos);
  scene.recorder.answer = "yes";
  EXPECT_EQ(scene.run(), exit_usage) << "anything but the word is a no";
  EXPECT_EQ(scene.trail.requests(), 0U);
  EXPECT_NE(scene.recorder.questions.find("40 events"), std::string::npos) << scene.recorder.questions;
  EXPECT_NE(scene.recorder.questions.find("BENCHMARK"), std::string::npos);

  scene.recorder.answer = "bench";
  scene.recorder.terminal = true;
  EXPECT_EQ(run_bench_http(scene.arguments, scene.recorder), exit_ok);
  EXPECT_EQ(scene.trail.requests(), 10U);
  for (const auto* part : {"3 connections, 4 events a request", "10 requests were taken", "P99.9", "--rate"})
    EXPECT_NE(scene.recorder.output.find(part), std::string::npos) << part << "\n" << scene.recorder.output;
  EXPECT_EQ(scene.recorder.output.find("due"), std::string::npos);
}

}  // namespace
}  // namespace vestige::cli
