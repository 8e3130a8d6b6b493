// The cookie of a session (RFC 6265). Over TLS its name begins with __Host-, so that no other host and no
// page without TLS can set one that is taken for it.
#pragma once

#include <optional>
#include <string_view>

#include "http/message.h"

namespace vestige::api {

constexpr std::string_view session_cookie_name(bool over_tls) {
  return over_tls ? "__Host-vestige_session" : "vestige_session";
}

// Nothing where there is none of this name, or several: then nobody can say which of them is ours.
std::optional<std::string_view> cookie_of(const http::Request& request, std::string_view name);

}  // namespace vestige::api
