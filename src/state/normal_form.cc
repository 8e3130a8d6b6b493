#include "base/encoding.h"
#include "state/fields.h"
#include "state/limits.h"

namespace vestige::state {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

// Spaces, controls, and marks that leave no trace on a screen: with them two addresses would look like one.
bool is_unseen(char32_t c) {
  return c <= 0x20 || (c >= 0x7f && c <= 0xa0) || c == 0xad || c == 0x034f || c == 0x061c || c == 0x1680 ||
         (c >= 0x180b && c <= 0x180f) || (c >= 0x2000 && c <= 0x200f) || (c >= 0x2028 && c <= 0x202f) ||
         (c >= 0x205f && c <= 0x206f) || c == 0x3000 || (c >= 0xfe00 && c <= 0xfe0f) || c == 0xfeff ||
         (c >= 0xfff0 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe0fff);
}

// `text` is well-formed UTF-8.
bool has_unseen(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const auto first = static_cast<unsigned char>(text[at]);
    const std::size_t size = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    char32_t c = size == 1 ? first : first & (0xffu >> (size + 1));
    for (std::size_t i = 1; i < size; ++i) c = (c << 6) | (static_cast<unsigned char>(text[at + i]) & 0x3f);
    if (is_unseen(c)) return true;
    at += size;
  }
  return false;
}

}  // namespace

std::optional<std::string> normal_email(std::string_view text) {
  text = trimmed(text);
  if (text.size() > limits::email_bytes_max || !is_utf8(text) || has_unseen(text)) return std::nullopt;
  // Quoted names and lists of addresses need these; a mailbox of a person does not, and a header must not.
  if (text.find_first_of("\"(),:;<>[\\]") != std::string_view::npos) return std::nullopt;
  const auto at = text.find('@');
  if (at == std::string_view::npos || at == 0 || at > limits::email_local_bytes_max) return std::nullopt;
  const auto domain = text.substr(at + 1);
  if (domain.empty() || domain.find('@') != std::string_view::npos || domain.front() == '.' ||
      domain.back() == '.' || domain.find("..") != std::string_view::npos)
    return std::nullopt;
  std::string normal(text);
  for (auto& c : normal)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return normal;
}

std::optional<std::string> normal_phone(std::string_view text) {
  text = trimmed(text);
  if (text.starts_with('+')) {
    text.remove_prefix(1);
  } else if (text.starts_with("00")) {
    text.remove_prefix(2);
  } else {
    return std::nullopt;
  }
  std::string normal = "+";
  while (!text.empty()) {
    // The trunk prefix is dialled within the country only.
    if (normal.size() > 1 && text.starts_with("(0)")) {
      text.remove_prefix(3);
      continue;
    }
    const char c = text.front();
    text.remove_prefix(1);
    if (is_digit(c)) {
      normal += c;
    } else if (std::string_view(" -./()").find(c) == std::string_view::npos) {
      return std::nullopt;
    }
    if (normal.size() > 1 + limits::phone_digits_max) return std::nullopt;
  }
  // No country code begins with 0.
  if (normal.size() < 1 + limits::phone_digits_min || normal[1] == '0') return std::nullopt;
  return normal;
}

}  // namespace vestige::state
