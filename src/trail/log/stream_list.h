// The streams of a log, in the order in which they were made. It only grows, and nobody who reads it takes a
// lock: submitters, committer and sealer see the list of before a stream was added, or the one of after.
//
// Invariants:
// 1. What stands below the count never changes, and the count rises after its slot was filled.
// 2. A stream of a running log is in here only once the manifest that names it is durable, so that no frame
//    and no end mark names one that the manifest does not.
//
// Owner: LogState. One thread at a time adds (under its manifest_mutex once the log is open); all else is
// thread-safe.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <span>
#include <string_view>

#include "trail/limits.h"
#include "trail/log/stream.h"

namespace vestige::trail {

class StreamList {
 public:
  // As of now; stays valid as long as the log.
  std::span<const std::unique_ptr<Stream>> all() const;
  // Null where there is none.
  Stream* find(std::uint8_t number) const;
  Stream* find(std::string_view tenant, std::string_view name) const;

  // The record of a stream that is not there yet, with the next number; exhausted where there is no more.
  Result<StreamRecord> next(const std::string& tenant, const std::string& name, bool proofs) const;
  // Its number is in no other's use.
  Stream& add(std::unique_ptr<Stream> stream);

 private:
  static_assert(streams_max <= UINT8_MAX);  // what the formats have room for

  std::array<std::unique_ptr<Stream>, streams_max> slots_;
  std::array<std::atomic<Stream*>, UINT8_MAX + 1> by_number_{};
  std::atomic<std::size_t> count_{0};
};

}  // namespace vestige::trail
