#include <time.h>

#include "platform/clock.h"

namespace vestige::platform {
namespace {

class SystemClock final : public Clock {
 public:
  UnixMs now() override {
    timespec at{};
    ::clock_gettime(CLOCK_REALTIME, &at);
    return UnixMs{static_cast<std::int64_t>(at.tv_sec) * 1'000 + at.tv_nsec / 1'000'000};
  }
  std::chrono::nanoseconds monotonic() override {
    timespec at{};
    ::clock_gettime(CLOCK_MONOTONIC, &at);
    return std::chrono::seconds{at.tv_sec} + std::chrono::nanoseconds{at.tv_nsec};
  }
};

}  // namespace

Clock& system_clock() {
  static SystemClock clock;
  return clock;
}

}  // namespace vestige::platform
