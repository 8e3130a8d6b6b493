// Sends requests over many connections and measures how long each takes.
//
// With an interval, request k is due k intervals after the start, whatever happened to those before it, and
// its latency counts from then on: while a server stalls, the requests that should have been sent meanwhile
// wait, and that waiting is in the percentiles ("coordinated omission" is leaving it out). Connections take
// the next due request as they become free. Without an interval each connection sends as soon as it has an
// answer, and only how long the server took can be told.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "cli/load/histogram.h"

namespace vestige::cli::load {

using std::chrono::nanoseconds;

struct Plan {
  double requests_per_second = 0;             // 0: without a schedule, as fast as answers come
  std::uint64_t requests = 0;                 // end after so many; 0: by time
  nanoseconds duration = nanoseconds::max();  // nothing is sent later than this after the start
};

// Hands out the requests of a plan. Thread-safe; times are since the start.
class Schedule {
 public:
  explicit Schedule(const Plan& plan) : plan_(plan) {}
  struct Request {
    std::uint64_t number = 0;
    std::optional<nanoseconds> due;
  };
  // Nothing where the plan is through, or `now` is past its end and no schedule says what was missed.
  std::optional<Request> next(nanoseconds now);
  void stop() { stopped_ = true; }  // no more requests
  const Plan& plan() const { return plan_; }

 private:
  const Plan plan_;
  std::atomic<std::uint64_t> taken_{0};
  std::atomic<bool> stopped_{false};
};

struct Sent {
  enum class Outcome { taken, busy };  // busy: the server could not take it now (429, 503)
  Outcome outcome = Outcome::taken;
  nanoseconds retry_after{0};  // of busy: how long it asks to wait
};

// One connection and its clock; used by one thread.
class Sender {
 public:
  virtual ~Sender() = default;
  // Makes the request ready; not part of what is measured.
  virtual void prepare(std::uint64_t number) = 0;
  // Sends it and waits for the answer. An error ends the run.
  virtual Result<Sent> send() = 0;
  virtual nanoseconds now() = 0;  // since the start
  virtual void wait_until(nanoseconds time) = 0;
};

struct Tally {
  std::uint64_t taken = 0;
  std::uint64_t busy = 0;
  std::uint64_t unsent =
      0;  // due, and not sent before the end; they are in `latency` with the time they waited
  nanoseconds held_back{0};  // time in which connections waited because the server asked for it
  Histogram latency{};       // of those taken, since they were due; without a schedule the same as `service`
  Histogram service{};       // of those taken, since they were sent
  std::optional<Error> error{};
  void add(const Tally& other);
};

// What one connection does until the schedule is through. `done` is called after each request.
Tally run_connection(Schedule& schedule, Sender& sender, const std::function<void()>& done);

struct Outcome {
  Tally tally;
  nanoseconds took{0};  // from the start to the last answer
};

// A thread a connection. `make` is called in this thread, once for each; `tell` about ten times a second with
// how many requests are through and how much time went by.
Outcome run_load(const Plan& plan, unsigned connections,
                 const std::function<std::unique_ptr<Sender>(nanoseconds start)>& make,
                 const std::function<void(std::uint64_t requests, nanoseconds passed)>& tell);

}  // namespace vestige::cli::load
