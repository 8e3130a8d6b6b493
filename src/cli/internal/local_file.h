// Small files that the operator names: read whole, or replaced whole.
#pragma once

#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace vestige::cli {

// At most `size_max` bytes. Messages carry the path as the operator wrote it.
Result<std::string> read_local(const std::string& path, std::uint64_t size_max);
Status write_local(const std::string& path, std::string_view content);

}  // namespace vestige::cli
