// The file in which API keys were kept before there was a database, for taking it over. Format:
// docs/formats/keys.md.
#pragma once

#include <vector>

#include "access/internal/keys_store.h"
#include "platform/files.h"

namespace vestige::access {

// Its keys in order; not_found where there is no such file, corrupt where a byte of it was changed.
Result<std::vector<store::KeyRow>> read_keys_file(platform::FileSystem& files);

}  // namespace vestige::access
