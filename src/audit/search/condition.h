// The filter of a search: a tree of and / or / not over conditions on the fields of an event as readers see
// it. Grammar and meaning: docs/query.md.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/search/text_query.h"
#include "base/result.h"
#include "base/strong.h"
#include "json/json.h"

namespace vestige::audit {

// Keys from the top of the event down. Arrays on the way are passed through: any of their elements will do.
struct FieldPath {
  std::vector<std::string> keys;
  std::string text() const;  // "detail.order.id"; as a JSON pointer where a key has a dot or slash in it
  bool operator==(const FieldPath&) const = default;
};
// "detail.order.id" or, for keys with dots, "/detail/order.id". Empty where it is none or does not begin with
// a member of an event.
std::optional<FieldPath> parse_field_path(std::string_view text);

// A scalar to compare with.
struct Operand {
  json::Type type = json::Type::null;
  std::string text;  // a string itself; a number's canonical text; "true" or "false"
};

// One end of a range; numbers compare as numbers, date-times as moments, other strings by their bytes.
struct Bound {
  Operand operand;
  std::optional<double> number;
  std::optional<UnixMs> time;
  bool inclusive = true;
};

struct AddressBlock {
  std::array<std::uint8_t, 16> bytes{};  // IPv4 as ::ffff:a.b.c.d
  unsigned bits = 0;                     // of those 128
};
// "10.0.0.0/8", "2001:db8::/32", or one address.
std::optional<AddressBlock> parse_address_block(std::string_view text);

struct Condition {
  enum class Kind { all, any, none, field, text };
  enum class Test { in, range, exists, contains, prefix, wildcard, cidr };

  Kind kind = Kind::all;
  std::vector<Condition> parts;  // all, any: any number; none: one

  FieldPath field;
  Test test = Test::exists;
  std::vector<Operand> operands;  // in: any of them ("equals" is an "in" of one); prefix, wildcard: one
  bool ignore_case = false;  // in, contains, prefix, wildcard: case and accents folded, operands folded too
  bool expected = true;      // exists
  std::optional<Bound> from;
  std::optional<Bound> to;
  json::Value contained;  // contains, unless operands has a string
  AddressBlock block;

  TextQuery text;
};

// Views into `value`'s document stay in the result. invalid with the path, from `path` on, of what is wrong.
Result<Condition> parse_condition(const json::Value& value, const std::string& path);

// Every field that the condition looks at; text looks at all.
void append_fields(const Condition& condition, std::vector<FieldPath>& to);
bool looks_at_text(const Condition& condition);

bool matches(const Condition& condition, const json::Value& event);

// Whether `event` contains `filter`: every member of the filter is in the event's object and contained there
// ({}: the object is present); an array is contained where each of its elements is contained in some element;
// a string also equals a number or boolean by its canonical text.
bool contains(const json::Value& event, const json::Value& filter);

}  // namespace vestige::audit
