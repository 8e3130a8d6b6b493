// Checks one sealed segment, its hash file and its run of the id index.
#pragma once

#include <string>
#include <vector>

#include "verify/internal/problems.h"
#include "verify/internal/scope.h"
#include "verify/internal/sections.h"

namespace vestige::verify {

struct SegmentOutcome {
  // What the tree is built from: the hash file's leaves if it is the one that the manifest lists, else those
  // recomputed from the entries; empty where neither is whole.
  std::vector<Hash> leaves;
  std::vector<Hash> tile_roots;  // of the hash file; empty where that is not the one the manifest lists
  bool has_tile_roots = false;
  std::uint64_t entries_checked = 0;
  std::string first_received, last_received;  // empty where no entry could be read
  SectionTally sections;
  Problems problems;
  std::vector<std::string> notes;
};

// Thread-safe for different segments.
SegmentOutcome check_segment(const Scope& scope, const trail::StreamRecord& stream,
                             const trail::SegmentRecord& record);

}  // namespace vestige::verify
