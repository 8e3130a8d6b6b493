#include "trail/log/stream.h"

#include <fmt/format.h>

#include <bit>

#include "base/check.h"
#include "crypto/digest.h"
#include "trail/log/sidecar_file.h"

namespace vestige::trail {
namespace {

std::shared_ptr<LeafBlock> make_leaf_block(std::uint64_t first) {
  auto block = std::make_shared<LeafBlock>();
  block->first = first;
  block->leaves.reserve(block_rows);
  block->fingerprints.reserve(block_rows);
  return block;
}

std::shared_ptr<HeadBlock> make_head_block(std::uint64_t first) {
  auto block = std::make_shared<HeadBlock>();
  block->first = first;
  block->rows.reserve(block_rows);
  block->blobs_of_row_with_blobs.reserve(block_rows);
  block->tokens_of_row_with_blobs.reserve(block_rows);
  return block;
}

std::string path_in(const std::string& directory, const SegmentRecord& record, std::string_view ending) {
  return platform::join(directory, range_file_name(record.first, record.end, ending));
}

}  // namespace

Stream::Stream(StreamRecord record, PageCache& cache)
    : tenant_(std::move(record.tenant)),
      name_(std::move(record.name)),
      number_(record.number),
      proofs_(record.proofs),
      cache_(cache),
      view_(std::make_shared<StreamView>()),
      root_(empty_root()) {}

Stream::~Stream() = default;

std::shared_ptr<const StreamView> Stream::view() const {
  Lock lock(mutex_);
  return view_;
}

Snapshot Stream::snapshot() const {
  Lock lock(mutex_);
  return Snapshot(this, view_, tree_.size(), root_);
}

std::uint64_t Stream::size() const {
  Lock lock(mutex_);
  return tree_.size();
}

std::uint64_t Stream::sealed_size() const {
  Lock lock(mutex_);
  return segments_.empty() ? 0 : segments_.back().end;
}

std::uint64_t Stream::head_bytes() const {
  Lock lock(mutex_);
  return head_bytes_;
}

StreamRecord Stream::record() const {
  Lock lock(mutex_);
  return StreamRecord{.number = number_,
                      .tenant = tenant_,
                      .name = name_,
                      .proofs = proofs_,
                      .sealed_size = segments_.empty() ? 0 : segments_.back().end,
                      .frontier = sealed_frontier_,
                      .segments = segments_};
}

// -------------------------------------------------------------------------------------- committer

void Stream::append(std::span<const NewRow> rows, std::span<const SeedRun> seeds,
                    std::shared_ptr<const Bytes> owner) {
  // Ids first: whoever sees the new size finds them.
  auto index = size();
  for (const auto& row : rows) ids_.add(row.fingerprint, index++);

  Lock lock(mutex_);
  auto seed = seeds.begin();
  std::uint32_t seed_used = 0;
  for (const auto& row : rows) {
    if (!block_ || block_->frozen) {
      block_ = make_head_block(tree_.size());
      leaf_block_ = make_leaf_block(tree_.size());
      auto next = std::make_shared<StreamView>(*view_);
      next->blocks.push_back(block_);
      next->leaves.push_back(leaf_block_);
      view_ = std::move(next);
    }
    HeadBlock& block = *block_;
    if (block.owners.empty() || block.owners.back() != owner) block.owners.push_back(owner);
    HeadBlock::Row head{row.entry, static_cast<std::uint32_t>(block.blobs_of_row_with_blobs.size()),
                        static_cast<std::uint32_t>(row.blobs.size())};
    if (!row.blobs.empty()) {
      block.blobs_of_row_with_blobs.push_back(row.blobs);
      block.tokens_of_row_with_blobs.push_back(row.tokens);
    }
    block.rows.push_back(head);
    if (seed_used == seed->count) ++seed, seed_used = 0;
    ++seed_used;
    if (block.seeds.empty() || block.seeds.back().seed != seed->seed) block.seeds.push_back({0, seed->seed});
    ++block.seeds.back().count;
    std::uint64_t bytes = row.entry.size();
    for (const auto blob : row.blobs) bytes += blob.size();
    if (row.tokens) bytes += row.tokens->tokens.size() * sizeof(Token);
    block.bytes += bytes;
    head_bytes_ += bytes;

    leaf_block_->leaves.push_back(row.leaf);
    leaf_block_->fingerprints.push_back(row.fingerprint);
    tree_.append(row.leaf);
    if (block.rows.size() == block_rows) block.frozen = true;
  }
  root_ = tree_.frontier().root();
}

void Stream::freeze_block() {
  Lock lock(mutex_);
  if (block_ && !block_->rows.empty()) block_->frozen = true;
}

// ----------------------------------------------------------------------------------------- sealer

std::shared_ptr<const HeadBlock> Stream::sealable_block() const {
  Lock lock(mutex_);
  if (view_->blocks.empty() || !view_->blocks.front()->frozen) return nullptr;
  return view_->blocks.front();
}

void Stream::replace_block(const std::shared_ptr<const HeadBlock>& block,
                           std::shared_ptr<const PageRun> run) {
  Lock lock(mutex_);
  CHECK(!view_->blocks.empty() && view_->blocks.front() == block);
  auto next = std::make_shared<StreamView>(*view_);
  next->blocks.erase(next->blocks.begin());
  next->runs.push_back(std::move(run));
  view_ = std::move(next);
  head_bytes_ -= block->bytes;
}

Result<Stream::SealInput> Stream::seal_input(std::uint64_t end) const {
  const auto now = snapshot();
  const auto first = sealed_size();
  SealInput input;
  VESTIGE_TRY(input.leaves, now.leaves(first, end - first));
  const auto& blocks = now.view_->leaves;
  for (std::size_t i = 0; i < blocks.size() && blocks[i]->first < end; ++i) {
    const auto block_end = std::min(end, i + 1 < blocks.size() ? blocks[i + 1]->first : now.size());
    for (auto index = blocks[i]->first; index < block_end; ++index)
      input.ids.push_back({blocks[i]->fingerprints.data()[index - blocks[i]->first],
                           static_cast<std::uint32_t>(index - first)});
  }
  std::ranges::sort(input.ids);
  for (auto tile = first / tile_leaves; tile < end / tile_leaves; ++tile) {
    input.tile_roots.push_back(stored_node(tile_height, tile));
  }
  for (std::uint64_t done = 0; done < end;) {
    const auto size = std::bit_floor(end - done);
    const auto level = static_cast<unsigned>(std::countr_zero(size));
    VESTIGE_TRY(const auto root, now.node(level, done >> level));
    input.frontier.push_back(root);
    done += size;
  }
  return input;
}

Status Stream::replace_runs(platform::FileSystem& files, const SegmentRecord& record,
                            std::vector<Hash> frontier, std::shared_ptr<const PageRun> whole) {
  const auto hashes_path = path_in(directory(), record, hashes_ending);
  auto sealed = std::make_shared<SealedSegment>();
  sealed->record = record;
  VESTIGE_TRY(sealed->hashes, files.open_read_only(hashes_path));
  VESTIGE_CHECKED(ids_.add_run(files, path_in(directory(), record, ids_ending), record));

  Lock lock(mutex_);
  auto next = std::make_shared<StreamView>(*view_);
  std::erase_if(next->runs,
                [&](const auto& run) { return run->first() >= record.first && run->end() <= record.end; });
  const auto place =
      std::ranges::find_if(next->runs, [&](const auto& run) { return run->first() >= record.end; });
  next->runs.insert(place, std::move(whole));
  std::erase_if(next->leaves, [&](const auto& block) { return block->first < record.end; });
  next->segments.push_back(std::move(sealed));
  view_ = std::move(next);
  segments_.push_back(record);
  sealed_frontier_ = std::move(frontier);
  return {};
}

// --------------------------------------------------------------------------------------- recovery

std::optional<Stream::ClosedSegment> Stream::closed_segment(std::size_t number) const {
  const Lock lock(mutex_);
  if (number >= view_->segments.size()) return std::nullopt;
  return ClosedSegment{view_->segments[number]->record, view_->runs[number]};
}

std::vector<std::shared_ptr<const PageRun>> Stream::open_runs() const {
  const auto now = view();
  return {now->runs.begin() + static_cast<std::ptrdiff_t>(now->segments.size()), now->runs.end()};
}

void Stream::replace_run(const std::shared_ptr<const PageRun>& run,
                         const std::shared_ptr<const PageRun>& indexed) {
  Lock lock(mutex_);
  auto next = std::make_shared<StreamView>(*view_);
  std::ranges::replace(next->runs, run, indexed);
  view_ = std::move(next);
}

Status Stream::load_segment(const SidecarContext& context, const SegmentRecord& record, bool use_sidecars) {
  auto& files = context.files;
  VESTIGE_TRY(auto run, open_segment(files, context.wrapper, directory(), full_name(), record));
  // One that is missing or damaged is built anew, so it is not what is wrong with a data directory.
  if (use_sidecars) run = run->with_index(open_sidecars(context, directory(), record, run->pages()));
  VESTIGE_CHECKED(ids_.add_run(files, path_in(directory(), record, ids_ending), record));
  const auto path = path_in(directory(), record, hashes_ending);
  auto sealed = std::make_shared<SealedSegment>();
  sealed->record = record;
  VESTIGE_TRY(sealed->hashes, open_listed(files, path));
  VESTIGE_TRY(const auto bytes, platform::read_file(files, path, record.hashes.bytes));
  const auto hashes = decode_hash_file(bytes);
  if (!hashes)
    return corrupt(path, hashes.error().where ? hashes.error().where->offset : 0,
                   fmt::format("{}: {}", files.describe(path), hashes.error().message));
  if (!std::ranges::equal(ByteView(bytes).last(32), record.hashes.digest) || hashes->first != record.first ||
      hashes->end != record.end)
    return corrupt(path, 0,
                   fmt::format("{} is not the hash file that the manifest lists", files.describe(path)));

  Lock lock(mutex_);
  CHECK(tree_.size() == record.first);
  for (const auto& leaf : hashes->leaves) tree_.append(leaf);
  root_ = tree_.frontier().root();
  auto next = std::make_shared<StreamView>(*view_);
  next->runs.push_back(std::move(run));
  next->segments.push_back(std::move(sealed));
  view_ = std::move(next);
  segments_.push_back(record);
  return {};
}

Status Stream::check_frontier(const StreamRecord& record, const std::string& manifest_file) {
  Lock lock(mutex_);
  if (tree_.size() != record.sealed_size || tree_.frontier().nodes() != record.frontier)
    return corrupt(
        manifest_file, 0,
        fmt::format("the hash files of {} give another tree than the manifest: one of them was replaced",
                    full_name()));
  sealed_frontier_ = record.frontier;
  return {};
}

Hash Stream::stored_node(unsigned level, std::uint64_t i) const {
  Lock lock(mutex_);
  return tree_.node(level, i);
}

// --------------------------------------------------------------------------------------- snapshot

Result<std::vector<Hash>> Snapshot::leaves(std::uint64_t first, std::uint64_t count) const {
  std::vector<Hash> out;
  out.reserve(count);
  for (auto index = first; index < first + count;) {
    const auto& segments = view_->segments;
    if (!segments.empty() && index < segments.back()->record.end) {
      const auto after =
          std::ranges::upper_bound(segments, index, {}, [](const auto& s) { return s->record.first; });
      const auto& segment = **(after - 1);
      const auto take = std::min(first + count, segment.record.end) - index;
      const auto start = out.size();
      out.resize(start + take);
      VESTIGE_CHECKED(
          segment.hashes->read(hash_file_header_bytes + (index - segment.record.first) * sizeof(Hash),
                               {out[start].data(), take * sizeof(Hash)}));
      index += take;
      continue;
    }
    const auto& blocks = view_->leaves;
    const auto after = std::ranges::upper_bound(blocks, index, {}, [](const auto& b) { return b->first; });
    CHECK(after != blocks.begin() && index < size_);
    const auto end = after == blocks.end() ? size_ : (*after)->first;
    const auto& block = **(after - 1);
    for (; index < std::min(first + count, end); ++index)
      out.push_back(block.leaves.data()[index - block.first]);
  }
  return out;
}

Result<Hash> Snapshot::leaf(std::uint64_t index) const {
  if (index >= size_) return fail(ErrorKind::not_found, fmt::format("there is no entry {}", index));
  VESTIGE_TRY(const auto found, leaves(index, 1));
  return found.front();
}

namespace {

// Proof functions cannot fail in the middle; a node that could not be read is remembered and wins.
class Nodes {
 public:
  explicit Nodes(std::function<Result<Hash>(unsigned, std::uint64_t)> read) : read_(std::move(read)) {}
  NodeSource source() {
    return [this](unsigned level, std::uint64_t i) {
      auto node = read_(level, i);
      if (node) return *node;
      if (status_) status_ = std::unexpected(std::move(node).error());
      return Hash{};
    };
  }
  template <typename T>
  Result<T> finish(T value) {
    if (!status_) return std::unexpected(std::move(status_).error());
    return value;
  }

