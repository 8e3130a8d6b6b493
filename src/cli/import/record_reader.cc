// Foreign records, of JSON or CSV, with the events that a mapping makes of them.

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <variant>

#include "cli/import/internal/csv_records.h"
#include "cli/import/internal/exaudit.h"
#include "cli/import/internal/json_records.h"
#include "cli/import/internal/readers.h"

namespace vestige::cli::importing {
namespace {

// Members under which programs that collect logs put what they collected.
constexpr std::string_view wrapper_names[] = {"log",    "event", "detail",  "_source", "result", "data",
                                              "record", "body",  "payload", "message", "_raw",   "raw"};
constexpr json::Limits record_limits{.depth_max = 128, .bytes_max = 4 * line_bytes_max};
constexpr json::Limits version_limits{.depth_max = 128, .bytes_max = 4 * version_bytes_max};

// Which mapping, of what. `view` is the record or what stands inside of it.
struct View {
  const Mapping* mapping = nullptr;
  json::Value value;
  std::string_view outer{};
};

// What was made of a record before a mapping is asked: its changes, and the members that they come from.
struct Made {
  std::string_view changes{};
  std::span<const std::string_view> members{};
};

// Not thread-safe.
class Mapper {
 public:
  Mapper(const Catalogue& catalogue, const Mapping* own, const Mapping* preferred, Coverage* coverage)
      : catalogue_(catalogue), own_(own), preferred_(preferred), coverage_(coverage) {}

  std::string event_of(const json::Value& record, const Made& made = {}) {
    const auto view = view_of(record);
    auto event = view.mapping->map(view.value, made.changes);
    event.used.insert(event.used.end(), made.members.begin(), made.members.end());
    if (coverage_ != nullptr) coverage_->add(*view.mapping, view.value, view.outer, event);
    return std::move(event.json);
  }

 private:
  View view_of(const json::Value& record) {
    if (own_ != nullptr) return inside_of({own_, record}, false);
    if (const auto* mapping = recognise(record)) return inside_of({mapping, record}, true);
    if (!record.is_object()) return {&catalogue_.guesses(), record};
    for (const auto name : wrapper_names) {
      const auto inner = object_of(record.find(name), wrapped_);
      if (const auto* mapping = inner.exists() ? recognise(inner) : nullptr)
        return inside_of({mapping, inner, name}, true);
    }
    return guessed(record);
  }

  const Mapping* recognise(const json::Value& record) const {
    if (preferred_ != nullptr && preferred_->recognises(record)) return preferred_;
    return catalogue_.recognise(record);
  }

  // An object, or what a string holds as JSON, which is read into `document`.
  json::Value object_of(const json::Value& value, json::Document& document) {
    if (value.is_object()) return value;
    if (!value.is_string() || !value.string().starts_with('{')) return {};
    std::vector<std::string> lossless;
    const std::string text(value.string());
    return parser_.parse_lossless(text, document, lossless, record_limits) ? document.root() : json::Value();
  }

  View inside_of(View view, bool may_change) {
    std::string_view first;
    const auto inner = object_of(view.mapping->inside(view.value, &first), inner_);
    if (!inner.is_object()) return view;
    const auto* mapping = may_change ? recognise(inner) : nullptr;
    return {mapping != nullptr ? mapping : view.mapping, inner, view.outer.empty() ? first : view.outer};
  }

  // The record or an object that stands in it, whichever says more; the record where both say as much.
  View guessed(const json::Value& record) const {
    const auto& guesses = catalogue_.guesses();
    const auto told = [&](const json::Value& value) {
      return std::ranges::count(guesses.map(value).has, true);
    };
    View best{&guesses, record};
    auto most = told(record);
    for (const auto name : wrapper_names) {
      const auto inner = record.find(name);
      const auto more = inner.is_object() ? told(inner) : 0;
      if (more > most) best = {&guesses, inner, name};
      most = std::max(most, more);
    }
    return best;
  }

  const Catalogue& catalogue_;
  const Mapping* own_;
  const Mapping* preferred_;
  Coverage* coverage_;
  json::Parser parser_;
  json::Document wrapped_;
  json::Document inner_;
};

struct Text {
  std::string_view text;
  std::string where;
};

class RecordReader final : public MemberReader {
 public:
  RecordReader(platform::ByteStream& stream, std::string name, const Content& content,
               const Catalogue& catalogue, const ReaderOptions& options)
      : name_(std::move(name)),
        are_events_(content.format == "ndjson"),
        are_versions_(content.format == exaudit_format),
        mapper_(catalogue, options.mapping, catalogue.find(content.format), options.coverage) {
    if (content.container == Content::Container::csv)
      records_.emplace<CsvRecords>(stream, name_, content.delimiter,
                                   are_versions_ ? version_bytes_max : line_bytes_max);
    else
      records_.emplace<JsonRecords>(
          stream, name_, options.mapping != nullptr ? options.mapping->array_name() : std::string());
  }

