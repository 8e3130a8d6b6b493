// The only source of randomness. Everything that needs random bytes takes an Entropy&.
#pragma once

#include <span>

#include "base/bytes.h"

namespace vestige::platform {

class Entropy {
 public:
  virtual ~Entropy() = default;
  // Fills `out` with bytes fit for keys. Never fails: a machine without entropy ends the process, since
  // nothing that follows could be kept secret. Thread-safe.
  virtual void fill(std::span<std::uint8_t> out) = 0;

  template <std::size_t N>
  std::array<std::uint8_t, N> bytes() {
    std::array<std::uint8_t, N> out;
    fill(out);
    return out;
  }
};

// getrandom(2).
Entropy& system_entropy();

}  // namespace vestige::platform
