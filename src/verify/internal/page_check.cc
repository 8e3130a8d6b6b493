#include "verify/internal/page_check.h"

#include <fmt/format.h>

#include "trail/merkle/merkle.h"

namespace vestige::verify {
namespace {

const std::vector<Bytes> no_blobs;

}  // namespace

PageCheck::PageCheck(VaultKeys& keys, const trail::StreamRecord& stream, const trail::SegmentRecord& record,
                     const trail::Schema& schema, const Expected& expected, const std::string& path,
                     SealedSidecarCheck& sidecar, Problems& problems)
    : stream_(stream),
      record_(record),
      schema_(schema),
      expected_(expected),
      path_(path),
      sidecar_(sidecar),
      problems_(problems),
      checker_(stream.tenant),
      sections_(keys, stream.full_name(), VaultReading::once),
      fingerprint_(keys.fingerprint_key(stream.tenant)) {
  ids_.reserve(trail::page_rows);
  if (sidecar.is_open()) sections_.collect_tokens(&tokens_);
}

void PageCheck::wrong(Part part, std::uint64_t index, const std::string& path, std::uint64_t offset,
                      std::string reason) {
  if (!page_is_wrong_) problems_.add_entry(part, stream_.number, index, path, offset, std::move(reason));
  page_is_wrong_ = true;
}

void PageCheck::check(const trail::ChunkRow& chunk, Bytes plain, bool has_sections,
                      const std::optional<Bytes>& sections) {
  page_is_wrong_ = false;
  tokens_.clear();
  const auto first = record_.first + chunk.first_row;
  auto page = trail::Page::decode(schema_, first, std::move(plain));
  auto ready = page ? page->load_rest() : std::unexpected(page.error());
  if (ready && page->rows() != chunk.rows)
    ready = fail(ErrorKind::corrupt, "the page has another number of entries than the segment's table says");
  if (!ready) {
    sidecar_.take_page(has_sections, nullptr);
    return wrong(Part::segment, first, path_, chunk.offset, ready.error().message);
  }

  std::vector<std::vector<Bytes>> blobs;
  if (sections) {
    auto decoded = trail::decode_sections(*sections, chunk.rows);
    if (!decoded) wrong(Part::segment, first, path_, chunk.offset + chunk.length, decoded.error().message);
    if (decoded) blobs = *std::move(decoded);
  }
  ids_.clear();
  for (std::uint32_t row = 0; row < chunk.rows; ++row) {
    const auto* of_row = blobs.empty() ? (has_sections ? nullptr : &no_blobs) : &blobs[row];
    check_row(chunk, *page, row, of_row);
  }
  check_fingerprints(chunk);
  const bool whole = !page_is_wrong_ && (!has_sections || sections);
  sidecar_.take_page(has_sections, whole ? &tokens_ : nullptr);
}

void PageCheck::check_row(const trail::ChunkRow& chunk, const trail::Page& page, std::uint32_t row,
                          const std::vector<Bytes>* blobs) {
  const auto index = record_.first + chunk.first_row + row;
  entry_.clear();
  page.append_entry(row, entry_);
  ++entries_;
  check_leaf(chunk, chunk.first_row + row, trail::leaf_hash(view(entry_)));
  EntryFacts facts;
  if (auto reason = checker_.check(entry_, facts)) {
    ids_.emplace_back();  // keeps the page's fingerprints in their rows; its mismatch is not reported twice
    return wrong(Part::segment, index, path_, chunk.offset, *std::move(reason));
  }
  ids_.push_back(facts.id.bytes);
  if (!page.salt_seed(row))
    wrong(
        Part::segment, index, path_, chunk.offset,
        "the entry's salt is not the one that the page's seed gives for this index: the entry is at another "
        "place than where it was written, or was changed");
  if (!received_.take(facts.received_at))
    wrong(Part::segment, index, path_, chunk.offset, "the entry was received before the one in front of it");
  if (blobs == nullptr) return;
  if (auto reason =
          sections_.check(facts, *blobs, {Part::segment, stream_.number, index, path_, chunk.offset}))
    wrong(Part::segment, index, path_, chunk.offset, *std::move(reason));
}

void PageCheck::check_leaf(const trail::ChunkRow& chunk, std::uint64_t offset, const Hash& leaf) {
  if (!expected_.hash_file_is_listed) leaves_.push_back(leaf);
  if (expected_.leaves.empty() || expected_.leaves[offset] == leaf) return;
  if (expected_.hash_file_is_listed)
    wrong(Part::segment, record_.first + offset, path_, chunk.offset,
          "the entry does not give the leaf hash that the hash file has for it");
  else
    wrong(Part::hashes, record_.first + offset, expected_.hashes_path,
          trail::hash_file_header_bytes + offset * sizeof(Hash), "the leaf hash is not that of the entry");
}

void PageCheck::check_fingerprints(const trail::ChunkRow& chunk) {
  if (expected_.fingerprints.empty()) return;
  outputs_.resize(ids_.size());
  fingerprint_.many({ids_.data()->data(), ids_.size() * sizeof(Block16)},
                    {outputs_.data()->data(), outputs_.size() * sizeof(Block16)});
  for (std::size_t row = 0; row < outputs_.size(); ++row) {
    const auto offset = chunk.first_row + row;
    if (load_le<std::uint64_t>(outputs_[row].data()) == expected_.fingerprints[offset]) continue;
    return wrong(Part::ids, record_.first + offset, expected_.ids_path, trail::id_header_bytes,
                 "the id run has another fingerprint than the entry's id gives");
  }
}

void PageCheck::finish(SegmentOutcome& out) {
  out.entries_checked = entries_;
  out.first_received = received_.first();
  out.last_received = received_.last();
  out.sections = sections_.tally();
  if (!expected_.hash_file_is_listed && entries_ == record_.end - record_.first)
    out.leaves = std::move(leaves_);
}

}  // namespace vestige::verify
