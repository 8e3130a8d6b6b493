#include <fmt/format.h>

#include "base/check.h"
#include "trail/log/log_state.h"

namespace vestige::trail {

Sealer::Sealer(LogState& state) : state_(state), encoder_(*state.schema) {
  const auto& parts = state.parts;
  CHECK((parts.section_tokens == nullptr) == (parts.sidecar_keys == nullptr));
  if (parts.tokeniser != nullptr) describer_.emplace(*parts.tokeniser, parts.section_tokens);
  if (parts.section_tokens != nullptr) forgotten_ = parts.section_tokens->generation();
}

PageFacts Sealer::describe(const HeadBlock& block, std::size_t row, std::span<const ByteView> entries,
                           bool any_blob) {
  auto facts = describer_->describe_clear(entries, any_blob);
  if (!any_blob) return facts;
  std::vector<std::shared_ptr<const KnownTokens>> known;
  for (std::size_t i = row; i < row + entries.size(); ++i)
    if (block.rows[i].blobs > 0) known.push_back(block.tokens_of_row_with_blobs[block.rows[i].first_blob]);
  facts.sealed = describer_->take_known(known);
  return facts;
}

Status Sealer::encode_block(Stream& stream, const HeadBlock& block) {
  auto& open = open_[stream.number()];
  if (!open.writer) {
    VESTIGE_TRY(open.writer, SegmentWriter::create(state_.parts.files, state_.parts.wrapper,
                                                   state_.parts.entropy, state_.data_id, stream.directory(),
                                                   stream.full_name(), state_.schema, block.first));
  }
  SegmentWriter& writer = *open.writer;
  // Pages of this block that an earlier, failed step wrote already are not written again.
  std::size_t row = writer.first() + writer.rows() - block.first;
  std::vector<ByteView> entries;
  std::vector<SeedRun> seeds;
  std::vector<std::vector<ByteView>> blobs;
  while (row < block.rows.size()) {
    const auto count = std::min<std::size_t>(page_rows, block.rows.size() - row);
    entries.clear();
    blobs.assign(count, {});
    bool any_blob = false;
    for (std::size_t i = 0; i < count; ++i) {
      const auto& from = block.rows[row + i];
      entries.push_back(from.entry);
      if (from.blobs > 0) blobs[i] = block.blobs_of_row_with_blobs[from.first_blob], any_blob = true;
    }
    seeds.clear();
    std::size_t before = 0;
    for (const auto& run : block.seeds) {
      const auto from = std::max(before, row);
      const auto to = std::min(before + run.count, row + count);
      if (from < to) seeds.push_back({static_cast<std::uint32_t>(to - from), run.seed});
      before += run.count;
    }
    VESTIGE_TRY(const auto page, encoder_.encode(block.first + row, entries, seeds));
    Bytes sections;
    if (any_blob) encode_sections(blobs, sections);
    VESTIGE_CHECKED(writer.add_page(static_cast<std::uint32_t>(count), page, sections));
    if (describer_)
      open.facts.push_back(std::make_shared<const PageFacts>(describe(block, row, entries, any_blob)));
    row += count;
  }
  return {};
}

std::shared_ptr<const PageRun> Sealer::take_run(Open& open) {
  auto run = open.writer->take_run();
  if (!describer_) return run;
  const auto from = open.facts.begin() + static_cast<std::ptrdiff_t>(open.taken);
  open.taken = open.facts.size();
  return run->with_index(make_memory_index({from, open.facts.end()}));
}

bool Sealer::wants_closing(const SegmentWriter& writer) const {
  return writer.rows() + block_rows > state_.options.segment_rows_max ||
         writer.bytes() >= state_.options.segment_bytes_max;
}

Status Sealer::close_segment(Stream& stream, Open& open) {
  auto& writer = *open.writer;
  const auto end = writer.first() + writer.rows();
  VESTIGE_TRY(auto input, stream.seal_input(end));
  VESTIGE_TRY(const auto record, writer.close(input.leaves, input.tile_roots, input.ids));
  auto whole = writer.whole_run();
  if (describer_) whole = whole->with_index(index_segment(stream, record, open.facts));
  VESTIGE_CHECKED(
      stream.replace_runs(state_.parts.files, record, std::move(input.frontier), std::move(whole)));
  open_.erase(stream.number());
  ++segments_sealed_;
  manifest_behind_ = true;
  return {};
}

// The manifest makes new segments count; only then may the WAL forget what they hold.
Status Sealer::catch_up_manifest() {
  if (!state_.wal) {
    // Recovery: the old chain stays until the new one is whole.
    VESTIGE_CHECKED(state_.write_manifest(state_.root()));
  } else {
    const auto keep = state_.wal->oldest_needed(state_.sealed_sizes());
    VESTIGE_CHECKED(state_.write_manifest(keep));
    VESTIGE_CHECKED(state_.wal->recycle_below(keep));
  }
  manifest_behind_ = false;
  return {};
}

Result<bool> Sealer::step(bool everything) {
  const Lock lock(mutex_);
  if (manifest_behind_) {
    VESTIGE_CHECKED(catch_up_manifest());
    return true;
  }
  for (auto& stream : state_.streams.all()) {
    if (everything) stream->freeze_block();
    auto open = open_.find(stream->number());
    const bool is_open = open != open_.end() && open->second.writer;
    const auto block = stream->sealable_block();
    // A full segment is closed before another block is begun, and never within one: a step that failed may
    // have left some pages of this block in it.
    const bool within =
        is_open && block && open->second.writer->first() + open->second.writer->rows() > block->first;
    if (is_open && !within && (wants_closing(*open->second.writer) || (everything && !block))) {
      VESTIGE_CHECKED(close_segment(*stream, open->second));
      return true;
    }
    if (!block) continue;
    VESTIGE_CHECKED(encode_block(*stream, *block));
    stream->replace_block(block, take_run(open_[stream->number()]));
    return true;
  }
  // A log that gets marks and no entries has nothing to seal; its files go once the manifest has the marks.
  if (everything && state_.wal && state_.wal->oldest_needed(state_.sealed_sizes()) > state_.root()) {
    VESTIGE_CHECKED(catch_up_manifest());
    return true;
  }
  // A start does not wait for indexes.
  if (!describer_ || !state_.wal) return false;
  VESTIGE_TRY(const bool built, build_clear_sidecar());
  if (built) return true;
  VESTIGE_TRY(const bool described, describe_open_pages());
  if (described) return true;
  return build_sealed_sidecar();
}

}  // namespace vestige::trail
