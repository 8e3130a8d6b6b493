#include "access/internal/errors.h"

namespace vestige::access {

std::unexpected<Error> invalid_at(std::string path, std::string what, std::string limit) {
  Error error{.kind = ErrorKind::invalid, .message = std::move(what)};
  error.path = std::move(path);
  error.limit = std::move(limit);
  return std::unexpected(std::move(error));
}

std::unexpected<Error> exhausted(std::string what, std::string limit) {
  Error error{.kind = ErrorKind::exhausted, .message = std::move(what)};
  error.limit = std::move(limit);
  return std::unexpected(std::move(error));
}

std::unexpected<Error> not_let_in() {
  return fail(ErrorKind::denied, "login name, password or code is wrong, or the account cannot be used now");
}

std::unexpected<Error> wrong_link() {
  return fail(ErrorKind::denied,
              "this link is not valid, was used already, or is too old; ask for another one");
}

}  // namespace vestige::access
