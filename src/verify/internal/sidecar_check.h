// A segment's sidecars. They are derived, so one that is missing is no fault; one that is there has to be
// whole and of this segment, because searches pass over what it says is not in a page. A personal one must
// have all that the sealed values of its pages are found by, and nothing of what an erasure took.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "seal/tokens.h"
#include "trail/format/manifest.h"
#include "trail/format/sidecar_format.h"
#include "verify/internal/problems.h"
#include "verify/internal/scope.h"

namespace vestige::verify {

void check_clear_sidecar(const Scope& scope, const std::string& path, const trail::SegmentRecord& record,
                         Problems& problems);

// One segment's personal sidecar, held against its pages as they are read. Not thread-safe.
class SealedSidecarCheck {
 public:
  // Checks container and chunks. `notes` gets a sentence where its key is gone.
  SealedSidecarCheck(const Scope& scope, std::string path, const trail::SegmentRecord& record,
                     Problems& problems, std::vector<std::string>& notes);
  // Whether take_page() has something to do.
  bool is_open() const { return !groups_.empty(); }
  // The next page; null where its sections could not all be read.
  void take_page(bool has_sections, const std::vector<seal::Token>* tokens);
  void finish();

 private:
  void wrong(std::uint64_t offset, std::string reason);
  Status open(const Scope& scope, ByteView bytes, const trail::SidecarHeader& header,
              std::vector<std::string>& notes);
  // Whether the page's bits of its tokens are all set; adds their number to the group's.
  bool has_all(std::size_t page, const std::vector<seal::Token>& tokens);

  const std::string path_;
  Problems& problems_;
  trail::SidecarFacts facts_;
  std::vector<Bytes> groups_;            // plain buckets
  std::vector<std::uint64_t> offsets_;   // of each group's first bucket in the file
  std::vector<std::uint64_t> expected_;  // bits of each group
  std::vector<bool> needed_;             // of one page, by row of its group
  std::size_t page_ = 0;
  bool complete_ = true;  // every page could be read
  bool settled_ = false;  // no erasure is waiting to be forgotten
  bool wrong_ = false;    // one problem is enough
};

}  // namespace vestige::verify
