#include "verify/coverage_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <optional>

#include "base/encoding.h"
#include "base/time_text.h"
#include "crypto/digest.h"
#include "json/json.h"
#include "trail/format/note.h"
#include "verify/internal/json_member.h"
#include "verify/limits.h"

namespace vestige::verify {
namespace {

constexpr std::string_view format_name = "vestige coverage v1";
constexpr std::string_view unexplained = "unexplained";

std::unexpected<Error> wrong(std::string_view what) {
  return fail(ErrorKind::corrupt, fmt::format("The report does not hold: {}.", what));
}

std::string_view text_in(const json::Value& object, std::string_view name) {
  const auto value = object.find(name);
  return value.is_string() ? value.string() : std::string_view();
}

bool has_members(const json::Value& object, std::initializer_list<std::string_view> names) {
  return object.is_object() && object.size() == names.size() &&
         std::ranges::all_of(names, [&](std::string_view name) { return object.find(name).exists(); });
}

// But for what may stand there and is none.
bool others_are_texts(const json::Value& object, std::initializer_list<std::string_view> others) {
  for (std::size_t i = 0; i < object.size(); ++i)
    if (!object.at(i).is_string() && std::ranges::find(others, object.key_at(i)) == others.end())
      return false;
  return true;
}

std::optional<std::uint64_t> number_of(std::string_view text, int base) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<std::uint64_t> lsn_of(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto high = number_of(text.substr(0, slash), 16);
  const auto low = number_of(text.substr(slash + 1), 16);
  if (!high || !low || *high > UINT32_MAX || *low > UINT32_MAX ||
      fmt::format("{:X}/{:X}", *high, *low) != text)
    return std::nullopt;
  return *high << 32 | *low;
}

// Reads one report, whose parts count what they have.
class Reading {
 public:
  explicit Reading(std::uint64_t size) : size_(size) {}

  Status check(const json::Value& report) {
    const auto sources = report.find("sources");
    if (!sources.is_array()) return wrong("its sources are no list");
    for (std::size_t i = 0; i < sources.size(); ++i) {
      VESTIGE_CHECKED(check_source(sources.at(i)));
      if (i > 0 && key_of(sources.at(i - 1)) >= key_of(sources.at(i)))
        return wrong("its sources are not in order, or one is there twice");
    }
    if (number_in(report, "gaps") != gaps_ || number_in(report, "unexplained") != unexplained_)
      return wrong("it counts other gaps than it has");
    VESTIGE_CHECKED(check_listing(report.find("unattributed"), {"index", "id", "time", "action", "targetType",
                                                                "capture", "lsn", "transaction"}));
    return check_listing(report.find("refused"),
                         {"index", "time", "capture", "topic", "partition", "offset"});
  }
  std::uint64_t gaps() const { return gaps_; }

 private:
  static std::pair<std::string_view, bool> key_of(const json::Value& source) {
    return {text_in(source, "capture"), text_in(source, "kind") == "kafka"};
  }

  // Of an entry of the tree.
  bool is_entry(const json::Value& object) const {
    const auto index = number_in(object, "index");
    return index && *index < size_ && parse_time(text_in(object, "time"));
  }

  Result<std::uint64_t> position(const json::Value& object, std::string_view name) const {
    const auto text = text_in(object, name);
    const auto position = kafka_ ? number_of(text, 10) : lsn_of(text);
    if (!position) return wrong(fmt::format("\"{}\" is no position", name));
    return *position;
  }

