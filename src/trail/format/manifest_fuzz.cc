// Property: no manifest and no signer's state makes its reader crash or read outside of it, even under a hash
// that is right; what is accepted is the one encoding of what it says. The first byte chooses.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "crypto/digest.h"
#include "trail/format/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vestige;
  if (size == 0) return 0;
  Bytes bytes(data + 1, data + size);
  const auto hash = crypto::sha256(bytes);
  bytes.insert(bytes.end(), hash.begin(), hash.end());
  if (data[0] % 2 == 0) {
    if (const auto manifest = trail::decode_manifest(bytes))
      CHECK(trail::encode_manifest(*manifest) == bytes);
  } else {
    if (const auto state = trail::decode_signer_state(bytes))
      CHECK(trail::encode_signer_state(*state) == bytes);
  }
  return 0;
}
