// A file system that tells a test of its calls before it makes them, so that what another thread might do at
// that very moment can be done at that very moment, on one thread.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "platform/files.h"

namespace vestige::vault::testing {

class HookedFiles final : public platform::FileSystem {
 public:
  explicit HookedFiles(platform::FileSystem& under) : under_(under) {}

  // Called once, before the next call named `call` ("open_read_only" or "sync_directory") of `path`.
  void before(std::string call, std::string path, std::function<void()> hook) {
    call_ = std::move(call);
    path_ = std::move(path);
    hook_ = std::move(hook);
  }
  bool waiting() const { return static_cast<bool>(hook_); }

  Result<std::unique_ptr<platform::File>> open(const std::string& path) override { return under_.open(path); }
  Result<std::unique_ptr<platform::File>> open_read_only(const std::string& path) override {
    tell("open_read_only", path);
    return under_.open_read_only(path);
  }
  Result<std::unique_ptr<platform::File>> create(const std::string& path, platform::FileMode mode) override {
    return under_.create(path, mode);
  }
  Status rename(const std::string& from, const std::string& to) override { return under_.rename(from, to); }
  Status remove(const std::string& path) override { return under_.remove(path); }
  Status make_directories(const std::string& path) override { return under_.make_directories(path); }
  Status sync_directory(const std::string& path) override {
    tell("sync_directory", path);
    return under_.sync_directory(path);
  }
  Result<std::vector<Entry>> list(const std::string& path) override { return under_.list(path); }
  bool exists(const std::string& path) override { return under_.exists(path); }
  Result<std::uint64_t> free_bytes() override { return under_.free_bytes(); }
  Result<std::unique_ptr<platform::DirectoryLock>> lock(const std::string& path) override {
    return under_.lock(path);
  }
  Result<bool> is_locked(const std::string& path) override { return under_.is_locked(path); }
  std::string describe(const std::string& path) const override { return under_.describe(path); }

 private:
  void tell(const std::string& call, const std::string& path) {
    if (!hook_ || call != call_ || path != path_) return;
    const auto hook = std::exchange(hook_, nullptr);
    hook();
  }

  platform::FileSystem& under_;
  std::string call_, path_;
  std::function<void()> hook_;
};

}  // namespace vestige::vault::testing
