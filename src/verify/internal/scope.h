// What all parts of one verification share.
#pragma once

#include <functional>
#include <string>

#include "base/mutex.h"
#include "platform/files.h"
#include "trail/format/manifest.h"
#include "verify/internal/keys.h"
#include "verify/verify.h"

namespace vestige::verify {

// Thread-safe; the callback is called by one thread at a time.
class Progress {
 public:
  Progress(const Options& options, std::uint64_t bytes_total)
      : callback_(options.progress), bytes_total_(bytes_total) {}
  void add(std::uint64_t bytes, std::string_view what, std::uint64_t entries = 0) {
    if (!callback_) return;
    const Lock lock(mutex_);
    bytes_done_ += bytes;
    entries_ += entries;
    const auto done = static_cast<double>(std::min(bytes_done_, bytes_total_));
    callback_(bytes_total_ == 0 ? 1.0 : done / static_cast<double>(bytes_total_), entries_, what);
  }

 private:
  const std::function<void(double, std::uint64_t, std::string_view)>& callback_;
  const std::uint64_t bytes_total_;
  Mutex mutex_;
  std::uint64_t bytes_done_ GUARDED_BY(mutex_) = 0;
  std::uint64_t entries_ GUARDED_BY(mutex_) = 0;
};

struct Scope {
  platform::FileSystem& data;
  const trail::Manifest& manifest;
  VaultKeys* keys;  // null: containers only
  bool while_running;
  Progress& progress;
};

inline std::string stream_directory(const trail::StreamRecord& stream) {
  return "streams/" + stream.full_name();
}

}  // namespace vestige::verify
