#include "verify/internal/tree_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace vestige::verify {

TreeCheck::TreeCheck(const trail::StreamRecord& stream, const WalStream* wal,
                     const std::vector<SignedRoot>& roots, Problems& problems)
    : stream_(stream), wal_(wal), roots_(roots), problems_(problems), found_(roots.size()) {
  for (std::size_t i = 0; i < roots_.size(); ++i)
    if (roots_[i].size == 0) found_[i] = tree_.root();
}

void TreeCheck::append(const Hash& leaf) {
  tree_.append(leaf, [this](unsigned level, const Hash& node) {
    if (level == trail::tile_height) tiles_.push_back(node);
  });
  for (std::size_t i = 0; i < roots_.size(); ++i)
    if (roots_[i].size == tree_.size()) found_[i] = tree_.root();
}

// The log and the segment brought the same entries.
void TreeCheck::check_against_wal(const trail::SegmentRecord& record, const std::vector<Hash>& leaves) {
  if (wal_ == nullptr) return;
  const auto from = std::max(record.first, wal_->first);
  const auto to = std::min(record.end, wal_->end());
  for (auto index = from; index < to; ++index) {
    if (wal_->leaves[index - wal_->first] == leaves[index - record.first]) continue;
    const auto place = place_of(*wal_, index);
    return problems_.add_entry(
        Part::wal, stream_.number, index, place.file, place.offset,
        "the write-ahead log has another entry here than the segment that it went into");
  }
}

void TreeCheck::check_tile_roots(const trail::SegmentRecord& record, const SegmentOutcome& segment) {
  if (!segment.has_tile_roots) return;
  for (std::size_t i = 0; i < tiles_.size() && i < segment.tile_roots.size(); ++i) {
    if (tiles_[i] == segment.tile_roots[i]) continue;
    const auto offset = trail::hash_file_header_bytes + (record.end - record.first + i) * sizeof(Hash);
    return problems_.add(
        Part::hashes,
        platform::join(stream_directory(stream_),
                       trail::range_file_name(record.first, record.end, trail::hashes_ending)),
        offset, fmt::format("tile root {} is not that of its leaves", record.first / trail::tile_leaves + i));
  }
}

void TreeCheck::add_segment(const trail::SegmentRecord& record, const SegmentOutcome& segment) {
  if (!last_received_.empty() && !segment.first_received.empty() && segment.first_received < last_received_)
    problems_.add_entry(
        Part::segment, stream_.number, record.first,
        platform::join(stream_directory(stream_),
                       trail::range_file_name(record.first, record.end, trail::segment_ending)),
        trail::segment_header_bytes, "the entry was received before the one in front of it");
  if (!segment.last_received.empty()) last_received_ = segment.last_received;
  size_ = record.end;
  if (segment.leaves.empty()) return;
  check_against_wal(record, segment.leaves);
  if (tree_.size() != record.first) return;
  tiles_.clear();
  for (const auto& leaf : segment.leaves) append(leaf);
  check_tile_roots(record, segment);
}

void TreeCheck::judge(const SignedRoot& root, bool wal_is_whole, const std::string& last_wal_file,
                      std::vector<std::string>& notes) {
  const auto found = found_[static_cast<std::size_t>(&root - roots_.data())];
  if (found && *found != root.root)
    return problems_.add(
        root.part, root.file, root.offset,
        fmt::format("at size {} the log {} has another root than the one that was signed: entries "
                    "were changed, added or removed",
                    root.size, stream_.full_name()));
  if (found) return;
  if (tree_.size() < size_)
    notes.push_back(fmt::format("{} could not be held against the tree: leaves from {} on are not known.",
                                root.file, tree_.size()));
  else if (wal_ == nullptr)
    notes.push_back(
        fmt::format("{} is of {} entries, and {} are in segments: without keys those in the write-ahead "
                    "log cannot be read, so its root was not checked.",
                    root.file, root.size, size_));
  else if (wal_is_whole && !std::exchange(is_short_, true))
    problems_.add_entry(
        Part::wal, stream_.number, size_, last_wal_file, 0,
        fmt::format("{} entries of {} were signed, and {} are there", root.size, stream_.full_name(), size_));
}

void TreeCheck::finish(bool wal_is_whole, const std::string& last_wal_file, std::vector<std::string>& notes) {
  if (tree_.size() == stream_.sealed_size && tree_.nodes() != stream_.frontier)
    problems_.add(Part::manifest, std::string(trail::manifest_name), 0,
                  fmt::format("the leaves of {} do not give the frontier that the manifest names",
                              stream_.full_name()));
  if (wal_ != nullptr && wal_->end() > size_) {
    if (!last_received_.empty() && !wal_->first_received.empty() && wal_->first_received < last_received_) {
      const auto place = place_of(*wal_, size_);
      problems_.add_entry(Part::wal, stream_.number, size_, place.file, place.offset,
                          "the entry was received before the one in front of it");
    }
    if (tree_.size() == size_)
      for (auto index = size_; index < wal_->end(); ++index) append(wal_->leaves[index - wal_->first]);
    size_ = wal_->end();
  }
  for (const auto& root : roots_) judge(root, wal_is_whole, last_wal_file, notes);
}

}  // namespace vestige::verify
