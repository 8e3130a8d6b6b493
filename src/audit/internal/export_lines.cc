#include "audit/internal/export_lines.h"

#include <algorithm>

#include "crypto/digest.h"

namespace vestige::audit::internal {
namespace {

constexpr std::string_view title = "vestige export v1\n";
constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
constexpr std::string_view columns[] = {"index",
                                        "time",
                                        "receivedAt",
                                        "kind",
                                        "action",
                                        "sourceType",
                                        "sourceId",
                                        "targetType",
                                        "targetId",
                                        "subject",
                                        "detail",
                                        "changes",
                                        "context",
                                        "sourceEntityMeta",
                                        "targetEntityMeta",
                                        "id"};

// What makes a formula of a cell, and the sign that takes it back.
constexpr std::string_view formula_starts[] = {"=",  "+", "-",      "@",      "\t",     "\r",
                                               "\n", "'", "\uFF1D", "\uFF0B", "\uFF0D", "\uFF20"};

void append_cell(std::string& to, std::string_view cell) {
  if (cell.find_first_of("\",\r\n") == std::string_view::npos) {
    to.append(cell);
    return;
  }
  to.push_back('"');
  for (const char c : cell) {
    if (c == '"') to.push_back('"');
    to.push_back(c);
  }
  to.push_back('"');
}

std::string cell_of(const json::Value& value) {
  if (!value.exists()) return {};
  if (!value.is_string()) return json::canonical(value);
  const auto text = value.string();
  const bool guarded =
      std::ranges::any_of(formula_starts, [&](std::string_view start) { return text.starts_with(start); });
  return (guarded ? "'" : "") + std::string(text);
}

}  // namespace

ExportLines::ExportLines(bool csv) : csv_(csv), digest_(crypto::sha256(view(title))) {}

void ExportLines::append(std::string& to, std::string_view line) {
  digest_ = crypto::sha256({digest_, view(line)});
  if (!csv_) {
    to.append(line);
    to.push_back('\n');
    return;
  }
  append_cell(to, line);
  to.append("\r\n");
}

void ExportLines::header(std::string& to, std::string_view line) {
  if (csv_) {
    to.append(byte_order_mark);
    for (const auto column : columns) to.append(column).push_back(',');
  }
  append(to, line);
}

void ExportLines::event(std::string& to, std::string_view line, const json::Value& event) {
  for (std::size_t i = 0; csv_ && i < std::size(columns); ++i) {
    append_cell(to, cell_of(event.find(columns[i])));
    to.push_back(',');
  }
  append(to, line);
}

void ExportLines::closing(std::string& to, std::string_view line) {
  if (csv_) to.append(std::size(columns), ',');
  append(to, line);
}

}  // namespace vestige::audit::internal
