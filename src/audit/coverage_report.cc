#include "audit/coverage_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "audit/limits.h"
#include "base/encoding.h"
#include "base/time_text.h"
#include "crypto/digest.h"
#include "json/object_writer.h"

namespace vestige::audit {
namespace {

constexpr std::string_view format_name = "vestige coverage v1";
constexpr json::Limits report_limits{.depth_max = 16, .bytes_max = 64 << 20};

std::string quoted(std::string_view text) {
  std::string out;
  json::append_quoted(out, text);
  return out;
}

std::string quoted_or_null(std::string_view text) { return text.empty() ? "null" : quoted(text); }

std::string time_or_null(const std::optional<UnixMs>& time) {
  return time ? quoted(format_time(*time)) : "null";
}

std::string number(std::uint64_t value) { return fmt::format("{}", value); }

void append(std::string& list, const std::string& element) {
  if (!list.empty()) list.push_back(',');
  list += element;
}

template <typename Elements, typename Json>
std::string list_of(const Elements& elements, Json json) {
  std::string list;
  for (const auto& element : elements) append(list, json(element));
  return "[" + list + "]";
}

json::ObjectWriter entry_json(const EntryMark& entry) {
  json::ObjectWriter out;
  out.raw("index", number(entry.index)).text("time", entry.time);
  return out;
}

std::string step_json(CaptureKind kind, const CoverageStep& step) {
  json::ObjectWriter out;
  if (!step.covered()) {
    out = entry_json(step.first);
    out.text("cause", step.cause);
  } else {
    out.raw("first", entry_json(step.first).str()).raw("last", entry_json(step.last).str());
  }
  out.text("from", format_position(kind, step.from)).text("to", format_position(kind, step.to));
  return out.str();
}

std::string run_json(CaptureKind kind, const CoverageRun& run) {
  json::ObjectWriter out;
  if (kind == CaptureKind::postgres)
    out.text("system", run.system).text("database", run.database);
  else
    out.text("cluster", run.system).text("topic", run.topic).raw("partition", number(run.partition));
  out.text("from", format_position(kind, run.from)).text("to", format_position(kind, run.to));
  out.raw("steps", list_of(run.steps, [&](const auto& step) { return step_json(kind, step); }));
  return out.str();
}

std::string move_json(CaptureKind kind, const CoverageMove& move) {
  auto out = entry_json(move.entry);
  out.text("cause", move.cause).text("before", move.before).text("after", move.after);
  if (move.from) out.text("from", format_position(kind, *move.from));
  if (move.to) out.text("to", format_position(kind, *move.to));
  return out.str();
}

std::string totals_json(CaptureKind kind, const CaptureTotals& totals) {
  json::ObjectWriter out;
  if (kind == CaptureKind::postgres)
    out.raw("transactions", number(totals.transactions))
        .raw("rows", number(totals.rows))
        .raw("unattributed", number(totals.unattributed));
  else
    out.raw("commands", number(totals.commands)).raw("refused", number(totals.refused));
  return out.str();
}

std::string source_json(const CoveredSource& source) {
  const auto kind = source.kind;
  json::ObjectWriter out;
  out.text("capture", source.name)
      .text("kind", name_of(kind))
      .raw("starts", number(source.starts))
      .raw("heartbeat", source.heartbeat ? entry_json(*source.heartbeat).str() : "null")
      .raw("totals", totals_json(kind, source.totals))
      .raw("gaps", number(source.gaps()))
      .raw("runs", list_of(source.runs, [&](const auto& run) { return run_json(kind, run); }))
      .raw("moves", list_of(source.moves, [&](const auto& move) { return move_json(kind, move); }))
      .raw("snapshots", list_of(source.snapshots, [&](const CoverageSnapshot& snapshot) {
             auto one = entry_json(snapshot.entry);
             return one.text("at", format_position(kind, snapshot.at))
                 .raw("rows", number(snapshot.rows))
                 .str();
           }));
  return out.str();
}

// PostgreSQL's number of one: 32 bits.
bool is_transaction(const json::Value& value) {
  if (!value.is_number()) return false;
  const auto number = value.number_value();
  return number >= 0 && number <= UINT32_MAX &&
         number == static_cast<double>(static_cast<std::uint32_t>(number));
}

// Whether it has the form of what a capture records. Clients may write into a context what they like, and are
// not to bring it into a report.
bool is_captured(const json::Value& event) {
  constexpr std::string_view actions[] = {"CREATED", "UPDATED", "DELETED", "TRUNCATED"};
  const auto text_in = [](const json::Value& object, std::string_view name) {
    const auto value = object.find(name);
    return value.is_string() ? value.string() : std::string_view();
  };
  const auto context = event.find("context");
  const auto capture = text_in(context, "capture");
  return std::ranges::find(actions, text_in(event, "action")) != std::end(actions) &&
         !text_in(event, "targetType").empty() && !capture.empty() &&
         capture.size() <= coverage_name_bytes_max &&
         capture.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos &&
         parse_position(CaptureKind::postgres, text_in(context, "lsn")) &&
         is_transaction(context.find("transaction"));
}

// Entries that a report names one by one, as many as it may, and how many there are.
class Listing {
 public:
  // False where no more are counted.
  bool add(const std::string& element) {
    if (++count_ <= coverage_listed_max) append(listed_, element);
    return count_ < coverage_counted_max;
  }
  std::string json() const {
    return json::ObjectWriter()
        .raw("count", number(count_))
        .raw("whole", count_ < coverage_counted_max ? "true" : "false")
        .raw("listed", "[" + listed_ + "]")
        .str();
  }

