// Numbers: which are accepted, and their one text (RFC 8785 §3.2.2.3, which is ECMAScript's
// Number::toString).
//
// A number is held as 0.DIGITS * 10^point with neither leading nor trailing zeros in DIGITS. Two decimal
// texts denote one value exactly when these parts are equal, so whether a number survives the trip through
// a double is decided by comparing them with the parts of the double's shortest text.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "json/internal/scalar.h"
#include "json/json.h"

namespace vestige::json {

namespace {

constexpr std::size_t digits_max = 17;  // no shortest text of a double has more
// Every decimal of so many digits is the shortest text of its nearest double, if that is a normal number.
constexpr std::size_t digits_always_exact = 15;
constexpr std::int64_t point_surely_normal = 290;
constexpr std::int64_t exponent_bound = std::int64_t{1} << 40;  // beyond what a text's length can make up for
constexpr std::int64_t integer_exact_max = std::int64_t{1} << 53;

struct Decimal {
  std::array<char, digits_max> digits{};
  std::size_t size = 0;  // 0: the number is zero
  std::int64_t point = 0;
  bool negative = false;

  bool operator==(const Decimal& other) const {
    return size == other.size && point == other.point && negative == other.negative &&
           std::memcmp(digits.data(), other.digits.data(), size) == 0;
  }
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

const char* skip_digits(const char* at) {
  while (is_digit(*at)) ++at;
  return at;
}

// A token cut into its parts.
struct Parts {
  std::string_view whole;
  std::string_view fraction;
  std::int64_t exponent = 0;
  bool negative = false;
};

// Reads [eE][+-]?digits at `at`, if there is one; nullptr where it lacks digits.
const char* read_exponent(const char* at, std::int64_t& exponent) {
  if (*at != 'e' && *at != 'E') return at;
  ++at;
  const bool negative = *at == '-';
  if (*at == '-' || *at == '+') ++at;
  const char* const end = skip_digits(at);
  if (end == at) return nullptr;
  for (; at != end; ++at) exponent = std::min(exponent * 10 + (*at - '0'), exponent_bound);
  if (negative) exponent = -exponent;
  return end;
}

// The grammar of RFC 8259 §6; nullptr where `at` does not follow it.
const char* read_parts(const char* at, Parts& parts) {
  parts.negative = *at == '-';
  if (parts.negative) ++at;
  const char* end = skip_digits(at);
  parts.whole = {at, static_cast<std::size_t>(end - at)};
  if (parts.whole.empty() || (parts.whole.size() > 1 && parts.whole.front() == '0')) return nullptr;
  at = end;
  if (*at == '.') {
    end = skip_digits(++at);
    parts.fraction = {at, static_cast<std::size_t>(end - at)};
    if (parts.fraction.empty()) return nullptr;
    at = end;
  }
  return read_exponent(at, parts.exponent);
}

std::string_view without_trailing_zeros(std::string_view digits) {
  return digits.substr(0, digits.find_last_not_of('0') + 1);
}

// False where there are more than digits_max digits.
bool make_decimal(Parts parts, Decimal& decimal) {
  decimal.negative = parts.negative;
  const auto first_whole = parts.whole.find_first_not_of('0');
  if (first_whole != std::string_view::npos) {
    parts.whole.remove_prefix(first_whole);
    decimal.point = static_cast<std::int64_t>(parts.whole.size());
  } else {
    parts.whole = {};
    const auto first = std::min(parts.fraction.find_first_not_of('0'), parts.fraction.size());
    parts.fraction.remove_prefix(first);
    decimal.point = -static_cast<std::int64_t>(first);
  }
  decimal.point += parts.exponent;
  parts.fraction = without_trailing_zeros(parts.fraction);
  if (parts.fraction.empty()) parts.whole = without_trailing_zeros(parts.whole);
  decimal.size = parts.whole.size() + parts.fraction.size();
  if (decimal.size > digits_max) return false;
  std::copy(parts.whole.begin(), parts.whole.end(), decimal.digits.begin());
  std::copy(parts.fraction.begin(), parts.fraction.end(), decimal.digits.begin() + parts.whole.size());
  return true;
}

// Of a finite number.
Decimal shortest_decimal(double value) {
  Decimal decimal;
  if (value == 0) return decimal;
  std::array<char, 32> buffer;
  const auto written =
      std::to_chars(buffer.data(), buffer.data() + buffer.size() - 1, value, std::chars_format::scientific);
  CHECK(written.ec == std::errc());
  *written.ptr = '\0';
  Parts parts;
  CHECK(read_parts(buffer.data(), parts) == written.ptr);
  CHECK(make_decimal(parts, decimal));
  return decimal;
}

void append_exponent(std::string& to, std::int64_t exponent) {
  std::array<char, 24> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), std::abs(exponent)).ptr;
  to.push_back('e');
  to.push_back(exponent < 0 ? '-' : '+');
  to.append(buffer.data(), end);
}

// ECMAScript's Number::toString, whose k, n and s are size, point and digits.
void append_decimal(std::string& to, const Decimal& decimal) {
  if (decimal.size == 0) {
    to.push_back('0');
    return;
  }
  if (decimal.negative) to.push_back('-');
  const std::string_view digits(decimal.digits.data(), decimal.size);
  const auto count = static_cast<std::int64_t>(decimal.size);
  if (decimal.point >= count && decimal.point <= 21) {
    to.append(digits).append(static_cast<std::size_t>(decimal.point - count), '0');
  } else if (decimal.point > 0 && decimal.point <= 21) {
    const auto whole = static_cast<std::size_t>(decimal.point);
    to.append(digits.substr(0, whole)).append(".").append(digits.substr(whole));
  } else if (decimal.point > -6 && decimal.point <= 0) {
    to.append("0.").append(static_cast<std::size_t>(-decimal.point), '0').append(digits);
  } else {
    to.push_back(digits.front());
    if (count > 1) to.append(".").append(digits.substr(1));
    append_exponent(to, decimal.point - 1);
  }
}

bool survives(const char* begin, const char* end, const Decimal& decimal) {
  if (decimal.size <= digits_always_exact && std::abs(decimal.point) < point_surely_normal) return true;
  double value = 0;
  const auto read = std::from_chars(begin, end, value);
  return read.ec == std::errc() && read.ptr == end && decimal == shortest_decimal(value);
}

}  // namespace

