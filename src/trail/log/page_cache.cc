#include "trail/log/page_cache.h"

#include <algorithm>

namespace vestige::trail {
namespace {

constexpr std::uint64_t page_bytes_guess = 256 << 10;

}  // namespace

PageCache::PageCache(std::uint64_t bytes_max)
    : pages_max_(std::max<std::uint64_t>(1, bytes_max / page_bytes_guess)) {}

std::shared_ptr<const Page> PageCache::find(const std::shared_ptr<const PageRun>& run, std::size_t number) {
  const Lock lock(mutex_);
  const auto found = std::ranges::find_if(
      items_, [&](const Item& item) { return item.run == run && item.number == number; });
  if (found == items_.end()) return nullptr;
  items_.splice(items_.begin(), items_, found);
  return found->page;
}

Result<std::shared_ptr<const Page>> PageCache::get(const std::shared_ptr<const PageRun>& run,
                                                   std::size_t number) {
  if (auto page = find(run, number)) return page;
  VESTIGE_TRY(auto read, run->read_page(number));
  VESTIGE_CHECKED(read.load_rest());
  auto page = std::make_shared<const Page>(std::move(read));
  const Lock lock(mutex_);
  items_.push_front({run, number, page});
  if (items_.size() > pages_max_) items_.pop_back();
  return page;
}

}  // namespace vestige::trail
