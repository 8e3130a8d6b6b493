#include "base/uuid.h"

namespace vestige {
namespace {

int nibble(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_dash_place(std::size_t i) { return i == 8 || i == 13 || i == 18 || i == 23; }

void stamp(Uuid& uuid, std::uint8_t version) {
  uuid.bytes[6] = static_cast<std::uint8_t>((uuid.bytes[6] & 0x0f) | version << 4);
  uuid.bytes[8] = static_cast<std::uint8_t>((uuid.bytes[8] & 0x3f) | 0x80);
}

}  // namespace

std::optional<Uuid> parse_uuid(std::string_view text) {
  if (text.size() != uuid_text_size) return std::nullopt;
  Uuid uuid;
  std::size_t digit = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_dash_place(i)) {
      if (text[i] != '-') return std::nullopt;
      continue;
    }
    const int value = nibble(text[i]);
    if (value < 0) return std::nullopt;
    auto& byte = uuid.bytes[digit / 2];
    byte = static_cast<std::uint8_t>(byte << 4 | value);
    ++digit;
  }
  return uuid;
}

void write_uuid(const Uuid& uuid, char* to) {
  constexpr std::string_view hex = "0123456789abcdef";
  std::size_t byte = 0;
  for (std::size_t i = 0; i < uuid_text_size;) {
    if (is_dash_place(i)) {
      to[i++] = '-';
      continue;
    }
    to[i++] = hex[uuid.bytes[byte] >> 4];
    to[i++] = hex[uuid.bytes[byte] & 15];
    ++byte;
  }
}

std::string format_uuid(const Uuid& uuid) {
  std::string out(uuid_text_size, ' ');
  write_uuid(uuid, out.data());
  return out;
}

Uuid make_uuid_v7(UnixMs now, const Block16& random) {
  Uuid uuid{random};
  const auto ms = static_cast<std::uint64_t>(now.value);
  for (std::size_t i = 0; i < 6; ++i) uuid.bytes[i] = static_cast<std::uint8_t>(ms >> (40 - 8 * i));
  stamp(uuid, 7);
  return uuid;
}

Uuid make_uuid_v8(const Block16& digest) {
  Uuid uuid{digest};
  stamp(uuid, 8);
  return uuid;
}

}  // namespace vestige
