// A vault on a simulated disk, for tests of this module and of those that need a vault.
#pragma once

#include <cstdlib>
#include <memory>
#include <string>

#include "platform/sim/sim_clock.h"
#include "platform/sim/sim_files.h"
#include "vault/vault.h"

namespace vestige::vault::testing {

// Rounds of a randomised test: `base` times what VESTIGE_TEST_SCALE says, 1 by default.
inline std::uint64_t rounds(std::uint64_t base) {
  const char* scale = std::getenv("VESTIGE_TEST_SCALE");
  const auto factor = scale == nullptr ? 0UL : std::strtoul(scale, nullptr, 10);
  return base * (factor == 0 ? 1 : factor);
}

struct VaultWorld {
  explicit VaultWorld(std::uint64_t seed) : entropy(seed) { root.fill(0x5a); }

  platform::sim::SimDisk disk;
  platform::sim::SimClock clock;
  platform::sim::SimEntropy entropy;
  Key root{};
  VaultOptions options{};
  std::unique_ptr<platform::FileSystem> files;
  std::unique_ptr<Vault> vault;

  // Closes what is open and opens anew; without a vault in `vault` where that fails.
  Status reopen(bool create = true) {
    vault.reset();
    files = disk.open("vault");
    VESTIGE_TRY(vault, Vault::open(*files, entropy, clock, root, create, options));
    return {};
  }
};

}  // namespace vestige::vault::testing
