// How far an import has come, kept in a file so that the next run goes on from there.
//
// The file says: so many records, with this digest, are in the trail, the last of them at this index. The
// next run reads as many records again without sending them, compares the digest, and sends the last one: a
// server that has it at that index has all before it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace vestige::cli {

struct ImportPosition {
  std::uint64_t records = 0;
  Hash digest{};  // over the digests of these records, in their order
  std::uint64_t index = 0;
};

// The digest of one record more.
Hash digest_after(const Hash& before, const Hash& record);

// Empty where there is no such file. invalid where it holds something else.
Result<std::optional<ImportPosition>> read_position(const std::string& path);
Status write_position(const std::string& path, const ImportPosition& position);

}  // namespace vestige::cli
