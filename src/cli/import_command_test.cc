// Defends: every record is sent once and in order in batches that keep the limits, whatever a busy server
// makes of them; records without an id get one that depends on the file alone; a refused record is named.
#include <gtest/gtest.h>

#include <cstdio>
#include <map>
#include <random>

#include "base/mutex.h"
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

// What the server makes the id of.
std::string name_of(const std::string& line) {
  json::Parser parser;
  json::Document document;
  EXPECT_TRUE(parser.parse(line, document)) << line;
  return json::canonical(document.root().find("record")) + text_of(document.root(), "occurrence");
}

// Keeps what it is sent, by record and occurrence; answers as told first.
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
    if (requests_ > fail_from_) return testing::answer(R"({"detail":"told to"})", 400);
    lines_ += lines.size();
    std::size_t duplicates = 0;
    std::string answers;
    for (const auto& line : lines) {
      const auto [place, fresh] = indexes_.try_emplace(name_of(line), events_.size());
      if (fresh)
        events_.push_back(line);
      else
        ++duplicates;
      answers += (answers.empty() ? "" : ",") + JsonObject().number("index", place->second).str();
    }
    return testing::answer(JsonObject()
                               .number("accepted", lines.size() - duplicates)
                               .number("duplicates", duplicates)
                               .raw("events", "[" + answers + "]")
                               .str(),
                           201);
  }
  // After so many requests every one is refused.
  void fail_from(std::size_t requests) {
    const Lock lock(mutex_);
    fail_from_ = requests;
  }
  void forget() {
    const Lock lock(mutex_);
    indexes_.clear();
  }
  std::size_t lines() const {
    const Lock lock(mutex_);
    return lines_;
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
  std::size_t fail_from_ GUARDED_BY(mutex_) = SIZE_MAX;
  std::size_t lines_ GUARDED_BY(mutex_) = 0;
  std::map<std::string, std::size_t> indexes_ GUARDED_BY(mutex_);
  std::vector<std::string> events_ GUARDED_BY(mutex_);
};

