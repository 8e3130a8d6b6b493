// Which entry tells of the end of a ref's key. Filled from the trail at start and by each erasure.
//
// Owner: app, one per stream. Thread-safe. About 60 bytes an erasure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "base/bytes.h"
#include "base/mutex.h"

namespace vestige::audit {

class ErasureIndex {
 public:
  void add(const Block16& ref, std::uint64_t outcome) {
    const Lock lock(mutex_);
    outcomes_.try_emplace(ref, outcome);
  }
  // The index of the entry ERASED that names the ref.
  std::optional<std::uint64_t> outcome_of(const Block16& ref) const {
    const Lock lock(mutex_);
    const auto found = outcomes_.find(ref);
    return found == outcomes_.end() ? std::nullopt : std::optional(found->second);
  }

 private:
  mutable Mutex mutex_;
  std::map<Block16, std::uint64_t> outcomes_ GUARDED_BY(mutex_);
};

}  // namespace vestige::audit
