// Property: every task that was posted while the loop runs is run exactly once, on a loop thread; periodic
// tasks never overlap; an exception that escapes a task ends neither its thread nor the period.

#include "platform/event_loop.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <latch>
#include <stdexcept>
#include <thread>

namespace vestige::platform {
namespace {

using std::chrono::milliseconds;

TEST(EventLoop, RunsEveryPostedTaskOnce) {
  constexpr int posters = 4;
  constexpr int tasks_each = 500;
  std::vector<std::atomic<int>> runs(posters * tasks_each);
  std::latch all(posters * tasks_each);
  std::atomic<bool> on_a_caller{false};
  EventLoop loop(3);
  const auto test_thread = std::this_thread::get_id();
  std::vector<std::thread> threads;
  for (int p = 0; p < posters; ++p)
    threads.emplace_back([&, p] {
      for (int i = 0; i < tasks_each; ++i)
        loop.post([&, slot = static_cast<std::size_t>(p * tasks_each + i)] {
          if (std::this_thread::get_id() == test_thread) on_a_caller = true;
          ++runs[slot];
          all.count_down();
        });
    });
  loop.start();
  all.wait();
  for (auto& thread : threads) thread.join();
  loop.stop();
  for (const auto& count : runs) EXPECT_EQ(count, 1);
  EXPECT_FALSE(on_a_caller);
}

TEST(EventLoop, AnEscapedExceptionIsReportedAndTheLoopGoesOn) {
  testing::internal::CaptureStderr();
  {
    EventLoop loop(1);
    std::promise<void> done;
    loop.start();
    loop.post([] { throw std::runtime_error("the first task broke"); });
    loop.post([] { throw 42; });
    loop.post([&] { done.set_value(); });
    done.get_future().wait();
  }
  const auto shown = testing::internal::GetCapturedStderr();
  EXPECT_NE(shown.find("the first task broke"), std::string::npos) << shown;
  EXPECT_NE(shown.find("unknown type"), std::string::npos) << shown;
  EXPECT_EQ(std::ranges::count(shown, '\n'), 2) << shown;
}

TEST(EventLoop, PeriodicRunsDoNotOverlapAndOutliveAnException) {
  testing::internal::CaptureStderr();
  std::atomic<int> inside{0};
  std::atomic<bool> overlapped{false};
  std::atomic<int> runs{0};
  std::promise<void> enough;
  {
    EventLoop loop(4);
    loop.every(milliseconds(1), [&] {
      if (++inside != 1) overlapped = true;
      std::this_thread::yield();
      --inside;
      const int run = ++runs;
      if (run == 20) enough.set_value();
      if (run == 3) throw std::runtime_error("a periodic task broke");
    });
    loop.start();
    enough.get_future().wait();
  }
  const int runs_at_end = runs;
  EXPECT_GE(runs_at_end, 20);
  EXPECT_FALSE(overlapped);
  EXPECT_NE(testing::internal::GetCapturedStderr().find("a periodic task broke"), std::string::npos);
}

TEST(EventLoop, StopTwiceAndWithoutStartAndWithWorkLeft) {
  EventLoop never_started(2);
  bool ran = false;
  auto owned = std::make_shared<int>(1);
  const std::weak_ptr<int> watched = owned;
  {
    EventLoop loop(2);
    loop.post([&ran, kept = std::move(owned)] { ran = true; });
    loop.stop();
    loop.stop();
  }
  EXPECT_FALSE(ran);
  EXPECT_TRUE(watched.expired()) << "what was not run is dropped with all it owns";
}

}  // namespace
}  // namespace vestige::platform
