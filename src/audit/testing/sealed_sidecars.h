// What the personal sidecars on a world's disk tell, to whoever has every key that is left.
#pragma once

#include <cstddef>

#include "audit/testing/world.h"

namespace vestige::audit::testing {

struct SealedSidecars {
  std::size_t readable = 0;
  std::size_t unreadable = 0;  // their key is gone; they are built anew
  std::size_t behind = 0;      // some erasure is not forgotten yet
};

// Expects of every readable one that it has exactly what the sections that open now are found by; of those
// that are behind, that they have it all.
SealedSidecars check_sealed_sidecars(World& world);

}  // namespace vestige::audit::testing
