// A mutex whose discipline the compiler checks (-Wthread-safety). Lock order and what is guarded stand
// as annotations on the members, not in comments.
#pragma once

#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define VESTIGE_ANNOTATE(x) __attribute__((x))
#else
#define VESTIGE_ANNOTATE(x)
#endif

#define GUARDED_BY(mutex) VESTIGE_ANNOTATE(guarded_by(mutex))
#define REQUIRES(...) VESTIGE_ANNOTATE(requires_capability(__VA_ARGS__))
#define EXCLUDES(...) VESTIGE_ANNOTATE(locks_excluded(__VA_ARGS__))

namespace vestige {

class VESTIGE_ANNOTATE(capability("mutex")) Mutex {
 public:
  void lock() VESTIGE_ANNOTATE(acquire_capability()) { mutex_.lock(); }
  void unlock() VESTIGE_ANNOTATE(release_capability()) { mutex_.unlock(); }

 private:
  friend class Condition;
  std::mutex mutex_;
};

class VESTIGE_ANNOTATE(scoped_lockable) Lock {
 public:
  explicit Lock(Mutex& mutex) VESTIGE_ANNOTATE(acquire_capability(mutex)) : mutex_(mutex) { mutex_.lock(); }
  ~Lock() VESTIGE_ANNOTATE(release_capability()) { mutex_.unlock(); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  Mutex& mutex_;
};

// Waits with the mutex held by the caller; always used in a loop that re-checks its condition.
class Condition {
 public:
  void wait(Mutex& mutex) REQUIRES(mutex) {
    std::unique_lock<std::mutex> held(mutex.mutex_, std::adopt_lock);
    condition_.wait(held);
    held.release();
  }
  // False when the time passed without a notification. Real time only bounds the wait; what time it is
  // comes from platform::Clock.
  template <typename Duration>
  bool wait_for(Mutex& mutex, Duration duration) REQUIRES(mutex) {
    std::unique_lock<std::mutex> held(mutex.mutex_, std::adopt_lock);
    const bool notified = condition_.wait_for(held, duration) == std::cv_status::no_timeout;
    held.release();
    return notified;
  }
  void notify_one() { condition_.notify_one(); }
  void notify_all() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace vestige
