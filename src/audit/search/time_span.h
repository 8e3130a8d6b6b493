// Lengths of time as people write them in searches: 90s, 15m, 12h, 7d, 2w.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

namespace vestige::audit {

inline constexpr std::int64_t span_count_max = 1'000'000;

// In ms; empty where the text is none, or its number is above span_count_max.
inline std::optional<std::int64_t> parse_time_span(std::string_view text) {
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc{} || end + 1 != text.data() + text.size() || count < 0 || count > span_count_max)
    return std::nullopt;
  switch (*end) {
    case 's':
      return count * 1'000;
    case 'm':
      return count * 60'000;
    case 'h':
      return count * 3'600'000;
    case 'd':
      return count * 86'400'000;
    case 'w':
      return count * 604'800'000;
    default:
      return std::nullopt;
  }
}

}  // namespace vestige::audit
