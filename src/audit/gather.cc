#include "audit/gather.h"

#include <fmt/format.h>

#include <algorithm>

#include "audit/limits.h"
#include "base/encoding.h"
#include "base/time_text.h"

namespace vestige::audit {
namespace {

constexpr json::Limits rendered_limits{.depth_max = 256, .bytes_max = 64 << 20};

// Takes one page over; false where a limit is reached.
Result<bool> take_page(SearchAnswer& page, std::span<const std::string_view> kinds, StepParser& parser,
                       std::size_t& bytes, Gathered& gathered) {
  for (auto& event : page.events) {
    VESTIGE_TRY(const auto value, parser.parse(event));
    const auto kind = value.find("kind");
    if (!kinds.empty() && (!kind.is_string() || std::ranges::find(kinds, kind.string()) == kinds.end()))
      continue;
    if (gathered.steps.size() >= fold_entries_max) {
      gathered.limit = fmt::format("fold_entries_max = {}", fold_entries_max);
      return false;
    }
    bytes += event.size();
    if (bytes > fold_bytes_max) {
      gathered.limit = fmt::format("fold_bytes_max = {}", fold_bytes_max);
      return false;
    }
    const auto time = value.find("time");
    const auto index = value.find("index");
    const auto parsed = time.is_string() ? parse_time(time.string()) : std::nullopt;
    if (!parsed || !index.is_number()) return corrupt("", 0, "entry: it has no time or no index");
    gathered.steps.push_back({*parsed, static_cast<std::uint64_t>(index.number_value()), std::move(event)});
  }
  return true;
}

}  // namespace

Result<SearchAnswer> search_page(Reader& reader, const Asker& asker, const Wanted& wanted) {
  const auto body = wanted.str();
  json::Parser parser;
  json::Document document;
  VESTIGE_CHECKED(parser.parse(body, document));
  // No condition of these counts from now.
  VESTIGE_TRY(const auto search, parse_search(document, UnixMs{0}));
  return reader.search(search, asker.visibility, asker.caller);
}

Result<Gathered> gather(Reader& reader, const Asker& asker, const Wanted& wanted,
                        std::span<const std::string_view> kinds) {
  Gathered gathered;
  gathered.partial = asker.visibility.partial();
  StepParser parser;
  std::size_t bytes = 0;
  std::optional<std::string> cursor;
  do {
    auto page_wanted = wanted;
    page_wanted.text("order", "asc").raw("limit", fmt::format("{}", search_limit_max));
    if (cursor) page_wanted.text("cursor", *cursor);
    VESTIGE_TRY(auto page, search_page(reader, asker, page_wanted));
    gathered.size = page.size;
    gathered.root = page.root;
    VESTIGE_TRY(const bool more, take_page(page, kinds, parser, bytes, gathered));
    if (!more) break;
    cursor = std::move(page.cursor);
  } while (cursor);
  return gathered;
}

Result<json::Value> StepParser::parse(std::string_view event) {
  VESTIGE_CHECKED(parser_.parse(event, document_, rendered_limits));
  return document_.root();
}

std::vector<const Step*> in_order(const std::vector<Step>& steps) {
  std::vector<const Step*> ordered;
  for (const auto& step : steps) ordered.push_back(&step);
  std::ranges::sort(ordered, {}, [](const Step* step) { return std::pair(step->time, step->index); });
  return ordered;
}

bool has_erased_section(const json::Value& event) {
  const auto sealed = event.find("sealed");
  for (std::size_t i = 0; sealed.is_array() && i < sealed.size(); ++i) {
    const auto state = sealed.at(i).find("state");
    if (state.is_string() && state.string() != name_of(SectionState::present) &&
        state.string() != name_of(SectionState::closed))
      return true;
  }
  return false;
}

bool is_erased(const json::Value& event) {
  return event.find("discarded").exists() || has_erased_section(event);
}

void append_origin(std::string& to, const json::Value& event) {
  char before = '{';
  for (const std::string_view name :
       {"id", "index", "leaf", "time", "kind", "action", "sourceType", "sourceId"}) {
    const auto value = event.find(name);
    if (!value.exists()) continue;
    to.push_back(before);
    before = ',';
    json::append_quoted(to, name);
    to.push_back(':');
    json::append_canonical(to, value);
  }
  if (const auto approval = value_at(event, "context/approval"); approval.exists()) {
    to.append(",\"approval\":");
    json::append_canonical(to, approval);
  }
  to.append(is_erased(event) ? ",\"erased\":true}" : "}");
}

void append_completeness(std::string& to, const Gathered& gathered) {
  if (gathered.limit.empty()) {
    to.append(",\"complete\":true");
  } else {
    to.append(",\"complete\":false,\"limit\":");
    json::append_quoted(to, gathered.limit);
  }
  fmt::format_to(std::back_inserter(to), ",\"tree\":{{\"size\":{},\"root\":\"{}\"}}", gathered.size,
                 to_base64(gathered.root));
}

json::Value value_at(json::Value from, std::string_view path) {
  while (from.exists() && !path.empty()) {
    const auto slash = path.find('/');
    from = from.find(path.substr(0, slash));
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
  }
  return from;
}

}  // namespace vestige::audit
