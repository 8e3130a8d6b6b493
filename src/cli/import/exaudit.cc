#include "cli/import/internal/exaudit.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <ranges>
#include <span>
#include <vector>

#include "base/encoding.h"
#include "cli/import/internal/elixir_values.h"
#include "cli/import/internal/event_text.h"

namespace vestige::cli::importing {
namespace {

using Kind = Term::Kind;

constexpr std::string_view own_columns[] = {"action", "entity_id",   "entity_schema", "id",
                                            "patch",  "recorded_at", "rollback"};
constexpr std::string_view made_members[] = {"table",       "entity",      "columns",
                                             "attribution", "rolled_back", "changes_left_out"};
constexpr std::string_view hex_mark = "\\x";
constexpr std::size_t shown_bytes_max = 100;

struct Element {
  std::string field;
  std::optional<std::string> before{}, after{};
  std::size_t bytes() const {
    constexpr std::size_t around = 40;
    return around + field.size() + before.value_or("").size() + after.value_or("").size();
  }
};

bool is_change(const Term& term, std::string_view name, std::size_t size) {
  return term.kind == Kind::tuple && term.items.size() == size && term.items[0].is_atom(name);
}

std::string shown(std::string_view text) {
  const auto cut = clean(text, shown_bytes_max);
  return cut.text + (cut.cut ? "…" : "");
}

class PatchReader {
 public:
  Status read(const Term& patch) {
    if (patch.kind != Kind::map) return fail(ErrorKind::invalid, "the patch is no map of changes");
    return members(patch, "");
  }
  PatchChanges written();

 private:
  static std::unexpected<Error> unknown(const std::string& place) {
    return fail(ErrorKind::invalid,
                fmt::format("the patch has a change that ExAudit does not write, at \"{}\"", shown(place)));
  }

  // Of a map: its members by name, so that the order does not depend on Erlang's.
  Status members(const Term& map, const std::string& around) {
    std::multimap<std::string, const Term*, json::CanonicalLess> sorted;
    for (std::size_t i = 0; i + 1 < map.items.size(); i += 2)
      sorted.emplace(name_of_key(map.items[i]), &map.items[i + 1]);
    for (const auto& [name, change] : sorted) {
      if (around.empty() && name.empty())
        return fail(ErrorKind::invalid, "the patch has a column without a name");
      VESTIGE_CHECKED(member(around.empty() ? name : inside(around, name), *change));
    }
    return {};
  }
  static std::string inside(const std::string& around, std::string_view name) {
    auto place = around;
    if (!place.contains('#')) place += '#';
    json::append_pointer(place, name);
    return place;
  }

  Status member(const std::string& place, const Term& change) {
    if (place.size() > place_bytes_max) return leave_out();
    if (is_change(change, "added", 2)) return add(place, nullptr, &change.items[1]);
    if (is_change(change, "removed", 2)) return add(place, &change.items[1], nullptr);
    if (is_change(change, "changed", 2)) return changed(place, change.items[1]);
    return unknown(place);
  }
  Status changed(const std::string& place, const Term& how) {
    if (is_change(how, "primitive_change", 3)) return add(place, &how.items[1], &how.items[2]);
    if (how.is_atom("not_changed")) return {};
    if (how.kind == Kind::map) return members(how, place);
    if (how.kind == Kind::list) return elements(how, place);
    return unknown(place);
  }
  // ExAudit compares lists place by place, so what was added or went is at the end.
  Status elements(const Term& list, const std::string& around) {
    for (const auto& change : list.items) {
      const bool known = (is_change(change, "added_to_list", 3) || is_change(change, "changed_in_list", 3) ||
                          is_change(change, "removed_from_list", 3)) &&
                         change.items[1].kind == Kind::integer;
      if (!known) return unknown(around);
      const auto place = inside(around, change.items[1].text);
      if (is_change(change, "added_to_list", 3)) VESTIGE_CHECKED(add(place, nullptr, &change.items[2]));
      if (is_change(change, "changed_in_list", 3)) VESTIGE_CHECKED(changed(place, change.items[2]));
    }
    for (const auto& change : list.items | std::views::reverse)
      if (is_change(change, "removed_from_list", 3))
        VESTIGE_CHECKED(add(inside(around, change.items[1].text), &change.items[2], nullptr));
    return {};
  }

  // A member that went as a text and came as an atom, or the other way round, is one that changed: Ecto reads
  // keys of a json column as texts, and programs put atoms there.
  Status add(const std::string& place, const Term* before, const Term* after) {
    const auto where = place.contains('#') ? Place::inside : Place::column;
    const auto [same, is_new] = by_place_.try_emplace(place, elements_.size());
    if (is_new) elements_.push_back({.field = place});
    auto& element = elements_[same->second];
    if (before != nullptr) element.before = json_of_elixir(*before, where);
    if (after != nullptr) element.after = json_of_elixir(*after, where);
    return {};
  }

  Status leave_out() {
    ++left_out_;
    return {};
  }
  void shorten();

