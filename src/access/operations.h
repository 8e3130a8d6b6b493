// What the server can be asked to do, as authority sees it: assets/operations.json, one row an operation of
// openapi.json (docs/formats/policy.md). The build fails where the two differ.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "access/api_scope.h"
#include "base/result.h"

namespace vestige::access {

// How a call stands in the stream `access`; none: it is no look at events.
enum class Look : std::uint8_t { none, search, view, export_, prove, reveal, watch };
std::string_view name_of(Look look);

// Kinds of values that an answer may hold.
enum class ValueClass : std::uint8_t { clear, personal, sensitive };
inline constexpr ValueClass value_classes[] = {ValueClass::clear, ValueClass::personal,
                                               ValueClass::sensitive};
std::string_view name_of(ValueClass value_class);

struct Operation {
  std::string name;            // its operationId
  std::optional<Scope> scope;  // absent: whoever signed in, for themselves
  bool reads[std::size(value_classes)] = {};
  Look look = Look::none;
  std::string about;

  bool reads_class(ValueClass value_class) const { return reads[static_cast<std::size_t>(value_class)]; }
  bool reads_events() const { return reads_class(ValueClass::clear); }
};

// In the order of their names. Embedded, so it is always good.
std::span<const Operation> operations();
const Operation* find_operation(std::string_view name);

}  // namespace vestige::access
