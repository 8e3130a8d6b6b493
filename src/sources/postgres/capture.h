// Captures the row changes of one PostgreSQL database: reads its logical replication, puts each committed
// transaction's rows into the trail, and lets PostgreSQL go of its log when they are durable. Formats:
// docs/formats/capture.md.
//
// 1. What is on record is every transaction up to a mark, and the mark commits with the last of its rows; so
//    after any crash the capture goes on from there, and what comes twice is known by its ids.
// 2. PostgreSQL is told of a position after the mark is durable, never before.
// 3. Nothing is left out: what the trail does not take now is offered again until it does, and meanwhile
//    PostgreSQL keeps the rest. What PostgreSQL no longer has is an entry GAP.
//
// Owner: app, one for each configured source. start() and stop() on one thread; figures() from any.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "audit/tenant_trail.h"
#include "platform/clock.h"
#include "platform/entropy.h"
#include "platform/files.h"
#include "sources/postgres/configuration.h"

namespace vestige::sources::postgres {

struct CaptureParts {
  trail::Log& log;
  audit::TenantTrail& trail;  // of the source's tenant
  // Null where there is none.
  std::function<audit::TenantTrail*(std::string_view tenant)> trail_of;
  platform::FileSystem& data;  // for what is kept of large transactions until they commit
  platform::Clock& clock;
  platform::Entropy& entropy;
  Key hash_key;  // of columns that are hashed
  // For the server's log.
  std::function<void(const std::string&)> say;
  std::function<void(const std::string&)> warn;
};

struct CaptureFigures {
  std::string name;
  bool connected = false;
  std::uint64_t lag_bytes = 0;  // of log that PostgreSQL keeps for this capture, when last looked
  std::uint64_t lsn = 0;        // up to which everything is on record
  std::uint64_t transactions = 0, rows = 0, unattributed = 0, gaps = 0;  // since start
};

class Capture {
 public:
  // `configuration` has been checked.
  Capture(Configuration configuration, CaptureParts parts);
  ~Capture();  // stops
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  void start();
  // Puts what was read on record, tells PostgreSQL, and ends.
  void stop();
  CaptureFigures figures() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vestige::sources::postgres