  Status check_source(const json::Value& source) {
    if (!has_members(source, {"capture", "kind", "starts", "heartbeat", "totals", "gaps", "runs", "moves",
                              "snapshots"}))
      return wrong("the members of a source are not those of version 1");
    const auto kind = text_in(source, "kind");
    kafka_ = kind == "kafka";
    if (text_in(source, "capture").empty() || (!kafka_ && kind != "postgres") || !number_in(source, "starts"))
      return wrong("a source is not what the format says");
    const auto heartbeat = source.find("heartbeat");
    if (!heartbeat.is_null() && !(has_members(heartbeat, {"index", "time"}) && is_entry(heartbeat)))
      return wrong("a heartbeat is no entry of the tree");
    VESTIGE_CHECKED(check_totals(source.find("totals")));
    const auto before = gaps_;
    VESTIGE_CHECKED(for_each(source.find("runs"), [&](const json::Value& run) { return check_run(run); }));
    VESTIGE_CHECKED(
        for_each(source.find("moves"), [&](const json::Value& move) { return check_move(move); }));
    if (number_in(source, "gaps") != gaps_ - before)
      return wrong(fmt::format("{} has other gaps than are counted", text_in(source, "capture")));
    return for_each(source.find("snapshots"), [&](const json::Value& snapshot) -> Status {
      if (!has_members(snapshot, {"index", "time", "at", "rows"}) || !is_entry(snapshot) ||
          !number_in(snapshot, "rows"))
        return wrong("a snapshot is not what the format says");
      VESTIGE_CHECKED(position(snapshot, "at"));
      return {};
    });
  }

  Status check_totals(const json::Value& totals) const {
    const bool good = kafka_ ? has_members(totals, {"commands", "refused"})
                             : has_members(totals, {"transactions", "rows", "unattributed"});
    if (!good) return wrong("the totals of a source are not those of its kind");
    for (std::size_t i = 0; i < totals.size(); ++i)
      if (!number_in(totals, totals.key_at(i))) return wrong("a total is no number");
    if (!kafka_ && number_in(totals, "unattributed") > number_in(totals, "rows"))
      return wrong("more rows are unattributed than there are");
    return {};
  }

  template <typename Check>
  Status for_each(const json::Value& list, Check check) const {
    if (!list.is_array()) return wrong("a list is none");
    for (std::size_t i = 0; i < list.size(); ++i) VESTIGE_CHECKED(check(list.at(i)));
    return {};
  }

  Status check_run(const json::Value& run) {
    const bool good = kafka_ ? has_members(run, {"cluster", "topic", "partition", "from", "to", "steps"}) &&
                                   number_in(run, "partition")
                             : has_members(run, {"system", "database", "from", "to", "steps"});
    if (!good || !others_are_texts(run, {"partition", "steps"}))
      return wrong("the members of a run are not those of its kind");
    VESTIGE_TRY(auto at, position(run, "from"));
    bool covered_before = false;
    VESTIGE_CHECKED(for_each(run.find("steps"), [&](const json::Value& step) -> Status {
      VESTIGE_TRY(const auto from, position(step, "from"));
      VESTIGE_TRY(const auto to, position(step, "to"));
      if (from != at) return wrong("the steps of a run do not follow one upon the other");
      at = to;
      if (step.find("cause").exists()) {
        covered_before = false;
        return check_gap(step, {"cause", "from", "index", "time", "to"});
      }
      if (!has_members(step, {"first", "from", "last", "to"}) || !is_entry(step.find("first")) ||
          !is_entry(step.find("last")) ||
          number_in(step.find("first"), "index") > number_in(step.find("last"), "index"))
        return wrong("a step of a run is not what the format says");
      if (to <= from || covered_before)
        return wrong("a stretch that is covered is empty, or follows upon another");
      covered_before = true;
      return {};
    }));
    VESTIGE_TRY(const auto end, position(run, "to"));
    return end == at ? Status{} : wrong("a run does not end with its last step");
  }

  Status check_gap(const json::Value& gap, std::initializer_list<std::string_view> names) {
    const auto cause = text_in(gap, "cause");
    if (!has_members(gap, names) || !is_entry(gap) || cause.empty() || !others_are_texts(gap, {"index"}))
      return wrong("a gap is not what the format says");
    ++gaps_;
    unexplained_ += cause == unexplained;
    return {};
  }

  Status check_move(const json::Value& move) {
    if (kafka_) return check_gap(move, {"after", "before", "cause", "index", "time"});
    VESTIGE_CHECKED(position(move, "from"));
    VESTIGE_CHECKED(position(move, "to"));
    return check_gap(move, {"after", "before", "cause", "from", "index", "time", "to"});
  }

