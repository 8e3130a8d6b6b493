// The part of the sealer that keeps indexes of pages: writes sidecars, builds those that are missing, and
// makes them forget. Format and order of steps: docs/formats/sidecar.md.
#include <algorithm>

#include "base/check.h"
#include "trail/log/log_state.h"

namespace vestige::trail {
namespace {

constexpr std::size_t pages_a_step = block_rows / page_rows;  // about as much work as a block

bool any_sections(const PageRun& run) {
  for (std::size_t page = 0; page < run.pages(); ++page)
    if (run.has_sections(page)) return true;
  return false;
}

bool is_known(const std::shared_ptr<const PageFacts>& page) { return page->sealed.has_value(); }

std::shared_ptr<const PageFacts> with_sealed(const PageFacts& page, std::optional<TokenSet> sealed) {
  auto facts = std::make_shared<PageFacts>(page);
  facts->sealed = std::move(sealed);
  return facts;
}

bool has_one_of(const TokenSet& set, std::span<const Token> tokens) {
  return !set.filtered || std::ranges::any_of(tokens, [&](Token token) { return set.has(token); });
}

}  // namespace

// ------------------------------------------------------------------------------------------ building

std::shared_ptr<const PageIndex> Sealer::index_segment(const Stream& stream, const SegmentRecord& record,
                                                       const FactsOfPages& facts) {
  const auto context = state_.sidecars();
  const auto written =
      write_clear_sidecar(context, stream.directory(), record, sidecar_content(SidecarKind::clear, facts));
  // What is sealed and was not told along is described later, and so is what could not be written now.
  const bool sealed = context.keys != nullptr && std::ranges::all_of(facts, is_known) &&
                      std::ranges::any_of(facts, &PageFacts::has_sections,
                                          [](const auto& page) -> const PageFacts& { return *page; });
  if (written && sealed)
    static_cast<void>(write_sealed_sidecar(context, stream.directory(), record,
                                           sidecar_content(SidecarKind::sealed, facts), std::nullopt,
                                           forgotten_));
  if (auto index = open_sidecars(context, stream.directory(), record, facts.size())) return index;
  // A full disk, most likely. Searches go on with what is in memory, and the next start builds the file.
  FactsOfPages clear;
  for (const auto& page : facts) clear.push_back(with_sealed(*page, std::nullopt));
  return make_memory_index(std::move(clear));
}

Result<bool> Sealer::build_clear_sidecar() {
  for (auto& stream : state_.streams.all())
    for (std::size_t number = 0; const auto segment = stream->closed_segment(number); ++number) {
      const auto& [record, run] = *segment;
      if (run->index() != nullptr) continue;
      FactsOfPages facts;
      for (std::size_t page = 0; page < run->pages(); ++page) {
        VESTIGE_TRY(auto described, describer_->describe_clear(*run, page));
        described.sealed.reset();
        facts.push_back(std::make_shared<const PageFacts>(std::move(described)));
      }
      stream->replace_run(run, run->with_index(index_segment(*stream, record, facts)));
      return true;
    }
  return false;
}

void Sealer::show_facts(Stream& stream, const Open& open, std::size_t from, std::size_t to) {
  std::size_t first = 0;
  for (const auto& run : stream.open_runs()) {
    const auto end = first + run->pages();
    if (from < end && first < to) {
      const auto begin = open.facts.begin();
      stream.replace_run(run, run->with_index(make_memory_index({begin + static_cast<std::ptrdiff_t>(first),
                                                                 begin + static_cast<std::ptrdiff_t>(end)})));
    }
    first = end;
  }
}

// Pages whose tokens did not come along: of what the WAL gave back, or sealed before somebody was forgotten.
Result<bool> Sealer::describe_open_pages() {
  if (!describer_->knows_sections()) return false;
  for (auto& [number, open] : open_) {
    const auto first = std::ranges::find_if_not(open.facts, is_known);
    if (!open.writer || first == open.facts.end()) continue;
    auto& stream = state_.stream(number);
    const auto run = open.writer->whole_run();
    const auto from = static_cast<std::size_t>(first - open.facts.begin());
    const auto to = std::min(from + pages_a_step, open.facts.size());
    for (auto page = from; page < to; ++page) {
      if (is_known(open.facts[page])) continue;
      VESTIGE_TRY(auto tokens, describer_->describe_sealed(stream.full_name(), *run, page));
      open.facts[page] = with_sealed(*open.facts[page], std::move(tokens));
    }
    show_facts(stream, open, from, to);
    return true;
  }
  return false;
}

std::optional<Sealer::Building> Sealer::next_to_build() {
  for (auto& stream : state_.streams.all())
    for (std::size_t number = 0; auto segment = stream->closed_segment(number); ++number) {
      const auto* const index = segment->run->index();
      if (index != nullptr && !index->sealed_sidecar() && any_sections(*segment->run))
        return Building{.stream = stream.get(), .segment = *std::move(segment), .facts = {}};
    }
  return std::nullopt;
}

Result<bool> Sealer::build_sealed_sidecar() {
  if (!describer_->knows_sections()) return false;
  if (!building_) building_ = next_to_build();
  if (!building_) return false;
  auto& [stream, segment, facts] = *building_;
  const auto& run = segment.run;
  for (std::size_t left = pages_a_step; left > 0 && facts.size() < run->pages(); --left) {
    const auto page = facts.size();
    auto described = std::make_shared<PageFacts>();
    described->has_sections = run->has_sections(page);
    VESTIGE_TRY(described->sealed, describer_->describe_sealed(stream->full_name(), *run, page));
    facts.push_back(std::move(described));
  }
  if (facts.size() < run->pages()) return true;
  const auto context = state_.sidecars();
  // The one that is there, if any, cannot be read; so nothing is lost with its key.
  const auto old = sidecar_id(context.files, stream->directory(), segment.record, SidecarKind::sealed);
  VESTIGE_CHECKED(write_sealed_sidecar(context, stream->directory(), segment.record,
                                       sidecar_content(SidecarKind::sealed, facts), old, forgotten_));
  VESTIGE_TRY(auto file,
              open_sidecar(context, SidecarKind::sealed, stream->directory(), segment.record, run->pages()));
  stream->replace_run(run, run->with_index(run->index()->with_sidecar(std::move(file))));
  building_.reset();
  return true;
}

// ---------------------------------------------------------------------------------------- forgetting

Status Sealer::forget(const Forgotten& forgotten) {
  if (state_.parts.sidecar_keys == nullptr) return {};
  {
    // First what is in memory: a segment that is closed from here on tells of nothing that is forgotten.
    const Lock lock(mutex_);
    if (forgotten_ < forgotten.to) forget_open(forgotten);
    forgotten_ = std::max(forgotten_, forgotten.to);
  }
  for (auto& stream : state_.streams.all())
    for (std::size_t number = 0;; ++number) {
      const Lock lock(mutex_);
      const auto segment = stream->closed_segment(number);
      if (!segment) break;
      VESTIGE_CHECKED(forget_closed(*stream, *segment, forgotten));
    }
  return {};
}

// A page that cannot be described now is not known any more.
std::optional<TokenSet> Sealer::describe_again(const Stream& stream, const PageRun& run, std::size_t page) {
  auto tokens = describer_->describe_sealed(stream.full_name(), run, page);
  if (!tokens) return std::nullopt;
  return *std::move(tokens);
}

void Sealer::forget_open(const Forgotten& forgotten) {
  const bool known = forgotten_ >= forgotten.from;  // whom they may still tell of
  for (auto& [number, open] : open_) {
    if (!open.writer) continue;
    auto& stream = state_.stream(number);
    const auto run = open.writer->whole_run();
    for (std::size_t page = 0; page < open.facts.size(); ++page) {
      const auto& facts = *open.facts[page];
      if (!facts.has_sections || !facts.sealed) continue;
      if (known && !has_one_of(facts.clear, forgotten.tokens)) continue;
      open.facts[page] = with_sealed(facts, describe_again(stream, *run, page));
      show_facts(stream, open, page, page + 1);
    }
  }
  if (!building_) return;
  const auto& run = *building_->segment.run;
  const auto concerned = run.index()->with_sections_and(forgotten.tokens);
  for (std::size_t page = 0; page < building_->facts.size(); ++page) {
    if (known && concerned && !(*concerned)[page]) continue;
    auto tokens = describe_again(*building_->stream, run, page);
    if (!tokens) return building_.reset();
    building_->facts[page] = with_sealed(*building_->facts[page], std::move(tokens));
  }
}

Status Sealer::rewrite(Stream& stream, const Stream::ClosedSegment& segment, const std::vector<bool>& pages,
                       std::uint64_t generation) {
  const auto& [record, run] = segment;
  const auto& old = *run->index()->sealed_sidecar();
  VESTIGE_TRY(auto content, old.read_all());
  for (std::size_t page = 0; page < pages.size(); ++page) {
    if (!pages[page]) continue;
    VESTIGE_TRY(const auto tokens, describer_->describe_sealed(stream.full_name(), *run, page));
    replace_page(content, page, tokens);
  }
  const auto context = state_.sidecars();
  VESTIGE_CHECKED(write_sealed_sidecar(context, stream.directory(), record, content, old.id(), generation));
  VESTIGE_TRY(auto file,
              open_sidecar(context, SidecarKind::sealed, stream.directory(), record, run->pages()));
  stream.replace_run(run, run->with_index(run->index()->with_sidecar(std::move(file))));
  return {};
}

Status Sealer::forget_closed(Stream& stream, const Stream::ClosedSegment& segment,
                             const Forgotten& forgotten) {
  const auto& [record, run] = segment;
  auto& keys = *state_.parts.sidecar_keys;
  const auto id = sealed_id(stream, segment);
  const auto kept = id ? keys.find(*id) : std::nullopt;
  const bool used = run->index() != nullptr && run->index()->sealed_sidecar();
  if (!kept || kept->generation >= forgotten.to) return {};
  if (used && kept->generation >= forgotten.from) {
    const auto pages = run->index()->with_sections_and(forgotten.tokens);
    if (pages && std::ranges::find(*pages, true) == pages->end()) {
      keys.settle(*id, forgotten.to);
      return {};
    }
    if (pages && rewrite(stream, segment, *pages, forgotten.to)) return {};
  }
  // It is not known who was forgotten, or the disk is full: nobody reads this one any more.
  VESTIGE_CHECKED(keys.replace(id, std::nullopt));
  if (used) stream.replace_run(run, run->with_index(run->index()->with_sealed(nullptr)));
  return {};
}

std::optional<Block16> Sealer::sealed_id(const Stream& stream, const Stream::ClosedSegment& segment) const {
  const auto* const index = segment.run->index();
  if (index != nullptr && index->sealed_sidecar()) return index->sealed_sidecar()->id();
  return sidecar_id(state_.parts.files, stream.directory(), segment.record, SidecarKind::sealed);
}

std::optional<std::uint64_t> Sealer::oldest_sealed_generation() const {
  std::optional<std::uint64_t> oldest;
  if (state_.parts.sidecar_keys == nullptr) return oldest;
  for (const auto& stream : state_.streams.all())
    for (std::size_t number = 0; const auto segment = stream->closed_segment(number); ++number) {
      const auto id = sealed_id(*stream, *segment);
      const auto kept = id ? state_.parts.sidecar_keys->find(*id) : std::nullopt;
      if (kept) oldest = std::min(oldest.value_or(kept->generation), kept->generation);
    }
  return oldest;
}

}  // namespace vestige::trail
