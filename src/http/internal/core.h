// What all connections of one server share. Owned jointly by the server and its connections, since a
// connection may unwind after the server stopped waiting for it.
#pragma once

#include <array>
#include <atomic>
#include <boost/asio/ssl/context.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <unordered_set>
#include <vector>

#include "base/mutex.h"
#include "http/internal/budget.h"
#include "http/server.h"
#include "platform/clock.h"

namespace vestige::http::internal {

class Connection;

struct Tally {
  std::atomic<std::uint64_t> connections_total{0}, requests_total{0}, bytes_in{0}, bytes_out{0},
      refused_total{0}, answers_cut_total{0};
  std::array<std::atomic<std::uint64_t>, 600> responses_by_status{};
};

class Core {
 public:
  Core(ServerOptions given, const Router& routes, Gate judge)
      : options(std::move(given)),
        router(routes),
        gate(std::move(judge)),
        clock(platform::system_clock()),
        budget(options.bodies_in_flight_bytes_max),
        answers(options.answers_in_flight_bytes_max) {}

  enum class Admission { welcome, turned_away, refused };
  Admission admission() const EXCLUDES(mutex_);  // of one more connection
  // Every coroutine of the server counts while it runs, and stop() waits until none does.
  bool enter() EXCLUDES(mutex_);  // false once stopping
  void leave() EXCLUDES(mutex_);
  bool admit(const std::shared_ptr<Connection>& connection) EXCLUDES(mutex_);  // false once stopping
  void dismiss(const std::shared_ptr<Connection>& connection) EXCLUDES(mutex_);
  std::vector<std::shared_ptr<Connection>> connections() const EXCLUDES(mutex_);
  std::size_t connection_count() const EXCLUDES(mutex_);

  void begin_stop() EXCLUDES(mutex_);
  bool stopping() const { return stopping_.load(std::memory_order_acquire); }
  // Until no more than `count` coroutines run. False where the time passed first.
  bool wait_until_running(std::size_t count, std::chrono::nanoseconds patience) EXCLUDES(mutex_);
  // Where the loop no longer runs, so that nothing will dismiss them.
  void forget_connections() EXCLUDES(mutex_);

  std::chrono::nanoseconds now() { return clock.monotonic(); }

  const ServerOptions options;
  const Router& router;
  const Gate gate;
  platform::Clock& clock;
  Budget budget;   // of requests' bodies
  Budget answers;  // of answers' bodies
  Tally tally;
  std::optional<boost::asio::ssl::context> tls;

 private:
  mutable Mutex mutex_;
  Condition changed_;
  std::unordered_set<std::shared_ptr<Connection>> connections_ GUARDED_BY(mutex_);
  std::size_t running_ GUARDED_BY(mutex_) = 0;
  std::atomic<bool> stopping_{false};
};

}  // namespace vestige::http::internal
