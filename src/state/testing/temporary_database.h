// A database in a directory that goes with the test.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "platform/sim/sim_clock.h"
#include "state/database.h"

namespace vestige::state::testing {

class TemporaryDatabase {
 public:
  explicit TemporaryDatabase(std::span<const Migration> migrations = {}) : migrations_(migrations) {
    std::string name = (place() / "vestige-state-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    options.path = (folder_ / "state.db").string();
  }
  ~TemporaryDatabase() {
    database_.reset();
    std::filesystem::remove_all(folder_);
  }
  TemporaryDatabase(const TemporaryDatabase&) = delete;
  TemporaryDatabase& operator=(const TemporaryDatabase&) = delete;

  // Opens it anew, as after a stop.
  Database& reopen() {
    database_.reset();
    auto opened = Database::open(options, migrations_, clock);
    if (!opened) throw std::runtime_error(opened.error().message);
    database_ = *std::move(opened);
    return *database_;
  }
  void close() { database_.reset(); }
  Database& operator*() { return database_ ? *database_ : reopen(); }
  Database* operator->() { return &**this; }
  const std::filesystem::path& folder() const { return folder_; }

  platform::sim::SimClock clock;
  DatabaseOptions options;

 private:
  // In memory where nothing else is asked for: a test opens many databases, and waits for each sync of a
  // disk.
  static std::filesystem::path place() {
    const bool in_memory = std::getenv("TMPDIR") == nullptr && std::filesystem::is_directory("/dev/shm");
    return in_memory ? "/dev/shm" : std::filesystem::temp_directory_path();
  }

  std::span<const Migration> migrations_;
  std::filesystem::path folder_;
  std::unique_ptr<Database> database_;
};

}  // namespace vestige::state::testing
