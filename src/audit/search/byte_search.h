// Looking for words in the bytes of entries, before they are taken apart: most rows of a page that a filter
// let through are passed over by this, so it decides what a search for a rare word costs.
#pragma once

#include <string_view>

namespace vestige::audit {

// Whether a byte is outside ASCII.
bool has_high_bytes(std::string_view bytes);

// Whether `part`, of lower-case ASCII letters and digits and not empty, occurs in any case.
bool contains_ignoring_case(std::string_view bytes, std::string_view part);

}  // namespace vestige::audit
