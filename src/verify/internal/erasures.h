// What the trail says about erased persons (docs/formats/erasure.md), held against the vault.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "verify/internal/entry_check.h"
#include "verify/internal/keys.h"
#include "verify/internal/problems.h"

namespace vestige::verify {

inline constexpr std::string_view quoted_erasure_kind = "\"system.erasure\"";

struct ErasuresSeen {
  struct Intent {
    std::uint64_t index = 0;
    Block16 ref{};
  };
  struct Outcome {
    std::uint64_t index = 0;
    std::uint64_t intent = 0;
    std::vector<Block16> refs;
  };
  std::vector<Intent> intents;
  std::vector<Outcome> outcomes;

  void merge(const ErasuresSeen& other);
};

// Takes down what an entry of kind system.erasure says. Gives what is wrong with it, or nothing.
std::optional<std::string> note_erasure(const EntryFacts& facts, std::uint64_t index, ErasuresSeen& seen);

// Who may have destroyed which keys of a tenant.
class Authorities {
 public:
  Authorities(const ErasuresSeen& seen, std::string_view tenant, const VaultKeys& keys);
  // The entry that accounts for all these refs, the first of several; empty where one of them has none.
  std::optional<std::uint64_t> erased_by(std::span<const Block16> refs) const;

 private:
  std::map<Block16, std::uint64_t> entries_;
};

// Whether the vault did what the trail says. Beside a running server the trail may be ahead of our reading of
// the vault, so nothing is wrong there.
void check_erasures(const ErasuresSeen& seen, std::string_view tenant, const VaultKeys& keys,
                    bool while_running, Problems& problems, std::vector<std::string>& notes);

}  // namespace vestige::verify
