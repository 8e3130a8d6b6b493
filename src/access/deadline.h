// An end that no clock which is set back puts off: it has passed as soon as the wall clock says so, or the
// one that never goes back, by which it is as far away as the wall clock said when it was taken down.
#pragma once

#include <algorithm>
#include <chrono>

#include "base/strong.h"
#include "platform/clock.h"

namespace vestige::access {

struct Deadline {
  UnixMs at{};
  std::chrono::nanoseconds steady{};

  static Deadline of(UnixMs at, platform::Clock& clock) {
    // Nanoseconds reach 292 years, and nobody waits for a century.
    constexpr std::int64_t century_ms = 36'525LL * 24 * 3'600'000;
    const auto ahead = std::clamp<std::int64_t>(at - clock.now(), 0, century_ms);
    return {.at = at, .steady = clock.monotonic() + std::chrono::milliseconds(ahead)};
  }
  bool passed(platform::Clock& clock) const { return clock.now() >= at || clock.monotonic() >= steady; }
};

}  // namespace vestige::access
