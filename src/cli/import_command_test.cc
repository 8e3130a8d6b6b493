// Defends: every record is sent once and in order in batches that keep the limits, whatever a busy server
// makes of them; records without an id get one that depends on the file alone; a refused record is named.
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "base/mutex.h"
#include "base/uuid.h"
#include "cli/cli.h"
#include "cli/internal/import.h"
#include "cli/internal/json_text.h"
#include "cli/internal/local_file.h"
#include "cli/testing/recorder.h"
#include "cli/testing/scripted_server.h"

namespace vestige::cli {
namespace {

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::string id_of(const std::string& event) {
  json::Parser parser;
  json::Document document;
  EXPECT_TRUE(parser.parse(event, document)) << event;
  return text_of(document.root(), "id");
}

// Keeps what it is sent, by id; answers as told first.
class Store {
 public:
  http::Response take(const http::Request& request) {
    const Lock lock(mutex_);
    ++requests_;
    if (!answers_.empty()) {
      auto next = std::move(answers_.front());
      answers_.erase(answers_.begin());
      return next;
    }
    EXPECT_EQ(request.content_type(), "application/x-ndjson");
    EXPECT_LE(request.body.size(), batch_bytes_max);
    const auto lines = lines_of(request.body);
    EXPECT_LE(lines.size(), batch_events_max);
    std::size_t duplicates = 0;
    for (const auto& line : lines) {
      if (!ids_.insert(id_of(line)).second)
        ++duplicates;
      else
        events_.push_back(line);
    }
    return testing::answer(
        JsonObject().number("accepted", lines.size() - duplicates).number("duplicates", duplicates).str(),
        201);
  }
  void answer_first(std::vector<http::Response> answers) {
    const Lock lock(mutex_);
    answers_ = std::move(answers);
  }
  std::vector<std::string> events() const {
    const Lock lock(mutex_);
    return events_;
  }
  std::size_t requests() const {
    const Lock lock(mutex_);
    return requests_;
  }

 private:
  mutable Mutex mutex_;
  std::size_t requests_ GUARDED_BY(mutex_) = 0;
  std::vector<http::Response> answers_ GUARDED_BY(mutex_);
  std::set<std::string> ids_ GUARDED_BY(mutex_);
  std::vector<std::string> events_ GUARDED_BY(mutex_);
};

class Importing : public ::testing::Test {
 protected:
  Importing()
      : server_([this](http::Router& router) {
          router.add("POST", "/api/events", [this](http::Request request, http::Responder responder) {
            responder.respond(store_.take(request));
          });
        }) {}

  std::string file(const std::string& content) {
    const auto path = ::testing::TempDir() + "vestige-import-" +
                      ::testing::UnitTest::GetInstance()->current_test_info()->name() + ".ndjson";
    const auto written = write_local(path, content);
    EXPECT_TRUE(written) << written.error().message;
    return path;
  }
  int import(const std::string& path) {
    return run_import({.connection = server_.connection(), .format = "ndjson", .paths = {path}},
                      surroundings_);
  }
  json::Document output() {
    json::Document document;
    json::Parser parser;
    EXPECT_TRUE(parser.parse(surroundings_.output, document)) << surroundings_.output;
    return document;
  }

