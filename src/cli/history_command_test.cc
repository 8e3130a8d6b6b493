// Defends: records, states, differences and blame are asked for where they are, whatever an id looks like;
// the output is the server's answer where nobody looks, and tables that a record cannot forge where somebody
// does; what cannot be asked for is refused before anything is sent.
#include <gtest/gtest.h>

#include "cli/cli.h"
#include "cli/internal/history.h"
#include "cli/internal/record.h"
#include "cli/testing/recorder.h"
#include "cli/testing/scripted_server.h"

namespace vestige::cli {
namespace {

using testing::Recorder;
using testing::ScriptedServer;

HistoryArguments about(const std::string& type, const std::string& id) {
  HistoryArguments arguments;
  arguments.type = type;
  arguments.entries.target_id = id;
  return arguments;
}

TEST(History, EachQuestionHasItsPath) {
  auto arguments = about("CONTACT", "a/b c+d");
  EXPECT_EQ(history_path(arguments), "");
  arguments.state = true;
  EXPECT_EQ(history_path(arguments), "/api/entities/CONTACT/a%2Fb%20c%2Bd/state");
  arguments.state_at = "2026-01-01T00:00:00+01:00";
  EXPECT_EQ(history_path(arguments),
            "/api/entities/CONTACT/a%2Fb%20c%2Bd/state?at=2026-01-01T00%3A00%3A00%2B01%3A00");
  arguments = about("CONTACT", "c-1");
  arguments.blame = true;
  EXPECT_EQ(history_path(arguments), "/api/entities/CONTACT/c-1/blame");
  arguments.blame = false;
  arguments.diff = {"2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"};
  EXPECT_EQ(history_path(arguments),
            "/api/entities/CONTACT/c-1/diff?from=2026-01-01T00%3A00%3A00Z&to=2026-01-02T00%3A00%3A00Z");
}

TEST(History, WhatCannotBeAskedForIsAUsageError) {
  const auto refused = [](auto change) {
    auto arguments = about("CONTACT", "c-1");
    change(arguments);
    Recorder recorder;
    return run_history(arguments, recorder) == exit_usage && recorder.output.empty();
  };
  EXPECT_TRUE(refused([](auto& arguments) { arguments.state = arguments.blame = true; }));
  EXPECT_TRUE(refused([](auto& arguments) { arguments.state_at = "yesterday"; }));
  EXPECT_TRUE(refused([](auto& arguments) { arguments.diff = {"2026-01-01T00:00:00Z", "x"}; }));
  EXPECT_TRUE(refused([](auto& arguments) { arguments.entries.target_id = "\xff"; }));
  EXPECT_TRUE(check_history(about("CONTACT", "c-1")));
}

const char* const entry =
    R"({"id":"i","index":7,"leaf":"l","time":"2026-01-01T00:00:00.000Z","kind":"k","action":"A","sourceType":"USER","sourceId":"u-1"})";

std::string text(const HistoryArguments& arguments, const std::string& fields) {
  json::Parser parser;
  json::Document document;
  EXPECT_TRUE(parser.parse(R"({"fields":{)" + fields + "}}", document));
  return history_text(arguments, document.root(), 200);
}

TEST(History, TablesSayWhatIsKnownAndWhatIsNot) {
  auto arguments = about("CONTACT", "c-1");
  arguments.state = true;
  const auto set = std::string(R"("setBy":)") + entry;
  const auto state = text(arguments, R"("a":{"value":"x\u001b[2J",)" + set + R"(},"b":{"removed":true,)" +
                                         set + R"(},"c":{"erased":true,)" + set +
                                         R"(},"d":{"value":{"n":1},"replacedBy":)" + entry + "}");
  EXPECT_EQ(state,
            "FIELD  VALUE      SET BY    WHEN                             INDEX\n"
            "a      x\\x1b[2J   USER u-1  2026-01-01T00:00:00.000Z         7\n"
            "b      (removed)  USER u-1  2026-01-01T00:00:00.000Z         7\n"
            "c      (erased)   USER u-1  2026-01-01T00:00:00.000Z         7\n"
            "d      {\"n\":1}              before 2026-01-01T00:00:00.000Z  7\n");
  EXPECT_EQ(text(arguments, ""), "Nothing is known of any field.\n");
  arguments = about("CONTACT", "c-1");
  arguments.diff = {"x", "y"};
  EXPECT_EQ(text(arguments, R"("a":{"from":null,"to":{"value":null,)" + set + "}}"),
            "FIELD  FROM       TO\na      (unknown)  null\n");
  EXPECT_EQ(text(arguments, ""), "Nothing differs.\n");
  arguments = about("CONTACT", "c-1");
  arguments.blame = true;
  EXPECT_EQ(text(arguments, R"("a":{"value":1,)" + set + R"(,"previous":{"value":0},"changes":3})"),
            "FIELD  VALUE  SET BY    WHEN                      INDEX  BEFORE  CHANGES\n"
            "a      1      USER u-1  2026-01-01T00:00:00.000Z  7      0       3\n");
}

TEST(Record, FieldsListsAndWhatItWasFoldedFrom) {
  std::string asked;
  const std::string body =
      R"({"type":"ticket","id":"T-1","targetTypes":["A","B"],"record":{"a":{"b":"x","c":[1]},"history":[{"new":"\u001b","timestamp":"t1"},)"
      R"({"old":"o","timestamp":"t2"}],"ticket_id":"T-1"},"entries":[{"index":1},{"index":2,"erased":true}],)"
      R"("complete":false,"limit":"fold_entries_max = 2"})";
  ScriptedServer server([&](http::Router& router) {
    router.add(
        "GET", "/api/records/{type}/{id}", [&](const http::Request& request, http::Responder responder) {
          asked = request.captures.at("type") + " " + request.captures.at("id") + " " +
                  std::string(request.query_value("targetType").value_or("none"));
          responder.respond(request.captures.at("id") == "T/1" ? testing::answer(body)
                                                               : testing::answer("{\"status\":404}", 404));
        });
  });
  RecordArguments arguments{server.connection(), "ticket", "T/1", ""};
  Recorder piped;
  EXPECT_EQ(run_record(arguments, piped), exit_ok) << piped.errors;
  EXPECT_EQ(piped.output, body + "\n");
  EXPECT_EQ(asked, "ticket T/1 none");
  Recorder terminal;
  terminal.terminal = true;
  arguments.target_type = "A&B";
  EXPECT_EQ(run_record(arguments, terminal), exit_ok) << terminal.errors;
  EXPECT_EQ(asked, "ticket T/1 A&B");
  EXPECT_EQ(terminal.output,
            "FIELD      VALUE\na.b        x\na.c        [1]\nticket_id  T-1\n\n"
            "history\ntimestamp  new   old\nt1         \\x1b\nt2               o\n\n"
            "Folded from 2 entries, of 1 of which something was erased.\n"
            "Things of 2 target types have this id: [\"A\",\"B\"]. Pick one with --target-type.\n"
            "There are more entries; the server folds no more than fold_entries_max = 2.\n");
  arguments.id = "T-2";
  Recorder absent;
  EXPECT_EQ(run_record(arguments, absent), exit_found_wrong);
}

}  // namespace
}  // namespace vestige::cli
