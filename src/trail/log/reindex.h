// Builds all sidecars of a data directory anew, without a running log: what an operator does who no longer
// trusts them, or wants them of today's form. Writes nothing else.
#pragma once

#include <functional>
#include <string>

#include "trail/log/log.h"

namespace vestige::trail {

struct ReindexReport {
  std::uint64_t segments = 0;
  std::uint64_t pages = 0;
  std::uint64_t entries = 0;
  std::uint64_t with_sections = 0;  // pages
};
// Pages done and in all, of which file.
using ReindexProgress = std::function<void(std::uint64_t, std::uint64_t, const std::string&)>;

// `parts.files` is locked by the caller; `parts.tokeniser` is there. not_found where there is no trail;
// corrupt where a segment is damaged. May be repeated after an error.
Result<ReindexReport> reindex(const LogParts& parts, const ReindexProgress& progress);

}  // namespace vestige::trail
