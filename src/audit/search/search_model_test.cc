// Defends: a search in full (filter tree, query language, text, subject, facets, histogram, total, paging)
// answers as a naive model does that walks every event with code of its own, whatever state the events are
// in: in memory, in segments, after a restart, with persons erased. Four planted faults (a token left out of
// what a page is looked up by, one left out of what its sealed values are, a value left out of a facet, a
// page that begins one entry late) were each caught by the tests of this file.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <sstream>

#include "audit/export.h"
#include "audit/filter.h"
#include "audit/search/plan.h"
#include "audit/search/query_language.h"
#include "audit/search/tokens.h"
#include "audit/testing/export_reader.h"
#include "audit/testing/naive_search.h"
#include "audit/testing/random_searches.h"
#include "audit/testing/sealed_sidecars.h"
#include "audit/testing/world.h"
#include "base/testing/shared_data.h"
#include "base/time_text.h"

namespace vestige::audit {
namespace {

using testing::Random;
using testing::Tree;
using testing::World;

constexpr UnixMs now{1'795'617'620'000};  // 2026-11-25T14:40:20Z

class SearchModel {
 public:
  explicit SearchModel(std::uint64_t seed) : random_(seed), world_(seed) { world_.open(); }

  void add(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) ASSERT_TRUE(world_.send(random_event(random_)));
  }
  World& world() { return world_; }

  void compare(std::size_t rounds) {
    compare(rounds, [&](bool counted) {
      return counted && random_.chance(50) ? random_column_condition(random_) : random_condition(random_, 3);
    });
  }

  // With searches made of what the events hold.
  void compare_found(std::size_t rounds) {
    compare(rounds, [&](bool) { return found_condition(random_, events_, 2); });
  }

  void compare(std::size_t rounds, const std::function<Tree(bool)>& make_filter) {
    events_.clear();
    for (std::uint64_t i = 0; i < world_.stream().size(); ++i)
      events_.push_back(Tree::parse(world_.rendered(i)));
    for (std::size_t round = 0; round < rounds; ++round) {
      const bool counted = round % 5 == 0;
      const auto filter = Tree::parse(make_filter(counted).json());
      SCOPED_TRACE(filter.json());
      std::vector<std::size_t> wanted;
      for (std::size_t i = 0; i < events_.size(); ++i)
        if (naive_condition(filter, events_[i])) wanted.push_back(i);
      matched += wanted.size();
      rejected += events_.size() - wanted.size();
      ASSERT_NO_FATAL_FAILURE(compare_pages(filter, wanted));
      if (counted) ASSERT_NO_FATAL_FAILURE(compare_tally(filter, wanted));
      if (round % 10 == 0) ASSERT_NO_FATAL_FAILURE(compare_export(filter, wanted));
    }
  }

  std::uint64_t matched = 0;
  std::uint64_t rejected = 0;

 private:
  Result<SearchAnswer> ask(const std::string& body) {
    json::Parser parser;
    json::Document document;
    VESTIGE_CHECKED(parser.parse(body, document));
    VESTIGE_TRY(const auto search, parse_search(document, now));
    return world_.reader->search(search, {}, "somebody");
  }

  void compare_pages(const Tree& filter, std::vector<std::size_t> wanted) {
    const bool up = random_.chance(50);
    if (!up) std::ranges::reverse(wanted);
    const auto limit = random_.chance(70) ? 1'000 : 1 + random_.below(50);
    std::vector<std::size_t> found;
    std::string cursor = "null";
    do {
      const auto page = ask(fmt::format(R"({{"filter":{},"order":"{}","limit":{},"cursor":{}}})",
                                        filter.json(), up ? "asc" : "desc", limit, cursor));
      ASSERT_TRUE(page) << page.error().message;
      for (const auto& event : page->events)
        found.push_back(std::stoul(Tree::parse(event).find("index")->scalar));
      cursor = page->cursor ? '"' + *page->cursor + '"' : "null";
    } while (cursor != "null");
    ASSERT_EQ(found, wanted) << (found.empty() ? "" : events_.at(found.front()).json());
  }

