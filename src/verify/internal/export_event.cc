#include "verify/internal/export_event.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/encoding.h"
#include "seal/event_tree.h"
#include "seal/section.h"
#include "trail/merkle/merkle.h"
#include "verify/internal/json_member.h"
#include "verify/limits.h"

namespace vestige::verify {
namespace {

// As docs/formats/export.md has them, and not shared with who writes the file: a mistake there must not pass.
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
constexpr json::Limits limits_of_line{.depth_max = limits::export_depth_max,
                                      .bytes_max = limits::export_row_bytes_max};

std::unexpected<Error> wrong(std::string what) { return fail(ErrorKind::corrupt, std::move(what)); }

Result<std::vector<seal::Pair>> read_open(const json::Value& open, const seal::Reference& reference,
                                          std::size_t number) {
  const auto pairs = open.find("pairs");
  const auto seed_text = open.find("seed");
  const auto seed =
      seed_text.is_string() ? array_from_base64<16>(seed_text.string()) : std::optional<Block16>();
  if (open.size() != 2 || !pairs.is_array() || !seed || pairs.size() == 0 || pairs.size() > seal::pairs_max)
    return wrong(fmt::format("section {} of it is not what the format says", number));
  std::vector<seal::Pair> out;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const auto pair = pairs.at(i);
    if (!pair.is_array() || pair.size() != 2 || !pair.at(0).is_string())
      return wrong(fmt::format("section {} of it is no list of pairs", number));
    out.push_back({std::string(pair.at(0).string()), json::canonical(pair.at(1))});
  }
  if (seal::pairs_root(out, *seed) != reference.root)
    return wrong(
        fmt::format("the values of section {} do not give the root in its entry: one was altered", number));
  return out;
}

// Counts the state and sees that it is told as the format says.
Status check_state(const json::Value& told, const seal::Reference& reference, bool is_open,
                   ExportFacts& facts) {
  const auto refs = told.find("refs");
  const auto state = told.find("state");
  bool fits = refs.is_array() && refs.size() == reference.refs.size() && state.is_string();
  for (std::size_t i = 0; fits && i < refs.size(); ++i)
    fits = refs.at(i).is_string() && refs.at(i).string() == to_base64(reference.refs[i]);
  if (!fits) return wrong("its event names other sections than its entry");
  const auto name = state.string();
  const bool erased_by = told.find("erasedBy").exists();
  if (told.size() != (erased_by ? 3U : 2U) ||
      (erased_by && (name != "erased" || !number_in(told, "erasedBy"))))
    return wrong("its event says something else of a section than its state");
  if (is_open != (name == "present")) return wrong("a section is open and not said to be, or the other way");
  auto* count = name == "present"  ? &facts.present
                : name == "erased" ? &facts.erased
                : name == "closed" ? &facts.closed
                                   : &facts.unknown;
  if (count == &facts.unknown && name != "unknown")
    return wrong(fmt::format("a section has the state \"{}\"", name));
  ++*count;
  return {};
}

// The open sections' pairs, each list in its place.
Result<std::vector<std::vector<seal::Pair>>> check_sections(const json::Value& line, const json::Value& entry,
                                                            const json::Value& event, ExportFacts& facts) {
  std::vector<std::vector<seal::Pair>> sections;
  const auto sealed = entry.find("sealed");
  const auto open = line.find("open");
  const auto told = event.find("sealed");
  if (!sealed.exists()) {
    if (open.exists() || told.exists()) return wrong("it has sections that its entry does not name");
    return sections;
  }
  const auto references = seal::parse_references(json::canonical(sealed));
  if (!references) return wrong("the sections that its entry names cannot be read");
  if (!open.is_array() || !told.is_array() || open.size() != references->size() ||
      told.size() != references->size())
    return wrong("it has another number of sections than its entry names");
  for (std::size_t i = 0; i < references->size(); ++i) {
    const auto& reference = (*references)[i];
    const bool is_open = !open.at(i).is_null();
    VESTIGE_CHECKED(check_state(told.at(i), reference, is_open, facts));
    sections.emplace_back();
    if (!is_open) continue;
    VESTIGE_TRY(sections.back(), read_open(open.at(i), reference, i));
  }
  return sections;
}

// The event that follows from entry and sections, in canonical form.
Result<std::string> event_of(std::string_view entry, std::span<const std::vector<seal::Pair>> sections,
                             const json::Value& event, const Hash& leaf) {
  std::string text;
  if (!seal::append_event(entry, sections, text)) return wrong("a sealed value has no place in its entry");
  // An entry has members of its own, so a comma is right.
  if (const auto told = event.find("sealed"); told.exists())
    text.append(",\"sealed\":").append(json::canonical(told));
  text += fmt::format(",\"index\":{},\"leaf\":\"{}\"}}", event.find("index").number(), to_base64(leaf));
  json::Parser parser;
  json::Document document;
  if (!parser.parse(text, document, limits_of_line)) return wrong("its entry is no entry");
  return json::canonical(document.root());
}

constexpr std::string_view formula_starts[] = {"=",  "+", "-",      "@",      "\t",     "\r",
                                               "\n", "'", "\uFF1D", "\uFF0B", "\uFF0D", "\uFF20"};

std::string cell_of(const json::Value& value) {
  if (!value.exists()) return {};
  if (!value.is_string()) return json::canonical(value);
  const auto text = value.string();
  const bool guarded =
      std::ranges::any_of(formula_starts, [&](std::string_view start) { return text.starts_with(start); });
  return (guarded ? "'" : "") + std::string(text);
}

}  // namespace

Result<ExportedEvent> check_exported_event(const json::Value& line, ExportFacts& facts) {
  const auto entry = line.find("entry");
  const auto event = line.find("event");
  if (!entry.is_object() || !event.is_object()) return wrong("it has no entry, or no event");
  const auto bytes = json::canonical(entry);
  ExportedEvent out;
  out.leaf = trail::leaf_hash(view(bytes));
  const auto index = number_in(event, "index");
  const auto leaf = event.find("leaf");
  if (!index || !leaf.is_string()) return wrong("its event has no index, or no leaf");
  if (leaf.string() != to_base64(out.leaf))
    return wrong("its entry does not have the leaf that its event names: one of them was altered");
  out.index = *index;
  VESTIGE_TRY(const auto sections, check_sections(line, entry, event, facts));
  VESTIGE_TRY(const auto expected, event_of(bytes, sections, event, out.leaf));
  if (json::canonical(event) != expected)
    return wrong("its event is not what its entry and sections say: it was altered");
  const auto time = event.find("time");
  if (!time.is_string()) return wrong("its event has no time");
  out.time = time.string();
  return out;
}

std::span<const std::string_view> export_columns() { return columns; }

Status check_cells(std::span<const std::string> cells, const json::Value& event) {
  if (cells.size() != std::size(columns))
    return wrong(fmt::format("it has {} cells instead of {}", cells.size() + 1, std::size(columns) + 1));
  for (std::size_t i = 0; i < cells.size(); ++i)
    if (cells[i] != cell_of(event.find(columns[i])))
      return wrong(fmt::format("its cell \"{}\" is not what its event says: it was altered", columns[i]));
  return {};
}

}  // namespace vestige::verify