 private:
  std::uint64_t count_ = 0;
  std::string listed_;
};

// A condition of a filter tree: one member has this text.
std::string equals(std::string_view field, std::string_view text) {
  return json::ObjectWriter().text("field", field).text("equals", text).str();
}

std::string all_of(const std::vector<std::string>& conditions) {
  return fmt::format(R"({{"and":[{}]}})", fmt::join(conditions, ","));
}

std::string none_of(const std::string& condition) { return fmt::format(R"({{"not":{}}})", condition); }

// Reads what the report is about, of one tree.
class Reporting {
 public:
  Reporting(Reader& reader, const CoverageOrder& order, Reader::Pinned pinned)
      : reader_(reader), order_(order), pinned_(std::move(pinned)) {}

  Result<std::string> report() {
    Coverage coverage(order_.span);
    VESTIGE_CHECKED(fold(coverage));
    const auto sources = coverage.finish();
    VESTIGE_TRY(const auto unattributed, list_unattributed());
    VESTIGE_TRY(const auto refused, list_refused());
    std::uint64_t gaps = 0, strange = 0;
    for (const auto* source : sources) {
      gaps += source->gaps();
      strange += source->unexplained_gaps();
    }
    gaps_ = gaps;
    json::ObjectWriter out;
    out.text("format", format_name)
        .text("tenant", reader_.stream().tenant())
        .text("origin", pinned_.origin)
        .text("checkpoint", pinned_.note)
        .text("madeAt", format_time(order_.now))
        .raw("asked", asked())
        .raw("gaps", number(gaps))
        .raw("unexplained", number(strange))
        .raw("sources", list_of(sources, [](const auto* source) { return source_json(*source); }))
        .raw("unattributed", unattributed)
        .raw("refused", refused);
    return out.str();
  }
  std::uint64_t gaps() const { return gaps_; }

 private:
  std::string asked() const {
    return json::ObjectWriter()
        .raw("source", quoted_or_null(order_.source))
        .raw("from", time_or_null(order_.span.from))
        .raw("to", time_or_null(order_.span.to))
        .str();
  }

  // All that captures told of themselves, whatever the reader may see of other entries: a report that left
  // some of it out would lie.
  Status visit(const std::vector<std::string>& conditions, const OnMatch& on_match) {
    json::Parser parser;
    json::Document document;
    VESTIGE_CHECKED(parser.parse(fmt::format(R"({{"filter":{}}})", all_of(conditions)), document));
    VESTIGE_TRY(const auto search, parse_search(document, order_.now));
    Visibility visibility;
    visibility.personal = visibility.sensitive = false;
    return reader_.visit(0, pinned_.size, search, visibility, on_match);
  }

