#include "seal/words.h"

#include <utf8proc.h>

#include <array>
#include <cstdlib>
#include <memory>

#include "base/check.h"

namespace vestige::seal {
namespace {

// 0 for what is no letter or digit, else the folded character; non-ASCII bytes are not decided here.
constexpr auto ascii_words = [] {
  std::array<char, 128> table{};
  for (char c = '0'; c <= '9'; ++c) table[static_cast<std::size_t>(c)] = c;
  for (char c = 'a'; c <= 'z'; ++c) {
    table[static_cast<std::size_t>(c)] = c;
    table[static_cast<std::size_t>(c - 'a' + 'A')] = c;
  }
  return table;
}();

bool is_ascii(char c) { return static_cast<unsigned char>(c) < 128; }

struct Range {
  utf8proc_int32_t first;
  utf8proc_int32_t last;
};
constexpr Range without_spaces[] = {
    {0x0E00, 0x0EFF},    // Thai, Lao
    {0x1000, 0x109F},    // Myanmar
    {0x1780, 0x17FF},    // Khmer
    {0x3040, 0x30FF},    // Hiragana, Katakana
    {0x31F0, 0x31FF},    // Katakana extensions
    {0x3400, 0x4DBF},    // Han
    {0x4E00, 0x9FFF},    //
    {0xF900, 0xFAFF},    //
    {0x20000, 0x3FFFF},  //
};

bool stands_alone(utf8proc_int32_t point) {
  for (const auto& range : without_spaces)
    if (point >= range.first && point <= range.last) return true;
  return false;
}

bool is_word_point(utf8proc_int32_t point) {
  const auto category = utf8proc_category(point);
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NO;
}

struct Point {
  utf8proc_int32_t value;
  std::size_t bytes;
};
Point point_at(std::string_view text, std::size_t at) {
  utf8proc_int32_t value = -1;
  const auto bytes = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + at,
                                      static_cast<utf8proc_ssize_t>(text.size() - at), &value);
  // Texts were parsed as UTF-8; a byte that is none counts as no letter.
  return bytes > 0 ? Point{value, static_cast<std::size_t>(bytes)} : Point{0xFFFD, 1};
}

void fold_into(std::string_view text, std::string& to) {
  utf8proc_uint8_t* folded = nullptr;
  const auto size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                 static_cast<utf8proc_ssize_t>(text.size()), &folded,
                                 static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT |
                                                                UTF8PROC_CASEFOLD | UTF8PROC_STRIPMARK));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(folded, &std::free);
  if (size < 0) {
    to.assign(text);  // not UTF-8: compared as it is
    return;
  }
  to.assign(reinterpret_cast<const char*>(folded), static_cast<std::size_t>(size));
}

}  // namespace

char WordReader::folded_ascii(char c) const {
  return c == '*' && stars_belong_ ? c : ascii_words[static_cast<std::size_t>(c)];
}

bool WordReader::next(std::string_view& word) {
  for (;;) {
    while (at_ < text_.size() && is_ascii(text_[at_]) && folded_ascii(text_[at_]) == 0) ++at_;
    if (at_ == text_.size()) return false;
    if (is_ascii(text_[at_])) return next_ascii(word);
    const auto point = point_at(text_, at_);
    if (is_word_point(point.value)) {
      if (next_unicode(word)) return true;
      continue;
    }
    at_ += point.bytes;
  }
}

// A word that begins in ASCII; goes on as a Unicode one where it meets another byte.
bool WordReader::next_ascii(std::string_view& word) {
  const auto start = at_;
  folded_.clear();
  for (; at_ < text_.size() && is_ascii(text_[at_]); ++at_) {
    const char folded = folded_ascii(text_[at_]);
    if (folded == 0) break;
    folded_.push_back(folded);
  }
  if (at_ < text_.size() && !is_ascii(text_[at_])) {
    const auto point = point_at(text_, at_);
    if (is_word_point(point.value) && !stands_alone(point.value)) {
      at_ = start;
      return next_unicode(word);
    }
  }
  word = folded_;
  return true;
}

// False where nothing is left of the word when marks are removed.
bool WordReader::next_unicode(std::string_view& word) {
  const auto start = at_;
  while (at_ < text_.size()) {
    const auto point = point_at(text_, at_);
    if (!is_word_point(point.value) && !(stars_belong_ && point.value == '*')) break;
    if (stands_alone(point.value)) {
      if (at_ == start) at_ += point.bytes;
      break;
    }
    at_ += point.bytes;
  }
  fold_into(text_.substr(start, at_ - start), folded_);
  word = folded_;
  return !folded_.empty();
}

std::string fold(std::string_view text) {
  std::string out;
  fold_into(text, out);
  return out;
}

bool matches_wildcard(std::string_view pattern, std::string_view text) {
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;
  std::size_t retry = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      retry = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++retry;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace vestige::seal
