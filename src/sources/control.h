// How a capture's thread is told to end, and what it waits with meanwhile. Thread-safe.
#pragma once

#include <chrono>

#include "base/mutex.h"

namespace vestige::sources {

class Control {
 public:
  void stop();
  bool stopped() const;
  // Until stop(), or `patience` passed. True where it is stopped.
  bool wait(std::chrono::milliseconds patience);

 private:
  mutable Mutex mutex_;
  Condition changed_;
  bool stopped_ GUARDED_BY(mutex_) = false;
};

}  // namespace vestige::sources
