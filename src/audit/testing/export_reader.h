// Reads an export as docs/formats/export.md describes it, with nothing of what writes or verifies one: plain
// trees, the recursive definition of RFC 6962, a CSV reader for whole texts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "audit/testing/tree.h"
#include "base/bytes.h"

namespace vestige::audit::testing {

struct ReadExport {
  Tree header, closing;
  std::vector<Tree> lines;                      // of events
  std::vector<std::vector<std::string>> cells;  // of each line of a CSV, in front of it; the header's first
  std::vector<std::uint64_t> indexes() const;
  // Of the tree that entries and nodes make up; size is the checkpoint's.
  Hash root(std::uint64_t size) const;
};

// Fails the test where the chain is broken or the file has another shape.
ReadExport read_export(const std::string& file);

}  // namespace vestige::audit::testing
