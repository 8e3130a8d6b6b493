#include "audit/disclosure.h"

#include <fmt/format.h>

#include <charconv>
#include <set>

#include "base/encoding.h"
#include "seal/event_tree.h"

namespace vestige::audit {
namespace {

bool is_at_or_below(std::string_view path, std::string_view above) {
  return path.starts_with(above) && (path.size() == above.size() || path[above.size()] == '/');
}

json::Value element_at(const json::Value& array, std::string_view token) {
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), index);
  if (error != std::errc{} || end != token.data() + token.size() || index >= array.size()) return {};
  return array.at(index);
}

// Whether the entry itself has something there that belongs to the event.
bool is_in_the_clear(json::Value at, std::string_view pointer) {
  bool first = true;
  while (!pointer.empty()) {
    pointer.remove_prefix(1);
    const auto slash = pointer.find('/');
    const auto token = json::unescaped_token(pointer.substr(0, slash));
    if (first && seal::is_bookkeeping(token)) return false;
    first = false;
    at = at.is_array() ? element_at(at, token) : at.find(token);
    pointer = slash == std::string_view::npos ? std::string_view() : pointer.substr(slash);
  }
  return at.exists() && !at.is_null();
}

// Why nothing can be disclosed at a path.
Error nothing_there(const std::string& path, std::size_t number, const OpenedSections& sections) {
  Error error{.kind = ErrorKind::invalid, .message = fmt::format("the event has nothing at {}", path)};
  error.path = fmt::format("/fields/{}", number);
  for (std::size_t i = 0; i < sections.states.size(); ++i) {
    switch (sections.states[i]) {
      case SectionState::present:
        break;
      case SectionState::closed:
        error.kind = ErrorKind::denied;
        error.message = fmt::format("you may not read personal values, and {} would be one", path);
        return error;
      case SectionState::erased:
        error.kind = ErrorKind::conflict;
        error.message = fmt::format(
            "the event has a section that was erased{}, so whether {} was in it nobody can tell any more",
            sections.erased_by[i] ? fmt::format(" (entry {} says so)", *sections.erased_by[i]) : "", path);
        break;
      case SectionState::unknown:
        if (error.kind == ErrorKind::conflict) break;
        error.kind = ErrorKind::conflict;
        error.message = fmt::format(
            "the event has a section that nobody has the key of, so whether {} was in it nobody can tell",
            path);
    }
  }
  return error;
}

using Chosen = std::set<std::pair<std::size_t, std::size_t>>;  // section, pair

Result<Chosen> choose(const MatchedEntry& found, const std::vector<std::string>& paths) {
  constexpr json::Limits limits{.depth_max = 256, .bytes_max = 64 << 20};
  json::Parser parser;
  json::Document entry;
  VESTIGE_CHECKED(parser.parse(found.entry, entry, limits));
  Chosen chosen;
  for (std::size_t number = 0; number < paths.size(); ++number) {
    const auto& path = paths[number];
    bool any = is_in_the_clear(entry.root(), path);
    for (std::size_t i = 0; i < found.sections.pairs.size(); ++i)
      for (std::size_t j = 0; j < found.sections.pairs[i].size(); ++j)
        if (is_at_or_below(found.sections.pairs[i][j].path, path)) {
          chosen.emplace(i, j);
          any = true;
        }
    if (!any) return std::unexpected(nothing_there(path, number, found.sections));
  }
  return chosen;
}

std::string write(const MatchedEntry& found, const Chosen& chosen, std::string_view proof) {
  std::string out = "{\"disclosed\":[";
  bool first = true;
  for (const auto& [section, index] : chosen) {
    const auto& pairs = found.sections.pairs[section];
    const auto& seed = found.sections.seeds[section];
    out += first ? "{" : ",{";
    first = false;
    fmt::format_to(std::back_inserter(out), "\"index\":{},\"path\":", index);
    json::append_quoted(out, pairs[index].path);
    out += ",\"proof\":[";
    bool first_step = true;
    for (const auto& step : seal::pair_path(pairs, seed, index)) {
      out += first_step ? "\"" : ",\"";
      first_step = false;
      append_base64(out, step);
      out += '"';
    }
    fmt::format_to(std::back_inserter(out), "],\"salt\":\"{}\",\"section\":{},\"size\":{},\"value\":{}}}",
                   to_base64(seal::salt_of(seed, index)), section, pairs.size(), pairs[index].value);
  }
  out.append("],\"entry\":").append(found.entry).append(",\"format\":\"vestige disclosure v1\",\"proof\":");
  json::append_quoted(out, proof);
  return out + "}";
}

}  // namespace

std::optional<std::string> parse_disclosed_path(std::string_view text) {
  const auto path = parse_field_path(text);
  if (!path) return std::nullopt;
  std::string pointer;
  for (const auto& key : path->keys) json::append_pointer(pointer, key);
  return pointer;
}

Result<std::string> disclose(Reader& reader, const Uuid& id, const std::vector<std::string>& paths,
                             const Visibility& visibility) {
  if (!visibility.hidden.empty())
    return fail(ErrorKind::denied,
                fmt::format("you may not read {}, so you cannot disclose: a disclosure hands out all clear "
                            "members of the entry",
                            visibility.hidden.front().text()));
  VESTIGE_TRY(const auto proof, reader.proof(id, visibility));
  std::string out;
  VESTIGE_CHECKED(reader.visit_one(id, visibility, [&](const MatchedEntry& found) -> Status {
    VESTIGE_TRY(const auto chosen, choose(found, paths));
    out = write(found, chosen, proof);
    return {};
  }));
  return out;
}

}  // namespace vestige::audit
