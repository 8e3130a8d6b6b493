// Text forms of bytes: lowercase hex, standard base64 with padding (RFC 4648 §4), and base64url without
// (§5). Decoding is strict: one spelling per value, so that no two texts stand for the same bytes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace vestige {

std::string to_hex(ByteView bytes);
std::optional<Bytes> from_hex(std::string_view hex);

std::string to_base64(ByteView bytes);
// Appends; `to` has room for 4 * ceil(size / 3) characters after the call.
void append_base64(std::string& to, ByteView bytes);
std::optional<Bytes> from_base64(std::string_view base64);
std::string to_base64url(ByteView bytes);
std::optional<Bytes> from_base64url(std::string_view base64url);

template <std::size_t N>
std::optional<std::array<std::uint8_t, N>> array_from_base64(std::string_view base64) {
  const auto bytes = from_base64(base64);
  if (!bytes || bytes->size() != N) return std::nullopt;
  std::array<std::uint8_t, N> out;
  std::memcpy(out.data(), bytes->data(), N);
  return out;
}

// Well-formed UTF-8 (no surrogates, no overlong forms, at most U+10FFFF).
bool is_utf8(std::string_view text);

}  // namespace vestige
