// Takes what waits in the outbox into the trail, in order, stream by stream.
//
// 1. An event leaves the outbox only after the sink has taken it, or with its move to those set aside.
// 2. No event of a stream is offered before all that were added to that stream earlier have left.
// 3. A stream that the sink does not take now waits by itself; the others go on.
//
// Owner: app. It has no thread: app calls run_once() when the outbox wakes it (Outbox::on_added) and about
// twice a second besides, on a thread that may wait for the trail.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <vector>

#include "base/result.h"
#include "platform/clock.h"
#include "state/lease.h"
#include "state/outbox.h"

namespace vestige::state {

struct OutboxRow;

struct RelayOptions {
  std::size_t batch_events_max = 256;
  std::size_t batch_bytes_max = 1'048'576;  // of events as JSON; one that is longer goes alone
  std::size_t batches_max = 64;             // in one run
  // A stream that failed is tried again after the first, doubled each time up to the last.
  std::chrono::milliseconds retry_first{250};
  std::chrono::milliseconds retry_last{60'000};
};

// For the server's log; called within run_once(). Messages may quote the event.
struct RelayReports {
  std::function<void(const OutboxEvent&, const Error&)> set_aside;  // the event's content is empty
  std::function<void(const StreamName&, const Error&)> failed;
};

class Relay {
 public:
  Relay(Outbox& outbox, Lease& lease, OutboxSink sink, RelayReports reports, platform::Clock& clock,
        RelayOptions options = {});
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  struct Run {
    std::uint64_t relayed = 0;
    std::uint64_t set_aside = 0;
    bool more = false;  // it stopped at batches_max: run again at once
  };
  // Relays what may be relayed now. An error is one of the database; nothing is lost then. Does nothing but
  // tell waiters where another node has the lease. Not beside itself.
  Result<Run> run_once();

 private:
  struct Delay {
    std::uint32_t failures = 0;
    std::chrono::nanoseconds until{0};  // by the monotonic clock
  };

  // These three tell whether the stream moved on.
  Result<bool> relay_batch(const StreamName& stream, Run& run);
  Result<bool> relay_alone(const StreamName& stream, std::vector<OutboxRow> rows, Run& run);
  Result<bool> set_aside(const StreamName& stream, const OutboxRow& row, const Error& reason, Run& run);
  Status remove(const StreamName& stream, std::vector<OutboxRow> rows, Run& run);
  void delay(const StreamName& stream, const Error& error);

  Outbox& outbox_;
  Lease& lease_;
  const OutboxSink sink_;
  const RelayReports reports_;
  platform::Clock& clock_;
  const RelayOptions options_;
  std::map<StreamName, Delay> delays_;  // of streams that failed and have not moved on since
};

}  // namespace vestige::state
