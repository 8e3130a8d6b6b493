#include "cli/import/occurrences.h"

#include <algorithm>

#include "crypto/digest.h"

namespace vestige::cli::importing {
namespace {

constexpr std::size_t slots_min = 1'024;

}  // namespace

void Occurrences::insert(std::vector<std::uint64_t>& slots, std::uint64_t digest) {
  auto slot = digest % slots.size();
  while (slots[slot] != 0) slot = slot + 1 == slots.size() ? 0 : slot + 1;
  slots[slot] = digest;
}

bool Occurrences::contains(std::uint64_t digest) const {
  for (auto slot = digest % slots_.size(); slots_[slot] != 0; slot = slot + 1 == slots_.size() ? 0 : slot + 1)
    if (slots_[slot] == digest) return true;
  return false;
}

void Occurrences::grow() {
  std::vector<std::uint64_t> larger(std::max(slots_min, slots_.size() * 2));
  for (const auto digest : slots_)
    if (digest != 0) insert(larger, digest);
  slots_ = std::move(larger);
}

Occurrences::Count Occurrences::count(std::string_view format, std::string_view record,
                                      std::string_view lossless) {
  Count count{.digest = crypto::sha256({view(format), view("\n"), view(record), view("\n"), view(lossless)})};
  const auto digest = std::max<std::uint64_t>(load_le<std::uint64_t>(count.digest.data()), 1);
  if (used_ * 4 >= slots_.size() * 3) grow();
  if (contains(digest)) {
    count.occurrence = ++repeated_.try_emplace(digest, 1).first->second;
    return count;
  }
  insert(slots_, digest);
  ++used_;
  return count;
}

}  // namespace vestige::cli::importing
