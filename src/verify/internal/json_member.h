// Members of the server's own JSON objects, read without trusting them.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

#include "json/json.h"

namespace vestige::verify {

// A whole number from 0 on; empty where the member is absent or something else.
inline std::optional<std::uint64_t> number_in(const json::Value& object, std::string_view name) {
  const auto value = object.find(name);
  if (!value.is_number()) return std::nullopt;
  const auto text = value.number();
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace vestige::verify
