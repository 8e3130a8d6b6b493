// Defends: a search in full (filter tree, query language, text, subject, facets, histogram, total, paging)
// answers as a naive model does that walks every event with code of its own, whatever state the events are
// in: in memory, in segments, after a restart, with persons erased. Three planted faults (a token left out of
// what a page is looked up by, a value left out of a facet, a page that begins one entry late) were each
// caught by the tests of this file.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "audit/filter.h"
#include "audit/search/query_language.h"
#include "audit/search/tokens.h"
#include "audit/testing/random_events.h"
#include "audit/testing/world.h"
#include "base/time_text.h"

namespace vestige::audit {
namespace {

using testing::Random;
using testing::Tree;
using testing::World;

constexpr UnixMs now{1'795'617'620'000};  // 2026-11-25T14:40:20Z

// ----------------------------------------------------------------------------------------- the naive model

// All values at a dotted path, arrays passed through.
void values_at(const Tree& tree, const std::vector<std::string>& path, std::size_t at,
               std::vector<const Tree*>& to) {
  if (at == path.size()) to.push_back(&tree);
  if (tree.form == Tree::Form::array)
    for (const auto& element : tree.elements) values_at(element, path, at, to);
  if (at < path.size() && tree.form == Tree::Form::object)
    if (const auto* member = tree.find(path[at])) values_at(*member, path, at + 1, to);
}

std::vector<const Tree*> values_at(const Tree& event, const std::string& dotted) {
  std::vector<std::string> path(1);
  for (const char c : dotted) {
    if (c == '.')
      path.emplace_back();
    else
      path.back().push_back(c);
  }
  std::vector<const Tree*> out;
  values_at(event, path, 0, out);
  return out;
}

bool is_number(const Tree& tree) {
  return tree.form == Tree::Form::scalar &&
         (tree.scalar[0] == '-' || std::isdigit(static_cast<unsigned char>(tree.scalar[0])) != 0);
}

// The only letters of these events that fold are ASCII capitals and an e with an accent.
std::string naive_fold(std::string text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.compare(i, 2, "\xc3\xa9") == 0) {
      out.push_back('e');
      ++i;
    } else {
      out.push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(text[i]))));
    }
  }
  return out;
}

bool naive_equals(const Tree& value, const Tree& wanted, bool fold) {
  if (value.form != Tree::Form::scalar) return false;
  if (wanted.is_text() && value.is_text() && fold)
    return naive_fold(value.value()) == naive_fold(wanted.value());
  if (value.scalar == wanted.scalar) return true;
  return wanted.is_text() && !value.is_text() && value.scalar != "null" && value.scalar == wanted.value();
}

bool naive_glob(const std::string& pattern, const std::string& text) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] == '*')
    return naive_glob(pattern.substr(1), text) || (!text.empty() && naive_glob(pattern, text.substr(1)));
  return !text.empty() && text[0] == pattern[0] && naive_glob(pattern.substr(1), text.substr(1));
}

bool naive_contains(const Tree* event, const Tree& filter) {
  if (event == nullptr) return false;
  if (filter.form == Tree::Form::scalar)
    return event->form == Tree::Form::scalar && naive_equals(*event, filter, false);
  if (filter.form != event->form) return false;
  for (const auto& [name, member] : filter.members)
    if (!naive_contains(event->find(name), member)) return false;
  return std::ranges::all_of(filter.elements, [&](const Tree& wanted) {
    return std::ranges::any_of(event->elements,
                               [&](const Tree& each) { return naive_contains(&each, wanted); });
  });
}

bool naive_bound(const Tree& value, const std::string& name, const Tree& bound) {
  int order = 0;
  if (is_number(bound)) {
    if (!is_number(value)) return false;
    const double a = std::stod(value.scalar), b = std::stod(bound.scalar);
    order = a < b ? -1 : a > b ? 1 : 0;
  } else {
    if (!value.is_text()) return false;
    const auto time = parse_time(bound.value());
    const auto other = parse_time(value.value());
    if (time && !other) return false;
    if (time)
      order = other->value < time->value ? -1 : other->value > time->value ? 1 : 0;
    else
      order = value.value().compare(bound.value());
  }
  if (name == "gt") return order > 0;
  if (name == "gte") return order >= 0;
  return name == "lt" ? order < 0 : order <= 0;
}

