// A file system on which something else happens whenever a file is opened or a directory is listed: what a
// server does while a verifier reads, on one thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "platform/files.h"

namespace vestige::verify::testing {

class StepFiles final : public platform::FileSystem {
 public:
  StepFiles(platform::FileSystem& under, std::function<void()> step)
      : under_(under), step_(std::move(step)) {}

  Result<std::unique_ptr<platform::File>> open(const std::string& path) override { return under_.open(path); }
  Result<std::unique_ptr<platform::File>> open_read_only(const std::string& path) override {
    step_();
    return under_.open_read_only(path);
  }
  Result<std::unique_ptr<platform::File>> create(const std::string& path, platform::FileMode mode) override {
    return under_.create(path, mode);
  }
  Status rename(const std::string& from, const std::string& to) override { return under_.rename(from, to); }
  Status remove(const std::string& path) override { return under_.remove(path); }
  Status make_directories(const std::string& path) override { return under_.make_directories(path); }
  Status sync_directory(const std::string& path) override { return under_.sync_directory(path); }
  Result<std::vector<Entry>> list(const std::string& path) override {
    step_();
    return under_.list(path);
  }
  bool exists(const std::string& path) override { return under_.exists(path); }
  Result<std::uint64_t> free_bytes() override { return under_.free_bytes(); }
  Result<std::unique_ptr<platform::DirectoryLock>> lock(const std::string& path) override {
    return under_.lock(path);
  }
  Result<bool> is_locked(const std::string& path) override { return under_.is_locked(path); }
  std::string describe(const std::string& path) const override { return under_.describe(path); }

 private:
  platform::FileSystem& under_;
  std::function<void()> step_;
};

}  // namespace vestige::verify::testing
