// Property: no id run and no hash file makes its reader crash or read outside of it, even under a digest that
// is right; what is accepted is the one encoding of what it says. The first byte chooses.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "crypto/digest.h"
#include "trail/format/segment_format.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vestige;
  if (size == 0) return 0;
  Bytes bytes(data + 1, data + size);
  const auto hash = crypto::sha256(bytes);
  bytes.insert(bytes.end(), hash.begin(), hash.end());
  Hash digest;
  if (data[0] % 2 == 0) {
    if (const auto run = trail::decode_id_run(bytes)) {
      for (const auto& entry : run->entries) CHECK(entry.offset < run->end - run->first);
      CHECK(trail::encode_id_run(run->first, run->end, run->entries, digest) == bytes);
    }
  } else {
    if (const auto file = trail::decode_hash_file(bytes))
      CHECK(trail::encode_hash_file(file->first, file->leaves, file->tile_roots, digest) == bytes);
  }
  return 0;
}
