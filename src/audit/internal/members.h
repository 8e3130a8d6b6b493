// Members of entries that the server itself wrote, as reports read them.
#pragma once

#include <cstdint>
#include <string_view>

#include "json/json.h"

namespace vestige::audit {

// Empty where it is no text.
inline std::string_view text_of(const json::Value& object, std::string_view name) {
  const auto value = object.find(name);
  return value.is_string() ? value.string() : std::string_view();
}

// 0 where it is no number above it.
inline std::uint64_t count_of(const json::Value& object, std::string_view name) {
  const auto value = object.find(name);
  return value.is_number() && value.number_value() > 0 ? static_cast<std::uint64_t>(value.number_value()) : 0;
}

}  // namespace vestige::audit
