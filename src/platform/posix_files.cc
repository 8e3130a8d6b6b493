// FileSystem over POSIX, below one directory descriptor, so that a renamed parent cannot redirect us.

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>

#include "base/check.h"
#include "platform/files.h"

namespace vestige::platform {
namespace {

constexpr std::size_t zero_chunk_bytes = 1 << 20;

std::unexpected<Error> machine_error(int code, std::string what) {
  const bool full = code == ENOSPC || code == EDQUOT;
  const auto kind = code == ENOENT ? ErrorKind::not_found : full ? ErrorKind::unavailable : ErrorKind::io;
  return fail(kind, fmt::format("{}: {}", what, std::generic_category().message(code)));
}

class PosixFile final : public File {
 public:
  PosixFile(int descriptor, std::string path, std::string shown)
      : descriptor_(descriptor), path_(std::move(path)), shown_(std::move(shown)) {}
  ~PosixFile() override { ::close(descriptor_); }
  PosixFile(const PosixFile&) = delete;
  PosixFile& operator=(const PosixFile&) = delete;

  Status read(std::uint64_t offset, std::span<std::uint8_t> out) override {
    while (!out.empty()) {
      const auto got = ::pread(descriptor_, out.data(), out.size(), static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return machine_error(errno, fmt::format("reading {}", shown_));
      if (got == 0)
        return corrupt(path_, offset,
                       fmt::format("{} ends at byte {}, {} bytes too early", shown_, offset, out.size()));
      out = out.subspan(static_cast<std::size_t>(got));
      offset += static_cast<std::uint64_t>(got);
    }
    return {};
  }

  Status write(std::uint64_t offset, ByteView bytes) override {
    while (!bytes.empty()) {
      const auto put = ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return machine_error(errno, fmt::format("writing {}", shown_));
      bytes = bytes.subspan(static_cast<std::size_t>(put));
      offset += static_cast<std::uint64_t>(put);
    }
    return {};
  }

  Status preallocate(std::uint64_t size) override {
    VESTIGE_TRY(const auto have, this->size());
    if (size <= have) return {};
    // Reserve first, so that a full disk is met at once; then write, so that extents need no conversion
    // at the first real sync.
    if (const int code = ::posix_fallocate(descriptor_, 0, static_cast<off_t>(size)); code != 0)
      return machine_error(code, fmt::format("reserving {} bytes for {}", size, shown_));
    const Bytes zeros(zero_chunk_bytes);
    for (std::uint64_t at = have; at < size; at += zero_chunk_bytes) {
      const auto piece = static_cast<std::size_t>(std::min<std::uint64_t>(zero_chunk_bytes, size - at));
      VESTIGE_CHECKED(write(at, ByteView(zeros).first(piece)));
    }
    return {};
  }

  Status truncate(std::uint64_t size) override {
    if (::ftruncate(descriptor_, static_cast<off_t>(size)) != 0)
      return machine_error(errno, fmt::format("truncating {}", shown_));
    return {};
  }

  Status sync() override {
    if (::fdatasync(descriptor_) != 0) return machine_error(errno, fmt::format("syncing {}", shown_));
    return {};
  }

  Result<std::uint64_t> size() override {
    struct stat about{};
    if (::fstat(descriptor_, &about) != 0)
      return machine_error(errno, fmt::format("asking the size of {}", shown_));
    return static_cast<std::uint64_t>(about.st_size);
  }

  const std::string& path() const override { return path_; }

 private:
  int descriptor_;
  std::string path_;
  std::string shown_;
};

class PosixLock final : public DirectoryLock {
 public:
  explicit PosixLock(int descriptor) : descriptor_(descriptor) {}
  ~PosixLock() override { ::close(descriptor_); }
  PosixLock(const PosixLock&) = delete;
  PosixLock& operator=(const PosixLock&) = delete;

 private:
  int descriptor_;
};

class PosixFileSystem final : public FileSystem {
 public:
  PosixFileSystem(int root, std::string shown) : root_(root), shown_(std::move(shown)) {}
  ~PosixFileSystem() override { ::close(root_); }
  PosixFileSystem(const PosixFileSystem&) = delete;
  PosixFileSystem& operator=(const PosixFileSystem&) = delete;

  Result<std::unique_ptr<File>> open(const std::string& path) override { return open_with(path, O_RDWR, 0); }
  Result<std::unique_ptr<File>> open_read_only(const std::string& path) override {
    return open_with(path, O_RDONLY, 0);
  }
  Result<std::unique_ptr<File>> create(const std::string& path, FileMode mode) override {
    return open_with(path, O_RDWR | O_CREAT | O_EXCL, mode == FileMode::secret ? 0600 : 0644);
  }

  Status rename(const std::string& from, const std::string& to) override {
    if (::renameat(root_, from.c_str(), root_, to.c_str()) != 0)
      return machine_error(errno, fmt::format("renaming {} to {}", describe(from), describe(to)));
    return {};
  }

  Status remove(const std::string& path) override {
    if (::unlinkat(root_, path.c_str(), 0) != 0)
      return machine_error(errno, fmt::format("removing {}", describe(path)));
    return {};
  }