std::vector<std::string> naive_words(const std::string& text, bool stars) {
  std::vector<std::string> out(1);
  for (const char c : naive_fold(text)) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || (stars && c == '*'))
      out.back().push_back(c);
    else if (!out.back().empty())
      out.emplace_back();
  }
  if (out.back().empty()) out.pop_back();
  return out;
}

void naive_texts(const Tree& tree, std::vector<std::vector<std::string>>& to) {
  if (tree.is_text())
    to.push_back(naive_words(tree.value(), false));
  else if (is_number(tree))
    to.push_back(naive_words(tree.scalar, false));
  for (const auto& [name, member] : tree.members) naive_texts(member, to);
  for (const auto& element : tree.elements) naive_texts(element, to);
}

bool naive_text(const Tree& event, const std::string& text) {
  Tree searched = event;
  for (const char* name :
       {"id", "index", "leaf", "lossless", "receivedAt", "sealed", "tenant", "time", "discarded"})
    searched.members.erase(name);
  std::vector<std::vector<std::string>> there;
  naive_texts(searched, there);
  // The texts made below have terms of one form each: blanks separate, quotes join.
  std::size_t at = 0;
  while (at < text.size()) {
    if (text[at] == ' ') {
      ++at;
      continue;
    }
    const bool negated = text[at] == '-';
    if (negated) ++at;
    const bool quoted = text[at] == '"';
    const auto end = quoted ? text.find('"', at + 1) : std::min(text.find(' ', at), text.size());
    const auto wanted = naive_words(text.substr(at + (quoted ? 1 : 0), end - at - (quoted ? 1 : 0)), true);
    at = end + (quoted ? 1 : 0);
    if (wanted.empty()) continue;
    const bool found = std::ranges::any_of(there, [&](const auto& words) {
      for (std::size_t i = 0; i + wanted.size() <= words.size(); ++i) {
        bool all = true;
        for (std::size_t j = 0; j < wanted.size(); ++j) all = all && naive_glob(wanted[j], words[i + j]);
        if (all) return true;
      }
      return false;
    });
    if (found == negated) return false;
  }
  return true;
}

std::optional<std::uint32_t> naive_ipv4(const std::string& text) {
  unsigned a = 0, b = 0, c = 0, d = 0;
  int used = 0;
  if (std::sscanf(text.c_str(), "%3u.%3u.%3u.%3u%n", &a, &b, &c, &d, &used) != 4 ||  // NOLINT(cert-err34-c)
      used != static_cast<int>(text.size()) || std::max({a, b, c, d}) > 255)
    return std::nullopt;
  return a << 24 | b << 16 | c << 8 | d;
}

bool naive_test(const Tree& value, const std::string& name, const Tree& operand, bool fold) {
  const auto text = value.is_text() ? value.value() : is_number(value) ? value.scalar : std::string();
  const bool has_text = value.is_text() || is_number(value);
  const auto folded = [&](const std::string& given) { return fold ? naive_fold(given) : given; };
  if (name == "equals") return naive_equals(value, operand, fold);
  if (name == "in")
    return std::ranges::any_of(operand.elements,
                               [&](const Tree& each) { return naive_equals(value, each, fold); });
  if (name == "exists") return !(value.form == Tree::Form::scalar && value.scalar == "null");
  if (name == "range")
    return std::ranges::all_of(
        operand.members, [&](const auto& bound) { return naive_bound(value, bound.first, bound.second); });
  if (name == "contains" && !operand.is_text()) return naive_contains(&value, operand);
  if (name == "contains") return has_text && folded(text).find(folded(operand.value())) != std::string::npos;
  if (name == "prefix") return has_text && folded(text).starts_with(folded(operand.value()));
  if (name == "wildcard") return has_text && naive_glob(folded(operand.value()), folded(text));
  const auto slash = operand.value().find('/');
  const auto network = naive_ipv4(operand.value().substr(0, slash)), address = naive_ipv4(text);
  if (!value.is_text() || !network || !address) return false;
  const auto bits = std::stoul(operand.value().substr(slash + 1));
  return bits == 0 || (*network >> (32 - bits)) == (*address >> (32 - bits));
}