  void compare_tally(const Tree& filter, const std::vector<std::size_t>& wanted) {
    const auto field =
        random_.pick<std::string>({"action", "kind", "sourceType", "sourceId", "targetType", "targetId",
                                   "detail.k", "changes.field", "subject", "context.ip"});
    const auto answer = ask(fmt::format(
        R"({{"filter":{},"limit":1,"total":true,"facets":[{{"field":"{}","top":1000}}],"histogram":{{"interval":"1s"}}}})",
        filter.json(), field));
    ASSERT_TRUE(answer) << answer.error().message;
    std::map<std::string, std::uint64_t> values, seconds;
    std::uint64_t missing = 0;
    for (const auto i : wanted) {
      std::set<std::string> own;
      for (const auto* value : values_at(events_[i], field))
        if (value->form == Tree::Form::scalar && value->scalar != "null") own.insert(value->scalar);
      for (const auto& value : own) ++values[value];
      if (own.empty()) ++missing;
      ++seconds[events_[i].find("time")->value().substr(0, 19) + ".000Z"];
    }
    const auto tally = Tree::parse("{" + answer->tally.substr(1) + "}");
    ASSERT_EQ(tally.find("total")->scalar, std::to_string(wanted.size()));
    const auto& facet = tally.find("facets")->elements.at(0);
    std::map<std::string, std::uint64_t> counted, buckets;
    for (const auto& value : facet.find("values")->elements)
      counted[value.find("value")->scalar] = std::stoull(value.find("count")->scalar);
    ASSERT_EQ(counted, values);
    ASSERT_EQ(facet.find("missing")->scalar, std::to_string(missing));
    for (const auto& bucket : tally.find("histogram")->find("counts")->elements)
      buckets[bucket.find("from")->value()] = std::stoull(bucket.find("count")->scalar);
    ASSERT_EQ(buckets, seconds);
  }

  // The export has the events of the search, byte by byte; and its normal form finds the same.
  void compare_export(const Tree& filter, const std::vector<std::size_t>& wanted) {
    json::Parser parser;
    json::Document document, normal;
    ASSERT_TRUE(parser.parse(R"({"filter":)" + filter.json() + "}", document));
    const auto search = parse_search(document, now);
    ASSERT_TRUE(search);
    auto begun = Export::begin(*world_.reader, {},
                               {.search = *search, .asked = "{}", .exporter = {}, .exporter_name = {}});
    ASSERT_TRUE(begun) << begun.error().message;
    std::string file;
    while ((*begun)->next(file)) {
    }
    const auto read = testing::read_export(file);
    std::string expected, found;
    for (const auto i : wanted) expected += world_.rendered(i) + "\n";
    for (std::size_t line = 0, at = 0; line < read.lines.size(); ++line) {
      at = file.find(",\"event\":", at) + 9;
      found += file.substr(at, file.find("\"}", file.find(",\"leaf\":\"", at)) + 2 - at) + "\n";
    }
    ASSERT_EQ(found, expected);
    ASSERT_TRUE(parser.parse(read.header.find("search")->json(), normal));
    const auto again = parse_condition(normal.root(), "");
    ASSERT_TRUE(again) << read.header.find("search")->json() << again.error().message;
    for (std::size_t i = 0; i < events_.size(); i += 1 + events_.size() / 100) {
      ASSERT_TRUE(parser.parse(events_[i].json(), document));
      ASSERT_EQ(matches(*again, document.root()), std::ranges::find(wanted, i) != wanted.end())
          << read.header.find("search")->json() << "\n"
          << events_[i].json();
    }
  }

