// Requests and responses as values; what every handler sees.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace vestige::http {

struct Request {
  std::string method;  // upper case, as sent
  std::string path;    // decoded, starts with '/', no query; "*" for OPTIONS *
  // The path as sent, where a part of it was percent-encoded; else empty. Routing splits this one, so that
  // an encoded slash stays inside its segment.
  std::string encoded_path;
  std::vector<std::pair<std::string, std::string>> query;    // decoded, in order
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case, in order
  std::map<std::string, std::string> captures;               // of the route's {names}, decoded
  std::string body;                                          // content-encoding undone
  std::string peer_address;

  std::optional<std::string_view> header(std::string_view lower_case_name) const;
  std::optional<std::string_view> query_value(std::string_view name) const;
  // The media type of the body without parameters, in lower case; empty where none was sent.
  std::string content_type() const;
};

// Puts path and query of a request target ("/path?query") into the request, as the server does. invalid for a
// broken %-sequence, an encoded NUL, or bytes that are no UTF-8.
Status set_target(Request& request, std::string_view target);

struct Response {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body{};
  std::vector<std::pair<std::string, std::string>> headers{};
};

// RFC 9457 problem details. `path`, `position` and `limit` stand in it where the error has them.
Response problem(unsigned status, std::string_view title, const Error& error);
// The status by the error's kind: invalid 400, denied 403, not_found 404, conflict 409, exhausted 413,
// unavailable 503 (with Retry-After), corrupt and io 500.
Response problem(const Error& error);
Response problem(unsigned status, std::string_view detail);

}  // namespace vestige::http
