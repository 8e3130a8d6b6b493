#include "sources/control.h"

#include <fmt/format.h>

#include <algorithm>

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

void keep_at_it(Control& control, const std::string& capture, Retries retries,
                const std::function<void(const std::string&)>& warn, const std::function<Ended()>& session) {
  std::string last;
  for (auto pause = retries.first; !control.stopped(); pause = std::min(pause * 2, retries.last)) {
    const auto ended = session();
    if (ended.served) pause = retries.first;
    if (ended.status) continue;
    const auto& trouble = ended.status.error().message;
    if (trouble != last || ended.served)
      warn(fmt::format("capture {}: {}. It is tried again until it works.", capture, trouble));
    last = trouble;
    control.wait(pause);
  }
}

}  // namespace vestige::sources