  Random random_;
  World world_;
  std::vector<Tree> events_;
};

TEST(SearchModel, EverySearchAnswersAsTheNaiveModelInEveryState) {
  SearchModel model(testing::seed_of_test());
  const auto rounds = testing::rounds(1'250);
  ASSERT_NO_FATAL_FAILURE(model.add(30));
  ASSERT_NO_FATAL_FAILURE(model.compare(rounds)) << "in memory";
  model.world().seal_everything();
  // Small segments, so that whole pages can be passed over.
  for (int i = 0; i < 5; ++i) {
    ASSERT_NO_FATAL_FAILURE(model.add(2));
    model.world().seal_everything();
  }
  ASSERT_NO_FATAL_FAILURE(model.add(3));
  ASSERT_NO_FATAL_FAILURE(model.compare(rounds)) << "in a segment and in memory";
  model.world().close();
  model.world().open();
  ASSERT_NO_FATAL_FAILURE(model.compare(rounds)) << "after a restart";
  model.world().seal_everything();
  EXPECT_GT(testing::check_sealed_sidecars(model.world()).readable, 3u);
  ASSERT_TRUE(model.world().erasures->check("vault/erased"));
  ASSERT_TRUE(model.world().erasures->erase({.subject = "p1", .reason = "", .actor = "k"}));
  ASSERT_NO_FATAL_FAILURE(model.add(12));
  ASSERT_NO_FATAL_FAILURE(model.compare(rounds)) << "a person erased";
  model.world().close();
  model.world().open();
  model.world().seal_everything();
  ASSERT_NO_FATAL_FAILURE(model.compare(rounds / 4)) << "a person erased, after a restart, all in segments";
  EXPECT_EQ(testing::check_sealed_sidecars(model.world()).behind, 0u);
  EXPECT_GT(model.matched, rounds);
  EXPECT_GT(model.rejected, rounds);
}

// Records that real systems wrote: deep, wide, with words, addresses and times that nobody made for a test.
TEST(SearchModel, EverySearchOverRealRecordsAnswersAsTheNaiveModel) {
  std::vector<std::string> records;
  for (const std::string name : {"cloudtrail-stratus.jsonl.zst", "gws-login.jsonl.zst", "k8s-falco.jsonl.zst",
                                 "o365-ual-part1.jsonl.zst", "saas-panther.jsonl.zst"}) {
    const auto bytes = vestige::testing::shared_bytes("audit/" + name);
    // Real records are no part of the repository; shared_bytes() has named what is left out.
    if (!bytes) GTEST_SKIP() << "the test data is not there";
    std::istringstream lines(*bytes);
    std::string line;
    // The model folds ASCII only. A few of each, so that walking them all for each search takes no time.
    for (int left = 12; left > 0 && std::getline(lines, line);) {
      const bool plain = std::ranges::all_of(line, [](char c) { return c >= ' ' && c < 127; });
      if (!plain || line.find("\\u") != std::string::npos) continue;
      records.push_back(line);
      --left;
    }
  }
  ASSERT_EQ(records.size(), 60u);
  SearchModel model(testing::seed_of_test());
  auto& world = model.world();
  Random random(testing::seed_of_test());
  const auto rounds = testing::rounds(100);
  std::size_t sent = 0;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const auto subject = random.chance(50) ? R"("subject":"p1",)" : "";
    sent +=
        world.send(fmt::format(R"({{"kind":"data.change","action":"IMPORTED",{}"detail":{{"original":{}}}}})",
                               subject, records[i]))
                .has_value()
            ? 1
            : 0;
    if (i == 20 || i == 40) world.seal_everything();
  }
  ASSERT_GT(sent, records.size() / 2) << "numbers that do not survive are refused, and little else";
  ASSERT_NO_FATAL_FAILURE(model.compare_found(rounds)) << "in segments and in memory";
  world.seal_everything();
  world.close();
  world.open();
  ASSERT_NO_FATAL_FAILURE(model.compare_found(rounds)) << "after a restart";
  world.vault->erase("default", "p1");
  ASSERT_NO_FATAL_FAILURE(model.compare_found(rounds)) << "a person erased";
  EXPECT_GT(model.matched, rounds);
  EXPECT_GT(model.rejected, rounds);
}

TEST(SearchModel, ASidecarThatIsGoneOrDamagedIsBuiltAnewAndHidesNothing) {
  SearchModel model(testing::seed_of_test());
  auto& world = model.world();
  for (int i = 0; i < 4; ++i) {
    ASSERT_NO_FATAL_FAILURE(model.add(5));
    world.seal_everything();
  }
  world.close();
  const auto whole = world.disk.snapshot();
  std::vector<std::string> sidecars;
  for (const auto& [path, content] : whole)
    if (path.ends_with(".pub") || path.ends_with(".per")) sidecars.push_back(path);
  ASSERT_EQ(sidecars.size(), 8u);
  Random random(testing::seed_of_test());
  for (std::size_t round = 0; round < testing::rounds(12); ++round) {
    auto files = whole;
    const auto& path = random.pick(sidecars);
    // Header and facts are read at the start; what is behind them when a search asks.
    if (round % 3 == 0)
      files.erase(path);
    else if (round % 3 == 1)
      files[path].at(random.below(530)) ^= 1;
    else
      files[path] = whole.at(path == sidecars[0] ? sidecars[1] : sidecars[0]);
    world.disk.restore(files);
    world.open();
    ASSERT_NO_FATAL_FAILURE(model.compare(5));
    world.seal_everything();
    ASSERT_NO_FATAL_FAILURE(model.compare(5));
    EXPECT_EQ(world.disk.snapshot().at(path).size(), whole.at(path).size()) << "it was not built anew";
    world.close();
  }
}

class ChangedBucket : public ::testing::TestWithParam<const char*> {};

TEST_P(ChangedBucket, IsDamageWithAPlace) {
  SearchModel model(testing::seed_of_test());
  auto& world = model.world();
  ASSERT_NO_FATAL_FAILURE(model.add(20));
  world.seal_everything();
  world.close();
  auto files = world.disk.snapshot();
  // Behind the header and the facts of one page.
  for (auto& [path, content] : files)
    if (path.ends_with(GetParam()))
      for (std::size_t at = 512 + 49; at < content.size() - 32; ++at) content[at] ^= 1;
  world.disk.restore(files);
  world.open();
  json::Parser parser;
  json::Document document;
  ASSERT_TRUE(parser.parse(R"({"text":"nowhere"})", document));
  const auto search = parse_search(document, now);
  ASSERT_TRUE(search);
  const auto answer = world.reader->search(*search, {}, "somebody");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::corrupt);
  EXPECT_TRUE(answer.error().where && answer.error().where->file.ends_with(GetParam()))
      << answer.error().message;
}

