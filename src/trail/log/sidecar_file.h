// Sidecars on disk. Derived data: where one is missing or damaged the segment's pages are read instead, and
// it is built anew.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "platform/entropy.h"
#include "platform/files.h"
#include "trail/format/manifest.h"
#include "trail/format/sidecar_format.h"
#include "trail/key_wrapper.h"
#include "trail/log/page_index.h"
#include "trail/section_tokens.h"

namespace vestige::trail {

// What a sidecar says, decrypted.
struct SidecarContent {
  SidecarFacts facts;
  std::vector<Bytes> groups;  // plain buckets of each
};
SidecarContent sidecar_content(SidecarKind kind, std::span<const std::shared_ptr<const PageFacts>> pages);
// Says of one page of a sealed one what is found now.
void replace_page(SidecarContent& content, std::size_t page, const TokenSet& tokens);

// An open sidecar. What is read later is checked when it is read: mark() then gives corrupt.
class SidecarFile final : public TokenFilter {
 public:
  SidecarFile(std::unique_ptr<platform::File> file, const SidecarHeader& header, const Key& key,
              SidecarFacts facts);

  const Block16& id() const { return header_.file_id; }
  const SidecarFacts& facts() const { return facts_; }
  Status mark(std::span<const Token> any_of, const std::vector<bool>& asked,
              std::vector<bool>& found) const override;
  Result<SidecarContent> read_all() const;

 private:
  struct Place {
    std::uint64_t offset;  // of the group's first bucket
    std::uint32_t number;
  };
  Result<Bytes> read_bucket(std::size_t group, std::uint32_t bucket) const;

  const std::unique_ptr<platform::File> file_;
  const SidecarHeader header_;
  const Key key_;
  const SidecarFacts facts_;
  std::vector<Place> places_;
};

struct SidecarContext {
  platform::FileSystem& files;
  KeyWrapper& wrapper;
  SidecarKeys* keys;  // null: what is sealed is not indexed
  platform::Entropy& entropy;
  const Block16& data_id;
};

// Replaces the sidecar of a closed segment whole. Durable when it returns.
Status write_clear_sidecar(const SidecarContext& context, const std::string& directory,
                           const SegmentRecord& record, const SidecarContent& content);
// The same for what is sealed, under a new key that comes in when that of `old` is destroyed; docs/formats/
// sidecar.md has the order. After an error the one of before is there, or none that can be read.
Status write_sealed_sidecar(const SidecarContext& context, const std::string& directory,
                            const SegmentRecord& record, const SidecarContent& content,
                            const std::optional<Block16>& old, std::uint64_t generation);

// not_found where there is none, or its key is gone; corrupt where it is not that of this segment, or was
// changed.
Result<std::shared_ptr<const SidecarFile>> open_sidecar(const SidecarContext& context, SidecarKind kind,
                                                        const std::string& directory,
                                                        const SegmentRecord& record, std::size_t pages);
// The file's id, if there is a file with one.
std::optional<Block16> sidecar_id(platform::FileSystem& files, const std::string& directory,
                                  const SegmentRecord& record, SidecarKind kind);
// Both, as the index of the segment's pages; null where the clear one cannot be used.
std::shared_ptr<const PageIndex> open_sidecars(const SidecarContext& context, const std::string& directory,
                                               const SegmentRecord& record, std::size_t pages);

}  // namespace vestige::trail
