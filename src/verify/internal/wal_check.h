// Reads the write-ahead log: the chain of frames, and with keys every entry in it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "trail/log/wal_reader.h"
#include "verify/internal/problems.h"
#include "verify/internal/scope.h"
#include "verify/internal/sections.h"

namespace vestige::verify {

// Entries of one stream in the log, some of which may be in segments already: first .. first + leaves.
struct WalStream {
  std::uint64_t first = 0;
  std::vector<Hash> leaves;
  std::uint64_t end() const { return first + leaves.size(); }

  // Which frame brought an index.
  struct Append {
    std::uint64_t first;
    std::uint64_t generation;
    std::uint64_t offset;
  };
  std::vector<Append> appends;

  // Of the entries that are in no segment.
  std::uint64_t entries_checked = 0;
  std::string first_received;
  SectionTally sections;
};

struct WalOutcome {
  std::map<std::uint8_t, WalStream> streams;  // with keys only
  bool whole = false;                         // read to its end: the streams' sizes are known
  bool clean = false;                         // and it ends as a server that stopped in order leaves it
  std::string last_file;
  std::vector<std::uint64_t> chain, attempts, stale;  // generations, if whole
  Problems problems;
};

WalOutcome check_wal(const Scope& scope);

// The file and offset of the frame that brought an index of `stream`.
Location place_of(const WalStream& stream, std::uint64_t index);

}  // namespace vestige::verify
