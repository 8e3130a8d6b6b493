#include "platform/wait.h"

#include <poll.h>

namespace vestige::platform {
namespace {

bool wait_for(int descriptor, short events, std::chrono::milliseconds patience) {
  pollfd entry{.fd = descriptor, .events = events, .revents = 0};
  // Interrupted by a signal it returns early, which callers take for a patience that passed.
  return ::poll(&entry, 1, static_cast<int>(patience.count())) > 0;
}

}  // namespace

bool wait_until_readable(int descriptor, std::chrono::milliseconds patience) {
  return wait_for(descriptor, POLLIN, patience);
}

bool wait_until_writable(int descriptor, std::chrono::milliseconds patience) {
  return wait_for(descriptor, POLLOUT, patience);
}

}  // namespace vestige::platform
