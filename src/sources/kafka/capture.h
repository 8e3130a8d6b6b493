// Captures the audit commands of one Kafka cluster: reads topics as a consumer group, puts each command into
// the trail as an event, and sends what is none to a topic for dead letters. Formats:
// docs/formats/capture.md.
//
// 1. What of a partition is on record is everything before its mark, and the mark commits with the last of
//    it. So after a crash or a rebalance it goes on from there; the offset that Kafka keeps is for display
//    alone.
// 2. Commands of a partition come in its order.
// 3. Nothing is left out: what the trail does not take now is offered again until it does; what it never
//    takes is a dead letter before the mark passes it, and an entry REFUSED. What Kafka no longer has is an
//    entry GAP.
//
// Owner: app, one for each configured source. start() and stop() on one thread; figures() from any.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "audit/tenant_trail.h"
#include "platform/clock.h"
#include "sources/kafka/configuration.h"

namespace vestige::sources::kafka {

struct CaptureParts {
  trail::Log& log;
  audit::TenantTrail& trail;
  platform::Clock& clock;
  // For the server's log.
  std::function<void(const std::string&)> say;
  std::function<void(const std::string&)> warn;
};

struct CaptureFigures {
  std::string name;
  bool connected = false;
  std::uint64_t lag_messages = 0;  // that are there and not on record, as last heard
  std::uint64_t commands = 0, refused = 0, gaps = 0, rebalances = 0;  // since start
};

class Capture {
 public:
  // `configuration` has been checked.
  Capture(Configuration configuration, CaptureParts parts);
  ~Capture();  // stops
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  void start();
  // Puts what was read on record, leaves the group, and ends.
  void stop();
  CaptureFigures figures() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vestige::sources::kafka
