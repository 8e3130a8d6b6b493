#include "audit/search/condition.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "audit/internal/refusal.h"
#include "audit/limits.h"
#include "base/time_text.h"
#include "seal/words.h"

namespace vestige::audit {
namespace {

using internal::refuse;
using Kind = Condition::Kind;
using Test = Condition::Test;

constexpr std::string_view event_members[] = {"action",    "changes",    "context",    "detail",
                                              "discarded", "id",         "index",      "kind",
                                              "leaf",      "lossless",   "receivedAt", "sourceEntityMeta",
                                              "sourceId",  "sourceType", "subject",    "targetEntityMeta",
                                              "targetId",  "targetType", "tenant",     "time"};

Operand operand_of(const json::Value& value) {
  switch (value.type()) {
    case json::Type::string:
      return {json::Type::string, std::string(value.string())};
    case json::Type::number:
      return {json::Type::number, std::string(value.number())};
    case json::Type::boolean:
      return {json::Type::boolean, value.boolean() ? "true" : "false"};
    default:
      return {};
  }
}

bool is_scalar(const json::Value& value) { return !value.is_array() && !value.is_object(); }

// A string also equals a number or boolean by its canonical text.
bool equals(const json::Value& event, const Operand& operand, bool ignore_case) {
  switch (operand.type) {
    case json::Type::string:
      if (event.is_string())
        return ignore_case ? seal::fold(event.string()) == operand.text : event.string() == operand.text;
      if (event.is_number()) return event.number() == operand.text;
      return event.is_boolean() && (event.boolean() ? "true" : "false") == operand.text;
    case json::Type::number:
      return event.is_number() && event.number() == operand.text;
    case json::Type::boolean:
      return event.is_boolean() && (event.boolean() ? "true" : "false") == operand.text;
    default:
      return event.is_null();
  }
}

// Empty where value and bound are of kinds that do not compare.
std::optional<std::strong_ordering> compare(const json::Value& event, const Bound& bound) {
  if (bound.operand.type == json::Type::number || (event.is_number() && bound.number)) {
    if (!event.is_number()) return std::nullopt;
    const double value = event.number_value();
    if (value < *bound.number) return std::strong_ordering::less;
    return value > *bound.number ? std::strong_ordering::greater : std::strong_ordering::equal;
  }
  if (!event.is_string()) return std::nullopt;
  if (bound.time) {
    const auto time = parse_time(event.string());
    return time ? std::optional(time->value <=> bound.time->value) : std::nullopt;
  }
  return event.string() <=> std::string_view(bound.operand.text);
}

bool in_range(const json::Value& event, const Condition& condition) {
  if (condition.from) {
    const auto order = compare(event, *condition.from);
    if (!order || *order < 0 || (*order == 0 && !condition.from->inclusive)) return false;
  }
  if (condition.to) {
    const auto order = compare(event, *condition.to);
    if (!order || *order > 0 || (*order == 0 && !condition.to->inclusive)) return false;
  }
  return true;
}

// The text that prefix, wildcard and contains look into; empty where there is none.
std::optional<std::string_view> text_of(const json::Value& event) {
  if (event.is_string()) return event.string();
  if (event.is_number()) return event.number();
  return std::nullopt;
}

bool in_block(std::string_view address, const AddressBlock& block) {
  const auto parsed = parse_address_block(address);
  if (!parsed || parsed->bits != 128) return false;
  const unsigned whole = block.bits / 8;
  if (!std::equal(block.bytes.begin(), block.bytes.begin() + whole, parsed->bytes.begin())) return false;
  const unsigned rest = block.bits % 8;
  if (rest == 0) return true;
  const auto mask = static_cast<std::uint8_t>(0xFF << (8 - rest));
  return (block.bytes[whole] & mask) == (parsed->bytes[whole] & mask);
}

bool text_test(const json::Value& event, const Condition& condition) {
  const auto raw = text_of(event);
  if (!raw) return false;
  std::string folded;
  if (condition.ignore_case) folded = seal::fold(*raw);
  const std::string_view text = condition.ignore_case ? std::string_view(folded) : *raw;
  const std::string_view operand = condition.operands.front().text;
  switch (condition.test) {
    case Test::prefix:
      return text.starts_with(operand);
    case Test::wildcard:
      return seal::matches_wildcard(operand, text);
    default:
      return text.find(operand) != std::string_view::npos;
  }
}

bool value_matches(const json::Value& event, const Condition& condition) {
  switch (condition.test) {
    case Test::in:
      return std::ranges::any_of(condition.operands, [&](const Operand& operand) {
        return equals(event, operand, condition.ignore_case);
      });
    case Test::range:
      return in_range(event, condition);
    case Test::exists:
      return event.exists() && !event.is_null();
    case Test::contains:
      return condition.operands.empty() ? contains(event, condition.contained) : text_test(event, condition);
    case Test::prefix:
    case Test::wildcard:
      return text_test(event, condition);
    case Test::cidr:
      return event.is_string() && in_block(event.string(), condition.block);
  }
  return false;
}

// Any value that the path leads to, each element of an array on the way and at its end included.
bool any_value(const json::Value& event, std::span<const std::string> keys, const Condition& condition) {
  if (!event.exists()) return false;
  if (keys.empty() && value_matches(event, condition)) return true;
  if (event.is_array()) {
    for (std::size_t i = 0; i < event.size(); ++i)
      if (any_value(event.at(i), keys, condition)) return true;
    return false;
  }
  return !keys.empty() && any_value(event.find(keys.front()), keys.subspan(1), condition);
}

// ------------------------------------------------------------------------------------------ parsing

class Parser {
 public:
  Result<Condition> parse(const json::Value& value, const std::string& path, std::size_t depth);

