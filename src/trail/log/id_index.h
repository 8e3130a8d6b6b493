// "Was this id seen before, and where?" Format of runs: docs/formats/ids.md.
// Owner: Stream. Thread-safe. Everything in it can be rebuilt from the entries.
#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "platform/files.h"
#include "trail/format/manifest.h"
#include "trail/format/segment_format.h"

namespace vestige::trail {

class IdIndex {
 public:
  IdIndex();
  ~IdIndex();

  // An entry that is in no run yet. Indexes grow.
  void add(std::uint64_t fingerprint, std::uint64_t index);
  // Takes a run over that covers the entries below its end; entries added for them are dropped.
  Status add_run(platform::FileSystem& files, const std::string& path, const SegmentRecord& record);

  // Indexes of all entries with this fingerprint, ascending; almost always none or one.
  Result<std::vector<std::uint64_t>> find(std::uint64_t fingerprint) const;

  struct Figures {
    std::uint64_t in_memory;
    std::uint64_t in_runs;
    std::uint64_t filter_bytes;
  };
  Figures figures() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vestige::trail
