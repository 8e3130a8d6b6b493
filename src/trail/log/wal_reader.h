// Reads the chain of WAL frames and tells a torn tail from damage (docs/formats/wal.md, "Reading").
// Shared by recovery and by the verifier; without a wrapper it checks hashes and the chain only.
#pragma once

#include <functional>
#include <optional>

#include "platform/files.h"
#include "trail/format/wal_format.h"
#include "trail/key_wrapper.h"

namespace vestige::trail {

struct WalEnd {
  std::uint64_t next_sequence = 0;
  std::uint64_t last_generation = 0;
  bool clean = false;                    // the last frame is a clean end mark
  std::optional<EndMark> last_end_mark;  // the last one seen, with keys only
  std::vector<std::uint64_t> chain;      // generations that were read
  std::vector<std::uint64_t> attempts;   // roots of unfinished recoveries, and what follows them
  std::vector<std::uint64_t> stale;      // generations below the root
};

struct WalFrame {
  FrameHeader header;
  std::string file;
  std::uint64_t offset = 0;
};

// `on_group` gets each group in order; only with a wrapper. Errors it returns end the reading.
// corrupt names file and offset. `while_running`: another process appends; the end of the file being
// written is then never judged.
Result<WalEnd> read_wal(platform::FileSystem& files, const KeyWrapper* wrapper, const Block16& data_id,
                        std::uint64_t root_generation, bool while_running,
                        const std::function<Status(const WalFrame&, Bytes plain)>& on_group);

}  // namespace vestige::trail