 private:
  Status parse_parts(const json::Value& list, const std::string& path, std::size_t depth, Condition& to);
  Result<Condition> parse_field(const json::Value& value, const std::string& path);
  Status take_test(std::string_view name, const json::Value& operand, const std::string& path, Condition& to);
  Status take_list(const json::Value& list, const std::string& path, Condition& to);
  Status take_range(const json::Value& range, const std::string& path, Condition& to);
  Status take_contains(const json::Value& operand, const std::string& path, Condition& to);
  Status take_pattern(const json::Value& pattern, const std::string& path, Condition& to);
  Status take_string(const json::Value& operand, const std::string& path, Condition& to);

  std::size_t conditions_ = 0;
};

constexpr std::string_view test_names[] = {"cidr", "contains", "equals", "exists",
                                           "in",   "prefix",   "range",  "wildcard"};

Status Parser::parse_parts(const json::Value& list, const std::string& path, std::size_t depth,
                           Condition& to) {
  if (!list.is_array()) return refuse(list, path, "must be a list of conditions");
  for (std::size_t i = 0; i < list.size(); ++i) {
    VESTIGE_TRY(auto part, parse(list.at(i), fmt::format("{}/{}", path, i), depth + 1));
    to.parts.push_back(std::move(part));
  }
  return {};
}

Result<Condition> Parser::parse(const json::Value& value, const std::string& path, std::size_t depth) {
  if (!value.is_object() || value.size() == 0)
    return refuse(
        value, path,
        "must be an object: {\"and\": [...]}, {\"or\": [...]}, {\"not\": {...}}, {\"text\": \"...\"} or "
        "{\"field\": \"...\", \"equals\": ...}");
  if (++conditions_ > search_conditions_max || depth > search_depth_max)
    return refuse(value, path, "the filter has too many conditions, or they are nested too deep",
                  fmt::format("search_conditions_max = {}, search_depth_max = {}", search_conditions_max,
                              search_depth_max));
  if (value.find("field").exists()) return parse_field(value, path);
  if (value.size() != 1) return refuse(value, path, "has more members than one, and no \"field\"");
  const auto name = value.key_at(0);
  Condition condition;
  const auto below = fmt::format("{}/{}", path, name);
  if (name == "and" || name == "or") {
    condition.kind = name == "and" ? Kind::all : Kind::any;
    VESTIGE_CHECKED(parse_parts(value.at(0), below, depth, condition));
    return condition;
  }
  if (name == "not") {
    condition.kind = Kind::none;
    VESTIGE_TRY(auto part, parse(value.at(0), below, depth + 1));
    condition.parts.push_back(std::move(part));
    return condition;
  }
  if (name == "text") {
    if (!value.at(0).is_string()) return refuse(value.at(0), below, "must be a string");
    condition.kind = Kind::text;
    VESTIGE_TRY(condition.text, parse_text(value.at(0).string(), below));
    return condition;
  }
  return refuse(value, path, fmt::format("\"{}\" is none of and, or, not, text, field", name));
}

Result<Condition> Parser::parse_field(const json::Value& value, const std::string& path) {
  const auto field = value.find("field");
  const auto parsed = field.is_string() ? parse_field_path(field.string()) : std::nullopt;
  if (!parsed)
    return refuse(
        field, path + "/field",
        "must be the path of a member of an event, such as \"action\", \"detail.order.id\" or, for keys with "
        "dots, \"/detail/order.id\"");
  Condition condition;
  condition.kind = Kind::field;
  condition.field = *parsed;
  if (const auto ignore = value.find("ignoreCase"); ignore.exists()) {
    if (!ignore.is_boolean()) return refuse(ignore, path + "/ignoreCase", "must be true or false");
    condition.ignore_case = ignore.boolean();
  }
  bool tested = false;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const auto name = value.key_at(i);
    if (name == "field" || name == "ignoreCase") continue;
    std::string below = path;
    json::append_pointer(below, name);
    if (std::ranges::find(test_names, name) == std::end(test_names))
      return refuse(value.at(i), below,
                    fmt::format("\"{}\" is no test; there are {}", name, fmt::join(test_names, ", ")));
    if (tested) return refuse(value.at(i), below, "a condition has one test; join two with \"and\"");
    tested = true;
    VESTIGE_CHECKED(take_test(name, value.at(i), below, condition));
  }
  if (!tested)
    return refuse(value, path, fmt::format("has no test; there are {}", fmt::join(test_names, ", ")));
  if (condition.ignore_case)
    for (auto& operand : condition.operands)
      if (operand.type == json::Type::string) operand.text = seal::fold(operand.text);
  return condition;
}

Status Parser::take_test(std::string_view name, const json::Value& operand, const std::string& path,
                         Condition& to) {
  if (name == "equals") {
    to.test = Test::in;
    if (!is_scalar(operand))
      return refuse(operand, path,
                    "must be a string, number, boolean or null; for others there is \"contains\"");
    to.operands.push_back(operand_of(operand));
    return {};
  }
  if (name == "in") return take_list(operand, path, to);
  if (name == "range") return take_range(operand, path, to);
  if (name == "contains") return take_contains(operand, path, to);
  if (name == "exists") {
    if (!operand.is_boolean()) return refuse(operand, path, "must be true or false");
    to.test = Test::exists;
    to.expected = operand.boolean();
    return {};
  }
  if (name == "cidr") {
    to.test = Test::cidr;
    const auto block = operand.is_string() ? parse_address_block(operand.string()) : std::nullopt;
    if (!block)
      return refuse(operand, path,
                    "must be an address or a block of them, such as \"10.0.0.0/8\" or \"2001:db8::/32\"");
    to.block = *block;
    return {};
  }
  to.test = name == "prefix" ? Test::prefix : Test::wildcard;
  return take_string(operand, path, to);
}

Status Parser::take_list(const json::Value& list, const std::string& path, Condition& to) {
  to.test = Test::in;
  if (!list.is_array()) return refuse(list, path, "must be a list");
  if (list.size() > search_operands_max)
    return refuse(list, path, "has too many elements",
                  fmt::format("search_operands_max = {}", search_operands_max));
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (!is_scalar(list.at(i)))
      return refuse(list.at(i), fmt::format("{}/{}", path, i), "must be a string, number, boolean or null");
    to.operands.push_back(operand_of(list.at(i)));
  }
  return {};
}

