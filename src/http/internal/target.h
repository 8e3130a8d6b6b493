// The request target (RFC 9112 §3.2) taken apart and decoded. Pure.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace vestige::http::internal {

struct Target {
  std::string path;          // decoded
  std::string encoded_path;  // as sent; empty where nothing was encoded
  std::vector<std::pair<std::string, std::string>> query;
};

// Accepts "/path?query", "http://authority/path?query" and "*". Nothing is collapsed or normalised: "//" and
// ".." stay what they are. invalid for a broken %-sequence, an encoded NUL, or bytes that are no UTF-8.
Result<Target> parse_target(std::string_view target);

enum class Plus : bool { literal, space };
Result<std::string> percent_decode(std::string_view text, Plus plus);

}  // namespace vestige::http::internal
