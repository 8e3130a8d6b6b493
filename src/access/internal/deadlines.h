// The deadlines of many, each taken down when it is first asked for, so that a clock that is set back later
// puts none of them off. Thread-safe; in memory only.
#pragma once

#include <map>
#include <string>

#include "access/deadline.h"
#include "base/mutex.h"

namespace vestige::access {

class Deadlines {
 public:
  explicit Deadlines(platform::Clock& clock) : clock_(clock) {}

  // Of whoever ends at `at`; where it was another time before, that counts no more.
  Deadline of(const std::string& id, UnixMs at) {
    Lock lock(mutex_);
    const auto [place, is_new] = by_id_.try_emplace(id);
    if (is_new || place->second.at != at) place->second = Deadline::of(at, clock_);
    return place->second;
  }
  void forget(const std::string& id) {
    Lock lock(mutex_);
    by_id_.erase(id);
  }

 private:
  platform::Clock& clock_;
  Mutex mutex_;
  std::map<std::string, Deadline> by_id_ GUARDED_BY(mutex_);
};

}  // namespace vestige::access
