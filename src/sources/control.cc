#include "sources/control.h"

namespace vestige::sources {

void Control::stop() {
  Lock lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

bool Control::stopped() const {
  Lock lock(mutex_);
  return stopped_;
}

bool Control::wait(std::chrono::milliseconds patience) {
  Lock lock(mutex_);
  if (!stopped_) changed_.wait_for(mutex_, patience);
  return stopped_;
}

}  // namespace vestige::sources