  Result<std::optional<ImportedEvent>> next() override {
    VESTIGE_TRY(auto text, next_text());
    if (!text) return std::nullopt;
    ++number_;
    std::vector<std::string> lossless;
    // An event is for the server to judge as any other client's: nothing is made of its numbers.
    auto parsed = are_events_ ? parser_.parse(text->text, document_, record_limits)
                              : parser_.parse_lossless(text->text, document_, lossless,
                                                       are_versions_ ? version_limits : record_limits);
    if (!parsed) return unreadable(text->where, parsed.error());
    if (are_versions_) return version(std::move(text->where));
    const auto record = document_.root();
    ImportedEvent event{.json = are_events_ ? std::string() : mapper_.event_of(record),
                        .record = json::canonical(record),
                        .lossless = {},
                        .where = std::move(text->where)};
    for (const auto& path : lossless) {
      event.lossless += event.lossless.empty() ? '[' : ',';
      json::append_quoted(event.lossless, path);
    }
    if (!lossless.empty()) event.lossless += ']';
    return event;
  }

  std::vector<std::string> notices() const override {
    if (const auto* rows = std::get_if<CsvRecords>(&records_)) return notices_of(*rows);
    const auto& beside = std::get<JsonRecords>(records_).beside();
    if (beside.empty()) return {};
    return {fmt::format("the records of {} stand in an object; what it says beside them is not imported: {}",
                        name_, fmt::join(beside, ", "))};
  }

 private:
  std::unexpected<Error> unreadable(std::string_view where, const Error& error) const {
    return fail(ErrorKind::invalid, fmt::format("{} of {} cannot be read: {}", where, name_, error.message));
  }

  // Of the row in document_.
  Result<std::optional<ImportedEvent>> version(std::string where) {
    auto read = read_version(document_.root());
    if (!read) return unreadable(where, read.error());
    json::Document view;
    VESTIGE_CHECKED(parser_.parse(read->view, view, version_limits));
    return ImportedEvent{.json = mapper_.event_of(view.root(), {read->changes, version_members_used}),
                         .record = std::move(read->record),
                         .lossless = {},
                         .where = std::move(where)};
  }

  std::vector<std::string> notices_of(const CsvRecords& rows) const {
    if (rows.uneven_rows() == 0) return {};
    return {fmt::format(
        "{} of the {} rows of {} have more or fewer fields than the header (the first begins at line "
        "{}); fields beyond it are named \"column N\"",
        rows.uneven_rows(), rows.rows(), name_, rows.first_uneven_line())};
  }

  Result<std::optional<Text>> next_text() {
    if (auto* rows = std::get_if<CsvRecords>(&records_)) {
      VESTIGE_TRY(const auto row, rows->next());
      if (!row) return std::nullopt;
      return Text{.text = row->json, .where = fmt::format("line {}", row->line)};
    }
    VESTIGE_TRY(const auto record, std::get<JsonRecords>(records_).next());
    if (!record) return std::nullopt;
    return Text{.text = record->text,
                .where = record->enclosed ? fmt::format("record {} (line {})", number_ + 1, record->line)
                                          : fmt::format("line {}", record->line)};
  }

  const std::string name_;
  const bool are_events_;
  const bool are_versions_;
  Mapper mapper_;
  std::variant<std::monostate, JsonRecords, CsvRecords> records_;
  json::Parser parser_;
  json::Document document_;
  std::uint64_t number_ = 0;
};

}  // namespace

std::string map_record(const Catalogue& catalogue, const Mapping& own, const json::Value& record) {
  return Mapper(catalogue, &own, nullptr, nullptr).event_of(record);
}

std::unique_ptr<MemberReader> make_record_reader(platform::ByteStream& stream, std::string name,
                                                 const Content& content, const Catalogue& catalogue,
                                                 const ReaderOptions& options) {
  return std::make_unique<RecordReader>(stream, std::move(name), content, catalogue, options);
}

}  // namespace vestige::cli::importing
