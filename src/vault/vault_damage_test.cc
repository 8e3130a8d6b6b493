// Property: every single changed bit of a vault's files is refused, with the root key and without, and the
// error names the file. A missing page is refused too; what is only left over is not.
#include <gtest/gtest.h>

#include "platform/sim/sim_files.h"
#include "vault/format.h"
#include "vault/testing/vault_world.h"

namespace vestige::vault {
namespace {

using testing::VaultWorld;

void fill(VaultWorld& world, int subjects) {
  ASSERT_TRUE(world.reopen());
  for (int number = 0; number < subjects; ++number)
    ASSERT_TRUE(world.vault->owner_of("acme", "user:" + std::to_string(number)));
  ASSERT_TRUE(world.vault->retention_key(standard_retention, Month{682}));
}

TEST(VaultDamage, EveryFlippedBitIsRefusedAndItsFileNamed) {
  VaultWorld world(21);
  fill(world, 4);
  world.vault.reset();
  for (const auto& [path, bytes] : world.disk.snapshot()) {
    const auto name = path.substr(std::string("vault/").size());
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      world.disk.flip_bit(path, bit / 8, static_cast<unsigned>(bit % 8));
      const auto opened = world.reopen(false);
      ASSERT_FALSE(opened) << name << " bit " << bit;
      ASSERT_EQ(opened.error().kind, ErrorKind::corrupt) << opened.error().message;
      ASSERT_EQ(opened.error().where.value().file, name);
      const auto read = read_vault(*world.files, world.root);
      ASSERT_FALSE(read);
      ASSERT_EQ(read.error().kind, ErrorKind::corrupt);
      const auto now = platform::read_file(*world.files, name, top_bytes_max).value();
      ASSERT_EQ(check_container(name, now).error().kind, ErrorKind::corrupt);
      world.disk.flip_bit(path, bit / 8, static_cast<unsigned>(bit % 8));
    }
  }
  EXPECT_TRUE(world.reopen(false));
}

// Damage that comes after opening is met when the page is read again.
TEST(VaultDamage, APageThatRotsWhileTheVaultIsOpenIsRefusedWhenItIsRead) {
  VaultWorld world(22);
  world.options.cached_keys_max = 1;
  fill(world, 600);
  world.disk.flip_bit("vault/" + page_path({0, 2}), 200, 3);
  const auto error = world.vault->owner_of("acme", "user:5").error();
  EXPECT_EQ(error.kind, ErrorKind::corrupt);
  EXPECT_EQ(error.where.value().file, page_path({0, 2}));
  EXPECT_TRUE(world.vault->owner_of("acme", "user:599"));
}

TEST(VaultDamage, AMissingPageIsRefused) {
  VaultWorld world(23);
  fill(world, 4);
  world.vault.reset();
  world.disk.erase("vault/" + page_path({0, 2}));
  const auto opened = world.reopen(false);
  ASSERT_FALSE(opened);
  const auto read = read_vault(*world.files, world.root);
  ASSERT_FALSE(read);
  for (const auto& error : {opened.error(), read.error()}) {
    EXPECT_EQ(error.kind, ErrorKind::corrupt);
    EXPECT_EQ(error.where.value().file, page_path({0, 2}));
  }
}

TEST(VaultDamage, LeftOversAreReportedAndThenRemovedAndForeignFilesLeftAlone) {
  VaultWorld world(24);
  fill(world, 4);
  for (const auto* name : {"top.tmp", "root.key.tmp", "erased.tmp", "pages/00000000-0000000000000001.page",
                           "pages/00000001-0000000000000003.page", "note.txt", "pages/note.txt"})
    world.disk.put(std::string("vault/") + name, Bytes{1, 2, 3});
  const auto image = read_vault(*world.files, world.root).value();
  EXPECT_EQ(image.left_overs, (std::vector<std::string>{"erased.tmp", "root.key.tmp", "top.tmp",
                                                        "pages/00000000-0000000000000001.page",
                                                        "pages/00000001-0000000000000003.page"}));
  EXPECT_EQ(image.foreign, (std::vector<std::string>{"note.txt", "pages/note.txt"}));
  ASSERT_TRUE(world.reopen(false));
  const auto after = read_vault(*world.files, world.root).value();
  EXPECT_TRUE(after.left_overs.empty());
  EXPECT_EQ(after.foreign.size(), 2U);
  EXPECT_EQ(after.owners.size(), 4U);
  EXPECT_EQ(after.retention_keys.size(), 1U);
}

}  // namespace
}  // namespace vestige::vault
