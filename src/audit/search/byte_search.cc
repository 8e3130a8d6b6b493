#include "audit/search/byte_search.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

namespace vestige::audit {
namespace {

// Loops over so many bytes without a way out are what compilers make vector instructions of.
constexpr std::size_t stride = 64;

// 'A' and 'a' become one; so do a few bytes that are no letters, which the exact comparison tells apart.
constexpr std::uint8_t case_bit = 0x20;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

bool starts_ignoring_case(std::string_view bytes, std::string_view part) {
  return std::ranges::equal(bytes.substr(0, part.size()), part, [](char a, char b) { return lower(a) == b; });
}

// Flags of the places among the next `stride` at which first and last byte of a part may stand.
bool mark_candidates(const char* at, std::size_t length, std::uint8_t first, std::uint8_t last,
                     std::array<std::uint8_t, stride>& flags) {
  std::uint8_t any = 0;
  for (std::size_t i = 0; i < stride; ++i) {
    const auto begin = static_cast<std::uint8_t>(static_cast<std::uint8_t>(at[i]) | case_bit);
    const auto end = static_cast<std::uint8_t>(static_cast<std::uint8_t>(at[i + length - 1]) | case_bit);
    flags[i] = static_cast<std::uint8_t>((begin == first) & (end == last));
    any |= flags[i];
  }
  return any != 0;
}

}  // namespace

bool has_high_bytes(std::string_view bytes) {
  while (bytes.size() >= stride) {
    std::uint8_t all = 0;
    for (std::size_t i = 0; i < stride; ++i) all |= static_cast<std::uint8_t>(bytes[i]);
    if ((all & 0x80) != 0) return true;
    bytes.remove_prefix(stride);
  }
  return std::ranges::any_of(bytes, [](char c) { return (static_cast<std::uint8_t>(c) & 0x80) != 0; });
}

bool contains_ignoring_case(std::string_view bytes, std::string_view part) {
  if (bytes.size() < part.size()) return false;
  const auto first = static_cast<std::uint8_t>(static_cast<std::uint8_t>(part.front()) | case_bit);
  const auto last = static_cast<std::uint8_t>(static_cast<std::uint8_t>(part.back()) | case_bit);
  std::array<std::uint8_t, stride> flags;
  std::size_t at = 0;
  for (; at + stride + part.size() - 1 <= bytes.size(); at += stride) {
    if (!mark_candidates(bytes.data() + at, part.size(), first, last, flags)) continue;
    for (std::size_t i = 0; i < stride; ++i)
      if (flags[i] != 0 && starts_ignoring_case(bytes.substr(at + i), part)) return true;
  }
  for (; at + part.size() <= bytes.size(); ++at)
    if (starts_ignoring_case(bytes.substr(at), part)) return true;
  return false;
}

}  // namespace vestige::audit
