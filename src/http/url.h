// Absolute web addresses taken apart, and text made fit to stand in one. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace vestige::http {

struct Url {
  bool encrypted = false;  // https
  std::string host;        // in lower case, without the brackets of IPv6
  std::string port;        // 443 or 80 where the text names none
  std::string authority;   // as the Host field has it
  std::string path;        // as written; may be empty
  std::string query;       // as written, without the '?'

  // What a Client is given as its url, and what it is then sent to.
  std::string origin() const;
  std::string target() const;
  // This machine by name or address: nothing between here and there can listen or lie.
  bool is_loopback() const;
};

// http and https only. invalid where the text is anything else, or has a user, a fragment, an empty host or
// a port that is none.
Result<Url> parse_url(std::string_view text);

// One path segment, query value or form value.
std::string percent_encode(std::string_view text);

}  // namespace vestige::http
