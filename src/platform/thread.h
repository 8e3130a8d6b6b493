// A named thread that is joined when its owner goes.
#pragma once

#include <functional>
#include <string>
#include <thread>

namespace vestige::platform {

class Thread {
 public:
  // `name` (at most 15 characters) is what top and a debugger show.
  Thread(const std::string& name, std::function<void()> body);
  ~Thread();
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;
  void join();

 private:
  std::thread thread_;
};

}  // namespace vestige::platform
