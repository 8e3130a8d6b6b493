// Holds the file of API keys against docs/formats/keys.md. Keys are not known here, only their hashes.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

namespace vestige::verify {

// corrupt with the offset; the caller knows the file.
Status check_api_keys(ByteView bytes);

}  // namespace vestige::verify
