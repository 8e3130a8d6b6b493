// UUIDs (RFC 9562) as 16 bytes in network order; text is lowercase with dashes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/strong.h"

namespace vestige {

struct Uuid {
  Block16 bytes{};
  auto operator<=>(const Uuid&) const = default;
};

inline constexpr std::size_t uuid_text_size = 36;

// Any version, upper or lower case; the canonical 8-4-4-4-12 form only.
std::optional<Uuid> parse_uuid(std::string_view text);
void write_uuid(const Uuid& uuid, char* to);
std::string format_uuid(const Uuid& uuid);

// Version 7: 48 bits of `now`, the rest from `random` (the version and variant bits are overwritten).
Uuid make_uuid_v7(UnixMs now, const Block16& random);
// Version 8: a name's digest as an id; the caller chooses the digest.
Uuid make_uuid_v8(const Block16& digest);

}  // namespace vestige
