// Property: a WAL file that was reserved ahead serves as one that was reserved when it was needed: whatever
// call fails, and when, every frame whose append succeeded is read again after a crash, in order.
#include "trail/log/wal_writer.h"

#include <gtest/gtest.h>

#include "base/testing/shared_data.h"
#include "platform/sim/sim_clock.h"
#include "platform/sim/sim_files.h"
#include "trail/log/wal_reader.h"
#include "trail/testing/sim_trail.h"

namespace vestige::trail {
namespace {

using platform::sim::SimDisk;

// Appends groups until three files were begun, with a spare prepared before each. Gives the sizes of the
// groups that were acknowledged.
std::vector<std::size_t> write_three_files(WalWriter& writer) {
  std::vector<std::size_t> acknowledged;
  for (std::size_t i = 0; i < 24; ++i) {
    writer.prepare_spare();
    if (!writer.append(FrameKind::group, Bytes(6'000 + i), {}, WalWriter::Sync::yes)) break;
    acknowledged.push_back(6'000 + i);
  }
  return acknowledged;
}

// False where fewer than n calls were made.
bool fail_at(std::uint64_t n, SimDisk::Fault fault, std::uint64_t crash_seed) {
  SimDisk disk;
  testing::TestWrapper wrapper;
  platform::sim::SimEntropy entropy(1);
  const Block16 data_id{9};
  auto files = disk.open("data");
  EXPECT_TRUE(files->make_directories(std::string(wal_directory)));
  WalWriter writer(*files, wrapper, entropy, data_id, testing::small_options());
  EXPECT_TRUE(writer.start_root(1, 1));
  disk.fail_call(n, fault);
  const auto acknowledged = write_three_files(writer);
  const bool reached = disk.probes().failures_injected > 0;
  disk.crash({.seed = crash_seed, .keep_unsynced = crash_seed != 0});
  files = disk.open("data");
  std::vector<std::size_t> read;
  const auto end =
      read_wal(*files, &wrapper, data_id, 1, false, [&](const WalFrame&, const Bytes& plain) -> Status {
        read.push_back(plain.size());
        return {};
      });
  EXPECT_TRUE(end) << end.error().message;
  EXPECT_GE(read.size(), acknowledged.size());
  EXPECT_LE(read.size(), acknowledged.size() + 1);
  read.resize(acknowledged.size());
  EXPECT_EQ(read, acknowledged);
  if (!reached) EXPECT_EQ(acknowledged.size(), 24U);
  if (!reached) EXPECT_GE(end->chain.size(), 3U);
  return reached;
}

TEST(WalWriter, FilesReservedAheadLoseNothing) {
  for (const auto fault : {SimDisk::Fault::io_error, SimDisk::Fault::disk_full, SimDisk::Fault::power_loss})
    for (std::uint64_t crash_seed = 0; crash_seed < 3; ++crash_seed)
      for (std::uint64_t n = 1; n < 500; ++n) {
        SCOPED_TRACE("call " + std::to_string(n) + ", crash " + std::to_string(crash_seed));
        const bool reached = fail_at(n, fault, crash_seed);
        if (HasFailure()) return;
        if (!reached) {
          ASSERT_GT(n, 50U);
          break;
        }
      }
}

TEST(WalWriter, ASpareIsReservedOnceTheFileIsHalfFull) {
  SimDisk disk;
  testing::TestWrapper wrapper;
  platform::sim::SimEntropy entropy(1);
  const auto files = disk.open("data");
  ASSERT_TRUE(files->make_directories(std::string(wal_directory)));
  const auto options = testing::small_options();
  WalWriter writer(*files, wrapper, entropy, Block16{9}, options);
  ASSERT_TRUE(writer.start_root(1, 1));
  writer.prepare_spare();
  EXPECT_EQ(writer.bytes(), options.wal_file_bytes);
  ASSERT_TRUE(writer.append(FrameKind::group, Bytes(40'000), {}, WalWriter::Sync::yes));
  writer.prepare_spare();
  writer.prepare_spare();
  EXPECT_EQ(writer.bytes(), 2 * options.wal_file_bytes);
}

}  // namespace
}  // namespace vestige::trail
