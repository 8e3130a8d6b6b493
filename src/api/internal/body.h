// The small JSON bodies of acts, read strictly: application/json, one object, known members only (whoever
// sends "roles" where none are asked for is told so and gets none), each of the type that it should have.
#pragma once

#include <cstdint>
#include <expected>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/strong.h"
#include "http/message.h"
#include "json/json.h"

namespace vestige::api {

inline constexpr std::size_t act_body_bytes_max = 16 << 10;

class Body {
 public:
  // The refusal is 400, 413 or 415.
  static std::expected<Body, http::Response> read(const http::Request& request,
                                                  std::initializer_list<std::string_view> known);

  bool has(std::string_view name) const { return document_.root().find(name).exists(); }
  // A text that has to be there.
  Result<std::string> text(std::string_view name) const;
  // Nothing where it is absent or null.
  Result<std::optional<std::string>> text_if_any(std::string_view name) const;
  Result<std::optional<UnixMs>> time_if_any(std::string_view name) const;
  Result<std::vector<std::string>> texts(std::string_view name) const;
  Result<std::uint64_t> number(std::string_view name, std::uint64_t most) const;
  Result<bool> flag(std::string_view name) const;  // false where it is absent

 private:
  json::Document document_;
};

}  // namespace vestige::api
