// The door to the disk. Every path is relative to the root of its FileSystem, with '/' between names and
// no "..", so that a whole data directory can be handed to the hostile twin (sim/sim_files.h) in a test.
//
// What is durable when:
// - bytes written are durable after File::sync() of that file returned success;
// - a created, renamed or removed name is durable after FileSystem::sync_directory() of its directory;
// - after a failed sync nothing may be assumed, and the caller must stop writing (fsyncgate).
// A full disk is ErrorKind::unavailable, every other failure of the machine ErrorKind::io.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace vestige::platform {

// An open file. Not thread-safe for writes; reads of an unchanging range may run in parallel.
class File {
 public:
  virtual ~File() = default;  // closes, without a sync
  // Reads exactly out.size() bytes; a shorter file is ErrorKind::corrupt.
  virtual Status read(std::uint64_t offset, std::span<std::uint8_t> out) = 0;
  virtual Status write(std::uint64_t offset, ByteView bytes) = 0;
  // Makes `size` bytes available from the start of the file, written once as zeros, so that later writes
  // inside them neither move metadata nor meet a full disk. Durable after sync().
  virtual Status preallocate(std::uint64_t size) = 0;
  virtual Status truncate(std::uint64_t size) = 0;
  virtual Status sync() = 0;  // data and size
  virtual Result<std::uint64_t> size() = 0;
  virtual const std::string& path() const = 0;
};

// Held while it lives; released by the kernel when the process dies.
class DirectoryLock {
 public:
  virtual ~DirectoryLock() = default;
};

enum class FileMode {
  shared_read,  // 0644 less umask
  secret,       // 0600
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual Result<std::unique_ptr<File>> open(const std::string& path) = 0;  // read and write
  virtual Result<std::unique_ptr<File>> open_read_only(const std::string& path) = 0;
  // Fails with conflict where the name exists.
  virtual Result<std::unique_ptr<File>> create(const std::string& path, FileMode mode) = 0;
  virtual Status rename(const std::string& from, const std::string& to) = 0;  // replaces `to` atomically
  virtual Status remove(const std::string& path) = 0;
  virtual Status make_directories(const std::string& path) = 0;  // durable when it returns
  virtual Status sync_directory(const std::string& path) = 0;
  // Names (not paths) in a directory, sorted; an absent directory is not_found.
  struct Entry {
    std::string name;
    bool is_directory;
  };
  virtual Result<std::vector<Entry>> list(const std::string& path) = 0;
  virtual bool exists(const std::string& path) = 0;
  virtual Result<std::uint64_t> free_bytes() = 0;
  // conflict where another process holds it.
  virtual Result<std::unique_ptr<DirectoryLock>> lock(const std::string& path) = 0;
  // Whether somebody holds the lock at this moment; makes no file. For a reader who must not lock: it may
  // change the next moment.
  virtual Result<bool> is_locked(const std::string& path) = 0;
  // The root as the operator would write it, for messages.
  virtual std::string describe(const std::string& path) const = 0;
};

// A directory of this machine. Created (0700) if absent and `create` is set.
Result<std::unique_ptr<FileSystem>> open_directory(const std::string& root, bool create);

// Whole small files (at most `size_max`).
Result<Bytes> read_file(FileSystem& files, const std::string& path, std::uint64_t size_max);
// Replaces a file so that after success the new content is durable and after a crash either the old or
// the new content is there, whole: temporary file, sync, rename, directory sync.
Status replace_file(FileSystem& files, const std::string& path, ByteView content, FileMode mode);

// "a/b/c" gives "a/b"; "c" gives "".
std::string parent_of(std::string_view path);
std::string join(std::string_view directory, std::string_view name);

}  // namespace vestige::platform
