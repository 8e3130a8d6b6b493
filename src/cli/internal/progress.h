// A progress bar on standard error: only where that is a terminal, at most ten times a second.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cli/internal/surroundings.h"

namespace vestige::cli {

// "label [####....] 45% 12,345 events 8,200/s", cut to `columns`; without a bar where the share is unknown.
std::string render_progress(std::string_view label, std::optional<double> share, std::uint64_t count,
                            double per_second, unsigned columns);
std::string with_separators(std::uint64_t number);  // 12,345

// Not thread-safe. Its line is gone when it goes.
class Progress {
 public:
  explicit Progress(Surroundings& surroundings);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(std::string_view label, std::optional<double> share, std::uint64_t count);
  void clear();  // before something else is said

 private:
  Surroundings& surroundings_;
  const bool visible_;
  const std::chrono::nanoseconds began_;
  std::optional<std::chrono::nanoseconds> drawn_{};
};

}  // namespace vestige::cli
