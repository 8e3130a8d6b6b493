#include "cli/internal/surroundings.h"

#include <unistd.h>

#include <cstdio>

#include "base/mutex.h"
#include "platform/clock.h"
#include "platform/process.h"

namespace vestige::cli {
namespace {

constexpr std::size_t line_bytes_max = 4'096;  // of an answer that somebody types

class SystemSurroundings final : public Surroundings {
 public:
  void print(std::string_view text) override {
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) failed_ = true;
  }
  bool flush() override {
    if (std::fflush(stdout) != 0) failed_ = true;
    return !failed_;
  }
  void say(std::string_view text) override {
    std::fwrite(text.data(), 1, text.size(), stderr);
    std::fflush(stderr);
  }
  std::optional<std::string> ask(std::string_view question) override {
    if (!platform::is_terminal(STDIN_FILENO) || !platform::is_terminal(STDERR_FILENO)) return std::nullopt;
    say(question);
    std::string line;
    for (int c = std::fgetc(stdin); c != EOF && c != '\n' && line.size() < line_bytes_max;
         c = std::fgetc(stdin))
      line.push_back(static_cast<char>(c));
    return line;
  }
  bool output_is_terminal() const override { return platform::is_terminal(STDOUT_FILENO); }
  bool errors_are_terminal() const override { return platform::is_terminal(STDERR_FILENO); }
  unsigned columns() const override { return platform::terminal_columns(); }
  std::optional<std::string> environment(const std::string& name) const override {
    return platform::environment(name);
  }
  void pause(std::chrono::milliseconds duration) override {
    // Nobody notifies: this is a plain wait, in real time.
    auto& clock = platform::system_clock();
    const auto end = clock.monotonic() + duration;
    Lock lock(mutex_);
    for (auto now = clock.monotonic(); now < end; now = clock.monotonic()) never_.wait_for(mutex_, end - now);
  }
  std::chrono::nanoseconds monotonic() const override { return platform::system_clock().monotonic(); }

 private:
  bool failed_ = false;
  Mutex mutex_;
  Condition never_;
};

}  // namespace

Surroundings& system_surroundings() {
  static SystemSurroundings instance;
  return instance;
}

}  // namespace vestige::cli
