#include "api/internal/cookies.h"

#include <fmt/format.h>

#include <algorithm>

namespace vestige::api {

std::optional<std::string_view> cookie_of(const http::Request& request, std::string_view name) {
  std::optional<std::string_view> found;
  for (const auto& [header, value] : request.headers) {
    if (header != "cookie") continue;
    for (std::string_view rest = value; !rest.empty();) {
      const auto end = std::min(rest.find(';'), rest.size());
      auto pair = rest.substr(0, end);
      rest.remove_prefix(std::min(end + 1, rest.size()));
      while (pair.starts_with(' ')) pair.remove_prefix(1);
      const auto equals = pair.find('=');
      if (equals == std::string_view::npos || pair.substr(0, equals) != name) continue;
      if (found) return std::nullopt;
      found = pair.substr(equals + 1);
    }
  }
  return found;
}

std::string session_cookie(bool over_tls, std::string_view token) {
  return fmt::format("{}={}; Path=/; HttpOnly; SameSite=Strict{}", session_cookie_name(over_tls), token,
                     over_tls ? "; Secure" : "");
}

std::string no_session_cookie(bool over_tls) {
  return fmt::format("{}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0{}", session_cookie_name(over_tls),
                     over_tls ? "; Secure" : "");
}

std::string login_cookie(bool over_tls, std::string_view name, std::string_view value, std::string_view path,
                         std::chrono::seconds lifetime) {
  return fmt::format("{}={}; Path={}; HttpOnly; SameSite=Lax; Max-Age={}{}", name, value, path,
                     lifetime.count(), over_tls ? "; Secure" : "");
}

}  // namespace vestige::api
