// What an import says at its end.

#include <fmt/format.h>

#include <algorithm>

#include "cli/internal/display.h"
#include "cli/internal/import.h"
#include "cli/internal/json_text.h"
#include "cli/internal/progress.h"

namespace vestige::cli {
namespace {

using importing::MappingCoverage;
using importing::reported_names;

constexpr std::size_t names_shown_max = 12;

std::string string_list(const std::vector<std::string>& names) {
  std::string list = "[";
  for (const auto& name : names) list += (list.size() > 1 ? "," : "") + json_string(name);
  return list + "]";
}

// Top-level members of which no record used anything.
std::vector<std::string> only_original(const MappingCoverage& coverage) {
  std::vector<std::string> names;
  for (const auto& [path, counts] : coverage.paths)
    if (counts.mapped == 0) names.push_back(path);
  return names;
}

std::string mapped_json(const std::string& mapping, const MappingCoverage& coverage) {
  JsonObject object;
  object.text("mapping", mapping).number("records", coverage.records);
  JsonObject with;
  for (std::size_t i = 0; i < reported_names.size(); ++i) with.number(reported_names[i], coverage.has[i]);
  JsonObject unknown;
  for (const auto& [action, count] : coverage.unknown_actions) unknown.number(action, count);
  return object.raw("with", with.str())
      .raw("onlyInOriginal", string_list(only_original(coverage)))
      .raw("unknownActions", unknown.str())
      .number("cut", coverage.cut)
      .boolean("namesComplete", coverage.complete)
      .str();
}

// The most frequent first, as far as they fit.
std::string some_of(const std::map<std::string, std::uint64_t, std::less<>>& counts) {
  std::vector<std::pair<std::uint64_t, std::string>> sorted;
  for (const auto& [name, count] : counts) sorted.emplace_back(count, name);
  std::ranges::sort(sorted, std::greater<>());
  std::string text;
  for (std::size_t i = 0; i < std::min(sorted.size(), names_shown_max); ++i)
    text += fmt::format("{}{} ({})", i > 0 ? ", " : "", escaped(sorted[i].second),
                        with_separators(sorted[i].first));
  if (sorted.size() > names_shown_max) text += fmt::format(" and {} more", sorted.size() - names_shown_max);
  return text;
}

std::string some_of(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), names_shown_max); ++i)
    text += (i > 0 ? ", " : "") + escaped(names[i]);
  if (names.size() > names_shown_max) text += fmt::format(" and {} more", names.size() - names_shown_max);
  return text;
}

std::string mapped_text(const importing::Coverage& coverage, unsigned columns) {
  std::vector<Column> titles = {{.title = "mapping"}, {.title = "records", .may_be_cut = false}};
  for (const auto name : reported_names) titles.push_back({.title = std::string(name), .may_be_cut = false});
  std::vector<std::vector<std::string>> rows;
  std::string remarks;
  for (const auto& [mapping, each] : coverage.by_mapping()) {
    auto& row = rows.emplace_back(std::vector<std::string>{mapping, with_separators(each.records)});
    for (const auto count : each.has)
      row.push_back(fmt::format("{}%", count * 100 / std::max<std::uint64_t>(each.records, 1)));
    if (const auto names = only_original(each); !names.empty())
      remarks += fmt::format("{}: only under detail.original: {}\n", escaped(mapping), some_of(names));
    if (!each.unknown_actions.empty())
      remarks += fmt::format("{}: actions without a kind of their own: {}\n", escaped(mapping),
                             some_of(each.unknown_actions));
    if (each.cut > 0)
      remarks += fmt::format("{}: {} records had an id or a word that was cut to what an event may have\n",
                             escaped(mapping), with_separators(each.cut));
  }
  return "\n" + render_table(titles, rows, columns) + remarks;
}

}  // namespace

std::string import_json(const std::vector<ImportedFile>& files, const importing::Coverage& coverage,
                        bool complete) {
  std::string list;
  ImportedFile sum;
  for (const auto& each : files) {
    list += list.empty() ? "" : ",";
    list += JsonObject()
                .text("path", each.path)
                .text("format", each.format)
                .number("records", each.records)
                .number("accepted", each.accepted)
                .number("duplicates", each.duplicates)
                .str();
    sum.records += each.records;
    sum.accepted += each.accepted;
    sum.duplicates += each.duplicates;
  }
  JsonObject object;
  object.raw("files", "[" + list + "]")
      .number("records", sum.records)
      .number("accepted", sum.accepted)
      .number("duplicates", sum.duplicates)
      .boolean("complete", complete);
  std::string mapped;
  for (const auto& [mapping, each] : coverage.by_mapping())
    mapped += (mapped.empty() ? "" : ",") + mapped_json(mapping, each);
  if (!mapped.empty()) object.raw("mapped", "[" + mapped + "]");
  return object.str() + "\n";
}

std::string import_text(const std::vector<ImportedFile>& files, const importing::Coverage& coverage,
                        unsigned columns) {
  std::string text;
  for (const auto& each : files)
    text += fmt::format("{} ({}): {} records read, {} accepted, {} duplicates\n", escaped(each.path),
                        each.format, with_separators(each.records), with_separators(each.accepted),
                        with_separators(each.duplicates));
  if (!coverage.by_mapping().empty()) text += mapped_text(coverage, columns);
  return text;
}

}  // namespace vestige::cli
