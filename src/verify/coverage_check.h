// Whether a report on captures holds: docs/formats/coverage.md. Needs neither server nor data.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "verify/proof_check.h"

namespace vestige::verify {

struct CheckedCoverage {
  CheckedCheckpoint checkpoint;
  std::string report;  // canonical JSON of the form that the format says
  std::uint64_t gaps = 0;
};

// The signature of the log's key covers every byte; and what the report says agrees with itself: runs have no
// hole and no overlap, and what is counted is there. invalid where the key does not parse, corrupt where the
// report does not hold; the message says which part.
Result<CheckedCoverage> check_coverage(std::string_view file, std::string_view verifier_key);

}  // namespace vestige::verify
