// One stream: its head in memory, its segments, its tree, its id index; and consistent views of them.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/strong.h"
#include "trail/format/manifest.h"
#include "trail/format/page.h"
#include "trail/log/id_index.h"
#include "trail/log/page_cache.h"
#include "trail/log/page_index.h"
#include "trail/log/segment_file.h"
#include "trail/log/submission.h"
#include "trail/merkle/merkle.h"

namespace vestige::trail {

// Leaf hashes and fingerprints of consecutive entries that are in no sealed segment yet.
struct LeafBlock {
  std::uint64_t first = 0;
  std::vector<Hash> leaves;  // reserved for block_rows, never reallocated
  std::vector<std::uint64_t> fingerprints;
};

// Entries as they were committed, not yet in pages. Written by the committer; whoever got the block from a
// view reads rows below the view's size only.
struct HeadBlock {
  struct Row {
    ByteView entry;
    std::uint32_t first_blob = 0;
    std::uint32_t blobs = 0;
  };
  std::uint64_t first = 0;
  std::vector<Row> rows;  // reserved for block_rows, never reallocated
  std::vector<std::vector<ByteView>> blobs_of_row_with_blobs;
  std::vector<std::shared_ptr<const KnownTokens>> tokens_of_row_with_blobs;  // the sealer's, once frozen
  std::vector<SeedRun> seeds;
  std::vector<std::shared_ptr<const Bytes>> owners;  // of the bytes the rows point into
  std::uint64_t bytes = 0;
  bool frozen = false;  // takes no more rows
};

struct SealedSegment {
  SegmentRecord record;
  std::shared_ptr<platform::File> hashes;
};

struct StreamView {
  std::vector<std::shared_ptr<const PageRun>> runs;            // 0 .. encoded
  std::vector<std::shared_ptr<const HeadBlock>> blocks;        // encoded .. size
  std::vector<std::shared_ptr<const SealedSegment>> segments;  // 0 .. sealed
  std::vector<std::shared_ptr<const LeafBlock>> leaves;        // sealed .. size
};

// Tells from a page's columns alone that a row cannot match. A row that passes may still not match.
struct RowTest {
  struct Text {
    std::string column;
    std::vector<std::string> any_of;  // as between the quotes of canonical JSON
    bool may_be_sealed = false;       // a row without the column passes when its page has sections
  };
  std::vector<Text> texts;
  std::string time_column;             // empty: no time test
  std::int64_t time_from = INT64_MIN;  // inclusive, ms
  std::int64_t time_to = INT64_MAX;    // exclusive
  struct Tokens {
    std::vector<Token> any_of;
    bool may_be_sealed = false;  // they may be those of sections instead
  };
  std::vector<Tokens> tokens;  // all of them; tell pages only, not rows
};

struct ScannedRow {
  std::uint64_t index;
  std::string_view entry;  // valid during the call
  std::function<Result<std::vector<Bytes>>()> blobs;
  bool may_have_sections = true;  // false: no row near it has, which saves looking for them
};

// What the columns of one page tell, for readers that need no more of it.
struct ScannedPage {
  const Page& page;
  const Schema& schema;
  bool has_sections;
  const std::vector<bool>& rows;  // those within the scan that pass its test

  std::optional<std::size_t> column(std::string_view name) const;
};

struct SidecarContext;
class Stream;

// The stream as of one moment; stays readable whatever happens meanwhile. Thread-safe to share.
class Snapshot {
 public:
  std::uint64_t size() const { return size_; }
  const Hash& root() const { return root_; }
  Result<Record> read(std::uint64_t index) const;  // not_found past the size
  Result<Hash> leaf(std::uint64_t index) const;
  enum class Order { ascending, descending };
  using RowVisitor = std::function<Result<bool>(const ScannedRow&)>;
  using PageVisitor = std::function<Result<bool>(const ScannedPage&)>;
  // Visits rows of [from, to) that pass the test until the visitor gives false. Where there is a
  // `by_columns`, it is shown each page before; if it gives true, it has done with the page and no row of it
  // is visited.
  Status scan(std::uint64_t from, std::uint64_t to, Order order, const RowTest& test, const RowVisitor& visit,
              const PageVisitor& by_columns = nullptr) const;
  // Proofs within trees up to this size.
  Result<Hash> root_at(std::uint64_t size) const;
  Result<std::vector<Hash>> inclusion(std::uint64_t index, std::uint64_t size) const;
  Result<std::vector<Hash>> consistency(std::uint64_t from, std::uint64_t to) const;
  // What stands for leaves [from, to) where they are left out; to <= size().
  Result<std::vector<Hash>> subtree_roots(std::uint64_t from, std::uint64_t to) const;
  // Hashes of one tile, `width` of them; not_found where the tree of this size has none.
  Result<std::vector<Hash>> tile(unsigned level, std::uint64_t number, unsigned width) const;

