// RFC 3339 date-times. The trail's own form is UTC with exactly three fractional digits,
// "2026-11-25T14:40:11.213Z" (24 characters, years 0000-9999).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/strong.h"

namespace vestige {

inline constexpr std::size_t time_text_size = 24;
inline constexpr UnixMs time_min{-62'167'219'200'000};  // 0000-01-01T00:00:00.000Z
inline constexpr UnixMs time_max{253'402'300'799'999};  // 9999-12-31T23:59:59.999Z

// Any RFC 3339 date-time: any offset, any number of fractional digits (cut to milliseconds), a leap
// second read as the last millisecond before it. Empty where the text is none or outside the years above.
std::optional<UnixMs> parse_time(std::string_view text);

// Writes exactly time_text_size characters. `time` lies between time_min and time_max.
void write_time(UnixMs time, char* to);
std::string format_time(UnixMs time);

}  // namespace vestige
