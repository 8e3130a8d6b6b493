#include "trail/log/id_index.h"

#include <fmt/format.h>

#include <boost/unordered/unordered_flat_map.hpp>

#include "base/check.h"
#include "base/mutex.h"
#include "trail/limits.h"
#include "trail/log/segment_file.h"

namespace vestige::trail {
namespace {

constexpr std::size_t sparse_step = 512;  // entries between two resident fingerprints of a run
constexpr std::size_t filter_bits_per_entry = 16;
constexpr std::size_t filter_block_words = 8;  // 64 bytes: one cache line per question
constexpr std::uint64_t smallest_filter_entries = std::uint64_t{1} << 20;

// A blocked Bloom filter of fixed capacity. Fingerprints are already uniform, so bits are cut from them.
class Filter {
 public:
  explicit Filter(std::uint64_t entries)
      : entries_max_(entries),
        words_(entries * filter_bits_per_entry / 64 / filter_block_words * filter_block_words) {}
  void add(std::uint64_t fingerprint) {
    auto* block = words_.data() + block_of(fingerprint);
    for (std::size_t i = 0; i < filter_block_words; ++i) block[i] |= bit_of(fingerprint, i);
    ++entries_;
  }
  bool may_contain(std::uint64_t fingerprint) const {
    const auto* block = words_.data() + block_of(fingerprint);
    for (std::size_t i = 0; i < filter_block_words; ++i)
      if ((block[i] & bit_of(fingerprint, i)) == 0) return false;
    return true;
  }
  bool full() const { return entries_ >= entries_max_; }
  std::uint64_t entries_max() const { return entries_max_; }
  std::uint64_t bytes() const { return words_.size() * 8; }

 private:
  std::size_t block_of(std::uint64_t fingerprint) const {
    const auto blocks = words_.size() / filter_block_words;
    return static_cast<std::size_t>(static_cast<unsigned __int128>(fingerprint) * blocks >> 64) *
           filter_block_words;
  }
  // One bit in each word; multipliers of splitmix64 spread the 64 bits differently per word.
  static std::uint64_t bit_of(std::uint64_t fingerprint, std::size_t word) {
    const std::uint64_t mixed = (fingerprint + word * 0x9e3779b97f4a7c15ULL) * 0xbf58476d1ce4e5b9ULL;
    return std::uint64_t{1} << (mixed >> 58);
  }

  std::uint64_t entries_max_;
  std::uint64_t entries_ = 0;
  std::vector<std::uint64_t> words_;
};

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

}  // namespace

struct IdIndex::State {
  mutable Mutex mutex;
  boost::unordered_flat_map<std::uint64_t, std::uint64_t> recent GUARDED_BY(mutex);
  // Entries whose fingerprint `recent` holds already for another one; practically empty.
  std::vector<std::pair<std::uint64_t, std::uint64_t>> more GUARDED_BY(mutex);
  std::vector<std::unique_ptr<Run>> runs GUARDED_BY(mutex);
  std::vector<Filter> filters GUARDED_BY(mutex);
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
    if (state_->filters.empty() || state_->filters.back().full())
      state_->filters.emplace_back(state_->filters.empty() ? smallest_filter_entries
                                                           : state_->filters.back().entries_max() * 2);
    state_->filters.back().add(entry.fingerprint);
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
  const bool in_runs = std::ranges::any_of(
      state_->filters, [&](const Filter& filter) { return filter.may_contain(fingerprint); });
  if (in_runs)
    for (const auto& run : state_->runs) VESTIGE_CHECKED(run->find(fingerprint, found));
  if (const auto it = state_->recent.find(fingerprint); it != state_->recent.end())
    found.push_back(it->second);
  for (const auto& [other, index] : state_->more)
    if (other == fingerprint) found.push_back(index);
  std::ranges::sort(found);
  return found;
}

IdIndex::Figures IdIndex::figures() const {
  Lock lock(state_->mutex);
  Figures figures{state_->recent.size() + state_->more.size(), state_->in_runs, 0};
  for (const auto& filter : state_->filters) figures.filter_bytes += filter.bytes();
  return figures;
}

}  // namespace vestige::trail