 private:
  friend class Stream;
  Snapshot(const Stream* stream, std::shared_ptr<const StreamView> view, std::uint64_t size, const Hash& root)
      : stream_(stream), view_(std::move(view)), size_(size), root_(root) {}
  Result<std::vector<Hash>> leaves(std::uint64_t first, std::uint64_t count) const;
  Result<Hash> node(unsigned level, std::uint64_t i) const;
  Status scan_run(const PageRun& run, std::uint64_t from, std::uint64_t to, Order order, const RowTest& test,
                  const RowVisitor& visit, const PageVisitor& by_columns, bool& more) const;
  Status scan_block(const HeadBlock& block, std::uint64_t from, std::uint64_t to, Order order,
                    const RowVisitor& visit, bool& more) const;

  const Stream* stream_;
  std::shared_ptr<const StreamView> view_;
  std::uint64_t size_;
  Hash root_;
};

// Owner: Log. The committer adds, the sealer replaces blocks by runs and runs by segments, everybody else
// takes snapshots.
class Stream {
 public:
  Stream(StreamRecord record, PageCache& cache);
  ~Stream();

  const std::string& tenant() const { return tenant_; }
  const std::string& name() const { return name_; }
  std::string full_name() const { return tenant_ + "/" + name_; }
  std::string directory() const { return "streams/" + full_name(); }
  std::uint8_t number() const { return number_; }
  bool proofs() const { return proofs_; }

  Snapshot snapshot() const;
  std::uint64_t size() const;
  const IdIndex& ids() const { return ids_; }

  // --- committer
  struct NewRow {
    std::uint64_t fingerprint;
    ByteView entry;
    std::vector<ByteView> blobs;
    Hash leaf;
    std::shared_ptr<const KnownTokens> tokens{};  // of the blobs, where they are known
  };
  // Publishes durable rows; `owner` holds their bytes. Seed runs cover them.
  void append(std::span<const NewRow> rows, std::span<const SeedRun> seeds,
              std::shared_ptr<const Bytes> owner);
  // Ends the current block so that it can be sealed although it is not full.
  void freeze_block();

  // --- sealer
  // The oldest block that takes no more rows.
  std::shared_ptr<const HeadBlock> sealable_block() const;
  void replace_block(const std::shared_ptr<const HeadBlock>& block, std::shared_ptr<const PageRun> run);
  // Everything that closing a segment [sealed, end) needs.
  struct SealInput {
    std::vector<Hash> leaves;
    std::vector<Hash> tile_roots;
    std::vector<IdEntry> ids;    // sorted
    std::vector<Hash> frontier;  // of size `end`
  };
  Result<SealInput> seal_input(std::uint64_t end) const;
  Status replace_runs(platform::FileSystem& files, const SegmentRecord& record, std::vector<Hash> frontier,
                      std::shared_ptr<const PageRun> whole);
  struct ClosedSegment {
    SegmentRecord record;
    std::shared_ptr<const PageRun> run;
  };
  // Counted from the first; empty past the last.
  std::optional<ClosedSegment> closed_segment(std::size_t number) const;
  // Pages of the segment under construction, in order.
  std::vector<std::shared_ptr<const PageRun>> open_runs() const;
  // Puts a run of the same pages, with another index, in its place.
  void replace_run(const std::shared_ptr<const PageRun>& run, const std::shared_ptr<const PageRun>& indexed);

  // --- recovery
  // Loads a sealed segment of the manifest, in order; with its sidecars where good ones are there and
  // `use_sidecars` is set.
  Status load_segment(const SidecarContext& context, const SegmentRecord& record, bool use_sidecars);
  // After the last: the tree must give the manifest's frontier.
  Status check_frontier(const StreamRecord& record, const std::string& manifest_file);

  StreamRecord record() const;  // for the manifest
  std::uint64_t sealed_size() const;
  std::uint64_t head_bytes() const;

 private:
  friend class Snapshot;
  Hash stored_node(unsigned level, std::uint64_t i) const;
  std::shared_ptr<const StreamView> view() const;

  const std::string tenant_;
  const std::string name_;
  const std::uint8_t number_;
  const bool proofs_;
  IdIndex ids_;
  PageCache& cache_;

  mutable Mutex mutex_;
  std::shared_ptr<const StreamView> view_ GUARDED_BY(mutex_);
  std::shared_ptr<HeadBlock> block_ GUARDED_BY(mutex_);       // the last of view_->blocks, being filled
  std::shared_ptr<LeafBlock> leaf_block_ GUARDED_BY(mutex_);  // beside it
  GrowingTree tree_ GUARDED_BY(mutex_);
  Hash root_ GUARDED_BY(mutex_){};
  std::vector<SegmentRecord> segments_ GUARDED_BY(mutex_);
  std::vector<Hash> sealed_frontier_ GUARDED_BY(mutex_);
  std::uint64_t head_bytes_ GUARDED_BY(mutex_) = 0;
};

}  // namespace vestige::trail
