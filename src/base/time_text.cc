#include "base/time_text.h"

#include <chrono>

#include "base/check.h"

namespace vestige {
namespace {

// Reads exactly `count` digits; -1 where there are none.
int digits(std::string_view text, std::size_t at, std::size_t count) {
  if (at + count > text.size()) return -1;
  int value = 0;
  for (std::size_t i = at; i < at + count; ++i) {
    if (text[i] < '0' || text[i] > '9') return -1;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

bool is_at(std::string_view text, std::size_t at, char wanted) {
  return at < text.size() && text[at] == wanted;
}

void put(char* to, int value, int width) {
  for (int i = width - 1; i >= 0; --i) {
    to[i] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
}

// Fraction and offset, from `at` on. Gives the milliseconds and the offset in minutes.
struct Tail {
  int ms;
  int offset_minutes;
};
std::optional<Tail> parse_tail(std::string_view text, std::size_t at) {
  Tail tail{0, 0};
  if (is_at(text, at, '.')) {
    int place = 100;
    const std::size_t first = ++at;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, place /= 10)
      tail.ms += (text[at] - '0') * place;
    if (at == first) return std::nullopt;
  }
  if (is_at(text, at, 'Z') || is_at(text, at, 'z'))
    return at + 1 == text.size() ? std::optional(tail) : std::nullopt;
  if (!is_at(text, at, '+') && !is_at(text, at, '-')) return std::nullopt;
  const int hours = digits(text, at + 1, 2);
  const int minutes = digits(text, at + 4, 2);
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return std::nullopt;
  if (!is_at(text, at + 3, ':') || at + 6 != text.size()) return std::nullopt;
  tail.offset_minutes = (text[at] == '-' ? -1 : 1) * (hours * 60 + minutes);
  return tail;
}

}  // namespace

std::optional<UnixMs> parse_time(std::string_view text) {
  const int year = digits(text, 0, 4);
  const int month = digits(text, 5, 2);
  const int day = digits(text, 8, 2);
  const int hour = digits(text, 11, 2);
  const int minute = digits(text, 14, 2);
  const int second = digits(text, 17, 2);
  if (year < 0 || month < 0 || day < 0 || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 ||
      second > 60)
    return std::nullopt;
  if (!is_at(text, 4, '-') || !is_at(text, 7, '-') || !is_at(text, 13, ':') || !is_at(text, 16, ':'))
    return std::nullopt;
  if (!is_at(text, 10, 'T') && !is_at(text, 10, 't') && !is_at(text, 10, ' ')) return std::nullopt;
  const auto tail = parse_tail(text, 19);
  if (!tail) return std::nullopt;

  using namespace std::chrono;
  const year_month_day date{std::chrono::year{year}, std::chrono::month{static_cast<unsigned>(month)},
                            std::chrono::day{static_cast<unsigned>(day)}};
  if (!date.ok()) return std::nullopt;
  const auto days = sys_days{date}.time_since_epoch().count();
  const bool leap = second == 60;
  const std::int64_t seconds =
      static_cast<std::int64_t>(days) * 86'400 + hour * 3'600 + minute * 60 + (leap ? 59 : second);
  const UnixMs time{seconds * 1'000 + (leap ? 999 : tail->ms) - std::int64_t{60'000} * tail->offset_minutes};
  if (time < time_min || time > time_max) return std::nullopt;
  return time;
}

void write_time(UnixMs time, char* to) {
  CHECK(time >= time_min && time <= time_max);
  using namespace std::chrono;
  const sys_time<milliseconds> instant{milliseconds{time.value}};
  const auto day_start = floor<days>(instant);
  const year_month_day date{day_start};
  const hh_mm_ss clock{instant - day_start};
  std::memcpy(to, "0000-00-00T00:00:00.000Z", time_text_size);
  put(to, static_cast<int>(date.year()), 4);
  put(to + 5, static_cast<int>(static_cast<unsigned>(date.month())), 2);
  put(to + 8, static_cast<int>(static_cast<unsigned>(date.day())), 2);
  put(to + 11, static_cast<int>(clock.hours().count()), 2);
  put(to + 14, static_cast<int>(clock.minutes().count()), 2);
  put(to + 17, static_cast<int>(clock.seconds().count()), 2);
  put(to + 20, static_cast<int>(clock.subseconds().count()), 3);
}

std::string format_time(UnixMs time) {
  std::string out(time_text_size, ' ');
  write_time(time, out.data());
  return out;
}

}  // namespace vestige
