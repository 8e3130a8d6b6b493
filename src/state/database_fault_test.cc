// Property: whichever write or sync of a file fails, what was acknowledged is there after the next start, and
// what was not is there whole or not at all; after a failure that leaves it open what the disk holds, nothing
// more is written, while reads go on; a disk that is full says so, and writing goes on when there is room.
// Each commit is synced before it is acknowledged.
#include <gtest/gtest.h>
#include <soci/soci.h>
#include <sqlite3.h>

#include <set>

#include "base/testing/shared_data.h"
#include "state/testing/temporary_database.h"

namespace vestige::state {
namespace {

using testing::TemporaryDatabase;

// SQLite's own access to files, with calls that fail when a test says so. For one test at a time.
struct Faults {
  std::uint64_t calls = 0;    // writes and syncs so far
  std::uint64_t fail_at = 0;  // of them this one fails, and
  bool for_good = false;      // all after it
  int code = SQLITE_IOERR_WRITE;
  std::uint64_t log_syncs = 0;
};
Faults faults;

struct FaultyFile {
  sqlite3_file base;
  bool is_log;
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

FaultyFile* faulty(sqlite3_file* file) { return reinterpret_cast<FaultyFile*>(file); }
sqlite3_file* real(sqlite3_file* file) { return faulty(file)->real(); }

bool fails() {
  ++faults.calls;
  return faults.fail_at != 0 &&
         (faults.calls == faults.fail_at || (faults.for_good && faults.calls > faults.fail_at));
}

int write_or_fail(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 offset) {
  if (!fails()) return real(file)->pMethods->xWrite(real(file), bytes, size, offset);
  real(file)->pMethods->xWrite(real(file), bytes, size / 2, offset);  // torn
  return faults.code;
}

int sync_or_fail(sqlite3_file* file, int flags) {
  if (faulty(file)->is_log) ++faults.log_syncs;
  return fails() ? faults.code : real(file)->pMethods->xSync(real(file), flags);
}

const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = [](sqlite3_file* file) { return real(file)->pMethods->xClose(real(file)); },
    .xRead = [](sqlite3_file* file, void* to, int size,
                sqlite3_int64 offset) { return real(file)->pMethods->xRead(real(file), to, size, offset); },
    .xWrite = write_or_fail,
    .xTruncate = [](sqlite3_file* file,
                    sqlite3_int64 size) { return real(file)->pMethods->xTruncate(real(file), size); },
    .xSync = sync_or_fail,
    .xFileSize = [](sqlite3_file* file,
                    sqlite3_int64* size) { return real(file)->pMethods->xFileSize(real(file), size); },
    .xLock = [](sqlite3_file* file, int level) { return real(file)->pMethods->xLock(real(file), level); },
    .xUnlock = [](sqlite3_file* file, int level) { return real(file)->pMethods->xUnlock(real(file), level); },
    .xCheckReservedLock =
        [](sqlite3_file* file, int* held) {
          return real(file)->pMethods->xCheckReservedLock(real(file), held);
        },
    .xFileControl =
        [](sqlite3_file* file, int what, void* argument) {
          return real(file)->pMethods->xFileControl(real(file), what, argument);
        },
    .xSectorSize = [](sqlite3_file* file) { return real(file)->pMethods->xSectorSize(real(file)); },
    .xDeviceCharacteristics =
        [](sqlite3_file* file) { return real(file)->pMethods->xDeviceCharacteristics(real(file)); },
    .xShmMap =
        [](sqlite3_file* file, int page, int size, int extend, void volatile** at) {
          return real(file)->pMethods->xShmMap(real(file), page, size, extend, at);
        },
    .xShmLock = [](sqlite3_file* file, int offset, int n,
                   int flags) { return real(file)->pMethods->xShmLock(real(file), offset, n, flags); },
    .xShmBarrier = [](sqlite3_file* file) { real(file)->pMethods->xShmBarrier(real(file)); },
    .xShmUnmap = [](sqlite3_file* file,
                    int remove) { return real(file)->pMethods->xShmUnmap(real(file), remove); },
    .xFetch = nullptr,
    .xUnfetch = nullptr,
};

int open_faulty(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  auto* const below = static_cast<sqlite3_vfs*>(vfs->pAppData);
  faulty(file)->is_log = (flags & SQLITE_OPEN_WAL) != 0;
  const int opened = below->xOpen(below, name, real(file), flags, out_flags);
  file->pMethods = real(file)->pMethods == nullptr ? nullptr : &methods;
  return opened;
}

class DatabaseFaults : public ::testing::Test {
 protected:
  DatabaseFaults() {
    faults = {};
    below_ = sqlite3_vfs_find(nullptr);
    vfs_ = *below_;
    vfs_.zName = "faulty";
    vfs_.pNext = nullptr;
    vfs_.pAppData = below_;
    vfs_.szOsFile = static_cast<int>(sizeof(FaultyFile)) + below_->szOsFile;
    vfs_.xOpen = open_faulty;
    EXPECT_EQ(sqlite3_vfs_register(&vfs_, 1), SQLITE_OK);
  }
  ~DatabaseFaults() override {
    sqlite3_vfs_unregister(&vfs_);
    sqlite3_vfs_register(below_, 1);
  }

