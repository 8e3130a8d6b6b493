// Turning a problem in a text into an Error. Only refused texts come here, so it may read the text again.
#pragma once

#include "base/result.h"
#include "json/internal/scalar.h"

namespace vestige::json {

// What makes a text malformed before its tokens are looked at: the first byte that is not UTF-8, the first
// bare control character in a string, or a string without end.
Problem find_malformed(std::string_view text);

// The JSON pointer of what stands at `position`: of a value, or of the container where a key is expected.
// Reads leniently, so it has an answer for a text that is broken from `position` on.
std::string pointer_at(std::string_view text, std::size_t position);

// `key` is appended to the path; `limit` names the limit that was hit.
Error refuse(std::string_view text, const Problem& problem, std::optional<std::string_view> key = {},
             std::string limit = {});
// Of a number token at `position` that does not survive the trip through a double.
Error refuse_number(std::string_view text, std::size_t position, std::string_view token);

}  // namespace vestige::json