  Status make_directories(const std::string& path) override {
    std::string made;
    for (std::size_t start = 0; start <= path.size() && !path.empty();) {
      const auto end = std::min(path.find('/', start), path.size());
      const auto parent = made;
      made = join(made, path.substr(start, end - start));
      if (::mkdirat(root_, made.c_str(), 0700) == 0) {
        VESTIGE_CHECKED(sync_directory(parent));
      } else if (errno != EEXIST) {
        return machine_error(errno, fmt::format("making the directory {}", describe(made)));
      }
      start = end + 1;
    }
    return {};
  }

  Status sync_directory(const std::string& path) override {
    const int directory =
        ::openat(root_, path.empty() ? "." : path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) return machine_error(errno, fmt::format("opening the directory {}", describe(path)));
    const int outcome = ::fsync(directory);
    const int code = errno;
    ::close(directory);
    if (outcome != 0) return machine_error(code, fmt::format("syncing the directory {}", describe(path)));
    return {};
  }

  Result<std::vector<Entry>> list(const std::string& path) override {
    const int directory =
        ::openat(root_, path.empty() ? "." : path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) return machine_error(errno, fmt::format("opening the directory {}", describe(path)));
    DIR* stream = ::fdopendir(directory);
    if (stream == nullptr) {
      const int code = errno;
      ::close(directory);
      return machine_error(code, fmt::format("reading the directory {}", describe(path)));
    }
    std::vector<Entry> entries;
    while (const dirent* item = ::readdir(stream)) {
      const std::string name = item->d_name;
      if (name == "." || name == "..") continue;
      struct stat about{};
      if (::fstatat(::dirfd(stream), item->d_name, &about, AT_SYMLINK_NOFOLLOW) != 0)
        continue;  // gone meanwhile
      entries.push_back({name, S_ISDIR(about.st_mode)});
    }
    ::closedir(stream);
    std::ranges::sort(entries, {}, &Entry::name);
    return entries;
  }

  bool exists(const std::string& path) override { return ::faccessat(root_, path.c_str(), F_OK, 0) == 0; }

  Result<std::uint64_t> free_bytes() override {
    struct statvfs about{};
    if (::fstatvfs(root_, &about) != 0)
      return machine_error(errno, fmt::format("asking the free space of {}", shown_));
    return static_cast<std::uint64_t>(about.f_bavail) * about.f_frsize;
  }

  Result<std::unique_ptr<DirectoryLock>> lock(const std::string& path) override {
    const int descriptor = ::openat(root_, path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (descriptor < 0) return machine_error(errno, fmt::format("opening {}", describe(path)));
    if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
      const int code = errno;
      ::close(descriptor);
      if (code == EWOULDBLOCK)
        return fail(ErrorKind::conflict, fmt::format("another vestige server is using {}", shown_));
      return machine_error(code, fmt::format("locking {}", describe(path)));
    }
    return std::make_unique<PosixLock>(descriptor);
  }

  Result<bool> is_locked(const std::string& path) override {
    const int descriptor = ::openat(root_, path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0 && errno == ENOENT) return false;
    if (descriptor < 0) return machine_error(errno, fmt::format("opening {}", describe(path)));
    // A shared lock is the only question that asks for no right to write; it ends with the descriptor.
    const int outcome = ::flock(descriptor, LOCK_SH | LOCK_NB);
    const int code = errno;
    ::close(descriptor);
    if (outcome == 0) return false;
    if (code == EWOULDBLOCK) return true;
    return machine_error(code, fmt::format("asking whether {} is locked", describe(path)));
  }

  std::string describe(const std::string& path) const override {
    return path.empty() ? shown_ : fmt::format("{}/{}", shown_, path);
  }

 private:
  Result<std::unique_ptr<File>> open_with(const std::string& path, int flags, mode_t mode) {
    const int descriptor = ::openat(root_, path.c_str(), flags | O_CLOEXEC, mode);
    if (descriptor < 0) {
      if (errno == EEXIST) return fail(ErrorKind::conflict, fmt::format("{} exists already", describe(path)));
      return machine_error(errno, fmt::format("opening {}", describe(path)));
    }
    return std::make_unique<PosixFile>(descriptor, path, describe(path));
  }

  int root_;
  std::string shown_;
};

}  // namespace

Result<std::unique_ptr<FileSystem>> open_directory(const std::string& root, bool create) {
  if (create) {
    for (std::size_t slash = root.find('/', 1);; slash = root.find('/', slash + 1)) {
      const auto piece = root.substr(0, slash);
      if (::mkdir(piece.c_str(), 0700) != 0 && errno != EEXIST)
        return machine_error(errno, fmt::format("making the directory {}", piece));
      if (slash == std::string::npos) break;
    }
  }
  const int descriptor = ::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return machine_error(errno, fmt::format("opening the directory {}", root));
  auto shown = root;
  while (shown.size() > 1 && shown.back() == '/') shown.pop_back();
  return std::make_unique<PosixFileSystem>(descriptor, shown);
}

}  // namespace vestige::platform
