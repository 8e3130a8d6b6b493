// Defends: every flag reaches the field of the search that it names; pages add up to exactly what was asked
// for; the output is JSON where nobody looks, and a table that an event cannot forge where somebody does.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/mutex.h"
#include "cli/cli.h"
#include "cli/internal/json_text.h"
#include "cli/internal/query.h"
#include "cli/testing/recorder.h"
#include "cli/testing/scripted_server.h"

namespace vestige::cli {
namespace {

// A trail of `size` events in pages of at most `page`, newest first.
class Pages {
 public:
  Pages(std::uint64_t size, std::uint64_t page, std::string target)
      : size_(size), page_(page), target_(std::move(target)) {}

  void add_routes(http::Router& router) {
    router.add("POST", "/auditlog/events/v2", [this](http::Request request, http::Responder responder) {
      EXPECT_EQ(request.header("authorization"), "Bearer test-key");
      json::Parser parser;
      json::Document document;
      ASSERT_TRUE(parser.parse(request.body, document));
      const auto limit = number_of(document.root(), "limit", 0);
      EXPECT_LE(limit, page_events_max);
      const auto cursor = text_of(document.root(), "cursor");
      const std::uint64_t start = cursor.empty() ? 0 : std::stoull(cursor);
      const auto end = std::min({start + limit, start + page_, size_});
      std::string events;
      for (auto i = start; i < end; ++i)
        events += (events.empty() ? "" : ",") + JsonObject()
                                                    .text("targetId", target_)
                                                    .text("targetType", "T")
                                                    .number("index", size_ - 1 - i)
                                                    .text("id", fmt::format("id-{}", size_ - 1 - i))
                                                    .str();
      responder.respond(
          testing::answer(fmt::format(R"({{"events":[{}],"cursor":{},"tree":{{"root":"r","size":{}}}}})",
                                      events, end < size_ ? fmt::format("\"{}\"", end) : "null", size_)));
    });
  }

 private:
  const std::uint64_t size_;
  const std::uint64_t page_;
  const std::string target_;
};

struct Outcome {
  int code;
  std::string output;
  std::string errors;
};

Outcome query(Pages pages, QueryArguments arguments, bool terminal = false) {
  const testing::ScriptedServer server([&](http::Router& router) { pages.add_routes(router); });
  testing::Recorder surroundings;
  surroundings.terminal = terminal;
  arguments.connection = server.connection();
  const int code = run_query(arguments, surroundings);
  return {code, surroundings.output, surroundings.errors};
}

TEST(Query, PagesAddUpToWhatWasAskedFor) {
  for (const std::uint64_t size : {0, 1, 49, 50, 51, 1'000, 2'600})
    for (const std::uint64_t page : {7, 1'000})
      for (const std::uint64_t limit : {1, 50, 1'000, 2'000}) {
        QueryArguments arguments;
        arguments.limit = limit;
        const auto outcome = query({size, page, "t"}, arguments);
        ASSERT_EQ(outcome.code, exit_ok) << outcome.errors;
        json::Parser parser;
        json::Document document;
        ASSERT_TRUE(parser.parse(outcome.output, document)) << outcome.output;
        const auto events = document.root().find("events");
        ASSERT_EQ(events.size(), std::min(size, limit));
        for (std::size_t i = 0; i < events.size(); ++i)
          ASSERT_EQ(number_of(events.at(i), "index", UINT64_MAX), size - 1 - i);
        EXPECT_EQ(number_of(document.root().find("tree"), "size", UINT64_MAX), size);
        if (size <= limit) EXPECT_TRUE(document.root().find("cursor").is_null());
        if (size > limit) EXPECT_TRUE(document.root().find("cursor").is_string());
      }
}

TEST(Query, AllGivesOneEventALine) {
  QueryArguments arguments;
  arguments.all = true;
  const auto outcome = query({2'345, 500, "t"}, arguments);
  ASSERT_EQ(outcome.code, exit_ok) << outcome.errors;
  EXPECT_EQ(std::count(outcome.output.begin(), outcome.output.end(), '\n'), 2'345);
  EXPECT_TRUE(outcome.output.starts_with("{\"id\":\"id-2344\","));
}

TEST(Query, AnEventCannotForgeTheTable) {
  const auto outcome = query({3, 10, "x\x1b[2J\n9  forged\u202e"}, {}, true);
  ASSERT_EQ(outcome.code, exit_ok) << outcome.errors;
  EXPECT_EQ(outcome.output.find('\x1b'), std::string::npos);
  EXPECT_EQ(std::count(outcome.output.begin(), outcome.output.end(), '\n'), 1 + 3 + 1) << outcome.output;
  EXPECT_NE(outcome.output.find("3 events, out of a trail of 3 entries."), std::string::npos)
      << outcome.output;
}

TEST(Query, AnIdThatIsNotThereIsFoundWrong) {
  QueryArguments arguments;
  arguments.id = "01930000-0000-7000-8000-000000000001";
  EXPECT_EQ(query({0, 10, "t"}, arguments).code, exit_found_wrong);
  EXPECT_EQ(query({1, 10, "t"}, arguments).code, exit_ok);
  EXPECT_EQ(query({0, 10, "t"}, {}).code, exit_ok);
}

TEST(Query, EveryFlagReachesItsField) {
  const QueryArguments arguments{.id = "i",
                                 .source_id = "si",
                                 .source_type = "st",
                                 .action = "a\"b",
                                 .target_id = "ti",
                                 .target_types = {"t1", "t2"},
                                 .source_meta = R"({"s":1})",
                                 .target_meta = R"({"t":{}})",
                                 .detail = R"({"d":[1]})",
                                 .from = "f",
                                 .to = "t",
                                 .kind = "k",
                                 .text = "two words",
                                 .order = "asc"};
  EXPECT_EQ(
      query_body(arguments, 7, "c"),
      R"({"id":"i","sourceId":"si","sourceType":"st","sourceEntityMeta":{"s":1},"action":"a\"b","targetId":"ti",)"
      R"("targetType":["t1","t2"],"targetEntityMeta":{"t":{}},"timeFrom":"f","timeTo":"t","detail":{"d":[1]},)"
      R"("kind":"k","text":"two words","order":"asc","limit":7,"cursor":"c"})");
  EXPECT_EQ(query_body({}, 50, ""), R"({"limit":50})");
}

TEST(Query, WrongFiltersAreUsageErrorsBeforeAnythingIsSent) {
  const auto refused = [](const QueryArguments& arguments) {
    const auto checked = check_query(arguments);
    return !checked && checked.error().kind == ErrorKind::invalid;
  };
  EXPECT_TRUE(refused({.id = "nope"}));
  EXPECT_TRUE(refused({.action = "\xff"}));
  EXPECT_TRUE(refused({.source_meta = "{"}));
  EXPECT_TRUE(refused({.target_meta = "[]"}));
  EXPECT_TRUE(refused({.detail = "{} {}"}));
  EXPECT_TRUE(refused({.from = "yesterday"}));
  EXPECT_TRUE(refused({.to = "2026-13-01T00:00:00Z"}));
  EXPECT_FALSE(refused({.detail = "{}", .from = "2026-01-01T00:00:00+02:00"}));
}

}  // namespace
}  // namespace vestige::cli