bool naive_condition(const Tree& condition, const Tree& event) {
  if (const auto* parts = condition.find("and"))
    return std::ranges::all_of(parts->elements,
                               [&](const Tree& part) { return naive_condition(part, event); });
  if (const auto* parts = condition.find("or"))
    return std::ranges::any_of(parts->elements,
                               [&](const Tree& part) { return naive_condition(part, event); });
  if (const auto* part = condition.find("not")) return !naive_condition(*part, event);
  if (const auto* text = condition.find("text")) return naive_text(event, text->value());
  const bool fold = condition.find("ignoreCase") != nullptr;
  for (const auto& [name, operand] : condition.members) {
    if (name == "field" || name == "ignoreCase") continue;
    const auto values = values_at(event, condition.find("field")->value());
    const bool any = std::ranges::any_of(
        values, [&](const Tree* value) { return naive_test(*value, name, operand, fold); });
    return name == "exists" ? any == (operand.scalar == "true") : any;
  }
  return false;
}

// ------------------------------------------------------------------------------------- random searches

const std::vector<std::string>& fields() {
  static const std::vector<std::string> all = {"action",      "kind",
                                               "sourceId",    "targetId",
                                               "targetType",  "detail.k",
                                               "detail.l",    "detail.k.l",
                                               "detail",      "changes.field",
                                               "changes.old", "changes.new",
                                               "context.ip",  "targetEntityMeta.m",
                                               "subject",     "time"};
  return all;
}

Tree random_scalar(Random& random) {
  return Tree::raw(random.pick<std::string>(
      {"1", "1.5", "-1", "true", "null", "\"a\"", "\"b\"", "\"1\"", "\"B c\"", "\"UPDATED\"", "\"phone\"",
       "\"p1\"", "\"caf\xc3\xa9 x\"", "\"10.1.2.3\"", "\"data.change\"", "\"2026-11-25T14:40:11.001Z\""}));
}

Tree random_leaf(Random& random) {
  if (random.chance(15)) {
    Tree leaf = Tree::object();
    leaf.members.emplace("text", Tree::text(random.pick<std::string>({"b", "\"b c\"", "caf*", "*af*", "-x",
                                                                      "updated -a", "ph*e", "555-*", "CAFE",
                                                                      "\"cafe x\" 1", "p1", "-\"b c\" 1*"})));
    return leaf;
  }
  Tree leaf = Tree::object();
  leaf.members.emplace("field", Tree::text(random.pick(fields())));
  const auto test = random.pick<std::string>(
      {"equals", "equals", "in", "range", "exists", "contains", "prefix", "wildcard", "cidr"});
  if (test == "equals") {
    leaf.members.emplace(test, random_scalar(random));
  } else if (test == "in") {
    Tree list = Tree::array();
    for (auto left = random.below(4); left > 0; --left) list.elements.push_back(random_scalar(random));
    leaf.members.emplace(test, list);
  } else if (test == "range") {
    Tree range = Tree::object();
    const auto bound = [&] {
      return Tree::raw(
          random.pick<std::string>({"0", "1", "1.5", "\"a\"", "\"b\"", "\"2026-11-25T14:40:11.000Z\"",
                                    "\"2026-11-25T15:40:11.001+01:00\""}));
    };
    range.members.emplace(random.pick<std::string>({"gt", "gte"}), bound());
    if (random.chance(50)) range.members.emplace(random.pick<std::string>({"lt", "lte"}), bound());
    leaf.members.emplace(test, range);
  } else if (test == "exists") {
    leaf.members.emplace(test, Tree::raw(random.chance(50) ? "true" : "false"));
  } else if (test == "contains") {
    leaf.members.emplace(test, Tree::raw(random.pick<std::string>({"{}", "{\"k\":1}", "[]", "[1]", "\"a\"",
                                                                   "\"5\"", "\"af\"", "1", "{\"l\":{}}"})));
  } else if (test == "cidr") {
    leaf.members.emplace(
        test,
        Tree::text(random.pick<std::string>({"10.0.0.0/8", "10.1.2.3/32", "10.1.0.0/16", "0.0.0.0/0"})));
  } else {
    leaf.members.emplace(test, Tree::text(random.pick<std::string>({"a", "UPD*", "*D", "p", "C*A*", "555",
                                                                    "caf\xc3\xa9", "CAFE*", "1", "*"})));
  }
  if (random.chance(25)) leaf.members.emplace("ignoreCase", Tree::raw("true"));
  return leaf;
}

