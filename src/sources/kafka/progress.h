// Where one source stands in the trail: for each partition the mark up to which its commands are on record,
// and the entries about the capture itself (docs/formats/capture.md).
//
// Owner: one Session. Not thread-safe. Calls wait for the disk. exhausted and unavailable: the trail takes
// nothing now; the same call may be made again. invalid and conflict: one of the commands is none that it
// takes, and none of them was taken.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "audit/tenant_trail.h"
#include "json/object_writer.h"
#include "sources/kafka/broker.h"

namespace vestige::sources::kafka {

// By partition, the offset of the first command that is not on record.
using Offsets = std::map<Place, std::int64_t>;

class Progress {
 public:
  Progress(trail::Log& log, audit::TenantTrail& trail, std::string source);

  // Marks are one cluster's.
  void set_cluster(std::string cluster);
  const std::string& cluster() const { return cluster_; }
  // Whether the last one was another.
  bool moved() const;
  std::optional<std::int64_t> next_of(const Place& place) const;
  // exhausted where the source has no marks left for another partition.
  Status check_room(std::span<const Place> places) const;

  Status add(std::span<const audit::CapturedEvent> events, const Offsets& next);
  // An entry of kind system.capture whose detail are capture, cluster and what `detail` has.
  Status record(std::string_view action, const json::ObjectWriter& detail, const Offsets& next);

 private:
  Status append(audit::Batch batch, const Offsets& next);
  std::string mark_of(const Place& place) const;
  std::string cluster_mark() const;
  std::uint64_t cluster_number() const;

  trail::Log& log_;
  audit::TenantTrail& trail_;
  const std::string source_;
  std::string cluster_;
};

}  // namespace vestige::sources::kafka
