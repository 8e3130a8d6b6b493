#include "http/internal/target.h"

#include <fmt/format.h>

#include "base/encoding.h"

namespace vestige::http::internal {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::unexpected<Error> invalid_at(std::size_t position, std::string message) {
  return std::unexpected(
      Error{.kind = ErrorKind::invalid, .message = std::move(message), .position = position});
}

Result<std::vector<std::pair<std::string, std::string>>> parse_query(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> query;
  while (!text.empty()) {
    const auto piece = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(text.size(), piece.size() + 1));
    if (piece.empty()) continue;
    const auto name = piece.substr(0, piece.find('='));
    const auto value = piece.substr(std::min(piece.size(), name.size() + 1));
    VESTIGE_TRY(auto decoded_name, percent_decode(name, Plus::space));
    VESTIGE_TRY(auto decoded_value, percent_decode(value, Plus::space));
    query.emplace_back(std::move(decoded_name), std::move(decoded_value));
  }
  return query;
}

// Cuts "http://authority" off; the authority is the Host header's business.
std::string_view without_authority(std::string_view target) {
  const auto scheme_end = target.find("://");
  if (target.starts_with('/') || scheme_end == std::string_view::npos) return target;
  const auto scheme = target.substr(0, scheme_end);
  if (scheme != "http" && scheme != "https") return target;
  const auto rest = target.substr(scheme_end + 3);
  const auto path = rest.find_first_of("/?");
  if (path == std::string_view::npos || rest[path] == '?') return "/";
  return rest.substr(path);
}

}  // namespace

Result<std::string> percent_decode(std::string_view text, Plus plus) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(plus == Plus::space && text[i] == '+' ? ' ' : text[i]);
      continue;
    }
    const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0)
      return invalid_at(
          i, "The URL has a % that two hexadecimal digits do not follow; write a literal % as %25.");
    const auto byte = static_cast<char>(high * 16 + low);
    if (byte == '\0')
      return invalid_at(i, "The URL contains an encoded NUL byte (%00), which no name here has.");
    out.push_back(byte);
    i += 2;
  }
  if (!is_utf8(out))
    return invalid_at(0, "The URL does not decode to UTF-8; encode its text as UTF-8 first.");
  return out;
}

Result<Target> parse_target(std::string_view target) {
  Target out;
  if (target == "*") {
    out.path = "*";
    return out;
  }
  if (target.find('#') != std::string_view::npos)
    return invalid_at(target.find('#'),
                      "The request target has a fragment (#...); leave it out, or write # as %23.");
  const auto local = without_authority(target);
  if (!local.starts_with('/'))
    return invalid_at(0, "The request target is no path; it must start with / or be a whole http:// URL.");
  const auto path = local.substr(0, local.find('?'));
  VESTIGE_TRY(out.path, percent_decode(path, Plus::literal));
  if (path.find('%') != std::string_view::npos) out.encoded_path = path;
  if (path.size() < local.size()) {
    VESTIGE_TRY(out.query, parse_query(local.substr(path.size() + 1)));
  }
  return out;
}

}  // namespace vestige::http::internal
