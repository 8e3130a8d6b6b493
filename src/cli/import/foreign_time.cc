#include "cli/import/internal/foreign_time.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

#include "base/time_text.h"

namespace vestige::cli::importing {
namespace {

constexpr std::array<std::string_view, 12> months = {"jan", "feb", "mar", "apr", "may", "jun",
                                                     "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::string_view letters = "YmdHIMSfpbz%";

bool is_digit(char c) { return c >= '0' && c <= '9'; }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

struct Parts {
  int year = 1970, month = 1, day = 1, hour = 0, minute = 0, second = 0, milliseconds = 0;
  std::optional<bool> afternoon{};
  std::optional<int> offset{};
};

std::optional<UnixMs> instant_of(const Parts& parts, int offset_minutes) {
  using namespace std::chrono;
  const year_month_day date{year{parts.year}, month{static_cast<unsigned>(parts.month)},
                            day{static_cast<unsigned>(parts.day)}};
  int hour = parts.hour;
  if (parts.afternoon) {
    if (hour < 1 || hour > 12) return std::nullopt;
    hour = hour % 12 + (*parts.afternoon ? 12 : 0);
  }
  if (!date.ok() || hour > 23 || parts.minute > 59 || parts.second > 60) return std::nullopt;
  const auto time = sys_days{date} + hours{hour} + minutes{parts.minute} +
                    seconds{std::min(parts.second, 59)} + milliseconds{parts.milliseconds} -
                    minutes{parts.offset.value_or(offset_minutes)};
  const UnixMs instant{duration_cast<milliseconds>(time.time_since_epoch()).count()};
  return instant < time_min || instant > time_max ? std::nullopt : std::optional(instant);
}

// Reads a text from its front.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : left_(text) {}
  bool done() const { return left_.empty(); }
  bool literal(char c) {
    if (c == ' ') {
      while (left_.starts_with(' ')) left_.remove_prefix(1);
      return true;
    }
    if (!left_.starts_with(c)) return false;
    left_.remove_prefix(1);
    return true;
  }
  bool digits(int least, int most, int& value) {
    value = 0;
    int count = 0;
    for (; count < most && !left_.empty() && is_digit(left_.front()); ++count) {
      value = value * 10 + (left_.front() - '0');
      left_.remove_prefix(1);
    }
    return count >= least;
  }
  // Cut to milliseconds.
  bool fraction(int& value) {
    value = 0;
    int count = 0;
    for (; !left_.empty() && is_digit(left_.front()); ++count) {
      if (count < 3) value = value * 10 + (left_.front() - '0');
      left_.remove_prefix(1);
    }
    for (int i = count; i < 3; ++i) value *= 10;
    return count > 0;
  }
  bool month_name(int& value) {
    if (left_.size() < 3) return false;
    const std::array<char, 3> name = {lower(left_[0]), lower(left_[1]), lower(left_[2])};
    const auto found = std::ranges::find(months, std::string_view(name.data(), name.size()));
    if (found == months.end()) return false;
    value = static_cast<int>(found - months.begin()) + 1;
    left_.remove_prefix(3);
    return true;
  }
  bool half(std::optional<bool>& afternoon) {
    if (left_.size() < 2 || lower(left_[1]) != 'm' || (lower(left_[0]) != 'a' && lower(left_[0]) != 'p'))
      return false;
    afternoon = lower(left_[0]) == 'p';
    left_.remove_prefix(2);
    return true;
  }
  bool offset(std::optional<int>& value) {
    const auto size = std::min(left_.find_first_of(" ,;)"), left_.size());
    value = parse_offset(left_.substr(0, size));
    left_.remove_prefix(size);
    return value.has_value();
  }

 private:
  std::string_view left_;
};

bool read_field(Cursor& text, char letter, Parts& parts) {
  switch (letter) {
    case 'Y':
      return text.digits(4, 4, parts.year);
    case 'm':
      return text.digits(1, 2, parts.month);
    case 'd':
      return text.digits(1, 2, parts.day);
    case 'H':
    case 'I':
      return text.digits(1, 2, parts.hour);
    case 'M':
      return text.digits(2, 2, parts.minute);
    case 'S':
      return text.digits(2, 2, parts.second);
    case 'f':
      return text.fraction(parts.milliseconds);
    case 'p':
      return text.half(parts.afternoon);
    case 'b':
      return text.month_name(parts.month);
    case 'z':
      return text.offset(parts.offset);
    default:
      return text.literal('%');
  }
}

std::optional<UnixMs> by_pattern(std::string_view text, std::string_view pattern, int offset_minutes) {
  Cursor cursor(text);
  Parts parts;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const bool fits =
        pattern[i] == '%' ? read_field(cursor, pattern[++i], parts) : cursor.literal(pattern[i]);
    if (!fits) return std::nullopt;
  }
  return cursor.done() ? instant_of(parts, offset_minutes) : std::nullopt;
}

// A count of units of 10^-`digits` seconds, perhaps with a fraction.
std::optional<UnixMs> since_1970(std::string_view text, int digits) {
  const auto whole = text.substr(0, text.find('.'));
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(whole.data(), whole.data() + whole.size(), count);
  if (whole.empty() || error != std::errc{} || end != whole.data() + whole.size()) return std::nullopt;
  int milliseconds = 0;
  Cursor fraction(text.substr(std::min(whole.size() + 1, text.size())));
  if (whole.size() < text.size() && (!fraction.fraction(milliseconds) || !fraction.done()))
    return std::nullopt;
  for (int i = digits; i > 3; --i) count /= 10;
  if (digits == 0 && (count > INT64_MAX / 1'000 - 1 || count < INT64_MIN / 1'000 + 1)) return std::nullopt;
  const UnixMs instant{digits == 0 ? count * 1'000 + milliseconds : count};
  return instant < time_min || instant > time_max ? std::nullopt : std::optional(instant);
}

std::optional<Parts> date_and_clock(std::string_view text) {
  Cursor cursor(text);
  Parts parts;
  if (!cursor.digits(4, 4, parts.year)) return std::nullopt;
  const char apart = cursor.literal('/') ? '/' : '-';
  if ((apart == '-' && !cursor.literal('-')) || !cursor.digits(1, 2, parts.month) || !cursor.literal(apart) ||
      !cursor.digits(1, 2, parts.day))
    return std::nullopt;
  if (cursor.done()) return parts;
  if (!cursor.literal('T')) cursor.literal(' ');
  if (!cursor.digits(1, 2, parts.hour) || !cursor.literal(':') || !cursor.digits(2, 2, parts.minute))
    return std::nullopt;
  if (cursor.literal(':') && !cursor.digits(2, 2, parts.second)) return std::nullopt;
  if ((cursor.literal('.') || cursor.literal(',')) && !cursor.fraction(parts.milliseconds))
    return std::nullopt;
  cursor.literal(' ');
  const bool fits = cursor.done() || (cursor.offset(parts.offset) && cursor.done());
  return fits ? std::optional(parts) : std::nullopt;
}

// Date and time apart by a T or a space, seconds, their fraction and the offset as they like.
std::optional<UnixMs> by_guess(std::string_view text, int offset_minutes) {
  if (const auto time = parse_time(text)) return time;
  if (std::ranges::all_of(text, [](char c) { return is_digit(c) || c == '.'; })) {
    // 1e9 seconds were reached in 2001, 1e11 will be in 5138.
    const auto digits = std::min(text.find('.'), text.size());
    if (digits < 9) return std::nullopt;
    return since_1970(text, digits <= 11 ? 0 : digits <= 14 ? 3 : digits <= 17 ? 6 : 9);
  }
  if (const auto parts = date_and_clock(text)) return instant_of(*parts, offset_minutes);
  return by_pattern(text, "%d/%b/%Y:%H:%M:%S %z", offset_minutes);
}

}  // namespace

std::optional<int> parse_offset(std::string_view text) {
  if (text == "Z" || text == "z" || text == "UTC" || text == "GMT") return 0;
  if (text.size() < 3 || (text[0] != '+' && text[0] != '-')) return std::nullopt;
  Cursor cursor(text.substr(1));
  int hours = 0, minutes = 0;
  if (!cursor.digits(2, 2, hours)) return std::nullopt;
  if (!cursor.done()) {
    if (text[3] == ':') cursor.literal(':');
    if (!cursor.digits(2, 2, minutes) || !cursor.done()) return std::nullopt;
  }
  if (hours > 23 || minutes > 59) return std::nullopt;
  return (text[0] == '-' ? -1 : 1) * (hours * 60 + minutes);
}

Result<TimeFormat> TimeFormat::read(std::string_view text) {
  constexpr std::string_view names[] = {"auto", "seconds", "milliseconds", "microseconds", "nanoseconds"};
  if (std::ranges::find(names, text) != std::end(names)) return TimeFormat(std::string(text));
  if (!text.contains('%'))
    return fail(ErrorKind::invalid,
                fmt::format("\"{}\" is no time format: give auto, seconds, milliseconds, microseconds, "
                            "nanoseconds, or a pattern such as %d.%m.%Y %H:%M:%S",
                            text));
  for (std::size_t i = 0; i < text.size(); ++i)
    if (text[i] == '%' && (++i == text.size() || !letters.contains(text[i])))
      return fail(
          ErrorKind::invalid,
          fmt::format("the time format \"{}\" has a % that is followed by none of {}", text, letters));
  return TimeFormat(std::string(text));
}

std::optional<UnixMs> TimeFormat::parse(std::string_view text, int offset_minutes) const {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  if (pattern_ == "auto") return by_guess(text, offset_minutes);
  if (pattern_ == "seconds") return since_1970(text, 0);
  if (pattern_ == "milliseconds") return since_1970(text, 3);
  if (pattern_ == "microseconds") return since_1970(text, 6);
  if (pattern_ == "nanoseconds") return since_1970(text, 9);
  return by_pattern(text, pattern_, offset_minutes);
}

}  // namespace vestige::cli::importing