class Importing : public ::testing::Test {
 protected:
  Importing()
      : server_([this](http::Router& router) {
          router.add("POST", "/api/imports/{format}",
                     [this](http::Request request, http::Responder responder) {
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

TEST_F(Importing, AnImportThatWasCutShortGoesOnWhereItStopped) {
  std::string content;
  for (int i = 0; i < 2'500; ++i) content += R"({"action":"a","n":)" + std::to_string(i) + "}\n";
  const auto path = file(content);
  const auto position = ::testing::TempDir() + "vestige-import-position";
  std::remove(position.c_str());
  const ImportArguments arguments{
      .connection = server_.connection(), .format = "json", .resume = position, .paths = {path}};
  store_.fail_from(2);  // the third request
  EXPECT_EQ(run_import(arguments, surroundings_), exit_found_wrong);
  EXPECT_EQ(store_.events().size(), 2'000U);
  store_.fail_from(SIZE_MAX);
  const auto before = store_.lines();
  surroundings_.output.clear();
  ASSERT_EQ(run_import(arguments, surroundings_), exit_ok) << surroundings_.errors;
  EXPECT_EQ(store_.events().size(), 2'500U);
  EXPECT_EQ(store_.lines() - before, 501U) << "the last one that is known, and those that were not sent";
  const auto told = output();
  EXPECT_EQ(number_of(told.root(), "records", 0), 2'500U);
  EXPECT_EQ(number_of(told.root(), "duplicates", 0), 2'000U);

  // A file that grew.
  file(content + R"({"action":"a","n":2500})");
  ASSERT_EQ(run_import(arguments, surroundings_), exit_ok) << surroundings_.errors;
  EXPECT_EQ(store_.events().size(), 2'501U);
}

TEST_F(Importing, APositionOfOtherRecordsOrAnotherServerIsRefused) {
  const auto position = ::testing::TempDir() + "vestige-import-other";
  const auto run = [&](const std::string& content) {
    surroundings_.errors.clear();
    return run_import(
        {.connection = server_.connection(), .format = "json", .resume = position, .paths = {file(content)}},
        surroundings_);
  };
  std::remove(position.c_str());
  ASSERT_EQ(run(R"({"a":1}{"a":2}{"a":3})"), exit_ok);
  const auto requests = store_.requests();
  EXPECT_EQ(run(R"({"a":1}{"a":4}{"a":3})"), exit_usage);
  EXPECT_EQ(run(R"({"a":1}{"a":2})"), exit_usage);
  EXPECT_EQ(store_.requests(), requests) << "nothing is sent";
  store_.forget();
  EXPECT_EQ(run(R"({"a":1}{"a":2}{"a":3}{"a":4})"), exit_usage);
  EXPECT_NE(surroundings_.errors.find(position), std::string::npos) << surroundings_.errors;
  ASSERT_TRUE(write_local(position, "{\"importPosition\":2}"));
  EXPECT_EQ(run("{}"), exit_usage);
}

TEST(RequestLine, HoldsWhatTheRecordHas) {
  EXPECT_EQ(request_line({.json = "{\"id\":1}", .record = "", .where = ""}, 0), "{\"id\":1}");
  EXPECT_EQ(request_line({.json = "", .record = "{}", .where = ""}, 1), R"({"record":{},"occurrence":1})");
  EXPECT_EQ(request_line({.json = "{\"a\":1}", .record = "\"x\"", .lossless = "[\"\"]", .where = ""}, 3),
            R"({"record":"x","occurrence":3,"event":{"a":1},"lossless":[""]})");
}

TEST(Delimiter, IsOneCharacter) {
  EXPECT_EQ(parse_delimiter(""), '\0');
  EXPECT_EQ(parse_delimiter(";"), ';');
  EXPECT_EQ(parse_delimiter("tab"), '\t');
  for (const char* wrong : {"\"", ";;", " ", "\n", "é"}) EXPECT_FALSE(parse_delimiter(wrong)) << wrong;
}

TEST_F(Importing, ADryRunPrintsTheEventsAndAsksNoServer) {
  const auto path = file("{\"eventName\":\"x\",\"user\":\"u\"}\n");
  EXPECT_EQ(
      run_import({.connection = {.url = "http://127.0.0.1:1", .key = "k"}, .dry_run = true, .paths = {path}},
                 surroundings_),
      exit_ok)
      << surroundings_.errors;
  EXPECT_EQ(surroundings_.output,
            "{\"kind\":\"data.change\",\"action\":\"x\",\"sourceType\":\"USER\",\"sourceId\":\"u\"}\n");
  EXPECT_EQ(store_.requests(), 0U);
}

TEST_F(Importing, ReportsWhatWasMappedAndWhatWasNot) {
  const auto path =
      file(R"([{"eventName":"Create x","user":"u","more":1},{"eventName":"Frob","ip":"192.0.2.1"}])");
  ASSERT_EQ(
      run_import({.connection = server_.connection(), .format = "json", .paths = {path}}, surroundings_),
      exit_ok)
      << surroundings_.errors;
  const auto told = output();
  const auto mapped = told.root().find("mapped").at(0);
  EXPECT_EQ(text_of(mapped, "mapping"), "guesses");
  EXPECT_EQ(json::canonical(mapped.find("with")), R"({"action":2,"actor":1,"ip":1,"target":0,"time":0})");
  EXPECT_EQ(json::canonical(mapped.find("onlyInOriginal")), R"(["/more"])");
  EXPECT_EQ(json::canonical(mapped.find("unknownActions")), R"({"Frob":1})");
  surroundings_.output.clear();
  surroundings_.terminal = true;
  ASSERT_EQ(
      run_import({.connection = server_.connection(), .format = "json", .paths = {path}}, surroundings_),
      exit_ok);
  for (const char* piece : {"2 duplicates", "guesses", "100%", "50%", "/more", "Frob (1)"})
    EXPECT_NE(surroundings_.output.find(piece), std::string::npos) << piece << "\n" << surroundings_.output;
}

TEST_F(Importing, AWrongMappingFileIsAUsageErrorBeforeAnythingIsSent) {
  const auto path = file("{}");
  const auto mapping = ::testing::TempDir() + "vestige-mapping.toml";
  ASSERT_TRUE(write_local(mapping, "actoin = \"/a\"\n"));
  for (const auto& wrong : {mapping, std::string("/nowhere.toml")}) {
    surroundings_.errors.clear();
    EXPECT_EQ(
        run_import({.connection = server_.connection(), .mapping = wrong, .paths = {path}}, surroundings_),
        exit_usage);
    EXPECT_NE(surroundings_.errors.find(wrong), std::string::npos) << surroundings_.errors;
  }
  EXPECT_EQ(store_.requests(), 0U);
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
