// Reading strings and numbers out of a text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace vestige::json {

// What is wrong, where, and what to do about it.
struct Problem {
  const char* what;
  std::size_t position;
  const char* advice;
};

// Appends the unescaped form of what stands between the quotes of a JSON string.
std::optional<Problem> unescape(std::string_view raw, std::string& to);

enum class NumberForm {
  token,          // the token is its canonical text
  appended,       // the canonical text was appended to the arena
  malformed,      // not a JSON number
  not_preserved,  // a number whose nearest double has another shortest form
};

// Reads the number at `begin`; `end` is set behind its last character. The text is followed by a byte that
// no number contains.
NumberForm read_number(const char* begin, const char*& end, std::string& arena);

}  // namespace vestige::json
