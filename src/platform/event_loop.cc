#include "platform/event_loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <exception>

#include "base/check.h"
#include "platform/asio.h"

namespace vestige::platform {
namespace {

// Called from a catch block. One line and no logger: whatever is broken, this still works.
void report_escaped_exception() {
  try {
    throw;
  } catch (const std::exception& error) {
    fmt::print(stderr, "vestige: an exception escaped a task of the event loop, which goes on: {}\n",
               error.what());
  } catch (...) {
    fmt::print(stderr,
               "vestige: an exception of unknown type escaped a task of the event loop, which goes on\n");
  }
}

void run_until_stopped(IoContext& context) {
  for (;;) {
    try {
      context.run();
      return;
    } catch (...) {
      report_escaped_exception();
    }
  }
}

}  // namespace

// Waits for its next run only after the last one ended, so runs never overlap. Lives until the loop dies.
struct EventLoop::Internals::Ticker {
  Ticker(IoContext& context, std::chrono::milliseconds every, std::function<void()> what)
      : timer(context),
        period(every),
        task(std::move(what)),
        next(std::chrono::steady_clock::now() + every) {}

  void wait() {
    timer.expires_at(next);
    timer.async_wait([this](const boost::system::error_code& code) {
      if (!code) run();
    });
  }

  void run() {
    try {
      task();
    } catch (...) {
      report_escaped_exception();
    }
    // A run that took longer than the period is not made up for by a burst.
    next = std::max(next + period, std::chrono::steady_clock::now());
    wait();
  }

  SteadyTimer timer;
  std::chrono::milliseconds period;
  std::function<void()> task;
  std::chrono::steady_clock::time_point next;
};

EventLoop::Internals::Internals(unsigned threads_wanted)
    : context(static_cast<int>(threads_wanted)), work(context.get_executor()), thread_count(threads_wanted) {}
EventLoop::Internals::~Internals() = default;

EventLoop::EventLoop(unsigned threads) : internals_(std::make_unique<Internals>(std::max(1U, threads))) {}

EventLoop::~EventLoop() { stop(); }

void EventLoop::start() {
  const Lock lock(internals_->mutex);
  CHECK(internals_->threads.empty());
  for (unsigned i = 0; i < internals_->thread_count; ++i)
    internals_->threads.emplace_back([&context = internals_->context] { run_until_stopped(context); });
}

void EventLoop::stop() {
  internals_->context.stop();
  std::vector<std::thread> threads;
  {
    const Lock lock(internals_->mutex);
    threads.swap(internals_->threads);
  }
  for (auto& thread : threads) {
    CHECK(thread.get_id() != std::this_thread::get_id());
    thread.join();
  }
}

void EventLoop::post(std::function<void()> task) { boost::asio::post(internals_->context, std::move(task)); }

void EventLoop::every(std::chrono::milliseconds period, std::function<void()> task) {
  CHECK(period.count() > 0);
  auto ticker = std::make_unique<Internals::Ticker>(internals_->context, period, std::move(task));
  // The timer belongs to the loop's threads from the moment it waits.
  auto* const started = ticker.get();
  {
    const Lock lock(internals_->mutex);
    internals_->tickers.push_back(std::move(ticker));
  }
  started->wait();
}

}  // namespace vestige::platform
