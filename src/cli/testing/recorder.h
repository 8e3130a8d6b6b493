// Surroundings that remember what was printed, and wait without waiting.
#pragma once

#include <cstdlib>
#include <map>
#include <vector>

#include "cli/internal/surroundings.h"

namespace vestige::cli::testing {

// Rounds of a random test: `base`, times $VESTIGE_TEST_SCALE.
inline int rounds(int base) {
  const char* scale = std::getenv("VESTIGE_TEST_SCALE");
  const int factor = scale ? std::atoi(scale) : 1;
  return base * (factor < 1 ? 1 : factor);
}

class Recorder final : public Surroundings {
 public:
  void print(std::string_view text) override { output += text; }
  bool flush() override { return !output_fails; }
  void say(std::string_view text) override { errors += text; }
  std::optional<std::string> ask(std::string_view question) override {
    questions += question;
    return answer;
  }
  bool output_is_terminal() const override { return terminal; }
  bool errors_are_terminal() const override { return terminal; }
  unsigned columns() const override { return width; }
  std::optional<std::string> environment(const std::string& name) const override {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  }
  void pause(std::chrono::milliseconds duration) override {
    pauses.push_back(duration);
    now += duration;
  }
  std::chrono::nanoseconds monotonic() const override { return now; }

  std::string output;
  std::string errors;
  std::string questions;
  std::optional<std::string> answer;
  bool output_fails = false;
  bool terminal = false;
  unsigned width = 80;
  std::map<std::string, std::string> variables;
  std::vector<std::chrono::milliseconds> pauses;
  std::chrono::nanoseconds now{0};
};

}  // namespace vestige::cli::testing
