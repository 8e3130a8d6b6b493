// Property: what is added is read back in order, however much it is; a file that it needed says nothing to
// whoever reads the disk, and is gone with it.
#include "sources/postgres/spool.h"

#include <gtest/gtest.h>

#include <random>

#include "platform/sim/sim_clock.h"
#include "platform/sim/sim_files.h"
#include "sources/postgres/limits.h"

namespace vestige::sources::postgres {
namespace {

struct World {
  platform::sim::SimDisk disk;
  platform::sim::SimEntropy entropy{7};
  std::unique_ptr<platform::FileSystem> files = disk.open("data");
};

std::vector<Bytes> all_of(Spool& spool) {
  std::vector<Bytes> messages;
  const auto read = spool.read([&](ByteView message) -> Status {
    messages.emplace_back(message.begin(), message.end());
    return {};
  });
  EXPECT_TRUE(read) << read.error().message;
  return messages;
}

TEST(Spool, WhatIsAddedIsReadBackInOrder) {
  std::mt19937 random(1);
  for (const std::size_t total : {std::size_t{0}, std::size_t{1'000}, limits::spool_memory_bytes_max / 2,
                                  3 * limits::spool_memory_bytes_max}) {
    World world;
    {
      Spool spool(*world.files, world.entropy, "capture-crm-7.tmp");
      std::vector<Bytes> expected;
      for (std::size_t bytes = 0; bytes < total; bytes += expected.back().size() + 1) {
        // Also empty ones, and one that is longer than a chunk.
        const std::size_t length = expected.size() == 3 ? 2 * limits::spool_chunk_bytes : random() % 40'000;
        expected.emplace_back(std::min(length, total - bytes),
                              static_cast<std::uint8_t>('A' + expected.size() % 26));
        ASSERT_TRUE(spool.add(expected.back()));
        if (expected.size() % 100 == 0) ASSERT_EQ(all_of(spool), expected);
      }
      EXPECT_EQ(spool.size(), expected.size());
      ASSERT_EQ(all_of(spool), expected);
      ASSERT_EQ(all_of(spool), expected);
      const bool filed = world.files->exists("capture-crm-7.tmp");
      EXPECT_EQ(filed, total > limits::spool_memory_bytes_max);
      for (const auto& [path, content] : world.disk.snapshot())
        EXPECT_EQ(text(content).find("AAAAAAAA"), std::string_view::npos) << path;
    }
    EXPECT_FALSE(world.files->exists("capture-crm-7.tmp"));
  }
}

TEST(Spool, AFileThatWasChangedIsDamage) {
  World world;
  Spool spool(*world.files, world.entropy, "capture-crm-7.tmp");
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(spool.add(Bytes(limits::spool_memory_bytes_max, 'x')));
  world.disk.flip_bit("data/capture-crm-7.tmp", 1'000, 3);
  const auto read = spool.read([](ByteView) -> Status { return {}; });
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().kind, ErrorKind::corrupt);
}

TEST(Spool, AFullDiskIsToldAndWhatSeesStops) {
  World world;
  world.disk.set_capacity(1'000);
  Spool spool(*world.files, world.entropy, "capture-crm-7.tmp");
  ASSERT_TRUE(spool.add(Bytes(10, 'x')));
  const auto added = spool.add(Bytes(limits::spool_memory_bytes_max, 'x'));
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().kind, ErrorKind::unavailable);
  int seen = 0;
  const auto read = spool.read([&](ByteView) -> Status {
    ++seen;
    return fail(ErrorKind::invalid, "enough");
  });
  EXPECT_FALSE(read);
  EXPECT_EQ(seen, 1);
}

}  // namespace
}  // namespace vestige::sources::postgres
