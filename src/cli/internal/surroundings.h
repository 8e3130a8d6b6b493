// What a command sees of the terminal and the machine, so that a test can stand in for both.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace vestige::cli {

// Not thread-safe.
class Surroundings {
 public:
  virtual ~Surroundings() = default;
  virtual void print(std::string_view text) = 0;  // standard output
  // Standard output as far as it goes is with the reader. False once that failed; there is no way back.
  virtual bool flush() = 0;
  virtual void say(std::string_view text) = 0;  // standard error
  // Asks whoever sits at the terminal, and gives the line that was typed; nothing where nobody does.
  virtual std::optional<std::string> ask(std::string_view question) = 0;
  virtual bool output_is_terminal() const = 0;
  virtual bool errors_are_terminal() const = 0;
  virtual unsigned columns() const = 0;
  virtual std::optional<std::string> environment(const std::string& name) const = 0;
  virtual void pause(std::chrono::milliseconds duration) = 0;
  virtual std::chrono::nanoseconds monotonic() const = 0;
};

Surroundings& system_surroundings();

}  // namespace vestige::cli
