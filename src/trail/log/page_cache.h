// Decoded pages that were read singly (look-ups, repeated ids), least recently used leave first; scans pass
// it by. One for all streams of a log, so that what it takes does not grow with their number.
//
// Owner: LogState. Thread-safe.
#pragma once

#include <list>
#include <memory>

#include "base/mutex.h"
#include "trail/log/segment_file.h"

namespace vestige::trail {

class PageCache {
 public:
  explicit PageCache(std::uint64_t bytes_max);

  // The page, from memory or read now.
  Result<std::shared_ptr<const Page>> get(const std::shared_ptr<const PageRun>& run, std::size_t number);

 private:
  struct Item {
    std::shared_ptr<const PageRun> run;
    std::size_t number;
    std::shared_ptr<const Page> page;
  };
  std::shared_ptr<const Page> find(const std::shared_ptr<const PageRun>& run, std::size_t number);

  const std::uint64_t pages_max_;
  Mutex mutex_;
  std::list<Item> items_ GUARDED_BY(mutex_);  // last used first
};

}  // namespace vestige::trail
