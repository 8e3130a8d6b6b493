// The cookies of a session and of a login at a provider (RFC 6265). Over TLS the session's name begins with
// __Host-, so that no other host and no page without TLS can set one that is taken for it.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"

namespace vestige::api {

constexpr std::string_view session_cookie_name(bool over_tls) {
  return over_tls ? "__Host-vestige_session" : "vestige_session";
}

// Nothing where there is none of this name, or several: then nobody can say which of them is ours.
std::optional<std::string_view> cookie_of(const http::Request& request, std::string_view name);

// For the header Set-Cookie (docs/decisions/0095). A session's goes with no request that another site begins.
std::string session_cookie(bool over_tls, std::string_view token);
std::string no_session_cookie(bool over_tls);  // takes it back
// Of one login at a provider, who sends the browser back: a request that another site begins.
std::string login_cookie(bool over_tls, std::string_view name, std::string_view value, std::string_view path,
                         std::chrono::seconds lifetime);

}  // namespace vestige::api
