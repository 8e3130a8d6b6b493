#include "audit/coverage.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "audit/internal/members.h"
#include "audit/limits.h"
#include "base/time_text.h"

namespace vestige::audit {
namespace {

constexpr std::string_view other_system = "other_system";

std::optional<std::uint64_t> parse_number(std::string_view text, int base) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

CaptureTotals difference(const CaptureTotals& now, const CaptureTotals& before) {
  const auto since = [](std::uint64_t a, std::uint64_t b) { return a > b ? a - b : 0; };
  return {.transactions = since(now.transactions, before.transactions),
          .rows = since(now.rows, before.rows),
          .unattributed = since(now.unattributed, before.unattributed),
          .commands = since(now.commands, before.commands),
          .refused = since(now.refused, before.refused)};
}

}  // namespace

struct Coverage::Entry {
  std::uint64_t index;
  std::string_view time, action, cause, system;
  json::Value detail;

  EntryMark mark() const { return {.index = index, .time = std::string(time)}; }
  std::unexpected<Error> strange(std::string_view what) const {
    Error error{.kind = ErrorKind::corrupt,
                .message = fmt::format("entry {} tells of a capture what no server writes: {}", index, what)};
    error.where = Location{.file = {}, .offset = 0, .index = index};
    return std::unexpected(std::move(error));
  }
  Result<std::uint64_t> position(CaptureKind kind, const json::Value& from, std::string_view name) const {
    const auto position = parse_position(kind, text_of(from, name));
    if (!position) return strange(fmt::format("\"{}\" is no position", name));
    return *position;
  }
  struct Bounds {
    std::uint64_t from, to;
  };
  Result<Bounds> covered(CaptureKind kind, const json::Value& by) const {
    VESTIGE_TRY(const auto from, position(kind, by, "from"));
    VESTIGE_TRY(const auto to, position(kind, by, "to"));
    if (to < from) return strange("what is covered ends before it begins");
    return Bounds{from, to};
  }
};

const char* name_of(CaptureKind kind) { return kind == CaptureKind::postgres ? "postgres" : "kafka"; }

std::optional<std::uint64_t> parse_position(CaptureKind kind, std::string_view text) {
  std::optional<std::uint64_t> position;
  if (kind == CaptureKind::kafka) {
    position = parse_number(text, 10);
  } else if (const auto slash = text.find('/'); slash != std::string_view::npos) {
    const auto high = parse_number(text.substr(0, slash), 16);
    const auto low = parse_number(text.substr(slash + 1), 16);
    if (high && low && *high <= UINT32_MAX && *low <= UINT32_MAX) position = *high << 32 | *low;
  }
  return position && format_position(kind, *position) == text ? position : std::nullopt;
}

std::string format_position(CaptureKind kind, std::uint64_t position) {
  if (kind == CaptureKind::kafka) return fmt::format("{}", position);
  return fmt::format("{:X}/{:X}", position >> 32, position & UINT32_MAX);
}

std::uint64_t CoveredSource::gaps() const {
  std::uint64_t count = moves.size();
  for (const auto& run : runs)
    count += static_cast<std::uint64_t>(
        std::ranges::count_if(run.steps, [](const auto& step) { return !step.covered(); }));
  return count;
}

std::uint64_t CoveredSource::unexplained_gaps() const {
  const auto is = [](const auto& one) { return one.cause == unexplained; };
  auto count = std::ranges::count_if(moves, is);
  for (const auto& run : runs) count += std::ranges::count_if(run.steps, is);
  return static_cast<std::uint64_t>(count);
}

Result<bool> Coverage::take(std::uint64_t index, const json::Value& event) {
  const auto detail = event.find("detail");
  const bool kafka = detail.find("cluster").exists();
  const Entry entry{.index = index,
                    .time = text_of(event, "time"),
                    .action = text_of(event, "action"),
                    .cause = text_of(detail, "cause"),
                    .system = text_of(detail, kafka ? "cluster" : "system"),
                    .detail = detail};
  const auto time = parse_time(entry.time);
  const auto name = text_of(detail, "capture");
  if (!time) return entry.strange("it has no time");
  if (name.empty() || entry.system.empty()) return entry.strange("it does not say of which source it is");
  if (!within_ && *time >= *span_.from) begin_span();
  if (span_.to && *time >= *span_.to) return false;
  const auto kind = kafka ? CaptureKind::kafka : CaptureKind::postgres;
  const auto [place, fresh] = sources_.try_emplace({std::string(name), kind});
  auto& source = place->second;
  if (fresh) {
    source.name = name;
    source.kind = kind;
    ++parts_;
  }
  if (entry.action == "STARTED") ++source.starts;
  VESTIGE_CHECKED(kafka ? take_kafka(source, entry) : take_postgres(source, entry));
  source.system = entry.system;
  if (parts_ <= coverage_parts_max) return true;
  Error error{.kind = ErrorKind::exhausted,
              .message =
                  "there is more to tell of the captures than one report holds; ask for one source, or "
                  "for less time"};
  error.limit = fmt::format("coverage_parts_max = {}", coverage_parts_max);
  return std::unexpected(std::move(error));
}

std::vector<const CoveredSource*> Coverage::finish() {
  if (!within_) begin_span();
  std::vector<const CoveredSource*> found;
  for (auto& [key, source] : sources_) {
    source.totals = difference(source.told, source.before);
    found.push_back(&source);
  }
  return found;
}

// Of what was told so far only where each run stands is of interest any more.
void Coverage::begin_span() {
  within_ = true;
  parts_ = 0;
  for (auto& [key, source] : sources_) {
    source.starts = 0;
    source.heartbeat.reset();
    source.before = source.told;
    source.snapshots.clear();
    source.moves.clear();
    if (source.kind == CaptureKind::postgres)
      while (source.runs.size() > 1) source.runs.pop_front();
    for (auto& run : source.runs) {
      run.steps.clear();
      run.from = run.to;
    }
    parts_ += 1 + source.runs.size();
  }
}

CoverageRun& Coverage::begin_run(Source& source, std::string_view system, std::uint64_t from) {
  auto& run = source.runs.emplace_back();
  run.system = system;
  run.from = run.to = from;
  ++parts_;
  return run;
}

// Each entry goes on where the one before it ended. Where it does not, something is missing between them that
// no entry tells of.
void Coverage::reach(CoverageRun& run, std::uint64_t from, const Entry& entry) {
  if (from != run.to) add_gap(run, from, unexplained, entry);
}

void Coverage::cover(CoverageRun& run, std::uint64_t from, std::uint64_t to, const Entry& entry) {
  reach(run, from, entry);
  // Nothing came: a sign of life.
  if (from == to) return;
  if (run.steps.empty() || !run.steps.back().covered()) {
    run.steps.push_back({.from = from, .to = from, .first = entry.mark()});
    ++parts_;
  }
  run.steps.back().to = run.to = to;
  run.steps.back().last = entry.mark();
}

void Coverage::miss(CoverageRun& run, std::uint64_t from, std::uint64_t to, std::string_view cause,
                    const Entry& entry) {
  reach(run, from, entry);
  add_gap(run, to, cause, entry);
}

void Coverage::add_gap(CoverageRun& run, std::uint64_t to, std::string_view cause, const Entry& entry) {
  run.steps.push_back(
      {.from = run.to, .to = to, .cause = std::string(cause), .first = entry.mark(), .last = entry.mark()});
  run.to = to;
  ++parts_;
}

void Coverage::beat(Source& source, const Entry& entry) {
  source.heartbeat = entry.mark();
  source.told = {.transactions = count_of(entry.detail, "transactions"),
                 .rows = count_of(entry.detail, "rows"),
                 .unattributed = count_of(entry.detail, "unattributed"),
                 .commands = count_of(entry.detail, "commands"),
                 .refused = count_of(entry.detail, "refused")};
}

// From `from` of the system before to `to` of this one.
void Coverage::move_postgres(Source& source, const Entry& entry, std::string_view cause, std::uint64_t from,
                             std::uint64_t to) {
  source.moves.push_back({.cause = std::string(cause),
                          .before = source.runs.back().system,
                          .after = std::string(entry.system),
                          .from = from,
                          .to = to,
                          .entry = entry.mark()});
  ++parts_;
  begin_run(source, entry.system, to);
}

// A source of PostgreSQL has one position at a time, so its runs follow one upon the other.
Status Coverage::take_postgres(Source& source, const Entry& entry) {
  constexpr auto kind = CaptureKind::postgres;
  const auto& detail = entry.detail;
  if (entry.action == "SNAPSHOT_TAKEN") {
    VESTIGE_TRY(const auto at, entry.position(kind, detail, "at"));
    source.snapshots.push_back({.entry = entry.mark(), .at = at, .rows = count_of(detail, "rows")});
    ++parts_;
    return {};
  }
  if (entry.action != "STARTED" && entry.action != "COVERED" && entry.action != "GAP") return {};
  VESTIGE_TRY(const auto from, entry.position(kind, detail, "from"));
  if (source.runs.empty()) begin_run(source, entry.system, from);
  const bool same = source.runs.back().system == entry.system;
  const bool moved = entry.action == "GAP" && entry.cause == other_system && !same;
  if (!same && !moved) move_postgres(source, entry, unexplained, source.runs.back().to, from);
  if (entry.action == "GAP") {
    VESTIGE_TRY(const auto to, entry.position(kind, detail, "to"));
    if (entry.cause.empty() || entry.cause == unexplained) return entry.strange("a gap has no cause");
    if (moved) {
      reach(source.runs.back(), from, entry);
      move_postgres(source, entry, entry.cause, from, to);
    } else {
      miss(source.runs.back(), from, to, entry.cause, entry);
    }
  } else if (entry.action == "COVERED") {
    VESTIGE_TRY(const auto bounds, entry.covered(kind, detail));
    cover(source.runs.back(), bounds.from, bounds.to, entry);
    beat(source, entry);
  }
  source.runs.back().database = text_of(detail, "database");
  return {};
}

CoverageRun& Coverage::run_of(Source& source, const Entry& entry, std::string_view topic,
                              std::uint64_t partition, std::uint64_t from) {
  const auto [place, fresh] = source.partitions.try_emplace(
      {std::string(entry.system), {std::string(topic), partition}}, source.runs.size());
  if (!fresh) return source.runs[place->second];
  auto& run = begin_run(source, entry.system, from);
  run.topic = topic;
  run.partition = partition;
  return run;
}

// Each partition of each cluster has a position of its own, to which it comes back with its cluster.
Status Coverage::take_kafka(Source& source, const Entry& entry) {
  constexpr auto kind = CaptureKind::kafka;
  const auto& detail = entry.detail;
  const bool gap = entry.action == "GAP";
  const bool moved = gap && entry.cause == other_system;
  if (moved || (!source.system.empty() && source.system != entry.system)) {
    source.moves.push_back({.cause = std::string(moved ? other_system : unexplained),
                            .before = source.system,
                            .after = std::string(entry.system),
                            .from = {},
                            .to = {},
                            .entry = entry.mark()});
    ++parts_;
  }
  if (gap && !moved) {
    if (entry.cause.empty() || entry.cause == unexplained) return entry.strange("a gap has no cause");
    VESTIGE_TRY(const auto from, entry.position(kind, detail, "from"));
    VESTIGE_TRY(const auto to, entry.position(kind, detail, "to"));
    auto& run = run_of(source, entry, text_of(detail, "topic"), count_of(detail, "partition"), from);
    miss(run, from, to, entry.cause, entry);
  }
  if (entry.action != "COVERED") return {};
  const auto partitions = detail.find("partitions");
  for (std::size_t i = 0; partitions.is_array() && i < partitions.size(); ++i) {
    const auto one = partitions.at(i);
    VESTIGE_TRY(const auto bounds, entry.covered(kind, one));
    auto& run = run_of(source, entry, text_of(one, "topic"), count_of(one, "partition"), bounds.from);
    cover(run, bounds.from, bounds.to, entry);
  }
  beat(source, entry);
  return {};
}

}  // namespace vestige::audit
