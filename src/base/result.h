// Errors as values. Every fallible function of the project returns Result<T>; exceptions exist only at
// third-party borders and are converted there.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <utility>

namespace vestige {

// Chosen by what the caller does about it, not by what happened.
enum class ErrorKind {
  not_found,    // the thing asked for is not there
  conflict,     // it is there, and it is different
  denied,       // the caller may not
  invalid,      // the input is wrong; the same call will fail again
  exhausted,    // a named limit was reached; a smaller or later call may succeed
  unavailable,  // not now (full disk, stopping, overload); retry later
  corrupt,      // stored bytes are not what was written; never retried, never swallowed
  io,           // the machine failed us
};

// Where damage was found. `index` is the entry's position in its stream where it is known.
struct Location {
  std::string file;
  std::uint64_t offset = 0;
  std::optional<std::uint64_t> index;
};

struct Error {
  ErrorKind kind;
  std::string message;                      // a sentence for the person who reads it: what, where, what to do
  std::optional<Location> where{};          // set for corrupt
  std::string path{};                       // JSON pointer, for invalid input
  std::optional<std::uint64_t> position{};  // byte offset in the input, for invalid input
  std::string limit{};                      // name and value of the limit, for exhausted and invalid
};

template <typename T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

[[nodiscard]] inline std::unexpected<Error> fail(ErrorKind kind, std::string message) {
  return std::unexpected(Error{.kind = kind, .message = std::move(message)});
}

[[nodiscard]] inline std::unexpected<Error> corrupt(std::string file, std::uint64_t offset,
                                                    std::string message) {
  return std::unexpected(Error{.kind = ErrorKind::corrupt,
                               .message = std::move(message),
                               .where = Location{.file = std::move(file), .offset = offset, .index = {}}});
}

// The kind as one word, for logs and JSON.
const char* name_of(ErrorKind kind);

// Propagates an error, or binds the value: VESTIGE_TRY(auto size, file->size());
#define VESTIGE_CONCAT_(a, b) a##b
#define VESTIGE_CONCAT(a, b) VESTIGE_CONCAT_(a, b)
#define VESTIGE_TRY_IMPL_(result, declaration, expression)        \
  auto result = (expression);                                     \
  if (!result) return std::unexpected(std::move(result).error()); \
  declaration = *std::move(result)
#define VESTIGE_TRY(declaration, expression) \
  VESTIGE_TRY_IMPL_(VESTIGE_CONCAT(vestige_try_, __COUNTER__), declaration, expression)
#define VESTIGE_CHECKED(expression)                              \
  do {                                                           \
    if (auto vestige_status = (expression); !vestige_status)     \
      return std::unexpected(std::move(vestige_status).error()); \
  } while (false)

}  // namespace vestige