INSTANTIATE_TEST_SUITE_P(Sidecars, ChangedBucket, ::testing::Values(".pub", ".per"));

// Each event in a segment of its own: what a search reads is what no filter passed over.
TEST(PersonalSidecars, APageWithoutTheSealedWordIsNotReadAndWhoMayNotReadItReadsNone) {
  World world(testing::seed_of_test());
  world.open();
  for (int i = 0; i < 12; ++i) {
    ASSERT_TRUE(world.send(fmt::format(
        R"({{"kind":"test.marks","action":"A","subject":"p{0}","sourceId":"p{0}","detail":{{"own":"Secret word{0}"}}}})",
        i)));
    world.seal_everything();
  }
  const auto read = [&](const std::string& query, bool personal) {
    json::Parser parser;
    json::Document document;
    EXPECT_TRUE(parser.parse(query, document));
    const auto search = parse_search(document, now);
    EXPECT_TRUE(search);
    std::uint64_t rows = 0;
    const auto snapshot = world.stream().snapshot();
    EXPECT_TRUE(snapshot.scan(0, snapshot.size(), trail::Snapshot::Order::ascending,
                              row_test(search->where, personal), [&](const auto&) -> Result<bool> {
                                ++rows;
                                return true;
                              }));
    const auto answer = world.reader->search(*search, {.rows = {}, .hidden = {}, .personal = personal}, "k");
    EXPECT_TRUE(answer);
    return std::pair(rows, answer->events.size());
  };
  for (const auto* query :
       {R"({"text":"word7"})", R"({"text":"\"secret word7\""})", R"({"text":"secret word7 -word8"})",
        R"({"sourceId":"p7"})", R"({"filter":{"field":"detail.own","equals":"Secret word7"}})",
        R"({"filter":{"and":[{"text":"word7"},{"field":"action","equals":"A"}]}})",
        R"({"filter":{"or":[{"text":"word7"},{"text":"nowhere"}]}})"}) {
    SCOPED_TRACE(query);
    const auto [rows, events] = read(query, true);
    EXPECT_EQ(events, 1u);
    EXPECT_LE(rows, 3u) << "of 12; a filter errs now and then";
    EXPECT_EQ(read(query, false), std::pair(std::uint64_t{0}, std::size_t{0}));
  }
  EXPECT_EQ(read(R"({"filter":{"not":{"text":"word7"}}})", true).second, 11u);
}

