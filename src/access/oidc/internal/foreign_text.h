// Text of a provider or a browser in a message for people: short, printable, on one line.
#pragma once

#include <string>
#include <string_view>

namespace vestige::access::oidc::internal {

inline std::string shown(std::string_view text, std::size_t characters_max = 100) {
  std::string out;
  for (const char c : text.substr(0, characters_max)) out += c >= ' ' && c <= '~' && c != '"' ? c : '?';
  if (text.size() > characters_max) out += "...";
  return out;
}

// Whether every byte is printable ASCII.
inline bool is_printable(std::string_view text) {
  for (const char c : text)
    if (c < ' ' || c > '~') return false;
  return true;
}

// Whether there is no control character (C0, DEL) in it.
inline bool is_plain(std::string_view text) {
  for (const char c : text)
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') return false;
  return true;
}

}  // namespace vestige::access::oidc::internal
