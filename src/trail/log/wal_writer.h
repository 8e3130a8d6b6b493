// Writes the chain of WAL frames. Format: docs/formats/wal.md.
//
// Owner: Log. One thread writes (the committer); release() may come from the sealer, so both take the
// lock. Durable when append() returns success with sync. After a failed write or sync the writer is
// poisoned: every later append fails, because what the disk holds is unknown. A full disk met while a new
// file is reserved is no such failure: nothing was written, and a later append tries again.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/mutex.h"
#include "platform/entropy.h"
#include "platform/files.h"
#include "trail/format/wal_format.h"
#include "trail/key_wrapper.h"
#include "trail/log/options.h"

namespace vestige::trail {

inline constexpr std::string_view wal_directory = "wal";

class WalWriter {
 public:
  WalWriter(platform::FileSystem& files, KeyWrapper& wrapper, platform::Entropy& entropy,
            const Block16& data_id, const Options& options);

  // Recovery writes under looser limits than what follows it.
  void set_options(const Options& options);

  // Begins a new chain with a root file of this generation; no file of it exists.
  Status start_root(std::uint64_t generation, std::uint64_t sequence);

  // Appends one frame. `sizes` are the streams' sizes after it, for release(). With sync false the frame
  // is durable only after sync_all().
  enum class Sync { yes, no };
  Status append(FrameKind kind, ByteView plain, const std::map<std::uint8_t, std::uint64_t>& sizes,
                Sync sync);
  Status sync_all();

  // Gives back every file whose records are all below the sealed sizes and whose successor exists: the
  // oldest generation that must stay. Files below it are recycled by recycle_below() after the manifest
  // names it.
  std::uint64_t oldest_needed(const std::map<std::uint8_t, std::uint64_t>& sealed_sizes);
  Status recycle_below(std::uint64_t generation);

  // Reserves the next file ahead, where the current one is half full and none is spare, so that the committer
  // need not wait for it. Not being able to is no error: the committer will meet it. One caller at a time.
  void prepare_spare() EXCLUDES(mutex_);

  // After an end mark: cuts every file behind its last frame, so that no byte of the log is left that no
  // digest covers, and removes spare files.
  Status finish();

  std::uint64_t root_generation();
  std::uint64_t bytes();  // of all files, spare ones included
  bool poisoned();
  // Whether the next append needs no new file, so that it cannot meet a full disk.
  bool has_room(std::size_t plain_bytes);

 private:
  struct OpenFile {
    std::uint64_t generation;
    std::uint64_t bytes;
    std::uint64_t end;                            // of its last frame
    std::map<std::uint8_t, std::uint64_t> sizes;  // of the streams after its last frame
  };

  Status roll(std::uint64_t frame_bytes, WalFileKind kind, std::uint64_t generation) REQUIRES(mutex_);
  Result<std::unique_ptr<platform::File>> take_spare(std::uint64_t bytes, std::string& name) REQUIRES(mutex_);
  Status append_locked(FrameKind kind, ByteView plain, const std::map<std::uint8_t, std::uint64_t>& sizes,
                       Sync sync) REQUIRES(mutex_);
  std::uint64_t total_bytes() const REQUIRES(mutex_);

  platform::FileSystem& files_;
  KeyWrapper& wrapper_;
  platform::Entropy& entropy_;
  const Block16 data_id_;

  Mutex mutex_;
  Options options_ GUARDED_BY(mutex_);
  std::unique_ptr<platform::File> file_ GUARDED_BY(mutex_);
  std::unique_ptr<crypto::Aead> aead_ GUARDED_BY(mutex_);
  std::vector<OpenFile> open_ GUARDED_BY(mutex_);                   // oldest first; the last is being written
  std::map<std::string, std::uint64_t> spares_ GUARDED_BY(mutex_);  // path to bytes
  std::uint64_t spare_number_ GUARDED_BY(mutex_) = 0;
  std::uint64_t offset_ GUARDED_BY(mutex_) = 0;
  std::uint64_t next_sequence_ GUARDED_BY(mutex_) = 0;
  Hash previous_ GUARDED_BY(mutex_){};
  bool poisoned_ GUARDED_BY(mutex_) = false;
  Bytes frame_ GUARDED_BY(mutex_);
};

}  // namespace vestige::trail