TEST(Tokens, WhatMatchesIsNeverPassedOver) {
  Random random(testing::seed_of_test());
  const EntryTokeniser tokeniser;
  json::Parser parser;
  std::size_t held = 0, passed_over = 0;
  for (std::size_t round = 0; round < testing::rounds(20'000); ++round) {
    auto event = Tree::parse(random_event(random));
    event.members.erase("subject");
    event.members.emplace("time", Tree::text("2026-11-25T14:40:11.000Z"));
    const auto filter = random_condition(random, 2).json();
    json::Document document, filter_document;
    ASSERT_TRUE(parser.parse(event.json(), document) && parser.parse(filter, filter_document));
    const auto condition = parse_condition(filter_document.root(), "");
    ASSERT_TRUE(condition) << filter;
    std::vector<trail::Token> tokens;
    EXPECT_NE(tokeniser.describe(json::canonical(document.root()), tokens), INT64_MIN);
    std::vector<trail::RowTest::Tokens> needed;
    add_tokens(*condition, needed, true);
    const bool possible = std::ranges::all_of(needed, [&](const auto& wanted) {
      return std::ranges::any_of(wanted.any_of, [&](trail::Token token) {
        return std::ranges::find(tokens, token) != tokens.end();
      });
    });
    passed_over += possible ? 0 : 1;
    if (!matches(*condition, document.root())) continue;
    ++held;
    ASSERT_TRUE(possible) << filter << "\n" << event.json();
  }
  EXPECT_GT(held, 0u);
  EXPECT_GT(passed_over, testing::rounds(20'000) / 20);
}

// ------------------------------------------------------------------------------------ the query language

TEST(QueryLanguage, MeansWhatTheFilterTreeMeans) {
  struct Case {
    const char* query;
    const char* filter;
  };
  for (
      const auto& each : {
          Case{"actor:42", R"({"field":"sourceId","equals":"42"})"},
          Case{"target:c-1 type:CUSTOMER",
               R"({"and":[{"field":"targetId","equals":"c-1"},{"field":"targetType","equals":"CUSTOMER"}]})"},
          Case{
              "action:UPDATED changes.field:phone \"new number\"",
              R"({"and":[{"field":"action","equals":"UPDATED"},{"field":"changes.field","equals":"phone"},{"text":"\"new number\""}]})"},
          Case{"a OR b", R"({"or":[{"text":"a"},{"text":"b"}]})"},
          Case{"a AND (b OR -kind:x)",
               R"({"and":[{"text":"a"},{"or":[{"text":"b"},{"not":{"field":"kind","equals":"x"}}]}]})"},
          Case{"NOT a", R"({"not":{"text":"a"}})"},
          Case{"action:UPD*", R"({"field":"action","wildcard":"UPD*"})"},
          Case{"action:\"UPD*\"", R"({"field":"action","equals":"UPD*"})"},
          Case{"detail.k:*", R"({"field":"detail.k","exists":true})"},
          Case{"-detail.k:*", R"({"field":"detail.k","exists":false})"},
          Case{"detail.k:>1", R"({"field":"detail.k","range":{"gt":1}})"},
          Case{"detail.k:<=1.5", R"({"field":"detail.k","range":{"lte":1.5}})"},
          Case{"detail.k:0..1", R"({"field":"detail.k","range":{"gte":0,"lte":1}})"},
          Case{"ip:10.0.0.0/8", R"({"field":"context.ip","cidr":"10.0.0.0/8"})"},
          Case{"since:10s", R"({"field":"time","range":{"gte":"2026-11-25T14:40:10Z"}})"},
          Case{"until:2026-11-25T14:40:11Z", R"({"field":"time","range":{"lt":"2026-11-25T14:40:11Z"}})"},
          Case{"since:2026-11-25", R"({"field":"time","range":{"gte":"2026-11-25T00:00:00Z"}})"},
          Case{"subject:p1", R"({"field":"subject","equals":"p1"})"},
          Case{"", R"({"and":[]})"},
      }) {
    const auto parse = [&](const std::string& body) {
      json::Parser parser;
      json::Document document;
      EXPECT_TRUE(parser.parse(body, document)) << body;
      auto search = parse_search(document, now);
      EXPECT_TRUE(search) << body << ": " << search.error().message;
      return *search;
    };
    std::string quoted;
    json::append_quoted(quoted, each.query);
    const auto by_query = parse(fmt::format(R"({{"query":{}}})", quoted));
    json::Parser parser;
    json::Document filter;
    ASSERT_TRUE(parser.parse(fmt::format(R"({{"filter":{}}})", each.filter), filter));
    const auto by_filter = parse_search(filter, now);
    ASSERT_TRUE(by_filter) << each.filter << by_filter.error().message;
    Random random(1);
    for (int i = 0; i < 300; ++i) {
      auto event = Tree::parse(random_event(random));
      event.members.emplace("time", Tree::text(fmt::format("2026-11-25T14:40:{:02}.000Z", random.below(20))));
      json::Document document;
      ASSERT_TRUE(parser.parse(event.json(), document));
      ASSERT_EQ(matches(by_query, document.root()), matches(*by_filter, document.root()))
          << each.query << "\n"
          << event.json();
    }
  }
}

TEST(QueryLanguage, WhatCannotBeReadIsRefusedWithWhatToWrite) {
  for (const std::string query : {"(a", "a)", "\"a", "actor:", "nosuch:1", "since:soon", "OR a", "NOT",
                                  "detail.k:>", "http://x", "-"}) {
    const auto parsed = parse_query(query, now, "/query");
    if (query == "-") {
      EXPECT_TRUE(parsed);
      continue;
    }
    ASSERT_FALSE(parsed) << query;
    EXPECT_EQ(parsed.error().kind, ErrorKind::invalid);
    EXPECT_EQ(parsed.error().path, "/query");
  }
  std::string deep(1'000, '(');
  EXPECT_FALSE(parse_query(deep, now, "/query"));
  EXPECT_FALSE(parse_query(std::string(100'000, 'a'), now, "/query"));
}

}  // namespace
}  // namespace vestige::audit
