// A name that one of several holders has for a time, so that of the nodes that share a database one runs the
// relay.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "base/mutex.h"
#include "base/result.h"
#include "platform/clock.h"
#include "state/database.h"

namespace vestige::state {

// One holder's view of one lease. Thread-safe. What it protects must do no harm where it ends late: a holder
// that is stopped for longer than the lease lasts goes on where it was, beside the next one.
//
// Expiry is by the wall clock, which all share. While it runs on or jumps back there is one holder at a time:
// a holder trusts its lease for half its time, by its own clock that never goes back, and nobody takes one
// whose expiry is not reached. A jump ahead ends leases early.
class Lease {
 public:
  // `holder` names this node; the same after a restart, so that it has its leases back at once. `duration` is
  // at most limits::lease_max.
  Lease(Database& database, platform::Clock& clock, std::string name, std::string holder,
        std::chrono::milliseconds duration);

  // Takes the lease, or keeps it; true where it is this holder's for at least half of `duration` from now on.
  // Writes only where less is left.
  Result<bool> keep() EXCLUDES(mutex_);
  // Lets the next one have it at once.
  Status release() EXCLUDES(mutex_);

 private:
  Database& database_;
  platform::Clock& clock_;
  const std::string name_;
  const std::string holder_;
  const std::chrono::milliseconds duration_;
  Mutex mutex_;
  std::optional<std::chrono::nanoseconds> held_since_ GUARDED_BY(mutex_);  // by the monotonic clock
};

}  // namespace vestige::state