  // Three rows at once; more than a page of them, so that a write can be torn in between.
  static Status put(Database& database, long long id) {
    return database.write([&](Transaction& transaction) -> Status {
      const std::string text(3'000, 'x');
      for (const long long part : {0, 1, 2}) {
        transaction.sql() << "INSERT INTO note (id, part, text) VALUES (:id, :part, :text)", soci::use(id),
            soci::use(part), soci::use(text);
      }
      return {};
    });
  }

  static std::map<long long, long long> parts(Database& database) {
    std::map<long long, long long> found;
    EXPECT_TRUE(database.read([&](Transaction& transaction) -> Status {
      long long id = 0;
      long long count = 0;
      soci::statement rows = (transaction.sql().prepare << "SELECT id, COUNT(*) FROM note GROUP BY id",
                              soci::into(id), soci::into(count));
      rows.execute();
      while (rows.fetch()) found[id] = count;
      return {};
    }));
    return found;
  }

  static constexpr Migration notes[] = {
      {"notes", 1,
       "CREATE TABLE note (id BIGINT, part BIGINT, text TEXT NOT NULL, PRIMARY KEY (id, part));\n"}};

 private:
  sqlite3_vfs* below_ = nullptr;
  sqlite3_vfs vfs_{};
};

TEST_F(DatabaseFaults, EachCommitIsSyncedBeforeItIsAcknowledged) {
  TemporaryDatabase database(notes);
  static_cast<void>(*database);
  for (long long id = 0; id < 5; ++id) {
    const auto before = faults.log_syncs;
    ASSERT_TRUE(put(*database, id));
    EXPECT_GT(faults.log_syncs, before);
  }
}

TEST_F(DatabaseFaults, WhicheverCallFailsWhatWasAcknowledgedIsThereAndTheRestIsWhole) {
  std::size_t ended = 0;
  for (std::uint64_t n = 1; n <= 20; ++n) {
    for (const bool for_good : {false, true}) {
      TemporaryDatabase database(notes);
      static_cast<void>(*database);
      std::set<long long> acknowledged;
      faults.calls = 0;
      faults.fail_at = n;
      faults.for_good = for_good;
      faults.code = n % 2 == 0 ? SQLITE_IOERR_WRITE : SQLITE_IOERR_FSYNC;
      bool failed = false;
      for (long long id = 0; id < 12; ++id) {
        const auto written = put(*database, id);
        if (written) {
          EXPECT_FALSE(failed) << "written after a failure";
          acknowledged.insert(id);
          if (id % 4 == 3) failed = !database->purge();
          continue;
        }
        EXPECT_EQ(written.error().kind, ErrorKind::io) << written.error().message;
        failed = true;
        const auto rows = parts(*database);  // reads go on
        for (const auto known : acknowledged) EXPECT_TRUE(rows.contains(known));
      }
      ended += failed;
      faults.fail_at = 0;
      const auto rows = parts(database.reopen());
      for (const auto known : acknowledged) EXPECT_TRUE(rows.contains(known)) << n;
      for (const auto& [id, count] : rows) EXPECT_EQ(count, 3) << n;
      if (HasFailure()) FAIL() << "call " << n;
    }
  }
  EXPECT_GT(ended, 30u);
}

TEST_F(DatabaseFaults, AFullDiskIsUnavailableUntilThereIsRoom) {
  TemporaryDatabase database(notes);
  ASSERT_TRUE(put(*database, 1));
  faults.calls = 0;
  faults.fail_at = 1;
  faults.for_good = true;
  faults.code = SQLITE_FULL;
  for (int i = 0; i < 2; ++i) {
    const auto written = put(*database, 2);
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().kind, ErrorKind::unavailable);
  }
  faults.fail_at = 0;
  EXPECT_TRUE(put(*database, 3));
  EXPECT_EQ(parts(database.reopen()), (std::map<long long, long long>{{1, 3}, {3, 3}}));
}

}  // namespace
}  // namespace vestige::state
