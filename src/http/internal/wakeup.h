// Lets a coroutine wait for word from any thread. One waiter at a time; a notification that comes first is
// kept, several before a wait count as one.
//
// After close() it touches its executor no more, so it may outlive the loop.
#pragma once

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/post.hpp>
#include <functional>
#include <utility>

#include "base/mutex.h"

namespace vestige::http::internal {

class Wakeup {
 public:
  // The waiter is resumed on `executor`.
  explicit Wakeup(boost::asio::any_io_executor executor) : executor_(std::move(executor)) {}

  void notify() EXCLUDES(mutex_) {
    Lock lock(mutex_);
    if (!waiting_) {
      notified_ = true;
      return;
    }
    Waiter waiter;
    waiter.swap(waiting_);
    post_waiter(std::move(waiter));
  }

  // Runs `task` on the executor, unless closed.
  void run(std::function<void()> task) EXCLUDES(mutex_) {
    Lock lock(mutex_);
    if (executor_) boost::asio::post(executor_, std::move(task));
  }

  void close() EXCLUDES(mutex_) {
    Lock lock(mutex_);
    executor_ = {};
    notified_ = true;
  }

  template <typename Token>
  auto async_wait(Token&& token) {
    return boost::asio::async_initiate<Token, void()>(Initiation{this}, token);
  }

 private:
  using Waiter = boost::asio::any_completion_handler<void()>;

  struct Initiation {
    Wakeup* wakeup;
    template <typename Handler>
    void operator()(Handler&& handler) const {
      wakeup->enlist(Waiter(std::forward<Handler>(handler)));
    }
  };

  void enlist(Waiter waiter) EXCLUDES(mutex_) {
    Lock lock(mutex_);
    if (notified_) {
      notified_ = false;
      post_waiter(std::move(waiter));
      return;
    }
    waiting_.swap(waiter);  // its move assignment recurses without end in Boost 1.81
  }
  // Posting while locked keeps the executor from being closed in between; the waiter itself never runs here.
  void post_waiter(Waiter waiter) REQUIRES(mutex_) {
    boost::asio::post(executor_, [waiter = std::move(waiter)]() mutable { waiter(); });
  }

  Mutex mutex_;
  boost::asio::any_io_executor executor_ GUARDED_BY(mutex_);
  bool notified_ GUARDED_BY(mutex_) = false;
  Waiter waiting_ GUARDED_BY(mutex_);
};

}  // namespace vestige::http::internal
