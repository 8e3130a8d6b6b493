// One pass over a data directory under one manifest.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "trail/format/manifest.h"
#include "verify/internal/problems.h"
#include "verify/verify.h"

namespace vestige::verify {

struct PassOutcome {
  bool ended_early = false;  // after the write-ahead log: its manifest was replaced
  std::vector<StreamReport> streams;
  std::vector<std::string> notes;
};

// The order of reading is such that a running server disturbs nothing: what was signed, the vault, the
// write-ahead log, then segments, which nobody changes or removes. Where that log has problems and `outdated`
// says that they may come from an old manifest, the pass ends there.
Result<PassOutcome> run_pass(const Inputs& inputs, const Options& options, const trail::Manifest& manifest,
                             Problems& problems, const std::function<bool()>& outdated);

// What the manifest's digest does not say: that numbers and names are there once and frontiers fit their
// sizes.
Status check_manifest(const trail::Manifest& manifest);

}  // namespace vestige::verify
