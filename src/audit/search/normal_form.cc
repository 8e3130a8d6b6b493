#include "audit/search/normal_form.h"

#include <fmt/format.h>

#include "audit/search/plan.h"
#include "base/time_text.h"

namespace vestige::audit {
namespace {

using Kind = Condition::Kind;
using Test = Condition::Test;

void append_operand(std::string& to, const Operand& operand) {
  if (operand.type == json::Type::string) return json::append_quoted(to, operand.text);
  to += operand.type == json::Type::null ? "null" : operand.text;
}

void append_bound(std::string& to, std::string_view name, const Bound& bound) {
  fmt::format_to(std::back_inserter(to), "\"{}{}\":", name, bound.inclusive ? "e" : "");
  if (bound.operand.type == json::Type::number) return json::append_number(to, *bound.number);
  if (bound.time) return json::append_quoted(to, format_time(*bound.time));
  json::append_quoted(to, bound.operand.text);
}

void append_range(std::string& to, const Condition& condition) {
  to += "\"range\":{";
  if (condition.from) append_bound(to, "gt", *condition.from);
  if (condition.from && condition.to) to += ',';
  if (condition.to) append_bound(to, "lt", *condition.to);
  to += '}';
}

std::string block_text(const AddressBlock& block) {
  constexpr std::array<std::uint8_t, 12> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  const auto& bytes = block.bytes;
  if (block.bits >= 96 && std::equal(mapped.begin(), mapped.end(), bytes.begin()))
    return fmt::format("{}.{}.{}.{}/{}", bytes[12], bytes[13], bytes[14], bytes[15], block.bits - 96);
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 2)
    fmt::format_to(std::back_inserter(text), "{}{:x}", i == 0 ? "" : ":", bytes[i] << 8 | bytes[i + 1]);
  return fmt::format("{}/{}", text, block.bits);
}

void append_test(std::string& to, const Condition& condition) {
  switch (condition.test) {
    case Test::in:
      to += condition.operands.size() == 1 ? "\"equals\":" : "\"in\":[";
      for (std::size_t i = 0; i < condition.operands.size(); ++i) {
        if (i > 0) to += ',';
        append_operand(to, condition.operands[i]);
      }
      if (condition.operands.size() != 1) to += ']';
      return;
    case Test::range:
      return append_range(to, condition);
    case Test::exists:
      to += condition.expected ? "\"exists\":true" : "\"exists\":false";
      return;
    case Test::contains:
      to += "\"contains\":";
      if (condition.operands.empty()) return json::append_canonical(to, condition.contained);
      return append_operand(to, condition.operands.front());
    case Test::prefix:
    case Test::wildcard:
      to += condition.test == Test::prefix ? "\"prefix\":" : "\"wildcard\":";
      return append_operand(to, condition.operands.front());
    case Test::cidr:
      to += "\"cidr\":";
      return json::append_quoted(to, block_text(condition.block));
  }
}

// Words as phrases: they are folded and split already, and read the same again.
std::string text_of(const TextQuery& query) {
  std::string text;
  for (const auto& term : query.terms)
    text += fmt::format("{}{}\"{}\"", text.empty() ? "" : " ", term.negated ? "-" : "",
                        fmt::join(term.words, " "));
  return text;
}

void append_condition(std::string& to, const Condition& condition);

// A list within a list of the same kind says nothing more.
void append_parts(std::string& to, const Condition& list, Kind kind, bool& first) {
  for (const auto& part : list.parts) {
    if (part.kind == kind) {
      append_parts(to, part, kind, first);
      continue;
    }
    if (!first) to += ',';
    first = false;
    append_condition(to, part);
  }
}

void append_condition(std::string& to, const Condition& condition) {
  switch (condition.kind) {
    case Kind::all:
    case Kind::any: {
      to += condition.kind == Kind::all ? "{\"and\":[" : "{\"or\":[";
      bool first = true;
      append_parts(to, condition, condition.kind, first);
      to += "]}";
      return;
    }
    case Kind::none:
      to += "{\"not\":";
      append_condition(to, condition.parts.front());
      to += '}';
      return;
    case Kind::text:
      to += "{\"text\":";
      json::append_quoted(to, text_of(condition.text));
      to += '}';
      return;
    case Kind::field:
      to += "{\"field\":";
      json::append_quoted(to, condition.field.text());
      if (condition.ignore_case) to += ",\"ignoreCase\":true";
      to += ',';
      append_test(to, condition);
      to += '}';
  }
}

}  // namespace

std::string normal_form(const Search& search) {
  std::string text;
  if (search.id) {
    auto with_id = search.where;
    Condition id;
    id.kind = Kind::field;
    id.field.keys = {"id"};
    id.test = Test::in;
    id.operands = {{json::Type::string, format_uuid(*search.id)}};
    with_id.parts.push_back(std::move(id));
    append_condition(text, with_id);
    return text;
  }
  append_condition(text, search.where);
  return text;
}

SearchedSpan searched_span(const Search& search) {
  const auto rows = row_test(search.where, false);
  SearchedSpan span;
  // Past the last moment that can be written down there is no end.
  if (rows.time_from >= time_min.value && rows.time_from <= time_max.value)
    span.from = UnixMs{rows.time_from};
  if (rows.time_to >= time_min.value && rows.time_to <= time_max.value) span.to = UnixMs{rows.time_to};
  return span;
}

}  // namespace vestige::audit
