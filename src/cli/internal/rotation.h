// The order in which rotated logs were written.
#pragma once

#include <string>
#include <vector>

namespace vestige::cli {

// Files of one log (dpkg.log, dpkg.log.1, dpkg.log.2.gz; also dpkg.log-20260131) stand oldest first, at the
// place of the first of them; everything else keeps its place. Each path occurs once in the answer.
std::vector<std::string> oldest_first(const std::vector<std::string>& paths);

}  // namespace vestige::cli
