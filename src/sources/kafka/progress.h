// Where one source stands in the trail: for each partition the mark up to which its commands are on record,
// and the entries about the capture itself (docs/formats/capture.md).
//
// Owner: one Session. Not thread-safe. Calls wait for the disk, but for add(). exhausted and unavailable: the
// trail takes nothing now; the same call may be made again. invalid and conflict: one of the commands is none
// that it takes, and none of them was taken.
#pragma once

#include <future>
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

// A message where it stood: another one that stands there now is another.
struct Seen {
  std::int64_t offset = 0;
  std::uint64_t digest = 0;
  bool operator==(const Seen&) const = default;
};

// What became of commands since the capture began.
struct Totals {
  std::uint64_t commands = 0, refused = 0;
  Totals operator+(const Totals& more) const { return {commands + more.commands, refused + more.refused}; }
};

// How a group of entries moves the marks.
struct Step {
  Offsets next{};                // of next_of()
  Offsets covered{};             // of covered_of()
  std::map<Place, Seen> last{};  // of last_of()
  Totals more{};
};

// A group on its way to the disk. Stays where it is until its outcome is there.
struct Adding {
  Step step{};
  std::vector<audit::Refused> refused{};  // once there is an outcome
  std::future<Result<audit::BatchOutcome>> outcome{};
};

class Progress {
 public:
  Progress(trail::Log& log, audit::TenantTrail& trail, std::string source);

  // Marks are one cluster's.
  void set_cluster(std::string cluster);
  const std::string& cluster() const { return cluster_; }
  // Whether the last one was another.
  bool moved() const;
  std::optional<std::int64_t> next_of(const Place& place) const;
  // The last message that is on record or refused, where it stood before next_of(). After a gap that may be
  // one of the log before.
  std::optional<Seen> last_of(const Place& place) const;
  Seen seen(const Message& message) const;
  // Entries COVERED and GAP tell of everything before it.
  std::optional<std::int64_t> covered_of(const Place& place) const;
  // exhausted where the source has no marks left for another partition.
  Status check_room(std::span<const Place> places) const;

  // Counts are right while a source has one session at a time, as in a server.
  Totals totals() const;

  // Events and the step of `adding`, which gets the outcome. One at a time: the totals go on from what is on
  // record. Where some are refused at once nothing is on its way.
  Status add(std::span<const audit::CapturedEvent> events, Adding& adding);
  // The event of an entry of kind system.capture.
  std::string entry(std::string_view action, const json::ObjectWriter& detail) const;
  // An entry of kind system.capture whose detail are capture, cluster and what `detail` has.
  Status record(std::string_view action, const json::ObjectWriter& detail, const Step& step = {});
  // The marks alone.
  Status move(const Step& step) { return append({}, step); }

 private:
  std::optional<std::int64_t> offset_at(const std::string& mark) const;
  std::future<Result<audit::BatchOutcome>> submit(audit::Batch batch, const Step& step);
  Status append(audit::Batch batch, const Step& step);
  std::string mark_of(const Place& place) const;
  std::string covered_mark_of(const Place& place) const;
  std::string last_mark_of(const Place& place) const;
  std::string digest_mark_of(const Place& place) const;
  std::string mark_of(std::string_view what) const;
  std::uint64_t cluster_number() const;

  trail::Log& log_;
  audit::TenantTrail& trail_;
  const std::string source_;
  std::string cluster_;
};

}  // namespace vestige::sources::kafka