Tree random_condition(Random& random, unsigned depth) {
  if (depth == 0 || random.chance(45)) return random_leaf(random);
  Tree tree = Tree::object();
  if (random.chance(25)) {
    tree.members.emplace("not", random_condition(random, depth - 1));
    return tree;
  }
  Tree parts = Tree::array();
  for (auto left = random.below(4); left > 0; --left)
    parts.elements.push_back(random_condition(random, depth - 1));
  tree.members.emplace(random.chance(50) ? "and" : "or", parts);
  return tree;
}

std::string random_event(Random& random) {
  Tree event = testing::random_plain_event(random);
  event.members["kind"] = Tree::text("data.change");
  if (random.chance(60)) event.members["subject"] = Tree::text(random.pick<std::string>({"p1", "p2", "a"}));
  if (random.chance(60)) {
    Tree change = Tree::object();
    change.members.emplace("field", Tree::text(random.pick<std::string>({"phone", "email", "k"})));
    change.members.emplace("old", random_scalar(random));
    change.members.emplace("new",
                           Tree::text(random.pick<std::string>({"555-1", "555-2", "Caf\xc3\xa9", "a b c"})));
    Tree changes = Tree::array();
    changes.elements.push_back(change);
    event.members["changes"] = changes;
  }
  if (random.chance(60)) {
    Tree context = Tree::object();
    context.members.emplace(
        "ip", Tree::text(random.pick<std::string>({"10.1.2.3", "10.200.0.1", "192.168.0.1", "::1", "none"})));
    event.members["context"] = context;
  }
  return event.json();
}

// --------------------------------------------------------------------------------------------- the test

class SearchModel {
 public:
  explicit SearchModel(std::uint64_t seed) : random_(seed), world_(seed) { world_.open(); }

  void add(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) ASSERT_TRUE(world_.send(random_event(random_)));
  }
  World& world() { return world_; }

  void compare(std::size_t rounds) {
    events_.clear();
    for (std::uint64_t i = 0; i < world_.stream().size(); ++i)
      events_.push_back(Tree::parse(world_.rendered(i)));
    for (std::size_t round = 0; round < rounds; ++round) {
      const auto filter = Tree::parse(random_condition(random_, 3).json());
      SCOPED_TRACE(filter.json());
      std::vector<std::size_t> wanted;
      for (std::size_t i = 0; i < events_.size(); ++i)
        if (naive_condition(filter, events_[i])) wanted.push_back(i);
      matched += wanted.size();
      rejected += events_.size() - wanted.size();
      ASSERT_NO_FATAL_FAILURE(compare_pages(filter, wanted));
      if (round % 5 == 0) ASSERT_NO_FATAL_FAILURE(compare_tally(filter, wanted));
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
        random_.pick<std::string>({"action", "detail.k", "changes.field", "subject", "context.ip"});
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
  model.world().vault->erase("default", "p1");
  ASSERT_NO_FATAL_FAILURE(model.add(12));
  ASSERT_NO_FATAL_FAILURE(model.compare(rounds)) << "a person erased";
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
    if (path.ends_with(".pub")) sidecars.push_back(path);
  ASSERT_EQ(sidecars.size(), 4u);
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

TEST(SearchModel, ABucketThatWasChangedIsDamageWithAPlace) {
  SearchModel model(testing::seed_of_test());
  auto& world = model.world();
  ASSERT_NO_FATAL_FAILURE(model.add(20));
  world.seal_everything();
  world.close();
  auto files = world.disk.snapshot();
  // Behind the header and the facts of one page.
  for (auto& [path, content] : files)
    if (path.ends_with(".pub"))
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
  EXPECT_TRUE(answer.error().where && answer.error().where->file.ends_with(".pub")) << answer.error().message;
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
    add_tokens(*condition, needed);
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