Status Parser::take_range(const json::Value& range, const std::string& path, Condition& to) {
  to.test = Test::range;
  if (!range.is_object() || range.size() == 0)
    return refuse(range, path, "must be an object with one or two of gt, gte, lt, lte");
  for (std::size_t i = 0; i < range.size(); ++i) {
    const auto name = range.key_at(i);
    const auto below = fmt::format("{}/{}", path, name);
    if (name != "gt" && name != "gte" && name != "lt" && name != "lte")
      return refuse(range.at(i), below, "is none of gt, gte, lt, lte");
    const auto value = range.at(i);
    if (!value.is_string() && !value.is_number()) return refuse(value, below, "must be a string or a number");
    Bound bound{.operand = operand_of(value), .number = {}, .time = {}, .inclusive = name.ends_with("e")};
    if (value.is_number()) bound.number = value.number_value();
    if (value.is_string()) bound.time = parse_time(value.string());
    auto& side = name.starts_with("g") ? to.from : to.to;
    if (side) return refuse(value, below, "this end of the range is given twice");
    side = std::move(bound);
  }
  return {};
}

Status Parser::take_contains(const json::Value& operand, const std::string& path, Condition& to) {
  to.test = Test::contains;
  if (operand.is_string()) return take_pattern(operand, path, to);
  to.contained = operand;
  return {};
}

