// How a capture's thread is told to end, and what it waits with meanwhile. Thread-safe.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "base/mutex.h"
#include "base/result.h"

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

// How a session with a source ended, and whether it got as far as being served.
struct Ended {
  Status status;
  bool served = false;
};

struct Retries {
  std::chrono::milliseconds first,
      last;  // the pause doubles from one to the other, and begins anew once served
};

// One session after the other until `control` is stopped. The same trouble is told once, not at each attempt.
void keep_at_it(Control& control, const std::string& capture, Retries retries,
                const std::function<void(const std::string&)>& warn, const std::function<Ended()>& session);

}  // namespace vestige::sources
