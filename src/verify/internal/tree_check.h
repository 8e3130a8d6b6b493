// Builds a stream's tree leaf by leaf and holds against it whatever claims a root.
#pragma once

#include <string>
#include <vector>

#include "trail/format/manifest.h"
#include "trail/format/segment_format.h"
#include "trail/merkle/merkle.h"
#include "verify/internal/head_check.h"
#include "verify/internal/problems.h"
#include "verify/internal/segment_check.h"
#include "verify/internal/wal_check.h"

namespace vestige::verify {

// One stream's; fed with its segments in order, then with what the write-ahead log adds. `wal` is null where
// that log's entries are not known, for want of keys.
class TreeCheck {
 public:
  TreeCheck(const trail::StreamRecord& stream, const WalStream* wal, const std::vector<SignedRoot>& roots,
            Problems& problems);

  void add_segment(const trail::SegmentRecord& record, const SegmentOutcome& segment);
  // After the last segment. `wal_is_whole`: the log was read to its end, so nothing can follow.
  void finish(bool wal_is_whole, const std::string& last_wal_file, std::vector<std::string>& notes);

  std::uint64_t size() const { return size_; }
  Hash root() const { return tree_.root(); }

 private:
  void append(const Hash& leaf);
  void check_against_wal(const trail::SegmentRecord& record, const std::vector<Hash>& leaves);
  void check_tile_roots(const trail::SegmentRecord& record, const SegmentOutcome& segment);
  void judge(const SignedRoot& root, bool wal_is_whole, const std::string& last_wal_file,
             std::vector<std::string>& notes);

  const trail::StreamRecord& stream_;
  const WalStream* wal_;
  const std::vector<SignedRoot>& roots_;
  Problems& problems_;
  trail::Frontier tree_;
  std::vector<Hash> tiles_;  // completed by the segment that is being added
  std::uint64_t size_ = 0;   // of entries that are there; the tree ends earlier once a leaf is unknown
  std::vector<std::optional<Hash>> found_;  // the tree's root at each of roots_
  std::string last_received_;
  bool is_short_ = false;  // more was signed than is there; said once
};

}  // namespace vestige::verify
