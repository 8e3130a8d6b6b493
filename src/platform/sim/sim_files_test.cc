// Property: after a crash a SimDisk holds everything that was synced, nothing that was never written, and of
// the rest what its policy allows; the same seed gives the same disk. A twin that is kinder than a real disk
// would let broken recovery code pass; one that is crueller than files.h says would fail correct code.

#include "platform/sim/sim_files.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <random>

namespace vestige::platform::sim {
namespace {

int test_scale() {
  const char* scale = ::getenv("VESTIGE_TEST_SCALE");
  return scale == nullptr ? 1 : std::max(1, ::atoi(scale));
}

std::string content_of(FileSystem& files, const std::string& path) {
  const auto content = read_file(files, path, 1 << 20);
  return content ? std::string(text(*content)) : "error: " + content.error().message;
}

std::unique_ptr<File> make_file(FileSystem& files, const std::string& path, std::string_view content) {
  auto file = files.create(path, FileMode::secret);
  EXPECT_TRUE(file);
  EXPECT_TRUE((*file)->write(0, view(content)));
  EXPECT_TRUE((*file)->sync());
  EXPECT_TRUE(files.sync_directory(parent_of(path)));
  return *std::move(file);
}

// For every byte of a file: the values it may have after a crash. A sync leaves one.
class AllowedBytes {
 public:
  void write(std::uint64_t offset, const std::string& bytes) {
    grow(offset + bytes.size());
    for (std::size_t i = 0; i < bytes.size(); ++i) allowed_[offset + i].insert(bytes[i]);
    now_.resize(std::max<std::size_t>(now_.size(), offset + bytes.size()));
    now_.replace(offset, bytes.size(), bytes);
  }
  void grow(std::size_t size) {
    if (allowed_.size() < size) allowed_.resize(size, {'\0'});
    now_.resize(std::max(now_.size(), size));
  }
  void synced() {
    for (std::size_t i = 0; i < now_.size(); ++i) allowed_[i] = {now_[i]};
    synced_size_ = now_.size();
  }
  void check(const std::string& found) const {
    ASSERT_GE(found.size(), synced_size_);
    ASSERT_LE(found.size(), allowed_.size());
    for (std::size_t i = 0; i < found.size(); ++i)
      ASSERT_TRUE(allowed_[i].contains(found[i])) << "byte " << i << " was never written so";
  }
  void restart(const std::string& found) {
    now_ = found;
    allowed_.assign(found.size(), {});
    synced();
  }
  const std::string& now() const { return now_; }