  std::vector<std::string> of_captures() const {
    std::vector<std::string> conditions{equals("kind", capture_kind)};
    if (!order_.source.empty()) conditions.push_back(equals("targetId", order_.source));
    return conditions;
  }

  Status fold(Coverage& coverage) {
    auto conditions = of_captures();
    conditions.push_back(none_of(equals("action", "REFUSED")));
    std::size_t entries = 0;
    return visit(conditions, [&](const MatchedEntry& found) -> Result<bool> {
      if (++entries > coverage_entries_max) {
        Error error{.kind = ErrorKind::exhausted,
                    .message =
                        "the captures have told more of themselves than one report is made from; ask "
                        "for one source"};
        error.limit = fmt::format("coverage_entries_max = {}", coverage_entries_max);
        return std::unexpected(std::move(error));
      }
      return coverage.take(found.index, found.value);
    });
  }

  void add_span(std::vector<std::string>& conditions) const {
    json::ObjectWriter range;
    if (order_.span.from) range.text("gte", format_time(*order_.span.from));
    if (order_.span.to) range.text("lt", format_time(*order_.span.to));
    if (!range.empty())
      conditions.push_back(json::ObjectWriter().text("field", "time").raw("range", range.str()).str());
  }

  // Rows of a snapshot were there before anybody could say who made them.
  Result<std::string> list_unattributed() {
    std::vector<std::string> conditions{equals("kind", "data.change"), equals("context.attribution", "none"),
                                        none_of(equals("action", "SNAPSHOT"))};
    if (!order_.source.empty()) conditions.push_back(equals("context.capture", order_.source));
    add_span(conditions);
    Listing listing;
    VESTIGE_CHECKED(visit(conditions, [&](const MatchedEntry& found) -> Result<bool> {
      if (!is_captured(found.value)) return true;
      json::ObjectWriter one;
      one.raw("index", number(found.index));
      for (const auto* name : {"id", "time", "action", "targetType"}) copy(one, found.value, name);
      for (const auto* name : {"capture", "lsn", "transaction"}) copy(one, found.value.find("context"), name);
      return listing.add(one.str());
    }));
    return listing.json();
  }

  Result<std::string> list_refused() {
    auto conditions = of_captures();
    conditions.push_back(equals("action", "REFUSED"));
    add_span(conditions);
    Listing listing;
    VESTIGE_CHECKED(visit(conditions, [&](const MatchedEntry& found) -> Result<bool> {
      json::ObjectWriter one;
      one.raw("index", number(found.index));
      copy(one, found.value, "time");
      for (const auto* name : {"capture", "topic", "partition", "offset"})
        copy(one, found.value.find("detail"), name);
      return listing.add(one.str());
    }));
    return listing.json();
  }

  static void copy(json::ObjectWriter& to, const json::Value& from, std::string_view name) {
    if (const auto value = from.find(name); value.exists()) to.raw(name, json::canonical(value));
  }

  Reader& reader_;
  const CoverageOrder& order_;
  const Reader::Pinned pinned_;
  std::uint64_t gaps_ = 0;
};

}  // namespace

Result<std::string> coverage_report(Reader& reader, const CoverageOrder& order) {
  VESTIGE_TRY(auto pinned, reader.pin());
  const auto size = pinned.size;
  Reporting reporting(reader, order, std::move(pinned));
  VESTIGE_TRY(const auto written, reporting.report());
  json::Parser parser;
  json::Document document;
  VESTIGE_CHECKED(parser.parse(written, document, report_limits));
  const auto report = json::canonical(document.root());
  VESTIGE_TRY(const auto note, reader.sign_statement(fmt::format(
                                   "{}\n{{\"digest\":\"{}\",\"gaps\":{},\"size\":{}}}\n", format_name,
                                   to_base64(crypto::sha256(view(report))), reporting.gaps(), size)));
  return fmt::format("{{\"report\":{},\"statement\":{}}}", report, quoted(note));
}

}  // namespace vestige::audit
