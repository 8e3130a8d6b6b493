#include "audit/search/normal_form.h"

#include <fmt/format.h>

#include <algorithm>

#include "audit/search/plan.h"
#include "base/time_text.h"
#include "json/object_writer.h"

namespace vestige::audit {
namespace {

using Kind = Condition::Kind;
using Test = Condition::Test;

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

// Words as phrases: they are folded and split already, and read the same again.
std::string text_of(const TextQuery& query) {
  std::string text;
  for (const auto& term : query.terms)
    text += fmt::format("{}{}\"{}\"", text.empty() ? "" : " ", term.negated ? "-" : "",
                        fmt::join(term.words, " "));
  return text;
}

// Writes conditions as a filter.
class FormWriter {
 public:
  // With `digest`, values that a search compares with are written as what it makes of them.
  explicit FormWriter(const OperandDigest* digest) : digest_(digest) {}

  void write(const Condition& condition) {
    switch (condition.kind) {
      case Kind::all:
      case Kind::any: {
        text_ += condition.kind == Kind::all ? "{\"and\":[" : "{\"or\":[";
        bool first = true;
        write_parts(condition, condition.kind, first);
        text_ += "]}";
        return;
      }
      case Kind::none:
        text_ += "{\"not\":";
        write(condition.parts.front());
        text_ += '}';
        return;
      case Kind::text:
        text_ += "{\"text\":";
        write_value(text_of(condition.text), digest_ != nullptr);
        text_ += '}';
        return;
      case Kind::field:
        hidden_ = digest_ != nullptr && !is_plain(condition.field);
        text_ += "{\"field\":";
        json::append_quoted(text_, condition.field.text());
        if (condition.ignore_case) text_ += ",\"ignoreCase\":true";
        text_ += ',';
        write_test(condition);
        text_ += '}';
    }
  }
  std::string take() { return std::move(text_); }

 private:
  void write_value(std::string_view value, bool hidden) {
    if (hidden)
      json::append_quoted(text_, (*digest_)(value));
    else
      json::append_quoted(text_, value);
  }

  void write_operand(const Operand& operand) {
    if (hidden_ || operand.type == json::Type::string) return write_value(operand.text, hidden_);
    text_ += operand.type == json::Type::null ? "null" : operand.text;
  }

  void write_bound(std::string_view name, const Bound& bound) {
    fmt::format_to(std::back_inserter(text_), "\"{}{}\":", name, bound.inclusive ? "e" : "");
    if (hidden_) return write_value(bound.operand.text, true);
    if (bound.operand.type == json::Type::number) return json::append_number(text_, *bound.number);
    if (bound.time) return json::append_quoted(text_, format_time(*bound.time));
    json::append_quoted(text_, bound.operand.text);
  }

  void write_range(const Condition& condition) {
    text_ += "\"range\":{";
    if (condition.from) write_bound("gt", *condition.from);
    if (condition.from && condition.to) text_ += ',';
    if (condition.to) write_bound("lt", *condition.to);
    text_ += '}';
  }

  void write_test(const Condition& condition) {
    switch (condition.test) {
      case Test::in:
        text_ += condition.operands.size() == 1 ? "\"equals\":" : "\"in\":[";
        for (std::size_t i = 0; i < condition.operands.size(); ++i) {
          if (i > 0) text_ += ',';
          write_operand(condition.operands[i]);
        }
        if (condition.operands.size() != 1) text_ += ']';
        return;
      case Test::range:
        return write_range(condition);
      case Test::exists:
        text_ += condition.expected ? "\"exists\":true" : "\"exists\":false";
        return;
      case Test::contains:
        text_ += "\"contains\":";
        if (!condition.operands.empty()) return write_operand(condition.operands.front());
        if (hidden_) return write_value(json::canonical(condition.contained), true);
        return json::append_canonical(text_, condition.contained);
      case Test::prefix:
      case Test::wildcard:
        text_ += condition.test == Test::prefix ? "\"prefix\":" : "\"wildcard\":";
        return write_operand(condition.operands.front());
      case Test::cidr:
        text_ += "\"cidr\":";
        return write_value(block_text(condition.block), hidden_);
    }
  }

  // A list within a list of the same kind says nothing more.
  void write_parts(const Condition& list, Kind kind, bool& first) {
    for (const auto& part : list.parts) {
      if (part.kind == kind) {
        write_parts(part, kind, first);
        continue;
      }
      if (!first) text_ += ',';
      first = false;
      write(part);
    }
  }

  const OperandDigest* const digest_;
  bool hidden_ = false;  // values of the field that is being written
  std::string text_;
};

std::string written(const Search& search, const OperandDigest* digest) {
  FormWriter writer(digest);
  if (search.id) {
    auto with_id = search.where;
    Condition id;
    id.kind = Kind::field;
    id.field.keys = {"id"};
    id.test = Test::in;
    id.operands = {{json::Type::string, format_uuid(*search.id)}};
    with_id.parts.push_back(std::move(id));
    writer.write(with_id);
    return writer.take();
  }
  writer.write(search.where);
  return writer.take();
}

}  // namespace

bool is_plain(const FieldPath& field) {
  constexpr std::string_view names[] = {"action",     "index",      "kind", "receivedAt",
                                        "sourceType", "targetType", "time"};
  return field.keys.size() == 1 && std::ranges::find(names, field.keys.front()) != std::end(names);
}

std::string counted_form(const TallyWish& tally) {
  if (tally.empty()) return {};
  json::ObjectWriter out;
  std::string facets;
  for (const auto& facet : tally.facets) {
    if (!facets.empty()) facets += ',';
    json::append_quoted(facets, facet.field.text());
  }
  if (!facets.empty()) out.raw("facets", fmt::format("[{}]", facets));
  if (tally.interval_ms) out.text("histogram", tally.interval);
  if (tally.total) out.raw("total", "true");
  return out.str();
}

std::string normal_form(const Search& search) { return written(search, nullptr); }

std::string recorded_form(const Search& search, const OperandDigest& digest) {
  return written(search, &digest);
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
