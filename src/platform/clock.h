// The only place that knows what time it is. Everything that needs time takes a Clock&.
#pragma once

#include <chrono>

#include "base/strong.h"

namespace vestige::platform {

class Clock {
 public:
  virtual ~Clock() = default;
  // Wall time; may jump in either direction. Thread-safe.
  virtual UnixMs now() = 0;
  // Never goes back; for durations only. Thread-safe.
  virtual std::chrono::nanoseconds monotonic() = 0;
};

Clock& system_clock();

}  // namespace vestige::platform
