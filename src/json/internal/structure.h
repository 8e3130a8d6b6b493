// The first stage of parsing, done by simdjson: where the tokens of a text start.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

namespace vestige::json {

inline constexpr std::size_t padding_bytes = 64;

enum class Indexing {
  done,
  empty,      // nothing but white space
  malformed,  // invalid UTF-8, a control character in a string, or a string without end
  no_memory,
};

class Structure {
 public:
  Structure();
  ~Structure();
  Structure(Structure&&) noexcept;
  Structure& operator=(Structure&&) noexcept;

  // `text` is readable for padding_bytes more. When done, strings are closed, hold valid UTF-8 and no bare
  // control characters, and positions() has the start of every string and of every [ ] { } : and comma, and
  // of every run of other characters outside strings that are not white space. It may have others, so
  // the character at each is still to be looked at.
  Indexing index(const char* text, std::size_t size);
  std::span<const std::uint32_t> positions() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vestige::json
