// Terms of Erlang as term_to_binary() writes them (external term format, version 131), compressed or not: of
// it what is data. Functions, processes, ports and references are refused, for they mean nothing elsewhere;
// so are lists whose tail is no list, which no program of data makes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace vestige::cli::importing {

inline constexpr std::size_t term_bytes_max = 16 << 20;       // as they are, and inflated
inline constexpr std::uint32_t term_depth_max = 256;          // of lists, tuples and maps in each other
inline constexpr std::size_t term_elements_max = 1'000'000;   // in all; some 72 bytes of memory each
inline constexpr std::size_t term_integer_bytes_max = 1'024;  // making digits of it takes its square

struct Term {
  enum class Kind : std::uint8_t { atom, integer, real, binary, list, tuple, map };
  Kind kind = Kind::list;
  std::string text{};         // of an atom UTF-8, of an integer its decimal digits, of a binary its bytes
  double real = 0;            // finite
  std::vector<Term> items{};  // of a map keys and values in turn

  bool is_atom(std::string_view name) const { return kind == Kind::atom && text == name; }
  // Of a map: the value under an atom; null where there is none, or where this is no map.
  const Term* find(std::string_view atom) const;
  bool operator==(const Term&) const = default;
};

// invalid: it is no such term, with the byte where that shows. exhausted: it is larger than a limit.
Result<Term> decode_term(ByteView bytes);

}  // namespace vestige::cli::importing