 private:
  std::vector<std::set<char>> allowed_;
  std::string now_;
  std::size_t synced_size_ = 0;
};

TEST(SimFiles, SyncedBytesSurviveAndNothingElseAppears) {
  for (int round = 0; round < 60 * test_scale(); ++round) {
    const std::uint64_t seed = 5'000 + static_cast<std::uint64_t>(round);
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    SimDisk disk;
    AllowedBytes allowed;
    auto files = disk.open("data");
    auto file = make_file(*files, "wal", "");
    for (int step = 0; step < 80; ++step) {
      const std::uint64_t offset = random() % 200;
      switch (random() % 8) {
        case 0:
          ASSERT_TRUE(file->preallocate(offset));
          allowed.grow(offset);
          break;
        case 1:
          ASSERT_TRUE(file->sync());
          allowed.synced();
          break;
        case 2: {
          disk.crash({.seed = random(), .keep_unsynced = random() % 4 != 0});
          Bytes one(1);
          EXPECT_EQ(file->read(0, one).error().kind, ErrorKind::io);
          files = disk.open("data");
          const auto found = content_of(*files, "wal");
          allowed.check(found);
          allowed.restart(found);
          file = *files->open("wal");
          break;
        }
        default: {
          const std::string bytes(1 + random() % 60, static_cast<char>('a' + random() % 26));
          ASSERT_TRUE(file->write(offset, view(bytes)));
          allowed.write(offset, bytes);
        }
      }
      ASSERT_EQ(content_of(*files, "wal"), allowed.now());
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

// Names of one directory: each state that it went through since its last sync may be what a crash leaves.
TEST(SimFiles, ADirectoryComesBackAsOneOfItsStatesSinceTheLastSync) {
  using Names = std::map<std::string, std::string>;  // name and content
  std::set<std::size_t> reached;
  for (int round = 0; round < 200 * test_scale(); ++round) {
    const std::uint64_t seed = 9'000 + static_cast<std::uint64_t>(round);
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    SimDisk disk;
    auto files = disk.open("data");
    std::vector<Names> states{{}};
    for (int step = 0; step < 12; ++step) {
      auto names = states.back();
      const std::string a(1, static_cast<char>('a' + random() % 4));
      const std::string b(1, static_cast<char>('a' + random() % 4));
      const auto action = random() % 5;
      if (action == 0) {
        ASSERT_TRUE(files->sync_directory(""));
        states = {names};
        continue;
      }
      if (!names.contains(a)) {
        names[a] = std::to_string(step);
        auto file = files->create(a, FileMode::secret);
        ASSERT_TRUE((*file)->write(0, view(names[a])));
        ASSERT_TRUE((*file)->sync());
      } else if (action == 1) {
        names.erase(a);
        ASSERT_TRUE(files->remove(a));
      } else if (a != b) {
        names[b] = names[a];
        names.erase(a);
        ASSERT_TRUE(files->rename(a, b));
      }
      states.push_back(names);
    }
    disk.crash({.seed = seed});
    files = disk.open("data");
    Names found;
    for (const auto& entry : files->list("").value()) found[entry.name] = content_of(*files, entry.name);
    const auto state = std::ranges::find(states, found);
    ASSERT_NE(state, states.end());
    reached.insert(static_cast<std::size_t>(states.end() - state));
  }
  EXPECT_GT(reached.size(), 4u) << "crashes should leave different states";
}

TEST(SimFiles, ARenameBetweenDirectoriesIsNeverHalfDone) {
  int moved = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    SimDisk disk;
    auto files = disk.open("");
    ASSERT_TRUE(files->make_directories("x"));
    ASSERT_TRUE(files->make_directories("y"));
    make_file(*files, "x/a", "content");
    ASSERT_TRUE(files->create("y/before", FileMode::secret));
    ASSERT_TRUE(files->rename("x/a", "y/a"));
    ASSERT_TRUE(files->create("x/after", FileMode::secret));
    const bool synced = seed % 2 == 0;
    if (synced) ASSERT_TRUE(files->sync_directory(seed % 4 == 0 ? "x" : "y"));
    disk.crash({.seed = seed});
    files = disk.open("");
    ASSERT_NE(files->exists("x/a"), files->exists("y/a")) << "seed " << seed;
    if (synced) ASSERT_TRUE(files->exists("y/a"));
    if (files->exists("y/a")) {
      ++moved;
      ASSERT_TRUE(files->exists("y/before")) << "an earlier operation of the same directory was skipped";
    }
  }
  EXPECT_GT(moved, 30);
  EXPECT_LT(moved, 60);
}

TEST(SimFiles, TheSameSeedLeavesTheSameDisk) {
  const auto run = [](std::uint64_t seed) {
    SimDisk disk;
    auto files = disk.open("data");
    for (const char* name : {"a", "b", "c", "d"}) {
      auto file = files->create(name, FileMode::secret);
      for (std::uint64_t i = 0; i < 10; ++i) EXPECT_TRUE((*file)->write(i * 7, view("0123456789abcdef")));
    }
    disk.crash({.seed = seed});
    return disk.snapshot();
  };
  EXPECT_EQ(run(1), run(1));
  std::set<std::map<std::string, Bytes>> outcomes;
  for (std::uint64_t seed = 0; seed < 20; ++seed) outcomes.insert(run(seed));
  EXPECT_GT(outcomes.size(), 5u);
}

TEST(SimFiles, RareStatesAreReached) {
  SimDisk disk;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    auto files = disk.open("data");
    if (!files->exists("wal")) make_file(*files, "wal", std::string(64, '.'));
    auto file = files->open("wal");
    ASSERT_TRUE((*file)->write(0, view("overwritten")));
    ASSERT_TRUE((*file)->write(30, view("also overwritten")));
    ASSERT_TRUE(files->create("new" + std::to_string(seed), FileMode::secret));
    disk.crash({.seed = seed});
  }
  EXPECT_EQ(disk.probes().crashes, 200u);
  EXPECT_GT(disk.probes().writes_lost, 20u);
  EXPECT_GT(disk.probes().writes_torn, 20u);
  EXPECT_GT(disk.probes().writes_kept, 20u);
  EXPECT_GT(disk.probes().names_lost, 20u);
  EXPECT_GT(disk.probes().names_kept, 20u);
}

TEST(SimFiles, WithoutKeepingNothingUnsyncedSurvives) {
  SimDisk disk;
  auto files = disk.open("data");
  auto file = make_file(*files, "a", "synced");
  ASSERT_TRUE(file->write(0, view("SYNCED and more")));
  ASSERT_TRUE(file->truncate(3));
  auto fresh = files->create("b", FileMode::secret);
  ASSERT_TRUE((*fresh)->write(0, view("x")));
  ASSERT_TRUE((*fresh)->sync());
  disk.crash({.seed = 1, .keep_unsynced = false});
  files = disk.open("data");
  EXPECT_EQ(content_of(*files, "a"), "synced");
  EXPECT_FALSE(files->exists("b")) << "its directory was not synced";
}

TEST(SimFiles, AfterAFailedSyncALaterOneDoesNotMakeItDurable) {
  SimDisk disk;
  auto files = disk.open("data");
  auto file = make_file(*files, "wal", "........");
  ASSERT_TRUE(file->write(0, view("AA")));
  disk.fail_syncs_of("wal");
  ASSERT_EQ(file->sync().error().kind, ErrorKind::io);
  disk.fail_syncs_of("");
  ASSERT_TRUE(file->write(4, view("BB")));
  ASSERT_TRUE(file->sync());
  EXPECT_EQ(content_of(*files, "wal"), "AA..BB..");
  disk.crash({.seed = 1, .keep_unsynced = false});
  files = disk.open("data");
  EXPECT_EQ(content_of(*files, "wal"), "....BB..");
}

TEST(SimFiles, TheNthMutatingCallFails) {
  SimDisk disk;
  auto files = disk.open("data");
  auto file = make_file(*files, "a", "12345678");
  EXPECT_EQ(disk.calls(), 4u);  // create, write, sync, sync_directory
  disk.reset_calls();
  disk.fail_call(2, SimDisk::Fault::io_error);
  ASSERT_TRUE(file->sync());
  ASSERT_EQ(file->write(0, view("abcdefgh")).error().kind, ErrorKind::io);
  EXPECT_EQ(content_of(*files, "a"), "abcd5678") << "a failed write leaves its first half";
  ASSERT_TRUE(file->sync());
  EXPECT_EQ(disk.calls(), 3u);
  disk.fail_call(1, SimDisk::Fault::disk_full);
  ASSERT_EQ(files->create("b", FileMode::secret).error().kind, ErrorKind::unavailable);
  EXPECT_FALSE(files->exists("b"));
  disk.fail_call(1, SimDisk::Fault::io_error);
  disk.fail_call(0, SimDisk::Fault::io_error);
  ASSERT_TRUE(files->create("b", FileMode::secret));
  EXPECT_EQ(disk.probes().failures_injected, 2u);
}

TEST(SimFiles, PowerLossEndsEverythingUntilTheCrash) {
  SimDisk disk;
  auto files = disk.open("data");
  auto file = make_file(*files, "a", "1");
  auto lock = files->lock("LOCK");
  ASSERT_TRUE(lock);
  disk.fail_call(1, SimDisk::Fault::power_loss);
  ASSERT_EQ(file->write(0, view("2")).error().kind, ErrorKind::io);
  Bytes out(1);
  EXPECT_EQ(file->read(0, out).error().kind, ErrorKind::io);
  EXPECT_EQ(files->list("").error().kind, ErrorKind::io);
  EXPECT_FALSE(files->exists("a"));
  disk.crash({.seed = 3});
  EXPECT_EQ(file->read(0, out).error().kind, ErrorKind::io) << "a handle from before the crash";
  EXPECT_EQ(files->open("a").error().kind, ErrorKind::io);
  const auto next = disk.open("data");
  EXPECT_EQ(content_of(*next, "a"), "1");
  auto next_lock = next->lock("LOCK");
  ASSERT_TRUE(next_lock);
  lock->reset();
  EXPECT_EQ(next->lock("LOCK").error().kind, ErrorKind::conflict)
      << "a dead lock must not release a live one";
}

TEST(SimFiles, AFullDiskTakesWhatFits) {
  SimDisk disk(10);
  auto files = disk.open("data");
  auto file = make_file(*files, "a", "123456");
  EXPECT_EQ(disk.used_bytes(), 6u);
  EXPECT_EQ(files->free_bytes(), 4u);
  ASSERT_EQ(file->write(6, view("789abcd")).error().kind, ErrorKind::unavailable);
  EXPECT_EQ(content_of(*files, "a"), "123456789a");
  ASSERT_TRUE(file->write(0, view("overwrites")));
  EXPECT_EQ(file->preallocate(11).error().kind, ErrorKind::unavailable);
  ASSERT_TRUE(files->remove("a"));
  EXPECT_EQ(disk.used_bytes(), 0u);
  disk.set_capacity(0);
  auto other = files->create("b", FileMode::secret);
  EXPECT_EQ((*other)->write(0, view("1")).error().kind, ErrorKind::unavailable);
}

TEST(SimFiles, DamageIsDurableAndSeenByOpenFiles) {
  SimDisk disk;
  auto files = disk.open("data");
  auto file = make_file(*files, "a", "abcd");
  ASSERT_TRUE(file->write(1, view("B")));
  disk.flip_bit("data/a", 1, 5);  // 'B' becomes 'b', and the durable 'b' becomes 'B'
  EXPECT_EQ(content_of(*files, "a"), "abcd");
  disk.crash({.seed = 1, .keep_unsynced = false});
  files = disk.open("data");
  EXPECT_EQ(content_of(*files, "a"), "aBcd");

  const auto before = disk.snapshot();
  disk.put("data/new/b", view("put"));
  disk.erase("data/a");
  disk.crash({.seed = 1, .keep_unsynced = false});
  EXPECT_EQ(disk.snapshot(), (std::map<std::string, Bytes>{{"data/new/b", {'p', 'u', 't'}}}));
  disk.restore(before);
  disk.crash({.seed = 1, .keep_unsynced = false});
  EXPECT_EQ(disk.snapshot(), before);
}

}  // namespace
}  // namespace vestige::platform::sim