Status Parser::take_string(const json::Value& operand, const std::string& path, Condition& to) {
  if (!operand.is_string() || operand.string().empty())
    return refuse(operand, path, "must be a string that is not empty");
  return take_pattern(operand, path, to);
}

// It is looked for at each place of a value, so its length counts for each byte that is searched.
Status Parser::take_pattern(const json::Value& pattern, const std::string& path, Condition& to) {
  if (pattern.string().size() > search_pattern_bytes_max)
    return refuse(pattern, path, "is longer than what can be looked for within a text",
                  fmt::format("search_pattern_bytes_max = {}", search_pattern_bytes_max));
  to.operands.push_back(operand_of(pattern));
  return {};
}

std::optional<std::array<std::uint8_t, 4>> parse_ipv4(std::string_view text) {
  std::array<std::uint8_t, 4> out{};
  for (std::size_t i = 0; i < 4; ++i) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out[i]);
    if (error != std::errc{}) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (i < 3) {
      if (!text.starts_with('.')) return std::nullopt;
      text.remove_prefix(1);
    }
  }
  return text.empty() ? std::optional(out) : std::nullopt;
}

// RFC 4291 §2.2: eight groups of hex digits, one run of zero groups as "::", the last 32 bits also as IPv4.
std::optional<std::array<std::uint8_t, 16>> parse_ipv6(std::string_view text) {
  std::array<std::uint8_t, 16> out{};
  std::vector<std::uint16_t> front;
  std::vector<std::uint16_t> back;
  auto* side = &front;
  bool gap = false;
  if (text.starts_with("::")) {
    gap = true;
    side = &back;
    text.remove_prefix(2);
  }
  while (!text.empty()) {
    const auto end = text.find(':');
    const auto group = text.substr(0, end);
    if (group.find('.') != std::string_view::npos) {
      const auto v4 = end == std::string_view::npos ? parse_ipv4(group) : std::nullopt;
      if (!v4) return std::nullopt;
      side->push_back(static_cast<std::uint16_t>((*v4)[0] << 8 | (*v4)[1]));
      side->push_back(static_cast<std::uint16_t>((*v4)[2] << 8 | (*v4)[3]));
      text = {};
      break;
    }
    std::uint16_t value = 0;
    const auto [stop, error] = std::from_chars(group.data(), group.data() + group.size(), value, 16);
    if (error != std::errc{} || stop != group.data() + group.size() || group.size() > 4) return std::nullopt;
    side->push_back(value);
    if (end == std::string_view::npos) {
      text = {};
      break;
    }
    text.remove_prefix(end + 1);
    if (text.starts_with(':')) {
      if (gap) return std::nullopt;
      gap = true;
      side = &back;
      text.remove_prefix(1);
    } else if (text.empty()) {
      return std::nullopt;
    }
  }
  const auto groups = front.size() + back.size();
  if (gap ? groups > 7 : groups != 8) return std::nullopt;
  const auto put = [&](std::size_t at, std::uint16_t value) {
    out[2 * at] = static_cast<std::uint8_t>(value >> 8);
    out[2 * at + 1] = static_cast<std::uint8_t>(value);
  };
  for (std::size_t i = 0; i < front.size(); ++i) put(i, front[i]);
  for (std::size_t i = 0; i < back.size(); ++i) put(8 - back.size() + i, back[i]);
  return out;
}

}  // namespace

