#include "audit/filter.h"

#include <fmt/format.h>

#include <algorithm>

#include "audit/internal/refusal.h"
#include "audit/limits.h"
#include "audit/search/query_language.h"
#include "base/time_text.h"
#include "crypto/digest.h"

namespace vestige::audit {
namespace {

using internal::refuse;

constexpr std::string_view members[] = {"action",   "cursor",     "detail",  "facets",
                                        "filter",   "histogram",  "id",      "kind",
                                        "limit",    "order",      "query",   "sourceEntityMeta",
                                        "sourceId", "sourceType", "subject", "targetEntityMeta",
                                        "targetId", "targetType", "text",    "timeFrom",
                                        "timeTo",   "total"};

bool is_set(const json::Value& value) { return value.exists() && !value.is_null(); }

// Gathers the conditions of a search.
class Conditions {
 public:
  explicit Conditions(const json::Value& root, UnixMs now) : root_(root), now_(now) {}

  Status equals(std::string_view name) {
    VESTIGE_TRY(const auto value, string(name));
    if (value) add_in(name, {{json::Type::string, std::string(*value)}});
    return {};
  }
  Status types();
  Status contains(std::string_view name);
  Status times();
  Status text();
  Status query();
  Status filter();
  std::vector<Condition> take() { return std::move(parts_); }

 private:
  Result<std::optional<std::string_view>> string(std::string_view name) {
    const auto value = root_.find(name);
    if (!is_set(value)) return std::optional<std::string_view>{};
    if (!value.is_string()) return refuse(value, fmt::format("/{}", name), "must be a string");
    return std::optional(value.string());
  }
  Condition& add(std::string_view name, Condition::Test test) {
    auto& condition = parts_.emplace_back();
    condition.kind = Condition::Kind::field;
    condition.field.keys = {std::string(name)};
    condition.test = test;
    return condition;
  }
  void add_in(std::string_view name, std::vector<Operand> operands) {
    add(name, Condition::Test::in).operands = std::move(operands);
  }
  Status time(std::string_view name, std::optional<Bound>& to, bool inclusive);
  // What reads a text knows no positions in the body.
  std::unexpected<Error> placed(Error error, std::string_view name) const {
    error.position = root_.find(name).position();
    return std::unexpected(std::move(error));
  }

