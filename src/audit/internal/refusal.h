// How the envelope of an event and a search refuse a value: by path, position and limit.
#pragma once

#include <string>
#include <utility>

#include "base/result.h"
#include "json/json.h"

namespace vestige::audit::internal {

[[nodiscard]] inline std::unexpected<Error> refuse(const json::Value& at, std::string path, std::string what,
                                                   std::string limit = {}) {
  Error error{.kind = ErrorKind::invalid, .message = std::move(what)};
  error.path = std::move(path);
  if (at.exists()) error.position = at.position();
  error.limit = std::move(limit);
  return std::unexpected(std::move(error));
}

}  // namespace vestige::audit::internal
