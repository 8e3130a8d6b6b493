// A segment's sidecar. It is derived, so one that is missing is no fault; one that is there has to be whole
// and of this segment, because searches pass over what it says is not in a page.
#pragma once

#include <string>

#include "trail/format/manifest.h"
#include "verify/internal/problems.h"
#include "verify/internal/scope.h"

namespace vestige::verify {

void check_sidecar(const Scope& scope, const std::string& path, const trail::SegmentRecord& record,
                   Problems& problems);

}  // namespace vestige::verify
