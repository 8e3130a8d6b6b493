#include "api/internal/body.h"

#include <fmt/ranges.h>

#include "api/internal/impl.h"

namespace vestige::api {
namespace {

constexpr double whole_numbers_max = 9'007'199'254'740'992;  // that a double has exactly

std::string pointer(std::string_view name) {
  std::string path;
  json::append_pointer(path, name);
  return path;
}

}  // namespace

std::expected<Body, http::Response> Body::read(const http::Request& request,
                                               std::initializer_list<std::string_view> known) {
  // Also what keeps the form of another site's page out: a form cannot send this type.
  if (request.content_type() != "application/json")
    return std::unexpected(
        http::problem(415, "this takes a body of the type application/json, and says so in Content-Type"));
  if (request.body.size() > act_body_bytes_max)
    return std::unexpected(
        http::problem(Error{.kind = ErrorKind::exhausted,
                            .message = "the body is larger than this takes",
                            .limit = fmt::format("act_body_bytes_max = {}", act_body_bytes_max)}));
  Body body;
  json::Parser parser;
  if (auto parsed = parser.parse(request.body, body.document_, {.depth_max = 4}); !parsed)
    return std::unexpected(http::problem(parsed.error()));
  if (auto strict = only_members(body.document_.root(), known); !strict)
    return std::unexpected(http::problem(strict.error()));
  return body;
}

Result<std::string> Body::text(std::string_view name) const {
  const auto value = document_.root().find(name);
  if (!value.is_string()) return refuse_at(pointer(name), "must be a string");
  return std::string(value.string());
}

Result<std::optional<std::string>> Body::text_if_any(std::string_view name) const {
  return text_member(document_.root(), name);
}

Result<std::optional<UnixMs>> Body::time_if_any(std::string_view name) const {
  return time_member(document_.root(), name);
}

Result<std::vector<std::string>> Body::texts(std::string_view name) const {
  const auto value = document_.root().find(name);
  if (!value.is_array()) return refuse_at(pointer(name), "must be a list of strings");
  std::vector<std::string> found;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (!value.at(i).is_string())
      return refuse_at(fmt::format("{}/{}", pointer(name), i), "must be a string");
    found.emplace_back(value.at(i).string());
  }
  return found;
}

Result<std::uint64_t> Body::number(std::string_view name, std::uint64_t most) const {
  const auto value = document_.root().find(name);
  const double number = value.is_number() ? value.number_value() : -1;
  if (number < 0 || number > whole_numbers_max || number > static_cast<double>(most) ||
      number != static_cast<double>(static_cast<std::uint64_t>(number)))
    return refuse_at(pointer(name), fmt::format("must be a whole number from 0 to {}", most));
  return static_cast<std::uint64_t>(number);
}

Result<bool> Body::flag(std::string_view name) const {
  const auto value = document_.root().find(name);
  if (!value.exists()) return false;
  if (!value.is_boolean()) return refuse_at(pointer(name), "must be true or false");
  return value.boolean();
}

}  // namespace vestige::api