NumberForm read_number(const char* begin, const char*& end, std::string& arena) {
  // Small integers, which are most numbers, are their own canonical text.
  const char* const digits = begin + (*begin == '-' ? 1 : 0);
  end = skip_digits(digits);
  const auto count = static_cast<std::size_t>(end - digits);
  if (*end != '.' && (*end | 0x20) != 'e' && count - 1 < digits_always_exact) {
    if (*digits != '0') return NumberForm::token;
    if (count == 1 && digits == begin) return NumberForm::token;
  }
  Parts parts;
  end = read_parts(begin, parts);
  if (end == nullptr) return NumberForm::malformed;
  Decimal decimal;
  if (!make_decimal(parts, decimal)) return NumberForm::not_preserved;
  if (decimal.size != 0 && !survives(begin, end, decimal)) return NumberForm::not_preserved;
  append_decimal(arena, decimal);
  return NumberForm::appended;
}

void append_number(std::string& to, double value) {
  CHECK(std::isfinite(value));
  append_decimal(to, shortest_decimal(value));
}

void append_number(std::string& to, std::int64_t value) {
  if (value < -integer_exact_max || value > integer_exact_max) {
    append_number(to, static_cast<double>(value));
    return;
  }
  std::array<char, 24> buffer;
  to.append(buffer.data(), std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr);
}

}  // namespace vestige::json
