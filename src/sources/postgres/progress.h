// Where one source stands in the trail: the marks that say up to where its changes are on record, and the
// entries about the capture itself (docs/formats/capture.md).
//
// Owner: one Capture. Not thread-safe. Calls wait for the disk. exhausted and unavailable: the trail takes
// nothing now; the same call may be made again.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "audit/tenant_trail.h"
#include "sources/postgres/pgoutput.h"
#include "sources/postgres/snapshot.h"

namespace vestige::sources::postgres {

struct Place {
  std::uint64_t system = 0;  // the cluster's system identifier: positions of another one say nothing
  Lsn lsn{};                 // everything up to here is on record
  // Of what is on record up to here, since the capture began.
  std::uint64_t transactions = 0, rows = 0, unattributed = 0;
  // Entries GAP so far. Behind one, the same position may be another change: of a cluster that was put back.
  std::uint64_t gaps = 0;

  // What positions in the source begin with.
  std::string origin() const;
};

class Progress {
 public:
  Progress(trail::Log& log, audit::TenantTrail& trail, std::string source);

  // Nothing before the first start.
  std::optional<Place> place() const;
  // Up to where entries COVERED and GAP tell of it; the first start where there is none.
  std::optional<Lsn> covered() const;
  // The last snapshot that was put on record whole.
  Result<std::optional<SnapshotView>> snapshot() const;

  // Rows, and the place up to which they are everything.
  Status add_rows(std::span<const audit::CapturedEvent> rows, std::optional<Place> upto);
  // Rows of another tenant, which have to be on record before the place that they belong to is.
  Status add_rows_of(audit::TenantTrail& other, std::span<const audit::CapturedEvent> rows);
  // An entry of kind system.capture; `detail` are its members behind those that all have, `"name":value`
  // each.
  // `covered`: it tells of everything up to there.
  Status record(std::string_view action, const std::string& database, const std::vector<std::string>& detail,
                const Place& place, std::optional<Lsn> covered = {});
  // The same, after which what is on record of the tables is no whole until a snapshot is.
  Status record_gap(const std::string& database, const std::vector<std::string>& detail, const Place& place);
  bool owes_snapshot() const;
  // The same, after which snapshot() is the one it tells of.
  Status record_snapshot(const std::string& database, const std::vector<std::string>& detail,
                         const Place& place);

 private:
  Status append(audit::Batch batch,
                std::function<void(trail::Placement&, const audit::BatchOutcome&)> placed);
  Result<audit::Batch> entry(std::string_view action, const std::string& database,
                             const std::vector<std::string>& detail, const Place& place) const;
  std::string mark(std::string_view what) const;
  void set_place(trail::Placement& placement, const Place& place) const;

  trail::Log& log_;
  audit::TenantTrail& trail_;
  const std::string source_;
};

// `"name":"text"`, and `"name":number`.
std::string member(std::string_view name, std::string_view text);
std::string member(std::string_view name, std::uint64_t number);

}  // namespace vestige::sources::postgres
