// What captures have on record and what they miss, told by their own entries: a fold over entries of kind
// system.capture, in the order of the log. docs/formats/coverage.md says what becomes of which entry.
//
// Pure. Not thread-safe.
//
// Invariants of every run:
// 1. Each step begins where the one before it ended, the first where the run does; the run ends with its
// last.
// 2. No two covered steps stand next to each other, and none is empty.
// 3. What no entry tells of is a gap with the cause `unexplained`.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/strong.h"
#include "json/json.h"

namespace vestige::audit {

inline constexpr std::string_view capture_kind = "system.capture";
inline constexpr std::string_view unexplained = "unexplained";

enum class CaptureKind { postgres, kafka };
const char* name_of(CaptureKind kind);
// An LSN ("16/B374D848") or an offset (decimal), in the one spelling of it; nothing where it is neither.
std::optional<std::uint64_t> parse_position(CaptureKind kind, std::string_view text);
std::string format_position(CaptureKind kind, std::uint64_t position);

struct EntryMark {
  std::uint64_t index = 0;
  std::string time{};
};

// From one position to another. That of a gap may lie before it: the log is another from there on.
struct CoverageStep {
  std::uint64_t from = 0, to = 0;
  std::string cause{};        // empty: it is covered
  EntryMark first{}, last{};  // of the entries that tell of it
  bool covered() const { return cause.empty(); }
};

// What one system, or one partition of a topic, has of it without a break in its positions.
struct CoverageRun {
  std::string system{};    // PostgreSQL's identifier of the cluster, or Kafka's cluster id
  std::string database{};  // of PostgreSQL
  std::string topic{};     // of Kafka, as is the partition
  std::uint64_t partition = 0;
  std::uint64_t from = 0, to = 0;
  std::vector<CoverageStep> steps{};
};

// The source is another system than before. Positions of the two have nothing to do with each other; of Kafka
// there are none, since it is all partitions that are others.
struct CoverageMove {
  std::string cause;
  std::string before, after;              // systems
  std::optional<std::uint64_t> from, to;  // the last position of the one, the first of the other
  EntryMark entry{};
};

struct CoverageSnapshot {
  EntryMark entry{};
  std::uint64_t at = 0, rows = 0;
};

struct CaptureTotals {
  std::uint64_t transactions = 0, rows = 0, unattributed = 0;  // of PostgreSQL
  std::uint64_t commands = 0, refused = 0;                     // of Kafka
};

struct CoveredSource {
  std::string name;
  CaptureKind kind = CaptureKind::postgres;
  std::uint64_t starts = 0;
  std::optional<EntryMark> heartbeat{};  // the last entry that tells up to where all is on record
  CaptureTotals totals{};                // of the span
  std::vector<CoverageSnapshot> snapshots{};
  std::deque<CoverageRun> runs{};  // in the order in which they began
  std::vector<CoverageMove> moves{};
  std::uint64_t gaps() const;
  std::uint64_t unexplained_gaps() const;
};

// Of entries: from the first one of this time on, and before the first one of that. What is earlier is read
// as well, since it says where the span begins.
struct CoverageSpan {
  std::optional<UnixMs> from{}, to{};
};

class Coverage {
 public:
  explicit Coverage(CoverageSpan span) : span_(span), within_(!span.from) {}

  // An entry of kind system.capture. False when the span is over. corrupt where it is none that a server
  // writes; exhausted where the report would become too large.
  Result<bool> take(std::uint64_t index, const json::Value& event);

  // After the last entry. By name.
  std::vector<const CoveredSource*> finish();

 private:
  struct Source : CoveredSource {
    CaptureTotals told{};    // since the capture began
    CaptureTotals before{};  // of these, what was told before the span
    std::string system{};    // of the last entry
    // Of Kafka: where the run of a partition is, by cluster, topic and number.
    std::map<std::pair<std::string, std::pair<std::string, std::uint64_t>>, std::size_t> partitions{};
  };
  struct Entry;

  void begin_span();
  Status take_postgres(Source& source, const Entry& entry);
  Status take_kafka(Source& source, const Entry& entry);
  void move_postgres(Source& source, const Entry& entry, std::string_view cause, std::uint64_t from,
                     std::uint64_t to);
  CoverageRun& begin_run(Source& source, std::string_view system, std::uint64_t from);
  CoverageRun& run_of(Source& source, const Entry& entry, std::string_view topic, std::uint64_t partition,
                      std::uint64_t from);
  void reach(CoverageRun& run, std::uint64_t from, const Entry& entry);
  void cover(CoverageRun& run, std::uint64_t from, std::uint64_t to, const Entry& entry);
  void miss(CoverageRun& run, std::uint64_t from, std::uint64_t to, std::string_view cause,
            const Entry& entry);
  void add_gap(CoverageRun& run, std::uint64_t to, std::string_view cause, const Entry& entry);
  void beat(Source& source, const Entry& entry);

  const CoverageSpan span_;
  bool within_;
  std::size_t parts_ = 0;  // runs, steps, moves, snapshots and sources
  std::map<std::pair<std::string, CaptureKind>, Source> sources_;
};

}  // namespace vestige::audit