  Store store_;
  testing::ScriptedServer server_;
  testing::Recorder surroundings_;
};

TEST_F(Importing, SendsEveryRecordOnceAndInOrder) {
  const auto seed = std::random_device()();
  std::mt19937_64 random(seed);
  std::string content;
  std::vector<std::string> notes;
  for (int i = 0; i < 2'500; ++i) {
    // Some equal lines, some long ones.
    notes.push_back(random() % 5 ? std::to_string(random() % 500) : std::string(random() % 20'000, 'x'));
    content += R"({"kind":"data.change","detail":{"note":")" + notes.back() + "\"}}\n";
  }
  const auto path = file(content);
  ASSERT_EQ(import(path), exit_ok) << surroundings_.errors;
  const auto events = store_.events();
  ASSERT_EQ(events.size(), notes.size()) << "seed " << seed;
  for (std::size_t i = 0; i < events.size(); ++i)
    ASSERT_NE(events[i].find("\"note\":\"" + notes[i] + "\""), std::string::npos)
        << "seed " << seed << ", event " << i;
  surroundings_.output.clear();
  ASSERT_EQ(import(path), exit_ok);
  EXPECT_EQ(store_.events().size(), notes.size()) << "a second import adds nothing";
  const auto again = output();
  const auto first = again.root().find("files").at(0);
  EXPECT_EQ(number_of(first, "duplicates", 0), notes.size());
  EXPECT_EQ(number_of(first, "accepted", 1), 0U);
  EXPECT_EQ(text_of(first, "format"), "ndjson");
}

TEST_F(Importing, WaitsForABusyServerAsLongAsItAsks) {
  auto busy = testing::answer("{}", 503);
  busy.headers.emplace_back("Retry-After", "3");
  store_.answer_first({busy, testing::answer("{}", 429), testing::answer("{}", 503)});
  ASSERT_EQ(import(file("{\"kind\":\"k\"}\n")), exit_ok) << surroundings_.errors;
  EXPECT_EQ(surroundings_.pauses, (std::vector<std::chrono::milliseconds>{
                                      std::chrono::seconds(3), retry_pause_min * 2, retry_pause_min * 4}));
  EXPECT_NE(surroundings_.errors.find("trying again"), std::string::npos) << surroundings_.errors;
  EXPECT_EQ(store_.events().size(), 1U);
}

TEST_F(Importing, GivesUpOnAServerThatStaysBusy) {
  auto busy = testing::answer("{}", 503);
  busy.headers.emplace_back("Retry-After", "100000");
  store_.answer_first(std::vector(batch_attempts_max + 5, busy));
  EXPECT_EQ(import(file("{\"kind\":\"k\"}\n")), exit_unreachable);
  EXPECT_EQ(store_.requests(), batch_attempts_max);
  for (const auto pause : surroundings_.pauses) EXPECT_LE(pause, retry_after_max);
}

TEST_F(Importing, NamesTheRecordThatIsRefused) {
  std::string content;
  for (int i = 0; i < 1'010; ++i)
    content += "{\"kind\":\"k\",\"detail\":{\"n\":" + std::to_string(i) + "}}\n\n";
  const auto path = file(content);
  const auto accepted = testing::answer(R"({"accepted":1000,"duplicates":0})", 201);
  auto refused = testing::answer(R"({"detail":"no such kind","path":"/4/kind"})", 400);
  refused.content_type = "application/problem+json";
  store_.answer_first({accepted, refused});
  EXPECT_EQ(import(path), exit_found_wrong);
  // Every other line is blank: the fifth record of the second batch is on line 2 * 1004 + 1.
  EXPECT_NE(surroundings_.errors.find("line 2009"), std::string::npos) << surroundings_.errors;
  EXPECT_NE(surroundings_.errors.find("no such kind"), std::string::npos) << surroundings_.errors;
  const auto told = output();
  EXPECT_EQ(number_of(told.root(), "accepted", 0), 1'000U);
  EXPECT_EQ(text_of(told.root(), "complete"), "false");
}

TEST_F(Importing, AnAnswerThatDoesNotAddUpIsNotBelieved) {
  store_.answer_first({testing::answer(R"({"accepted":0,"duplicates":0})", 201)});
  EXPECT_EQ(import(file("{\"kind\":\"k\"}\n")), exit_found_wrong);
}

TEST_F(Importing, AMissingFileIsAUsageError) {
  EXPECT_EQ(import("/nowhere/at/all.ndjson"), exit_usage);
  EXPECT_EQ(store_.requests(), 0U);
}

TEST(ImportWithoutServer, SaysThatNoneAnswers) {
  testing::Recorder surroundings;
  std::string url;
  {
    const testing::ScriptedServer gone([](http::Router&) {});
    url = gone.url();
  }
  const auto path = ::testing::TempDir() + "vestige-import-none.ndjson";
  ASSERT_TRUE(write_local(path, "{\"kind\":\"k\"}\n"));
  EXPECT_EQ(run_import({.connection = {.url = url, .key = "k"}, .paths = {path}}, surroundings),
            exit_unreachable);
  EXPECT_NE(surroundings.errors.find(url), std::string::npos) << surroundings.errors;
  EXPECT_TRUE(surroundings.pauses.empty());
}

TEST(WithId, DependsOnTextAndOccurrenceAlone) {
  importing::LineOccurrences run;
  importing::LineOccurrences later_run;
  const std::string event = R"( {"kind":"k"})";
  const auto first = with_id(event, run);
  const auto second = with_id(event, run);
  EXPECT_NE(first, second);
  EXPECT_EQ(with_id(event, later_run), first);
  EXPECT_EQ(with_id(event, later_run), second);
  const auto id = parse_uuid(id_of(first));
  ASSERT_TRUE(id);
  EXPECT_EQ(id->bytes[6] >> 4, 8);
  EXPECT_EQ(first, " {\"id\":\"" + id_of(first) + R"(","kind":"k"})");
  EXPECT_EQ(with_id("{}", run), "{\"id\":\"" + id_of(with_id("{}", later_run)) + "\"}");
  for (const std::string kept : {R"({"id":"x"})", R"({"id":null})", "[1]", "no json", R"({"a":1,"a":2})"})
    EXPECT_EQ(with_id(kept, run), kept);
}

TEST(ProblemOfBatch, FindsItsEvent) {
  const std::string body = "{}\n{}\n{}\n";
  EXPECT_EQ(event_of_problem(R"({"path":"/17/detail/x"})", body), 17U);
  EXPECT_EQ(event_of_problem(R"({"path":"/2"})", body), 2U);
  EXPECT_EQ(event_of_problem(R"({"path":"/detail","position":4})", body), 1U);
  EXPECT_EQ(event_of_problem(R"({"position":0})", body), 0U);
  EXPECT_EQ(event_of_problem(R"({"position":900})", body), std::nullopt);
  EXPECT_EQ(event_of_problem(R"({"path":"/1x"})", body), std::nullopt);
  EXPECT_EQ(event_of_problem("<html>", body), std::nullopt);
}

}  // namespace
}  // namespace vestige::cli
