#include "http/url.h"

#include <fmt/format.h>

#include <boost/url/parse.hpp>

namespace vestige::http {

std::string Url::origin() const { return (encrypted ? "https://" : "http://") + authority; }

std::string Url::target() const {
  auto target = path.empty() ? std::string("/") : path;
  if (!query.empty()) target += "?" + query;
  return target;
}

bool Url::is_loopback() const {
  if (host == "localhost" || host == "::1") return true;
  // An address, not a name that begins like one: 127.evil.example.
  return host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string::npos;
}

Result<Url> parse_url(std::string_view text) {
  const auto wrong = [&](std::string_view why) {
    return fail(ErrorKind::invalid, fmt::format("\"{}\" is no web address: {}.", text, why));
  };
  const auto parsed = boost::urls::parse_uri(text);
  if (!parsed) return wrong("it is not a URL");
  if (parsed->scheme() != "http" && parsed->scheme() != "https")
    return wrong("it starts with neither http:// nor https://");
  if (parsed->host_address().empty()) return wrong("it names no host");
  if (parsed->has_userinfo()) return wrong("it has a user in it");
  if (parsed->has_fragment()) return wrong("it has a part behind a \"#\"");
  // Boost 1.81 reads 127.0.0.1.example as an address with a path ".example", and 99999 as a port.
  if (!parsed->encoded_path().empty() && !parsed->encoded_path().starts_with('/'))
    return wrong("its host is neither a name nor an address");
  const std::string port(parsed->port());
  if (parsed->has_port() &&
      (port.empty() || port.size() > 5 || std::stoi(port) < 1 || std::stoi(port) > 65535))
    return wrong("its port is no number from 1 to 65535");
  Url url;
  url.encrypted = parsed->scheme() == "https";
  url.host = parsed->host_address();
  for (char& c : url.host)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  url.port = !port.empty() ? port : url.encrypted ? "443" : "80";
  url.authority = parsed->encoded_host_and_port();
  url.path = parsed->encoded_path();
  url.query = parsed->encoded_query();
  return url;
}

std::string percent_encode(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~';
    if (plain)
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<std::uint8_t>(c));
  }
  return out;
}

}  // namespace vestige::http
