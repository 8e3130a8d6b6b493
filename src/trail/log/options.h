// What an operator may set about the trail; checked once, when the log is opened.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/result.h"
#include "trail/limits.h"

namespace vestige::trail {

struct Options {
  std::uint64_t wal_file_bytes = 64 << 20;
  std::uint64_t wal_bytes_max = std::uint64_t{1} << 30;  // of all WAL files; writes are refused past it
  std::uint64_t disk_reserve_bytes = 64 << 20;           // never taken by new WAL files
  std::uint32_t segment_rows_max = segment_rows_limit;   // a multiple of block_rows
  std::uint64_t segment_bytes_max = 64 << 20;
  std::uint64_t head_bytes_max = 256 << 20;  // entries not yet in pages; writes are refused past it
  std::uint64_t page_cache_bytes_max = 32 << 20;
  std::chrono::milliseconds end_mark_after{1'000};  // of idleness
  // False: no threads; a test calls Log::commit_once() and Log::seal_once().
  bool threads = true;

  Status check() const;
};

}  // namespace vestige::trail
