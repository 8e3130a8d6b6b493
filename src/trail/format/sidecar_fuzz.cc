// Header and facts of a sidecar are read from whatever stands there: a refusal or a value that encodes back.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "trail/format/sidecar_format.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vestige;
  const ByteView bytes(data, size);
  if (const auto facts = trail::decode_sidecar_facts(bytes))
    CHECK(trail::encode_sidecar_facts(*facts) == Bytes(bytes.begin(), bytes.end()));
  if (const auto header = trail::decode_sidecar_header(bytes))
    CHECK(trail::encode_sidecar_header(*header) == Bytes(bytes.begin(), bytes.end()));
  return 0;
}
