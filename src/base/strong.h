// Distinct types for numbers that must not be mixed up: an index is not a size is not an offset.
#pragma once

#include <compare>
#include <cstdint>

namespace vestige {

template <typename Tag, typename Value = std::uint64_t>
struct Strong {
  Value value{};
  constexpr Strong() = default;
  constexpr explicit Strong(Value v) : value(v) {}
  constexpr auto operator<=>(const Strong&) const = default;
  constexpr Strong operator+(Value more) const { return Strong(value + more); }
  constexpr Value operator-(Strong other) const { return value - other.value; }
};

// Milliseconds since 1970-01-01T00:00:00Z; may be negative.
using UnixMs = Strong<struct UnixMsTag, std::int64_t>;
// Position of an entry in its stream; the first is 0.
using Index = Strong<struct IndexTag>;
// Number of entries in a stream; the index that the next one gets.
using TreeSize = Strong<struct TreeSizeTag>;

}  // namespace vestige
