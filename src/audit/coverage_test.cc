// Defends: a report says of every position that a source passed whether it is on record or missing, and why;
// what no entry tells of is called unexplained, wherever an entry is taken away. Random histories of several
// sources (restarts, gaps, other systems, partitions) are held against a model that notes the fate of every
// single position as it happens, and never reads an entry.
#include "audit/coverage.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "audit/limits.h"
#include "audit/testing/random_events.h"
#include "base/time_text.h"

namespace vestige::audit {
namespace {

constexpr std::int64_t first_ms = 1'795'600'000'000;

std::string time_text(std::uint64_t index) {
  return format_time(UnixMs{first_ms + 1'000 * static_cast<std::int64_t>(index)});
}

std::string entry_text(std::uint64_t index, std::string_view action, const std::string& detail) {
  return fmt::format(R"({{"kind":"system.capture","action":"{}","time":"{}","detail":{{{}}}}})", action,
                     time_text(index), detail);
}

// What became of one position, or of all that lie between two that have no order.
struct Fate {
  std::uint64_t from = 0, to = 0;
  std::string cause{};  // empty: on record
  auto operator<=>(const Fate&) const = default;
};

void PrintTo(const Fate& fate, std::ostream* out) {
  *out << fate.from << ".." << fate.to << (fate.cause.empty() ? " on record" : " " + fate.cause);
}

// A covered step as its positions one by one, so that how it is put together does not count.
std::vector<Fate> fates_of(const CoverageRun& run) {
  std::vector<Fate> fates;
  for (const auto& step : run.steps) {
    if (!step.covered()) {
      fates.push_back({step.from, step.to, step.cause});
      continue;
    }
    for (auto at = step.from; at < step.to; ++at) fates.push_back({at, at + 1, {}});
  }
  return fates;
}

// One entry of a history, and what it tells of a run: the truth, and not its text.
struct Told {
  std::string text;
  struct Part {
    std::size_t run;
    Fate fate;  // from == to: nothing
  };
  std::vector<Part> parts{};
  std::optional<std::pair<std::string, std::string>> moved{};     // cause, to which system
  std::optional<std::uint64_t> left{};                            // where the system before was left
  std::optional<std::pair<std::size_t, std::uint64_t>> stands{};  // where a run is, of one that began
  std::string system{};
  std::string source{};
  bool removed = false;
};

// A source as it lives; notes what it tells.
class Life {
 public:
  Life(std::string name, CaptureKind kind, testing::Random& random)
      : name_(std::move(name)), kind_(kind), random_(random) {
    for (std::size_t i = 0; i < (kind == CaptureKind::kafka ? 3 : 1); ++i)
      lanes_.push_back({.run = runs_++, .at = kind == CaptureKind::kafka ? 0 : 100 + pick(1'000)});
  }

  // A few entries.
  std::vector<Told> live() {
    entries_.clear();
    switch (pick(8)) {
      case 0:
        start();
        break;
      case 1:
        if (started_) lose();
        break;
      case 2:
        if (started_ && pick(3) == 0) move();
        break;
      default:
        if (!started_) start();
        cover();
    }
    return std::exchange(entries_, {});
  }
  std::size_t runs() const { return runs_; }

 private:
  struct Lane {
    std::size_t run;
    std::uint64_t at;
  };

  std::uint64_t pick(std::uint64_t below) { return random_.below(below); }
  std::string system() const { return fmt::format("{}", 7'000 + system_); }
  std::string common() const {
    if (kind_ == CaptureKind::kafka) return fmt::format(R"("capture":"{}","cluster":"{}")", name_, system());
    return fmt::format(R"("capture":"{}","system":"{}","database":"d")", name_, system());
  }
  std::string bounds(std::uint64_t from, std::uint64_t to) const {
    return fmt::format(R"("from":"{}","to":"{}")", format_position(kind_, from), format_position(kind_, to));
  }
  std::string place_of(std::size_t lane) const {
    return kind_ == CaptureKind::kafka ? fmt::format(R"(,"topic":"t","partition":{})", lane) : "";
  }
  Told& tell(std::string_view action, const std::string& members, std::vector<Told::Part> parts = {}) {
    return entries_.emplace_back(Told{.text = fmt::format("{}\n{}{}", action, common(), members),
                                      .parts = std::move(parts),
                                      .system = system(),
                                      .source = name_});
  }

  void start() {
    started_ = true;
    if (kind_ == CaptureKind::kafka) {
      tell("STARTED", "");
      return;
    }
    const auto& lane = lanes_.front();
    tell("STARTED", fmt::format(R"(,"from":"{}")", format_position(kind_, lane.at))).stands =
        std::pair(lane.run, lane.at);
  }
  void cover() {
    if (kind_ == CaptureKind::postgres) {
      auto& lane = lanes_.front();
      const auto from = lane.at;
      lane.at += pick(3) == 0 ? 0 : pick(20);
      tell("COVERED", "," + bounds(from, lane.at), {{lane.run, {from, lane.at, {}}}});
      return;
    }
    std::string list;
    std::vector<Told::Part> parts;
    for (std::size_t i = 0; i < lanes_.size(); ++i) {
      if (pick(2) == 0) continue;
      const auto from = lanes_[i].at;
      lanes_[i].at += 1 + pick(20);
      list += fmt::format(R"({}{{{},"topic":"t","partition":{}}})", list.empty() ? "" : ",",
                          bounds(from, lanes_[i].at), i);
      parts.push_back({lanes_[i].run, {from, lanes_[i].at, {}}});
    }
    // Without any it is a heartbeat.
    tell("COVERED", fmt::format(R"(,"partitions":[{}])", list), std::move(parts));
  }
  void lose() {
    const auto i = pick(lanes_.size());
    const auto from = lanes_[i].at;
    const bool back = kind_ == CaptureKind::kafka && pick(3) == 0;
    lanes_[i].at = back ? pick(from + 1) : from + 1 + pick(30);
    const auto* cause = kind_ == CaptureKind::postgres ? "slot_moved"
                        : back                         ? "offsets_moved"
                                                       : "offsets_gone";
    tell("GAP", fmt::format(R"(,{},"cause":"{}"{})", bounds(from, lanes_[i].at), cause, place_of(i)),
         {{lanes_[i].run, {from, lanes_[i].at, cause}}});
  }
  void move() {
    const auto from = lanes_.front().at;
    ++system_;
    for (auto& lane : lanes_) lane = {.run = runs_++, .at = kind_ == CaptureKind::kafka ? 0 : pick(500)};
    const bool positions = kind_ == CaptureKind::postgres;
    auto& told =
        tell("GAP", (positions ? "," + bounds(from, lanes_.front().at) : "") + R"(,"cause":"other_system")");
    told.moved = std::pair("other_system", system());
    if (!positions) return;
    told.left = from;
    told.stands = std::pair(lanes_.front().run, lanes_.front().at);
  }

  const std::string name_;
  const CaptureKind kind_;
  testing::Random& random_;
  bool started_ = false;
  std::uint64_t system_ = 0;
  std::vector<Lane> lanes_;
  std::size_t runs_ = 0;
  std::vector<Told> entries_;
};

struct Expected {
  std::vector<std::vector<Fate>> runs;
  std::vector<std::pair<std::string, std::string>> moves;
};

// What a report has to say of one source in entries [from, to) of a history.
Expected expected_of(const std::vector<Told>& history, const std::string& source, std::size_t runs,
                     std::size_t from, std::size_t to) {
  Expected expected{.runs = std::vector<std::vector<Fate>>(runs), .moves = {}};
  std::vector<std::optional<std::uint64_t>> stands(runs);
  std::string system;
  std::size_t last = 0;  // run that was told of
  const auto reach = [&](std::size_t run, std::uint64_t at, bool within) {
    if (within && stands[run] && *stands[run] != at)
      expected.runs[run].push_back({*stands[run], at, std::string(unexplained)});
    stands[run] = at;
  };
  for (std::size_t i = 0; i < to; ++i) {
    const auto& told = history[i];
    if (told.source != source || told.removed) continue;
    const bool within = i >= from;
    const bool other = !system.empty() && system != told.system;
    if (within && (told.moved || other))
      expected.moves.push_back(told.moved.value_or(std::pair(std::string(unexplained), told.system)));
    system = told.system;
    if (told.left) reach(last, *told.left, within);
    if (told.stands) {
      last = told.stands->first;
      if (!stands[last]) stands[last] = told.stands->second;
    }
    for (const auto& [run, fate] : told.parts) {
      last = run;
      reach(run, fate.from, within);
      stands[run] = fate.to;
      if (!within) continue;
      if (!fate.cause.empty()) expected.runs[run].push_back(fate);
      for (auto at = fate.from; fate.cause.empty() && at < fate.to; ++at)
        expected.runs[run].push_back({at, at + 1, {}});
    }
  }
  return expected;
}

std::unique_ptr<Coverage> fold(const std::vector<std::string>& entries, CoverageSpan span = {}) {
  auto coverage = std::make_unique<Coverage>(span);
  json::Parser parser;
  json::Document document;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].empty()) continue;
    EXPECT_TRUE(parser.parse(entries[i], document)) << entries[i];
    const auto more = coverage->take(i, document.root());
    EXPECT_TRUE(more) << more.error().message << entries[i];
    if (!more || !*more) break;
  }
  return coverage;
}

void expect_invariants(const CoverageRun& run) {
  auto at = run.from;
  for (std::size_t i = 0; i < run.steps.size(); ++i) {
    const auto& step = run.steps[i];
    EXPECT_EQ(step.from, at);
    at = step.to;
    if (!step.covered()) continue;
    EXPECT_LT(step.from, step.to);
    EXPECT_TRUE(i == 0 || !run.steps[i - 1].covered());
    EXPECT_LE(step.first.index, step.last.index);
  }
  EXPECT_EQ(at, run.to);
}

// Runs that have nothing in them say nothing, and are where a position was known.
std::vector<std::vector<Fate>> with_something(std::vector<std::vector<Fate>> runs) {
  std::erase_if(runs, [](const auto& run) { return run.empty(); });
  std::ranges::sort(runs);
  return runs;
}

void expect_agreement(const CoveredSource& source, const Expected& expected) {
  std::vector<std::vector<Fate>> runs;
  std::uint64_t gaps = source.moves.size();
  for (const auto& run : source.runs) {
    expect_invariants(run);
    runs.push_back(fates_of(run));
    gaps += static_cast<std::uint64_t>(
        std::ranges::count_if(runs.back(), [](const auto& fate) { return !fate.cause.empty(); }));
  }
  EXPECT_EQ(with_something(runs), with_something(expected.runs)) << source.name;
  std::vector<std::pair<std::string, std::string>> moves;
  for (const auto& move : source.moves) moves.emplace_back(move.cause, move.after);
  EXPECT_EQ(moves, expected.moves) << source.name;
  EXPECT_EQ(source.gaps(), gaps);
}

TEST(Coverage, AgreesWithTheFateOfEveryPosition) {
  std::size_t holes_found = 0, moves_found = 0;
  const auto base = testing::seed_of_test();
  for (std::uint64_t seed = 0; seed < testing::rounds(1'000); ++seed) {
    SCOPED_TRACE(seed);
    testing::Random random(base + seed);
    std::vector<std::pair<std::string, CaptureKind>> names{
        {"crm", CaptureKind::postgres}, {"erp", CaptureKind::postgres}, {"bus", CaptureKind::kafka}};
    std::vector<Life> lives;
    for (const auto& [name, kind] : names) lives.emplace_back(name, kind, random);
    std::vector<Told> history;
    const auto length = 1 + random.below(60);
    while (history.size() < length)
      for (auto& told : lives[random.below(lives.size())].live()) history.push_back(std::move(told));
    // Of every second history something is taken away; that the first start is there is what the model knows
    // a beginning by.
    if (seed % 2 == 1)
      for (auto& told : history) told.removed = !told.text.starts_with("STARTED") && random.below(8) == 0;
    std::vector<std::string> entries;
    for (const auto& told : history) {
      const auto line = told.text.find('\n');
      entries.push_back(
          told.removed ? ""
                       : entry_text(entries.size(), told.text.substr(0, line), told.text.substr(line + 1)));
    }
    // All of it, and a span.
    const auto some = random.below(entries.size() + 1), other = random.below(entries.size() + 1);
    for (const auto& [from, to] : {std::pair<std::size_t, std::size_t>{0, entries.size()},
                                   {std::min(some, other), std::max(some, other)}}) {
      CoverageSpan span;
      if (from > 0) span.from = parse_time(time_text(from));
      if (to < entries.size()) span.to = parse_time(time_text(to));
      const auto coverage = fold(entries, span);
      for (const auto* source : coverage->finish()) {
        const auto place =
            std::ranges::find(names, source->name, &std::pair<std::string, CaptureKind>::first);
        const auto& life = lives[static_cast<std::size_t>(place - names.begin())];
        expect_agreement(*source, expected_of(history, source->name, life.runs(), from, to));
        holes_found += source->unexplained_gaps();
        moves_found += source->moves.size();
        if (seed % 2 == 0) EXPECT_EQ(source->unexplained_gaps(), 0U);
      }
    }
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(holes_found, 0U);
  EXPECT_GT(moves_found, 0U);
}

// -------------------------------------------------------------------------------------------------- examples

std::string postgres(std::uint64_t index, std::string_view action, const std::string& members,
                     std::string_view system = "7") {
  return entry_text(index, action,
                    fmt::format(R"("capture":"crm","system":"{}","database":"d",{})", system, members));
}

TEST(Coverage, RestartsAreNoGaps) {
  const auto coverage = fold({
      postgres(0, "SNAPSHOT_TAKEN", R"("at":"0/10","rows":5)"),
      postgres(1, "STARTED", R"("from":"0/10")"),
      postgres(2, "COVERED", R"("from":"0/10","to":"0/20","transactions":3,"rows":9,"unattributed":1)"),
      postgres(3, "STARTED", R"("from":"0/20")"),
      postgres(4, "COVERED", R"("from":"0/20","to":"0/20","transactions":3,"rows":9,"unattributed":1)"),
      // Killed: nothing was said of what came until then, and is when it goes on.
      postgres(5, "STARTED", R"("from":"0/28")"),
      postgres(6, "COVERED", R"("from":"0/20","to":"1/0","transactions":8,"rows":20,"unattributed":2)"),
  });
  const auto sources = coverage->finish();
  ASSERT_EQ(sources.size(), 1U);
  const auto& source = *sources.front();
  EXPECT_EQ(source.gaps(), 0U);
  EXPECT_EQ(source.starts, 3U);
  EXPECT_EQ(source.heartbeat->index, 6U);
  EXPECT_EQ(source.totals.rows, 20U);
  ASSERT_EQ(source.snapshots.size(), 1U);
  EXPECT_EQ(source.snapshots[0].rows, 5U);
  ASSERT_EQ(source.runs.size(), 1U);
  ASSERT_EQ(source.runs[0].steps.size(), 1U);
  EXPECT_EQ(format_position(source.kind, source.runs[0].to), "1/0");
  EXPECT_EQ(source.runs[0].steps[0].first.index, 2U);
  EXPECT_EQ(source.runs[0].steps[0].last.index, 6U);
}

TEST(Coverage, ASpanCountsWhatIsInIt) {
  const std::vector<std::string> entries{
      postgres(0, "STARTED", R"("from":"0/0")"),
      postgres(1, "COVERED", R"("from":"0/0","to":"0/5","transactions":2,"rows":4,"unattributed":1)"),
      postgres(2, "COVERED", R"("from":"0/5","to":"0/9","transactions":5,"rows":9,"unattributed":1)"),
      postgres(3, "COVERED", R"("from":"0/9","to":"0/A","transactions":6,"rows":11,"unattributed":4)"),
  };
  const auto at = [](std::uint64_t index) { return parse_time(time_text(index)); };
  const auto middle = fold(entries, {.from = at(2), .to = at(3)});
  const auto& source = *middle->finish().front();
  EXPECT_EQ(source.totals.transactions, 3U);
  EXPECT_EQ(source.totals.rows, 5U);
  EXPECT_EQ(source.totals.unattributed, 0U);
  EXPECT_EQ(source.runs[0].from, 5U);
  EXPECT_EQ(source.runs[0].to, 9U);
  EXPECT_EQ(source.starts, 0U);
  // Behind all: the source is known, and nothing was heard of it.
  const auto behind = fold(entries, {.from = at(9), .to = {}});
  const auto& silent = *behind->finish().front();
  EXPECT_FALSE(silent.heartbeat);
  EXPECT_EQ(silent.runs[0].from, silent.runs[0].to);
  EXPECT_TRUE(fold(entries, {.from = {}, .to = at(0)})->finish().empty());
}

TEST(Coverage, AnotherSystemHasPositionsOfItsOwn) {
  const auto coverage = fold({
      postgres(0, "STARTED", R"("from":"0/50")"),
      postgres(1, "COVERED", R"("from":"0/50","to":"0/60")"),
      postgres(2, "GAP", R"("from":"0/60","to":"0/8","cause":"other_system")", "8"),
      postgres(3, "COVERED", R"("from":"0/8","to":"0/9")", "8"),
      postgres(4, "STARTED", R"("from":"0/61")", "7"),
  });
  const auto& source = *coverage->finish().front();
  ASSERT_EQ(source.runs.size(), 3U);
  ASSERT_EQ(source.moves.size(), 2U);
  EXPECT_EQ(source.moves[0].cause, "other_system");
  EXPECT_EQ(source.moves[0].before, "7");
  EXPECT_EQ(source.moves[0].after, "8");
  EXPECT_EQ(*source.moves[0].from, 0x60U);
  EXPECT_EQ(*source.moves[0].to, 8U);
  EXPECT_EQ(source.moves[1].cause, unexplained);
  EXPECT_EQ(source.unexplained_gaps(), 1U);
}

TEST(Coverage, WhatNoServerWritesIsRefused) {
  json::Parser parser;
  json::Document document;
  for (const auto& text : {
           postgres(0, "COVERED", R"("from":"0/9","to":"0/8")"),
           postgres(0, "COVERED", R"("from":"9","to":"0/8")"),
           postgres(0, "COVERED", R"("from":"0/8")"),
           postgres(0, "GAP", R"("from":"0/8","to":"0/9")"),
           postgres(0, "GAP", R"("from":"0/8","to":"0/9","cause":"unexplained")"),
           postgres(0, "STARTED", R"("from":"100000000/0")"),
           entry_text(0, "STARTED", R"("capture":"crm")"),
           entry_text(0, "STARTED", R"("cluster":"k")"),
           std::string(R"({"action":"STARTED","detail":{"capture":"crm","cluster":"k"}})"),
       }) {
    Coverage coverage({});
    ASSERT_TRUE(parser.parse(text, document)) << text;
    const auto taken = coverage.take(0, document.root());
    EXPECT_FALSE(taken) << text;
  }
}

TEST(Coverage, TooMuchIsRefusedWithItsLimit) {
  Coverage coverage({});
  json::Parser parser;
  json::Document document;
  Result<bool> taken = true;
  std::uint64_t index = 0;
  for (; taken && index <= coverage_parts_max; ++index) {
    ASSERT_TRUE(parser.parse(
        postgres(index, "GAP",
                 fmt::format(R"("from":"0/{:X}","to":"0/{:X}","cause":"slot_moved")", index, index + 1)),
        document));
    taken = coverage.take(index, document.root());
  }
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().kind, ErrorKind::exhausted);
  EXPECT_EQ(taken.error().limit, fmt::format("coverage_parts_max = {}", coverage_parts_max));
  EXPECT_GE(index, coverage_parts_max - 2);
}

TEST(Coverage, PositionsAreWrittenAsTheySayThemselves) {
  for (const auto* text : {"0/0", "0/16B3748", "16/B374D848", "FFFFFFFF/FFFFFFFF"}) {
    const auto position = parse_position(CaptureKind::postgres, text);
    ASSERT_TRUE(position) << text;
    EXPECT_EQ(format_position(CaptureKind::postgres, *position), text);
  }
  EXPECT_EQ(parse_position(CaptureKind::kafka, "18446744073709551615"), UINT64_MAX);
  for (const auto* text : {"", "0", "/", "0/", "/0", "0/0/0", "0/100000000", "G/0", "0/-1", "0/1a", "0/01"})
    EXPECT_FALSE(parse_position(CaptureKind::postgres, text)) << text;
  for (const auto* text : {"", "-1", "1a", "18446744073709551616", " 1", "01"})
    EXPECT_FALSE(parse_position(CaptureKind::kafka, text)) << text;
}

}  // namespace
}  // namespace vestige::audit
