// A trail as the server serves it, without HTTP, for benchmarks.
#pragma once

#include <memory>
#include <string>

#include "app/trail_service.h"
#include "base/mutex.h"
#include "bench/support/report.h"
#include "bench/support/series.h"

namespace vestige::bench {

class Trail {
 public:
  explicit Trail(const std::string& directory);
  // Ends it as a server ends; the directory stays.
  ~Trail();
  Trail(const Trail&) = delete;
  Trail& operator=(const Trail&) = delete;

  // Puts events [0, count) in, in batches, by two producers as a server has two loop threads, which also make
  // the events. Back when all are durable.
  void ingest(const cli::load::EventShape& shape, std::uint64_t count);
  // Waits until the sealer has nothing to do, so that it does not disturb what is measured next.
  void rest();
  // Asks one search, over as many pages as it takes to fill one, and gives up between two after a while.
  Times::Answer ask(const std::string& search, double seconds_max);
  app::TrailService& service() { return *service_; }

 private:
  void produce(const cli::load::EventShape& shape, std::uint64_t count, std::atomic<std::uint64_t>& next);
  void wait_for_room();

  std::unique_ptr<app::TrailService> service_;
  Mutex mutex_;
  Condition changed_;
  std::size_t under_way_ GUARDED_BY(mutex_) = 0;
};

app::TrailServiceOptions trail_options(const std::string& directory);

// Seals what is left of the trail in a directory that nobody has open, and gives what the entries take: those
// themselves, leaf hashes, ids, and what searches go by.
struct StoredBytes {
  std::uint64_t segments = 0;
  std::uint64_t hashes = 0;
  std::uint64_t ids = 0;
  std::uint64_t sidecars = 0;
  std::uint64_t entries = 0;
};
StoredBytes seal_all(const std::string& directory);

}  // namespace vestige::bench
