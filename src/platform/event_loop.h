// The threads that wait for sockets and timers. Adapters that speak to Asio get at its io_context through
// platform/asio.h; everybody else sees only this.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

namespace vestige::platform {

class EventLoop {
 public:
  // `threads` threads run the loop from start() on.
  explicit EventLoop(unsigned threads);
  ~EventLoop();  // stops and joins
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  void start();
  // Ends the loop and joins its threads; unfinished work is dropped. Idempotent. Not from a loop thread.
  void stop();
  // Runs `task` on a loop thread. Thread-safe. An exception that escapes a task is reported on standard
  // error, and the loop goes on.
  void post(std::function<void()> task);
  // Runs `task` on a loop thread every `period` until the loop stops; runs never overlap.
  void every(std::chrono::milliseconds period, std::function<void()> task);

  struct Internals;
  Internals& internals() { return *internals_; }

 private:
  std::unique_ptr<Internals> internals_;
};

}  // namespace vestige::platform
