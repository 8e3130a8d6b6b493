// Times as other systems write them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/strong.h"

namespace vestige::cli::importing {

// One way to write a time: "auto", "seconds", "milliseconds", "microseconds", "nanoseconds" (since 1970), or
// a pattern of %Y %m %d %H %I %M %S %f %p %b %z %%, as strptime has them (%f: digits of a fraction; %b: Jan;
// %z: Z, UTC, GMT or an offset), where other characters stand for themselves and a space for any number of
// spaces.
class TimeFormat {
 public:
  static Result<TimeFormat> read(std::string_view text);

  // `offset_minutes` counts where the text says none. Empty where the text does not fit.
  std::optional<UnixMs> parse(std::string_view text, int offset_minutes) const;

 private:
  explicit TimeFormat(std::string pattern) : pattern_(std::move(pattern)) {}
  std::string pattern_;
};

// "+02:00", "-0530", "Z", "UTC", "GMT" in minutes.
std::optional<int> parse_offset(std::string_view text);

}  // namespace vestige::cli::importing