  std::vector<Element> elements_;
  std::map<std::string, std::size_t, std::less<>> by_place_;
  std::size_t left_out_ = 0;
};

// Puts digests in the place of the longest values until all fit.
void PatchReader::shorten() {
  constexpr std::size_t digest_bytes = 100;
  std::size_t bytes = 0;
  std::vector<std::string*> values;
  for (auto& element : elements_) {
    bytes += element.bytes();
    for (auto* side : {&element.before, &element.after})
      if (*side && (*side)->size() > digest_bytes) values.push_back(&**side);
  }
  // Of equal ones the first, as they lie in memory one after the other.
  std::ranges::sort(values, [](const std::string* a, const std::string* b) {
    return a->size() != b->size() ? a->size() > b->size() : std::less<>()(a, b);
  });
  for (auto* value : values) {
    if (bytes <= changes_bytes_max) return;
    auto digest = digest_json(*value);
    bytes -= value->size() - digest.size();
    *value = std::move(digest);
  }
}

PatchChanges PatchReader::written() {
  std::erase_if(elements_,
                [](const Element& element) { return element.before && element.before == element.after; });
  shorten();
  PatchChanges changes{.json = "[", .left_out = left_out_};
  std::size_t bytes = 0;
  for (const auto& element : elements_) {
    bytes += element.bytes();
    if (bytes > changes_bytes_max) {
      ++changes.left_out;
      continue;
    }
    EventWriter event;
    event.begin_object().text("field", element.field);
    if (element.before) event.raw("old", *element.before);
    if (element.after) event.raw("new", *element.after);
    event.end_object();
    if (changes.json.size() > 1) changes.json += ',';
    changes.json += event.json();
  }
  changes.json += ']';
  return changes;
}

std::string text_of(const json::Value& value) {
  if (value.is_string()) return std::string(value.string());
  return value.is_number() ? std::string(value.number()) : "";
}

Result<Term> patch_of(std::string_view text) {
  if (!text.starts_with(hex_mark))
    return fail(ErrorKind::invalid,
                "its patch is no bytea in hex, which begins with \\x. Export it again after SET bytea_output "
                "= 'hex'");
  const auto bytes = from_hex(text.substr(hex_mark.size()));
  if (!bytes)
    return fail(ErrorKind::invalid, "its patch is no bytea in hex: there are other characters in it");
  auto term = decode_term(*bytes);
  if (!term) term.error().message = "its patch cannot be read: " + term.error().message;
  return term;
}

std::string record_of(const json::Value& row, std::string_view patch) {
  EventWriter record;
  record.begin_object();
  for (const auto name : own_columns) {
    const auto value = row.find(name);
    if (!value.exists()) continue;
    const bool is_long = name == "patch" && patch.size() > hex_mark.size() + 2 * patch_kept_bytes_max;
    record.raw(name, is_long ? digest_json(patch) : json::canonical(value));
  }
  return record.end_object().take();
}

bool is_one_of(std::string_view name, std::span<const std::string_view> names) {
  return std::ranges::find(names, name) != names.end();
}

void write_row(EventWriter& to, const json::Value& row, std::span<const std::string_view> without) {
  for (std::size_t i = 0; i < row.size(); ++i)
    // PostgreSQL has no column without a name.
    if (!row.key_at(i).empty() && !is_one_of(row.key_at(i), without))
      to.raw(row.key_at(i), json::canonical(row.at(i)));
}

std::string view_of(const json::Value& row, std::size_t left_out) {
  const auto schema = text_of(row.find("entity_schema"));
  const auto rollback = row.find("rollback");
  EventWriter view;
  view.begin_object();
  write_row(view, row, made_members);
  view.text("table", schema.contains('.') ? schema : "public." + schema);
  view.begin_object("entity").text(schema, text_of(row.find("entity_id"))).end_object();
  view.begin_object("columns");
  write_row(view, row, own_columns);
  view.end_object();
  if (text_of(row.find("user_id")).empty()) view.text("attribution", "none");
  if (text_of(rollback) == "t" || (rollback.is_boolean() && rollback.boolean()))
    view.truth("rolled_back", true);
  if (left_out > 0) view.number("changes_left_out", left_out);
  return view.end_object().take();
}

}  // namespace

Result<PatchChanges> changes_of_patch(const Term& patch) {
  PatchReader reader;
  VESTIGE_CHECKED(reader.read(patch));
  return reader.written();
}

Result<Version> read_version(const json::Value& row) {
  for (const std::string_view name : {"action", "entity_id", "entity_schema", "patch", "recorded_at"})
    if (text_of(row.find(name)).empty())
      return fail(
          ErrorKind::invalid,
          fmt::format("it has no {}, so it is no row of ExAudit's table versions, which has the columns {}",
                      name, fmt::join(own_columns, ", ")));
  const auto patch = text_of(row.find("patch"));
  VESTIGE_TRY(const auto term, patch_of(patch));
  VESTIGE_TRY(auto changes, changes_of_patch(term));
  Version version{.record = record_of(row, patch), .view = view_of(row, changes.left_out)};
  if (changes.json != "[]") version.changes = std::move(changes.json);
  return version;
}

}  // namespace vestige::cli::importing