  Status check_listing(const json::Value& listing, std::initializer_list<std::string_view> names) const {
    const auto count = number_in(listing, "count");
    const auto listed = listing.find("listed");
    if (!has_members(listing, {"count", "listed", "whole"}) || !count || !listed.is_array() ||
        !listing.find("whole").is_boolean())
      return wrong("a list of entries is not what the format says");
    if (listed.size() != std::min<std::uint64_t>(*count, limits::coverage_listed_max))
      return wrong("a list of entries has others than are counted");
    std::optional<std::uint64_t> last;
    return for_each(listed, [&](const json::Value& one) -> Status {
      if (!has_members(one, names) || !is_entry(one) ||
          !others_are_texts(one, {"index", "partition", "transaction"}) ||
          !(number_in(one, "partition") || number_in(one, "transaction")))
        return wrong("a listed entry is none of the tree");
      const auto index = number_in(one, "index");
      if (last && *index <= *last) return wrong("listed entries are not in order");
      last = index;
      return {};
    });
  }

  const std::uint64_t size_;
  bool kafka_ = false;  // the source that is read
  std::uint64_t gaps_ = 0, unexplained_ = 0;
};

Result<CheckedCheckpoint> check_head(const json::Value& report, std::string_view verifier_key) {
  if (text_in(report, "format") != format_name)
    return wrong(fmt::format("it is no report of the format \"{}\"", format_name));
  const auto is_time = [](const json::Value& value) {
    return value.is_string() && parse_time(value.string());
  };
  const auto asked = report.find("asked");
  if (!has_members(report, {"format", "tenant", "origin", "checkpoint", "madeAt", "asked", "gaps",
                            "unexplained", "sources", "unattributed", "refused"}) ||
      !is_time(report.find("madeAt")) || !has_members(asked, {"source", "from", "to"}) ||
      !(asked.find("source").is_null() || asked.find("source").is_string()) ||
      !std::ranges::all_of(std::initializer_list<std::string_view>{"from", "to"}, [&](std::string_view name) {
        return asked.find(name).is_null() || is_time(asked.find(name));
      }))
    return wrong("its members are not those of version 1");
  auto checkpoint = check_checkpoint(text_in(report, "checkpoint"), verifier_key);
  if (!checkpoint) return wrong(fmt::format("its checkpoint: {}", checkpoint.error().message));
  if (checkpoint->origin != text_in(report, "origin") ||
      !checkpoint->origin.ends_with(fmt::format("/{}/audit", text_in(report, "tenant"))))
    return wrong("its checkpoint is of another log");
  return checkpoint;
}

}  // namespace

Result<CheckedCoverage> check_coverage(std::string_view file, std::string_view verifier_key) {
  const auto key = trail::parse_verifier_key(verifier_key);
  if (!key)
    return fail(ErrorKind::invalid, fmt::format("The verifier key does not parse: {}.", key.error().message));
  if (file.ends_with('\n')) file.remove_suffix(1);
  json::Parser parser;
  json::Document document;
  if (const auto parsed = parser.parse(
          file, document, {.depth_max = limits::export_depth_max, .bytes_max = limits::coverage_bytes_max});
      !parsed)
    return wrong(fmt::format("it is no JSON ({})", parsed.error().message));
  const auto root = document.root();
  const auto report = root.find("report");
  if (!has_members(root, {"report", "statement"}) || !report.is_object())
    return wrong(fmt::format("it is no report of the format \"{}\"", format_name));
  if (json::canonical(root) != file)
    return wrong("it is not in canonical form, so it is not as the server wrote it");
  const auto statement = trail::parse_note(text_in(root, "statement"));
  if (!statement) return wrong(fmt::format("its statement is no signed note: {}", statement.error().message));
  if (statement->signatures.size() != 1 || !trail::verify_note(*statement, std::span(&*key, 1)))
    return wrong(fmt::format("the key \"{}\" did not sign its statement, or not alone", key->text()));
  VESTIGE_TRY(auto checkpoint, check_head(report, verifier_key));
  auto text = json::canonical(report);
  const auto expected = fmt::format("{}\n{{\"digest\":\"{}\",\"gaps\":{},\"size\":{}}}\n", format_name,
                                    to_base64(crypto::sha256(view(text))),
                                    number_in(report, "gaps").value_or(0), checkpoint.size);
  if (statement->text != expected) return wrong("its statement is of another report");
  Reading reading(checkpoint.size);
  VESTIGE_CHECKED(reading.check(report));
  return CheckedCoverage{std::move(checkpoint), std::move(text), reading.gaps()};
}

}  // namespace vestige::verify