 private:
  std::function<Result<Hash>(unsigned, std::uint64_t)> read_;
  Status status_;
};

}  // namespace

Result<Hash> Snapshot::root_at(std::uint64_t size) const {
  if (size == size_) return root_;
  CHECK(size < size_);
  Nodes nodes([this](unsigned level, std::uint64_t i) { return node(level, i); });
  return nodes.finish(trail::root_at(size, nodes.source()));
}

Result<Hash> Snapshot::node(unsigned level, std::uint64_t i) const {
  if (level >= tile_height) return stream_->stored_node(level, i);
  VESTIGE_TRY(const auto found, leaves(i << level, std::uint64_t{1} << level));
  return combine(found);
}

Result<std::vector<Hash>> Snapshot::inclusion(std::uint64_t index, std::uint64_t size) const {
  CHECK(index < size && size <= size_);
  Nodes nodes([this](unsigned level, std::uint64_t i) { return node(level, i); });
  return nodes.finish(inclusion_path(index, size, nodes.source()));
}

Result<std::vector<Hash>> Snapshot::consistency(std::uint64_t from, std::uint64_t to) const {
  CHECK(from <= to && to <= size_);
  Nodes nodes([this](unsigned level, std::uint64_t i) { return node(level, i); });
  return nodes.finish(consistency_path(from, to, nodes.source()));
}

Result<std::vector<Hash>> Snapshot::subtree_roots(std::uint64_t from, std::uint64_t to) const {
  CHECK(to <= size_);
  Nodes nodes([this](unsigned level, std::uint64_t i) { return node(level, i); });
  return nodes.finish(trail::subtree_roots(from, to, nodes.source()));
}

Result<std::vector<Hash>> Snapshot::tile(unsigned level, std::uint64_t number, unsigned width) const {
  const auto shift = level * tile_height;
  const auto nodes_there = shift >= 64 ? 0 : size_ >> shift;
  if (number > nodes_there / tile_leaves || number * tile_leaves + width > nodes_there)
    return fail(ErrorKind::not_found, "the tree has no such tile yet");
  const auto first = number * tile_leaves;
  if (level == 0) return leaves(first, width);
  std::vector<Hash> out;
  for (std::uint64_t i = first; i < first + width; ++i) out.push_back(stream_->stored_node(shift, i));
  return out;
}

Result<Record> Snapshot::read(std::uint64_t index) const {
  if (index >= size_) return fail(ErrorKind::not_found, fmt::format("there is no entry {}", index));
  Record record;
  const auto& runs = view_->runs;
  if (!runs.empty() && index < runs.back()->end()) {
    const auto after =
        std::ranges::upper_bound(runs, index, {}, [](const auto& run) { return run->first(); });
    const auto& run = *(after - 1);
    const auto number = run->page_of(index);
    VESTIGE_TRY(const auto page, stream_->cache_.get(run, number));
    page->append_entry(static_cast<std::uint32_t>(index - page->first()), record.entry);
    if (run->has_sections(number)) {
      VESTIGE_TRY(auto sections, run->read_sections(number));
      record.blobs = std::move(sections[index - page->first()]);
    }
    return record;
  }
  const auto& blocks = view_->blocks;
  const auto after =
      std::ranges::upper_bound(blocks, index, {}, [](const auto& block) { return block->first; });
  CHECK(after != blocks.begin());
  const auto& block = **(after - 1);
  const auto& row = block.rows.data()[index - block.first];
  record.entry = text(row.entry);
  if (row.blobs > 0)
    for (const auto blob : block.blobs_of_row_with_blobs.data()[row.first_blob])
      record.blobs.emplace_back(blob.begin(), blob.end());
  return record;
}

namespace {

std::optional<std::size_t> column_of(const Schema& schema, std::string_view name) {
  const auto found = std::ranges::find(schema, name, &Column::name);
  if (found == schema.end()) return std::nullopt;
  return static_cast<std::size_t>(found - schema.begin());
}

// The columns of a run that a test asks about.
struct BoundTest {
  struct Text {
    const RowTest::Text* wanted;
    std::optional<std::size_t> column;
  };
  std::vector<Text> texts;
  std::optional<std::size_t> time_column;
  bool complete = true;  // the run has all of them
};

BoundTest bind(const RowTest& test, const Schema& schema) {
  BoundTest bound;
  for (const auto& text : test.texts) bound.texts.push_back({&text, column_of(schema, text.column)});
  if (!test.time_column.empty()) bound.time_column = column_of(schema, test.time_column);
  bound.complete = (test.time_column.empty() || bound.time_column) &&
                   std::ranges::all_of(bound.texts, [](const auto& text) { return text.column.has_value(); });
  return bound;
}

// Rows of the page that may match, as flags.
void mark_rows(const BoundTest& bound, const RowTest& test, const Page& page, bool has_sections,
               std::vector<bool>& keep) {
  keep.assign(page.rows(), true);
  for (const auto& [wanted, column] : bound.texts) {
    if (!column) continue;  // the member is in the rest of every row
    const auto& text = page.text(*column);
    std::vector<bool> value_matches(text.values.size());
    for (std::size_t i = 0; i < text.values.size(); ++i)
      value_matches[i] = std::ranges::find(wanted->any_of, text.values[i]) != wanted->any_of.end();
    const bool absent_matches = wanted->may_be_sealed && has_sections;
    for (std::uint32_t row = 0; row < page.rows(); ++row)
      keep[row] = keep[row] && (text.rows[row] == TextColumn::absent ? absent_matches
                                                                     : bool{value_matches[text.rows[row]]});
  }
  if (!bound.time_column) return;
  const auto& times = page.times(*bound.time_column);
  for (std::uint32_t row = 0; row < page.rows(); ++row)
    keep[row] =
        keep[row] && (times[row] == INT64_MIN || (times[row] >= test.time_from && times[row] < test.time_to));
}

// Takes the flags of rows outside [from, to).
void cut(const Page& page, std::uint64_t from, std::uint64_t to, std::vector<bool>& keep) {
  for (std::uint32_t row = 0; row < page.rows(); ++row)
    keep[row] = keep[row] && page.first() + row >= from && page.first() + row < to;
}

}  // namespace

std::optional<std::size_t> ScannedPage::column(std::string_view name) const {
  return column_of(schema, name);
}

Status Snapshot::scan_run(const PageRun& run, std::uint64_t from, std::uint64_t to, Order order,
                          const RowTest& test, const RowVisitor& visit, const PageVisitor& by_columns,
                          bool& more) const {
  const auto bound = bind(test, run.schema());
  std::vector<bool> pages(run.pages(), true);
  if (run.index() != nullptr) VESTIGE_CHECKED(run.index()->mark(test, pages));
  const bool up = order == Order::ascending;
  std::vector<bool> keep;
  std::string entry;
  for (std::size_t i = 0; i < run.pages() && more; ++i) {
    const auto number = up ? i : run.pages() - 1 - i;
    if (!pages[number] || run.page_end(number) <= from || run.page_first(number) >= to) continue;
    VESTIGE_TRY(auto page, run.read_page(number));
    mark_rows(bound, test, page, run.has_sections(number), keep);
    cut(page, from, to, keep);
    if (by_columns && bound.complete) {
      VESTIGE_TRY(const bool done, by_columns({page, run.schema(), run.has_sections(number), keep}));
      if (done) continue;
    }
    std::optional<std::vector<std::vector<Bytes>>> sections;
    for (std::uint32_t j = 0; j < page.rows() && more; ++j) {
      const auto row = up ? j : page.rows() - 1 - j;
      const auto index = page.first() + row;
      if (!keep[row]) continue;
      VESTIGE_CHECKED(page.load_rest());
      entry.clear();
      page.append_entry(row, entry);
      const ScannedRow scanned{index, entry,
                               [&]() -> Result<std::vector<Bytes>> {
                                 if (!sections) {
                                   VESTIGE_TRY(sections, run.read_sections(number));
                                 }
                                 return (*sections)[row];
                               },
                               run.has_sections(number)};
      VESTIGE_TRY(more, visit(scanned));
    }
  }
  return {};
}

Status Snapshot::scan_block(const HeadBlock& block, std::uint64_t from, std::uint64_t to, Order order,
                            const RowVisitor& visit, bool& more) const {
  from = std::max(from, block.first);
  for (std::uint64_t i = from; i < to && more; ++i) {
    const auto index = order == Order::ascending ? i : to - 1 - (i - from);
    const auto& row = block.rows.data()[index - block.first];
    const ScannedRow scanned{index, text(row.entry),
                             [&]() -> Result<std::vector<Bytes>> {
                               std::vector<Bytes> blobs;
                               if (row.blobs > 0)
                                 for (const auto blob : block.blobs_of_row_with_blobs.data()[row.first_blob])
                                   blobs.emplace_back(blob.begin(), blob.end());
                               return blobs;
                             },
                             row.blobs > 0};
    VESTIGE_TRY(more, visit(scanned));
  }
  return {};
}

Status Snapshot::scan(std::uint64_t from, std::uint64_t to, Order order, const RowTest& test,
                      const RowVisitor& visit, const PageVisitor& by_columns) const {
  to = std::min(to, size_);
  const auto& runs = view_->runs;
  const auto& blocks = view_->blocks;
  const std::size_t parts = runs.size() + blocks.size();
  bool more = true;
  for (std::size_t i = 0; i < parts && more; ++i) {
    const auto part = order == Order::ascending ? i : parts - 1 - i;
    if (part < runs.size()) {
      if (runs[part]->end() > from && runs[part]->first() < to)
        VESTIGE_CHECKED(scan_run(*runs[part], from, to, order, test, visit, by_columns, more));
      continue;
    }
    const auto number = part - runs.size();
    const auto end = number + 1 < blocks.size() ? blocks[number + 1]->first : size_;
    if (end > from && blocks[number]->first < to)
      VESTIGE_CHECKED(scan_block(*blocks[number], from, std::min(to, end), order, visit, more));
  }
  return {};
}

}  // namespace vestige::trail
