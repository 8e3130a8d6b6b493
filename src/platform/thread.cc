#include "platform/thread.h"

#include <pthread.h>

namespace vestige::platform {

Thread::Thread(const std::string& name, std::function<void()> body) : thread_(std::move(body)) {
  ::pthread_setname_np(thread_.native_handle(), name.substr(0, 15).c_str());
}

Thread::~Thread() { join(); }

void Thread::join() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace vestige::platform