  const json::Value& root_;
  const UnixMs now_;
  std::vector<Condition> parts_;
};

Status Conditions::types() {
  const auto value = root_.find("targetType");
  if (!is_set(value)) return {};
  if (value.is_string()) return equals("targetType");
  if (!value.is_array()) return refuse(value, "/targetType", "must be a list of strings");
  if (value.size() > search_types_max)
    return refuse(value, "/targetType", "has too many elements",
                  fmt::format("search_types_max = {}", search_types_max));
  std::vector<Operand> types;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (!value.at(i).is_string())
      return refuse(value.at(i), fmt::format("/targetType/{}", i), "must be a string");
    types.push_back({json::Type::string, std::string(value.at(i).string())});
  }
  if (!types.empty()) add_in("targetType", std::move(types));
  return {};
}

Status Conditions::contains(std::string_view name) {
  const auto value = root_.find(name);
  if (!is_set(value)) return {};
  if (!value.is_object()) return refuse(value, fmt::format("/{}", name), "must be an object");
  add(name, Condition::Test::contains).contained = value;
  return {};
}

Status Conditions::time(std::string_view name, std::optional<Bound>& to, bool inclusive) {
  const auto value = root_.find(name);
  if (!is_set(value)) return {};
  const auto moment = value.is_string() ? parse_time(value.string()) : std::nullopt;
  if (!moment)
    return refuse(value, fmt::format("/{}", name),
                  "must be an RFC 3339 date-time, such as 2026-11-25T14:40:11.213Z");
  to = Bound{.operand = {json::Type::string, std::string(value.string())},
             .number = {},
             .time = moment,
             .inclusive = inclusive};
  return {};
}

Status Conditions::times() {
  std::optional<Bound> from;
  std::optional<Bound> to;
  VESTIGE_CHECKED(time("timeFrom", from, true));
  VESTIGE_CHECKED(time("timeTo", to, false));
  if (!from && !to) return {};
  auto& condition = add("time", Condition::Test::range);
  condition.from = std::move(from);
  condition.to = std::move(to);
  return {};
}

Status Conditions::text() {
  VESTIGE_TRY(const auto value, string("text"));
  if (!value) return {};
  auto parsed = parse_text(*value, "/text");
  if (!parsed) return placed(std::move(parsed).error(), "text");
  Condition condition;
  condition.kind = Condition::Kind::text;
  condition.text = *std::move(parsed);
  parts_.push_back(std::move(condition));
  return {};
}

Status Conditions::query() {
  VESTIGE_TRY(const auto value, string("query"));
  if (!value) return {};
  auto condition = parse_query(*value, now_, "/query");
  if (!condition) return placed(std::move(condition).error(), "query");
  parts_.push_back(*std::move(condition));
  return {};
}

Status Conditions::filter() {
  const auto value = root_.find("filter");
  if (!is_set(value)) return {};
  VESTIGE_TRY(auto condition, parse_condition(value, "/filter"));
  parts_.push_back(std::move(condition));
  return {};
}

Status take_paging(const json::Value& root, Search& search) {
  search.limit = search_limit_default;
  if (const auto value = root.find("limit"); is_set(value)) {
    const double number = value.is_number() ? value.number_value() : 0;
    if (number < 1 || number > search_limit_max ||
        number != static_cast<double>(static_cast<std::uint32_t>(number)))
      return refuse(value, "/limit", fmt::format("must be a whole number from 1 to {}", search_limit_max),
                    fmt::format("limit <= {}", search_limit_max));
    search.limit = static_cast<std::uint32_t>(number);
  }
  if (const auto value = root.find("order"); is_set(value)) {
    if (!value.is_string() || (value.string() != "asc" && value.string() != "desc"))
      return refuse(value, "/order", "must be \"asc\" or \"desc\"");
    search.order = value.string() == "asc" ? SearchOrder::ascending : SearchOrder::descending;
  }
  if (const auto value = root.find("cursor"); is_set(value)) {
    if (!value.is_string() || value.string().empty())
      return refuse(value, "/cursor", "must be a cursor from an earlier answer, or null");
    search.cursor = value.string();
  }
  return {};
}

// Later pages may leave out what was counted with the first one.
constexpr std::string_view beside_the_search[] = {"cursor", "facets", "histogram", "limit", "total"};

Hash digest_of(const json::Value& root) {
  std::string text;
  for (std::size_t i = 0; i < root.size(); ++i) {
    const auto key = root.key_at(i);
    if (std::ranges::find(beside_the_search, key) != std::end(beside_the_search)) continue;
    json::append_quoted(text, key);
    json::append_canonical(text, root.at(i));
  }
  return crypto::sha256(view(text));
}

}  // namespace

Result<Search> parse_search(const json::Document& document, UnixMs now) {
  const auto root = document.root();
  if (!root.is_object()) return refuse(root, "", "the search must be a JSON object");
  for (std::size_t i = 0; i < root.size(); ++i)
    if (std::ranges::find(members, root.key_at(i)) == std::end(members)) {
      std::string path;
      json::append_pointer(path, root.key_at(i));
      return refuse(root.at(i), path, fmt::format("\"{}\" is no member of a search", root.key_at(i)));
    }
  Search search;
  if (const auto id = root.find("id"); is_set(id)) {
    search.id = id.is_string() ? parse_uuid(id.string()) : std::nullopt;
    if (!search.id) return refuse(id, "/id", "must be a UUID");
  }
  Conditions conditions(root, now);
  for (const std::string_view name : {"kind", "action", "sourceType", "sourceId", "targetId", "subject"})
    VESTIGE_CHECKED(conditions.equals(name));
  VESTIGE_CHECKED(conditions.types());
  VESTIGE_CHECKED(conditions.times());
  for (const std::string_view name : {"sourceEntityMeta", "targetEntityMeta", "detail"})
    VESTIGE_CHECKED(conditions.contains(name));
  VESTIGE_CHECKED(conditions.filter());
  VESTIGE_CHECKED(conditions.query());
  VESTIGE_CHECKED(conditions.text());
  search.where.parts = conditions.take();
  VESTIGE_TRY(search.tally, parse_tally(root));
  VESTIGE_CHECKED(take_paging(root, search));
  search.digest = digest_of(root);
  return search;
}

Status check_visible(const Visibility& visibility, const Search& search) {
  std::vector<FieldPath> fields;
  append_fields(search.where, fields);
  for (const auto& facet : search.tally.facets) fields.push_back(facet.field);
  if (search.tally.interval_ms) fields.push_back({{"time"}});
  return check_visible(visibility, fields);
}

bool matches(const Search& search, const json::Value& event) {
  if (search.id) {
    const auto id = event.find("id");
    if (!id.is_string() || parse_uuid(id.string()) != search.id) return false;
  }
  return matches(search.where, event);
}

}  // namespace vestige::audit
