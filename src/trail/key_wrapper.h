// How file keys are kept beside the data: wrapped by whoever owns the master key. Given to the trail by its
// constructor; the trail never sees what wraps.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

namespace vestige::trail {

inline constexpr std::size_t wrapped_key_bytes = 60;

class KeyWrapper {
 public:
  virtual ~KeyWrapper() = default;
  // Thread-safe, both. `context` is bound to the wrapped key.
  virtual Bytes wrap(const Key& key, std::string_view context) = 0;
  virtual Result<Key> unwrap(ByteView wrapped, std::string_view context) const = 0;
};

}  // namespace vestige::trail
