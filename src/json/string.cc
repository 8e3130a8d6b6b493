// Strings: reading their escapes, and writing them as RFC 8785 §3.2.2.2 says.
#include <array>
#include <bit>
#include <cstring>

#include "json/internal/scalar.h"
#include "json/json.h"

namespace vestige::json {

namespace {

constexpr const char* repair_escape =
    "write the character itself, or one of the escapes of RFC 8259 section 7";
constexpr const char* repair_surrogate =
    "send the character that was meant; half a pair stands for none and has no UTF-8 form";

// The value of the four hex digits at `at`.
std::optional<std::uint32_t> hex4(std::string_view raw, std::size_t at) {
  if (raw.size() < at + 4) return std::nullopt;
  std::uint32_t value = 0;
  for (const char c : raw.substr(at, 4)) {
    const auto lower = static_cast<char>(c | 0x20);
    const bool digit = c >= '0' && c <= '9';
    if (!digit && (lower < 'a' || lower > 'f')) return std::nullopt;
    value = value * 16 + static_cast<std::uint32_t>(digit ? c - '0' : lower - 'a' + 10);
  }
  return value;
}

void append_utf8(std::string& to, std::uint32_t point) {
  const auto byte = [&](std::uint32_t value) { to.push_back(static_cast<char>(value)); };
  if (point < 0x80) {
    byte(point);
  } else if (point < 0x800) {
    byte(0xc0 | point >> 6);
    byte(0x80 | (point & 0x3f));
  } else if (point < 0x10000) {
    byte(0xe0 | point >> 12);
    byte(0x80 | (point >> 6 & 0x3f));
    byte(0x80 | (point & 0x3f));
  } else {
    byte(0xf0 | point >> 18);
    byte(0x80 | (point >> 12 & 0x3f));
    byte(0x80 | (point >> 6 & 0x3f));
    byte(0x80 | (point & 0x3f));
  }
}

bool is_high_surrogate(std::uint32_t unit) { return unit >= 0xd800 && unit < 0xdc00; }
bool is_low_surrogate(std::uint32_t unit) { return unit >= 0xdc00 && unit < 0xe000; }

// Reads the \u escape, or the pair of them, at `at`, and moves `at` behind it.
std::optional<Problem> unescape_unit(std::string_view raw, std::size_t& at, std::string& to) {
  const auto first = hex4(raw, at + 2);
  if (!first) return Problem{"a \\u escape without four hex digits", at, repair_escape};
  if (is_low_surrogate(*first)) {
    return Problem{"a low surrogate without the high one before it", at, repair_surrogate};
  }
  if (!is_high_surrogate(*first)) {
    append_utf8(to, *first);
    at += 6;
    return std::nullopt;
  }
  const bool escape_follows = raw.substr(at + 6).starts_with("\\u");
  const auto second = escape_follows ? hex4(raw, at + 8) : std::nullopt;
  if (!second || !is_low_surrogate(*second)) {
    return Problem{"a high surrogate without the low one behind it", at, repair_surrogate};
  }
  append_utf8(to, 0x10000 + ((*first - 0xd800) << 10) + (*second - 0xdc00));
  at += 12;
  return std::nullopt;
}

// The character that \c stands for; 0 where that is no escape.
char simple_escape(char c) {
  switch (c) {
    case '"':
    case '\\':
    case '/':
      return c;
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return 0;
  }
}

constexpr std::uint64_t each_byte(std::uint8_t value) { return 0x0101010101010101u * value; }

// Whether one of eight bytes is a quote, a backslash or below 0x20: the classic subtraction that borrows
// out of a byte exactly where it is smaller. A hit may mark a wrong byte above the first, so it only says
// that these eight need a closer look.
bool may_need_escape(std::uint64_t bytes) {
  const auto below = [&](std::uint64_t value, std::uint8_t bound) {
    return (value - each_byte(bound)) & ~value & each_byte(0x80);
  };
  return (below(bytes, 0x20) | below(bytes ^ each_byte('"'), 1) | below(bytes ^ each_byte('\\'), 1)) != 0;
}

bool needs_escape(char c) { return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\'; }

// Where the first character that needs an escape stands, from `at` on; text.size() where there is none.
std::size_t find_escape(std::string_view text, std::size_t at) {
  while (at + 8 <= text.size()) {
    std::uint64_t bytes;
    std::memcpy(&bytes, text.data() + at, sizeof bytes);
    if (may_need_escape(bytes)) break;
    at += 8;
  }
  while (at < text.size() && !needs_escape(text[at])) ++at;
  return at;
}

void append_escape(std::string& to, char c) {
  constexpr const char* digits = "0123456789abcdef";
  const auto code = static_cast<unsigned char>(c);
  switch (c) {
    case '"':
      to += "\\\"";
      break;
    case '\\':
      to += "\\\\";
      break;
    case '\b':
      to += "\\b";
      break;
    case '\f':
      to += "\\f";
      break;
    case '\n':
      to += "\\n";
      break;
    case '\r':
      to += "\\r";
      break;
    case '\t':
      to += "\\t";
      break;
    default:
      to += "\\u00";
      to.push_back(digits[code >> 4]);
      to.push_back(digits[code & 15]);
  }
}

}  // namespace

std::optional<Problem> unescape(std::string_view raw, std::string& to) {
  std::size_t at = 0;
  for (;;) {
    const auto backslash = std::min(raw.find('\\', at), raw.size());
    to.append(raw, at, backslash - at);
    at = backslash;
    if (at == raw.size()) return std::nullopt;
    const char kind = at + 1 < raw.size() ? raw[at + 1] : '\0';
    if (kind == 'u') {
      if (auto problem = unescape_unit(raw, at, to)) return problem;
    } else if (const char c = simple_escape(kind); c != 0) {
      to.push_back(c);
      at += 2;
    } else {
      return Problem{"a backslash before a character that JSON does not escape", at, repair_escape};
    }
  }
}

void append_quoted(std::string& to, std::string_view text) {
  to.push_back('"');
  for (std::size_t at = 0;;) {
    const auto escape = find_escape(text, at);
    to.append(text.data() + at, escape - at);
    if (escape == text.size()) break;
    append_escape(to, text[escape]);
    at = escape + 1;
  }
  to.push_back('"');
}

}  // namespace vestige::json
