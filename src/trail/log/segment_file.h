// Segments on disk: building one page after the other, and reading pages of a built or half-built one.
// Format: docs/formats/segment.md.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "platform/entropy.h"
#include "platform/files.h"
#include "trail/format/manifest.h"
#include "trail/format/segment_format.h"
#include "trail/key_wrapper.h"
#include "trail/log/page_index.h"

namespace vestige::trail {

// Of a file that is being written; nothing in it counts.
inline constexpr std::string_view temporary_ending = ".tmp";

// Pages of one file that can be read; immutable. Thread-safe. Shared by the views that hold it.
class PageRun {
 public:
  // `chunks` are consecutive rows of the segment's table, the first of them number `first_number`.
  PageRun(std::shared_ptr<platform::File> file, const Block16& file_id, const Key& key,
          std::shared_ptr<const Schema> schema, std::uint64_t segment_first, std::span<const ChunkRow> chunks,
          std::uint32_t first_number);

  // The same pages with what is known of them (null: nothing is).
  std::shared_ptr<const PageRun> with_index(std::shared_ptr<const PageIndex> index) const;
  const PageIndex* index() const { return index_.get(); }

  std::uint64_t first() const { return first_; }
  std::uint64_t end() const { return end_; }
  std::size_t pages() const { return pages_.size(); }
  // The page that holds an index of this run.
  std::size_t page_of(std::uint64_t index) const;
  std::uint64_t page_first(std::size_t page) const { return pages_[page].first; }
  std::uint64_t page_end(std::size_t page) const { return pages_[page].first + pages_[page].chunk.rows; }
  bool has_sections(std::size_t page) const { return pages_[page].sections.has_value(); }

  const Schema& schema() const { return *schema_; }
  // corrupt (with file, offset and index) where the chunk was changed. The page needs this run to live.
  Result<Page> read_page(std::size_t page) const;
  // Blobs of every row of a page; empty lists where it has none.
  Result<std::vector<std::vector<Bytes>>> read_sections(std::size_t page) const;

 private:
  struct PagePlace {
    std::uint64_t first;
    ChunkRow chunk;
    std::uint32_t number;
    std::optional<ChunkRow> sections;
    std::uint32_t sections_number = 0;
  };
  Result<Bytes> read_chunk(const PagePlace& place, const ChunkRow& chunk, std::uint32_t number) const;
  Error at_page(const PagePlace& place, const ChunkRow& chunk, Error error) const;

  std::shared_ptr<platform::File> file_;
  const Block16 file_id_;
  const Key key_;
  std::shared_ptr<const Schema> schema_;
  std::uint64_t first_ = 0;
  std::uint64_t end_ = 0;
  std::vector<PagePlace> pages_;
  std::shared_ptr<const PageIndex> index_;
};

// Builds one segment under the name "<first>.open". Not thread-safe. Nothing in it counts until close().
class SegmentWriter {
 public:
  static Result<std::unique_ptr<SegmentWriter>> create(platform::FileSystem& files, KeyWrapper& wrapper,
                                                       platform::Entropy& entropy, const Block16& data_id,
                                                       const std::string& directory,
                                                       const std::string& stream,
                                                       std::shared_ptr<const Schema> schema,
                                                       std::uint64_t first);
  // One page and its blobs (empty: none). `page_plain` is a PageEncoder's result. After a failure nothing
  // was added and the call may be repeated with the same bytes (the chunk's nonce is the same).
  Status add_page(std::uint32_t rows, ByteView page_plain, ByteView sections_plain);
  // The pages added since the last call, readable at once.
  std::shared_ptr<const PageRun> take_run();

  // Writes table and trailer, the hash file and the id run; syncs them; gives them their names; syncs the
  // directory. Then the files count as soon as a manifest lists them. May be repeated after a failure; but
  // once the sync of the pages failed it fails for good, because a second sync would succeed without them.
  Result<SegmentRecord> close(std::span<const Hash> leaves, std::span<const Hash> tile_roots,
                              std::span<const IdEntry> ids);
  // All pages so far.
  std::shared_ptr<const PageRun> whole_run() const;

  std::uint64_t first() const { return first_; }
  std::uint32_t rows() const { return rows_; }
  std::uint64_t bytes() const { return offset_; }

 private:
  SegmentWriter(platform::FileSystem& files, std::string directory, std::shared_ptr<const Schema> schema,
                std::uint64_t first, const Key& key);
  Result<ChunkRow> write_chunk(ChunkType type, std::uint32_t number, std::uint32_t rows, ByteView plain,
                               std::uint64_t offset);
  std::shared_ptr<const PageRun> run_from(std::size_t chunk) const;
  Result<FileDigest> write_beside(const std::string& path, ByteView content, const Hash& digest);

  platform::FileSystem& files_;
  const std::string directory_;
  const std::shared_ptr<const Schema> schema_;
  const std::uint64_t first_;
  const Key key_;
  crypto::Aead aead_;
  Block16 file_id_{};
  Hash header_hash_{};
  std::shared_ptr<platform::File> file_;
  std::vector<ChunkRow> chunks_;
  std::size_t taken_ = 0;
  bool pages_in_doubt_ = false;  // a sync failed
  std::uint32_t rows_ = 0;
  std::uint64_t offset_ = 0;
};

// Opens a file that the manifest lists: where it is missing, something was lost.
Result<std::unique_ptr<platform::File>> open_listed(platform::FileSystem& files, const std::string& path);

std::string open_segment_name(std::uint64_t first);
bool is_open_segment_name(std::string_view name);

// Opens a sealed segment and checks header, table and trailer against the manifest's digest.
Result<std::shared_ptr<const PageRun>> open_segment(platform::FileSystem& files, const KeyWrapper& wrapper,
                                                    const std::string& directory, const std::string& stream,
                                                    const SegmentRecord& record);

}  // namespace vestige::trail
