#include "trail/log/id_index.h"

#include <fmt/format.h>

#include <boost/unordered/unordered_flat_map.hpp>
#include <ranges>

#include "base/check.h"
#include "base/mutex.h"
#include "trail/limits.h"
#include "trail/log/id_filter.h"
#include "trail/log/segment_file.h"

namespace vestige::trail {
namespace {

constexpr std::size_t sparse_step = 512;  // entries between two resident fingerprints of a run
constexpr std::uint64_t smallest_filter_entries = std::uint64_t{1} << 20;

struct Run {
  std::uint64_t first;
  std::uint64_t count;
  std::unique_ptr<platform::File> file;
  std::vector<std::uint64_t> sparse;  // every sparse_step-th fingerprint

  Status find(std::uint64_t fingerprint, std::vector<std::uint64_t>& found) const {
    // Equal fingerprints may begin in the piece before the first resident one that is not smaller.
    auto piece = static_cast<std::uint64_t>(std::ranges::lower_bound(sparse, fingerprint) - sparse.begin());
    if (piece > 0) --piece;
    Bytes bytes;
    for (; piece < sparse.size() && sparse[piece] <= fingerprint; ++piece) {
      const auto at = piece * sparse_step;
      bytes.resize(std::min<std::uint64_t>(sparse_step, count - at) * id_entry_bytes);
      VESTIGE_CHECKED(file->read(id_header_bytes + at * id_entry_bytes, bytes));
      for (std::size_t i = 0; i < bytes.size(); i += id_entry_bytes)
        if (load_le<std::uint64_t>(bytes.data() + i) == fingerprint)
          found.push_back(first + load_le<std::uint32_t>(bytes.data() + i + 8));
    }
    return {};
  }
};

// Covers the runs from `first_run` on.
struct RunFilter {
  IdFilter filter;
  std::size_t first_run;
};

}  // namespace

struct IdIndex::State {
  mutable Mutex mutex;
  boost::unordered_flat_map<std::uint64_t, std::uint64_t> recent GUARDED_BY(mutex);
  // Entries whose fingerprint `recent` holds already for another one; practically empty.
  std::vector<std::pair<std::uint64_t, std::uint64_t>> more GUARDED_BY(mutex);
  std::vector<std::unique_ptr<Run>> runs GUARDED_BY(mutex);
  std::vector<RunFilter> filters GUARDED_BY(mutex);
  std::uint64_t in_runs GUARDED_BY(mutex) = 0;
};

IdIndex::IdIndex() : state_(std::make_unique<State>()) {}
IdIndex::~IdIndex() = default;

void IdIndex::add(std::uint64_t fingerprint, std::uint64_t index) {
  Lock lock(state_->mutex);
  if (!state_->recent.try_emplace(fingerprint, index).second) state_->more.emplace_back(fingerprint, index);
}

Status IdIndex::add_run(platform::FileSystem& files, const std::string& path, const SegmentRecord& record) {
  VESTIGE_TRY(auto file, open_listed(files, path));
  VESTIGE_TRY(const auto bytes, platform::read_file(files, path, record.ids.bytes));
  auto decoded = decode_id_run(bytes);
  if (!decoded)
    return corrupt(path, decoded.error().where ? decoded.error().where->offset : 0,
                   fmt::format("{}: {}", files.describe(path), decoded.error().message));
  if (decoded->first != record.first || decoded->end != record.end ||
      !std::ranges::equal(ByteView(bytes).last(32), record.ids.digest))
    return corrupt(path, 0,
                   fmt::format("{} is not the id run that the manifest lists", files.describe(path)));
  auto run = std::make_unique<Run>();
  run->first = decoded->first;
  run->count = decoded->entries.size();
  run->file = std::move(file);
  for (std::size_t i = 0; i < decoded->entries.size(); i += sparse_step)
    run->sparse.push_back(decoded->entries[i].fingerprint);

  Lock lock(state_->mutex);
  for (const auto& entry : decoded->entries) {
    if (state_->filters.empty() || state_->filters.back().filter.full()) {
      const auto capacity =
          state_->filters.empty() ? smallest_filter_entries : state_->filters.back().filter.capacity() * 2;
      state_->filters.push_back({IdFilter(capacity), state_->runs.size()});
    }
    state_->filters.back().filter.add(entry.fingerprint);
  }
  state_->in_runs += run->count;
  state_->runs.push_back(std::move(run));
  const auto end = record.end;
  boost::unordered::erase_if(state_->recent, [end](const auto& item) { return item.second < end; });
  // An entry that had to stand aside may stand in the map now.
  auto aside = std::move(state_->more);
  state_->more.clear();
  for (const auto& [fingerprint, index] : aside)
    if (index >= end && !state_->recent.try_emplace(fingerprint, index).second)
      state_->more.emplace_back(fingerprint, index);
  return {};
}

Result<std::vector<std::uint64_t>> IdIndex::find(std::uint64_t fingerprint) const {
  std::vector<std::uint64_t> found;
  Lock lock(state_->mutex);
  auto end = state_->runs.size();
  for (const auto& [filter, first_run] : state_->filters | std::views::reverse) {
    if (filter.may_contain(fingerprint))
      for (auto i = first_run; i < end; ++i) VESTIGE_CHECKED(state_->runs[i]->find(fingerprint, found));
    // The run in which a filter becomes full goes on in the next one.
    end = first_run + 1;
  }
  if (const auto it = state_->recent.find(fingerprint); it != state_->recent.end())
    found.push_back(it->second);
  for (const auto& [other, index] : state_->more)
    if (other == fingerprint) found.push_back(index);
  std::ranges::sort(found);
  const auto repeated = std::ranges::unique(found);
  found.erase(repeated.begin(), repeated.end());
  return found;
}

IdIndex::Figures IdIndex::figures() const {
  Lock lock(state_->mutex);
  Figures figures{state_->recent.size() + state_->more.size(), state_->in_runs, 0};
  for (const auto& [filter, first_run] : state_->filters) figures.filter_bytes += filter.bytes();
  return figures;
}

}  // namespace vestige::trail
