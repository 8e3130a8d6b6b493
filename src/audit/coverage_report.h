// The signed report on what captures have on record, what they miss, and which changes nobody put their name
// to. Format: docs/formats/coverage.md.
#pragma once

#include <string>

#include "audit/coverage.h"
#include "audit/reader.h"

namespace vestige::audit {

struct CoverageOrder {
  std::string source{};  // empty: all of them
  CoverageSpan span{};
  UnixMs now{};
};

// Canonical JSON, of the tree as it is now. It holds no values of events and no keys of rows, so it is the
// same whoever asks. exhausted where there is too much to tell.
Result<std::string> coverage_report(Reader& reader, const CoverageOrder& order);

}  // namespace vestige::audit
