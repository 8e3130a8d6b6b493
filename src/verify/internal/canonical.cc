#include "verify/internal/canonical.h"

#include <bit>

#include "base/bytes.h"
#include "base/encoding.h"
#include "verify/limits.h"

namespace vestige::verify {
namespace {

constexpr std::uint64_t each_byte = 0x0101'0101'0101'0101;
constexpr std::uint64_t high_bits = 0x8080'8080'8080'8080;
constexpr std::size_t plain_digits_max = 15;  // every integer of so many digits is a double of its own

// High bits at bytes that are zero. Bytes behind the first such one may be marked too.
constexpr std::uint64_t zero_bytes(std::uint64_t word) { return (word - each_byte) & ~word & high_bits; }

// The first byte at or behind `at` that is a quote, a backslash, a control character or not ASCII.
std::size_t skip_plain(std::string_view text, std::size_t at) {
  while (at + sizeof(std::uint64_t) <= text.size()) {
    const auto word = load_le<std::uint64_t>(view(text).data() + at);
    const auto found = (word & high_bits) | zero_bytes(word ^ (each_byte * '"')) |
                       zero_bytes(word ^ (each_byte * '\\')) |
                       ((word - each_byte * 0x20) & ~word & high_bits);
    if (found != 0) return at + static_cast<std::size_t>(std::countr_zero(found)) / 8;
    at += sizeof word;
  }
  while (at < text.size()) {
    const auto byte = static_cast<std::uint8_t>(text[at]);
    if (byte < 0x20 || byte >= 0x80 || byte == '"' || byte == '\\') break;
    ++at;
  }
  return at;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Of a string that was accepted, so every escape is whole.
std::string unescape(std::string_view inner) {
  constexpr std::string_view letters = "bfnrt";
  constexpr std::string_view meanings = "\b\f\n\r\t";
  std::string out;
  for (std::size_t i = 0; i < inner.size(); ++i) {
    if (inner[i] != '\\') {
      out.push_back(inner[i]);
      continue;
    }
    const char c = inner[++i];
    if (c == 'u') {
      const auto last = inner[i + 4];
      out.push_back(
          static_cast<char>((inner[i + 3] - '0') * 16 + (is_digit(last) ? last - '0' : last - 'a' + 10)));
      i += 4;
    } else {
      const auto letter = letters.find(c);
      out.push_back(letter == std::string_view::npos ? c : meanings[letter]);
    }
  }
  return out;
}

}  // namespace

bool CanonicalScanner::scan(std::string_view text) {
  text_ = text;
  at_ = 0;
  members_.clear();
  return at_ < text_.size() && text_[0] == '{' && object(1) && at_ == text_.size();
}

bool CanonicalScanner::value(std::uint32_t depth) {
  if (at_ >= text_.size()) return false;
  String ignored;
  switch (text_[at_]) {
    case '{':
      return object(depth + 1);
    case '[':
      return array(depth + 1);
    case '"':
      return string(ignored);
    case 't':
      return literal("true");
    case 'f':
      return literal("false");
    case 'n':
      return literal("null");
    default:
      return number();
  }
}

bool CanonicalScanner::object(std::uint32_t depth) {
  if (depth > limits::entry_depth_max) return false;
  ++at_;
  if (take('}')) return true;
  String before;
  for (bool first = true;; first = false) {
    String key;
    if (at_ >= text_.size() || text_[at_] != '"' || !string(key)) return false;
    if ((!first && !ascending(before, key)) || !take(':')) return false;
    const auto start = at_;
    if (!value(depth)) return false;
    if (depth == 1) members_.push_back({key.inner, text_.substr(start, at_ - start)});
    before = key;
    if (take('}')) return true;
    if (!take(',')) return false;
  }
}

bool CanonicalScanner::array(std::uint32_t depth) {
  if (depth > limits::entry_depth_max) return false;
  ++at_;
  if (take(']')) return true;
  for (;;) {
    if (!value(depth)) return false;
    if (take(']')) return true;
    if (!take(',')) return false;
  }
}

bool CanonicalScanner::string(String& out) {
  constexpr std::uint8_t lead_from_e000 = 0xee;  // the first lead byte of code points from U+E000 on
  const auto start = ++at_;
  for (;;) {
    at_ = skip_plain(text_, at_);
    if (at_ >= text_.size()) return false;
    const auto byte = static_cast<std::uint8_t>(text_[at_]);
    if (byte == '"') {
      out.inner = text_.substr(start, at_ - start);
      ++at_;
      return true;
    }
    if (byte == '\\') {
      out.escaped = true;
      if (!escape()) return false;
      continue;
    }
    if (byte < 0x20) return false;
    const auto run = at_;
    while (at_ < text_.size() && static_cast<std::uint8_t>(text_[at_]) >= 0x80) {
      out.wide = out.wide || static_cast<std::uint8_t>(text_[at_]) >= lead_from_e000;
      ++at_;
    }
    if (!is_utf8(text_.substr(run, at_ - run))) return false;
  }
}

// Two characters, or \u00 and two lowercase digits for the controls that have no letter.
bool CanonicalScanner::escape() {
  ++at_;
  if (at_ >= text_.size()) return false;
  const char c = text_[at_++];
  if (c != 'u') return std::string_view("\"\\bfnrt").find(c) != std::string_view::npos;
  if (text_.size() - at_ < 4 || text_.substr(at_, 2) != "00") return false;
  const char high = text_[at_ + 2];
  const char low = text_[at_ + 3];
  if ((high != '0' && high != '1') || !(is_digit(low) || (low >= 'a' && low <= 'f'))) return false;
  if (high == '0' && (low == '8' || low == '9' || low == 'a' || low == 'c' || low == 'd')) return false;
  at_ += 4;
  return true;
}

bool CanonicalScanner::number() {
  const auto start = at_;
  if (at_ < text_.size() && text_[at_] == '-') ++at_;
  const auto digits = at_;
  while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
  const auto count = at_ - digits;
  const bool ends =
      at_ >= text_.size() || std::string_view(".eE+-").find(text_[at_]) == std::string_view::npos;
  if (count == 0) return false;
  if (ends && count <= plain_digits_max) {
    if (text_[digits] != '0') return true;
    return count == 1 && digits == start;  // 0, and neither 00 nor -0
  }
  while (at_ < text_.size() &&
         (is_digit(text_[at_]) || std::string_view(".eE+-").find(text_[at_]) != std::string_view::npos))
    ++at_;
  const auto token = text_.substr(start, at_ - start);
  return parser_.parse(token, document_) && document_.root().is_number() &&
         document_.root().number() == token;
}

bool CanonicalScanner::literal(std::string_view word) {
  if (text_.substr(at_, word.size()) != word) return false;
  at_ += word.size();
  return true;
}

bool CanonicalScanner::ascending(const String& before, const String& after) const {
  if (!before.escaped && !before.wide && !after.escaped && !after.wide) {
    // Most keys differ in the first byte, which costs no call.
    if (!before.inner.empty() && !after.inner.empty() && before.inner[0] != after.inner[0])
      return static_cast<std::uint8_t>(before.inner[0]) < static_cast<std::uint8_t>(after.inner[0]);
    return before.inner < after.inner;
  }
  return json::canonical_less(unescape(before.inner), unescape(after.inner));
}

}  // namespace vestige::verify
