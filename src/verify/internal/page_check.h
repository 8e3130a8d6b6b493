// Decodes the pages of one segment and recomputes everything that follows from their entries.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "crypto/aead.h"
#include "trail/format/page.h"
#include "trail/format/segment_format.h"
#include "verify/internal/entry_check.h"
#include "verify/internal/problems.h"
#include "verify/internal/scope.h"
#include "verify/internal/sections.h"
#include "verify/internal/segment_check.h"
#include "verify/internal/sidecar_check.h"

namespace vestige::verify {

// What the files beside the segment say of its entries; empty lists where they say nothing that can be used.
struct Expected {
  std::vector<Hash> leaves;
  bool hash_file_is_listed = false;  // it is the one that the manifest lists
  std::string hashes_path;
  std::vector<std::uint64_t> fingerprints;
  std::string ids_path;
};

// One segment's, page after page. Not thread-safe.
class PageCheck {
 public:
  PageCheck(VaultKeys& keys, const trail::StreamRecord& stream, const trail::SegmentRecord& record,
            const trail::Schema& schema, const Expected& expected, const std::string& path,
            SealedSidecarCheck& sidecar, Problems& problems);
  // `sections` is empty although there `has_sections` where that chunk is damaged.
  void check(const trail::ChunkRow& chunk, Bytes plain, bool has_sections,
             const std::optional<Bytes>& sections);
  // Moves what was found to the outcome.
  void finish(SegmentOutcome& out);

 private:
  void check_row(const trail::ChunkRow& chunk, const trail::Page& page, std::uint32_t row,
                 const std::vector<Bytes>* blobs);
  void check_leaf(const trail::ChunkRow& chunk, std::uint64_t offset, const Hash& leaf);
  void check_fingerprints(const trail::ChunkRow& chunk);
  // One problem a page is enough: the first.
  void wrong(Part part, std::uint64_t index, const std::string& path, std::uint64_t offset,
             std::string reason);

  const trail::StreamRecord& stream_;
  const trail::SegmentRecord& record_;
  const trail::Schema& schema_;
  const Expected& expected_;
  const std::string& path_;
  SealedSidecarCheck& sidecar_;
  Problems& problems_;
  EntryChecker checker_;
  ReceivedOrder received_;
  SectionChecker sections_;
  crypto::BlockPrf fingerprint_;
  bool page_is_wrong_ = false;
  std::vector<seal::Token> tokens_;  // of the page's sections, where a sidecar is there to be checked
  std::uint64_t entries_ = 0;
  std::vector<Hash> leaves_;  // kept where the hash file cannot be used
  std::string entry_;
  std::vector<Block16> ids_, outputs_;  // of one page
};

}  // namespace vestige::verify
