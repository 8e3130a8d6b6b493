#include "cli/load/load.h"

#include <algorithm>
#include <vector>

#include "base/mutex.h"
#include "platform/clock.h"
#include "platform/thread.h"

namespace vestige::cli::load {
namespace {

// A server that asks for longer is not believed: a run has an end.
constexpr nanoseconds retry_after_max = std::chrono::seconds(1);
constexpr std::chrono::milliseconds tell_period{100};

// How many connections are still at work.
class Running {
 public:
  explicit Running(unsigned connections) : connections_(connections) {}
  void finished() {
    Lock lock(mutex_);
    --connections_;
    changed_.notify_all();
  }
  // False where the period went by and some are still at work.
  bool wait_for_all(nanoseconds period) {
    Lock lock(mutex_);
    if (connections_ > 0) changed_.wait_for(mutex_, period);
    return connections_ == 0;
  }

 private:
  Mutex mutex_;
  Condition changed_;
  unsigned connections_ GUARDED_BY(mutex_);
};

}  // namespace

std::optional<Schedule::Request> Schedule::next(nanoseconds now) {
  const bool scheduled = plan_.requests_per_second > 0;
  if (stopped_ || (!scheduled && now >= plan_.duration)) return std::nullopt;
  const auto number = taken_++;
  if (plan_.requests > 0 && number >= plan_.requests) return std::nullopt;
  if (!scheduled) return Request{.number = number, .due = std::nullopt};
  const auto seconds = static_cast<double>(number) / plan_.requests_per_second;
  const auto due = std::chrono::duration_cast<nanoseconds>(std::chrono::duration<double>(seconds));
  if (due >= plan_.duration) return std::nullopt;
  return Request{.number = number, .due = due};
}

void Tally::add(const Tally& other) {
  taken += other.taken;
  busy += other.busy;
  unsent += other.unsent;
  held_back += other.held_back;
  latency.add(other.latency);
  service.add(other.service);
  if (!error) error = other.error;
}

Tally run_connection(Schedule& schedule, Sender& sender, const std::function<void()>& done) {
  Tally tally;
  const auto end = schedule.plan().duration;
  while (const auto request = schedule.next(sender.now())) {
    // A request that is due later than the end was never handed out; one that is late by then is not sent.
    if (request->due && sender.now() >= end) {
      ++tally.unsent;
      tally.latency.add(end - *request->due);
      continue;
    }
    sender.prepare(request->number);
    if (request->due) sender.wait_until(*request->due);
    const auto began = sender.now();
    const auto sent = sender.send();
    const auto ended = sender.now();
    if (!sent) {
      tally.error = sent.error();
      schedule.stop();
      return tally;
    }
    done();
    if (sent->outcome == Sent::Outcome::taken) {
      ++tally.taken;
      tally.service.add(ended - began);
      tally.latency.add(ended - request->due.value_or(began));
      continue;
    }
    ++tally.busy;
    if (request->due) continue;  // the schedule says when to go on
    const auto pause = std::min(sent->retry_after, retry_after_max);
    sender.wait_until(ended + pause);
    tally.held_back += pause;
  }
  return tally;
}

Outcome run_load(const Plan& plan, unsigned connections,
                 const std::function<std::unique_ptr<Sender>(nanoseconds start)>& make,
                 const std::function<void(std::uint64_t requests, nanoseconds passed)>& tell) {
  auto& clock = platform::system_clock();
  Schedule schedule(plan);
  Running running(connections);
  std::atomic<std::uint64_t> requests{0};
  const auto start = clock.monotonic();
  std::vector<std::unique_ptr<Sender>> senders;
  for (unsigned i = 0; i < connections; ++i) senders.push_back(make(start));
  std::vector<Tally> tallies(connections);
  nanoseconds took{0};
  {
    std::vector<std::unique_ptr<platform::Thread>> threads;
    for (unsigned i = 0; i < connections; ++i)
      threads.push_back(std::make_unique<platform::Thread>("connection", [&, i] {
        tallies[i] = run_connection(schedule, *senders[i], [&] { ++requests; });
        running.finished();
      }));
    while (!running.wait_for_all(tell_period)) tell(requests, clock.monotonic() - start);
    took = clock.monotonic() - start;
  }
  Outcome outcome{.tally = {}, .took = took};
  for (const auto& tally : tallies) outcome.tally.add(tally);
  return outcome;
}

}  // namespace vestige::cli::load