std::string FieldPath::text() const {
  std::string dotted;
  std::string pointer;
  bool plain = true;
  for (const auto& key : keys) {
    plain = plain && key.find_first_of("./~") == std::string::npos && !key.empty();
    if (!dotted.empty()) dotted.push_back('.');
    dotted += key;
    json::append_pointer(pointer, key);
  }
  return plain ? dotted : pointer;
}

std::optional<FieldPath> parse_field_path(std::string_view text) {
  if (text.empty() || text.size() > search_path_bytes_max) return std::nullopt;
  FieldPath path;
  const bool pointer = text.front() == '/';
  const char separator = pointer ? '/' : '.';
  if (pointer) text.remove_prefix(1);
  for (;;) {
    const auto end = text.find(separator);
    std::string key;
    const auto token = text.substr(0, end);
    for (std::size_t i = 0; i < token.size(); ++i) {
      if (!pointer || token[i] != '~') {
        key.push_back(token[i]);
        continue;
      }
      if (i + 1 == token.size() || (token[i + 1] != '0' && token[i + 1] != '1')) return std::nullopt;
      key.push_back(token[++i] == '0' ? '~' : '/');
    }
    if (key.empty() && !pointer) return std::nullopt;
    path.keys.push_back(std::move(key));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  if (std::ranges::find(event_members, path.keys.front()) == std::end(event_members)) return std::nullopt;
  return path;
}

std::optional<AddressBlock> parse_address_block(std::string_view text) {
  const auto slash = text.find('/');
  const auto address = text.substr(0, slash);
  AddressBlock block;
  unsigned most = 128;
  if (const auto v4 = parse_ipv4(address)) {
    block.bytes[10] = block.bytes[11] = 0xFF;
    std::ranges::copy(*v4, block.bytes.begin() + 12);
    most = 32;
  } else if (const auto v6 = parse_ipv6(address)) {
    block.bytes = *v6;
  } else {
    return std::nullopt;
  }
  unsigned bits = most;
  if (slash != std::string_view::npos) {
    const auto digits = text.substr(slash + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
    if (error != std::errc{} || end != digits.data() + digits.size() || bits > most) return std::nullopt;
  }
  block.bits = 128 - most + bits;
  return block;
}

Result<Condition> parse_condition(const json::Value& value, const std::string& path) {
  return Parser().parse(value, path, 0);
}

void append_fields(const Condition& condition, std::vector<FieldPath>& to) {
  for (const auto& part : condition.parts) append_fields(part, to);
  if (condition.kind == Kind::field) to.push_back(condition.field);
}

bool looks_at_text(const Condition& condition) {
  return condition.kind == Kind::text || std::ranges::any_of(condition.parts, looks_at_text);
}

bool contains(const json::Value& event, const json::Value& filter) {
  if (!event.exists()) return false;
  if (filter.is_object()) {
    if (!event.is_object()) return false;
    for (std::size_t i = 0; i < filter.size(); ++i)
      if (!contains(event.find(filter.key_at(i)), filter.at(i))) return false;
    return true;
  }
  if (filter.is_array()) {
    if (!event.is_array()) return false;
    for (std::size_t i = 0; i < filter.size(); ++i) {
      bool found = false;
      for (std::size_t j = 0; j < event.size() && !found; ++j) found = contains(event.at(j), filter.at(i));
      if (!found) return false;
    }
    return true;
  }
  return equals(event, operand_of(filter), false);
}

bool matches(const Condition& condition, const json::Value& event) {
  switch (condition.kind) {
    case Kind::all:
      return std::ranges::all_of(condition.parts,
                                 [&](const Condition& part) { return matches(part, event); });
    case Kind::any:
      return std::ranges::any_of(condition.parts,
                                 [&](const Condition& part) { return matches(part, event); });
    case Kind::none:
      return !matches(condition.parts.front(), event);
    case Kind::text:
      return matches(condition.text, event);
    case Kind::field:
      return any_value(event, condition.field.keys, condition) == condition.expected;
  }
  return false;
}

}  // namespace vestige::audit
