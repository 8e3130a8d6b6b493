// What a text holds: told by its content, never by its name.

#include <fmt/format.h>

#include <algorithm>

#include "cli/import/internal/csv_records.h"
#include "cli/import/internal/json_records.h"
#include "cli/import/internal/readers.h"
#include "cli/import/internal/text_stream.h"

namespace vestige::cli::importing {
namespace {

constexpr std::size_t peek_bytes_max = line_bytes_max + (256 << 10);
constexpr std::size_t rows_peeked_bytes_max = 64 << 10;
constexpr std::string_view event_members[] = {"action",     "changes", "context",          "detail",
                                              "id",         "kind",    "lossless",         "sourceEntityMeta",
                                              "sourceType", "subject", "targetEntityMeta", "sourceId",
                                              "targetType", "time",    "targetId"};

std::string_view without_mark(std::string_view text) {
  return text.starts_with(byte_order_mark) ? text.substr(byte_order_mark.size()) : text;
}

std::string_view content_of(std::string_view text) {
  text = without_mark(text);
  return text.substr(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
}

// An event as POST /api/events takes it: kind and action, and nothing that an event does not have.
bool is_event(const json::Value& record) {
  if (!record.find("kind").is_string() || !record.find("action").is_string()) return false;
  for (std::size_t i = 0; i < record.size(); ++i)
    if (std::ranges::find(event_members, record.key_at(i)) == std::end(event_members)) return false;
  return true;
}

// The first JSON record in the part of the text that is known; empty where it does not end there.
std::optional<std::string> first_record(std::string_view start, bool is_whole,
                                        const std::string& array_name) {
  TextStream memory(start);
  JsonRecords records(memory, {}, array_name);
  const auto record = records.next();
  if (!record || !*record) return std::nullopt;
  const bool may_go_on =
      !is_whole && (*record)->text.end() == start.end() && !(*record)->text.starts_with('{');
  return may_go_on ? std::nullopt : std::optional(std::string((*record)->text));
}

std::string format_of(std::string_view record_text, const Catalogue& catalogue, std::string_view otherwise) {
  json::Parser parser;
  json::Document document;
  std::vector<std::string> lossless;
  if (!parser.parse_lossless(record_text, document, lossless)) return std::string(otherwise);
  if (otherwise == "json" && is_event(document.root())) return "ndjson";
  const auto* mapping = catalogue.recognise(document.root());
  return mapping == nullptr ? std::string(otherwise) : mapping->name();
}

// Asks `look` with ever more of the stream until it has an answer; the last time with all that is looked at.
template <typename Look>
auto with_enough(PeekStream& stream, std::size_t bytes_max, const Look& look)
    -> Result<decltype(look(std::string_view(), true))> {
  for (std::size_t seen = 0;;) {
    VESTIGE_TRY(const auto start, stream.peek(seen + 1));
    const bool is_whole = start.size() <= seen;
    const bool enough = is_whole || start.size() >= bytes_max;
    auto answer = look(start, is_whole);
    if (answer || enough) return answer;
    seen = start.size();
  }
}

Result<std::string> json_format(PeekStream& stream, const Catalogue& catalogue,
                                const ReaderOptions& options) {
  const std::string array_name = options.mapping != nullptr ? options.mapping->array_name() : std::string();
  VESTIGE_TRY(const auto record,
              with_enough(stream, peek_bytes_max, [&](std::string_view start, bool is_whole) {
                return first_record(start, is_whole, array_name);
              }));
  return record ? format_of(*record, catalogue, "json") : "json";
}

// Enough of the text to see two rows.
Result<std::string> first_rows(PeekStream& stream) {
  std::string rows;
  VESTIGE_TRY(const auto two, with_enough(stream, rows_peeked_bytes_max,
                                          [&](std::string_view start, bool is_whole) -> std::optional<bool> {
                                            rows = start;
                                            return is_whole || std::ranges::count(start, '\n') > 2
                                                       ? std::optional(true)
                                                       : std::nullopt;
                                          }));
  static_cast<void>(two);
  return rows;
}

std::string csv_format(std::string_view start, char delimiter, const Catalogue& catalogue) {
  TextStream memory(start);
  CsvRecords rows(memory, {}, delimiter);
  const auto row = rows.next();
  return row && *row ? format_of((*row)->json, catalogue, "csv") : "csv";
}

Result<Content> detect_rows(PeekStream& stream, const std::string& name, std::string_view format,
                            const Catalogue& catalogue, const ReaderOptions& options) {
  VESTIGE_TRY(const auto start, first_rows(stream));
  VESTIGE_TRY(const auto more, stream.peek(start.size() + 1));
  const bool is_whole = more.size() <= start.size();
  const auto content = content_of(start);
  const auto line = content.substr(0, content.find_first_of("\r\n"));
  Content found{.container = Content::Container::csv, .format = std::string(format)};
  if (format == auto_format && looks_like_dpkg(line))
    return Content{.container = Content::Container::dpkg, .format = "dpkg"};
  found.delimiter = options.delimiter != '\0' ? options.delimiter : guess_delimiter(start, is_whole);
  if (found.delimiter == '\0' && format == auto_format)
    return fail(
        ErrorKind::invalid,
        fmt::format(
            "{} is in no format that can be told from its beginning. Known formats: JSON records, CSV with a "
            "header, dpkg (/var/log/dpkg.log), git (a directory inside a repository). If it is one of "
            "them, name the format.",
            name));
  if (found.delimiter == '\0') found.delimiter = ',';
  if (format == auto_format) found.format = csv_format(start, found.delimiter, catalogue);
  return found;
}

}  // namespace

Result<Content> detect(PeekStream& stream, const std::string& name, std::string_view format,
                       const Catalogue& catalogue, const ReaderOptions& options) {
  if (format == "dpkg") return Content{.container = Content::Container::dpkg, .format = "dpkg"};
  if (format == "json" || format == "ndjson") return Content{.format = std::string(format)};
  if (format == "csv") return detect_rows(stream, name, format, catalogue, options);
  VESTIGE_TRY(
      const auto first,
      with_enough(stream, rows_peeked_bytes_max, [](std::string_view start, bool) -> std::optional<char> {
        const auto content = content_of(start);
        return content.empty() ? std::nullopt : std::optional(content[0]);
      }));
  // Nothing to read in any format.
  if (!first) return Content{.format = format == auto_format ? "json" : std::string(format)};
  if (*first != '{' && *first != '[') return detect_rows(stream, name, format, catalogue, options);
  if (format != auto_format) return Content{.format = std::string(format)};
  VESTIGE_TRY(auto found, json_format(stream, catalogue, options));
  return Content{.format = std::move(found)};
}

}  // namespace vestige::cli::importing
