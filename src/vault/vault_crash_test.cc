// Property: whatever call of the disk a power loss hits, and whatever the disk then keeps of what was not
// synced, the vault opens again, every subject for which sync() had returned is there with its key, every
// retention key that was handed out is there, a kept key is there once its taking in returned and gone once
// its destroying did, and no two subjects share a ref. A full disk loses nothing and can be waited for; a
// failing disk ends all writing.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "platform/sim/sim_files.h"
#include "vault/format.h"
#include "vault/testing/vault_world.h"

namespace vestige::vault {
namespace {

using platform::sim::SimDisk;
using testing::VaultWorld;

std::string subject_name(std::size_t number) { return "user:" + std::to_string(number); }

// What was promised before the lights went out.
struct Promises {
  std::vector<Owner> owners;   // by subject number, as handed out
  std::size_t synced = 0;      // so many of them are durable
  std::vector<Key> retention;  // by month
  std::vector<Key> kept;       // by file number; each took the place of the one before
};

// A vault to begin with, made once: 509 subjects, so that the first page is nearly full.
struct Start {
  std::map<std::string, Bytes> disk;
  Promises promises;
};
Start nearly_full_page() {
  VaultWorld world(30);
  Start start;
  EXPECT_TRUE(world.reopen());
  for (std::size_t number = 0; number < 509; ++number)
    start.promises.owners.push_back(world.vault->owner_of("acme", subject_name(number)).value());
  EXPECT_TRUE(world.vault->sync());
  start.promises.synced = start.promises.owners.size();
  world.vault.reset();
  start.disk = world.disk.snapshot();
  return start;
}

Block16 file_id(std::size_t number) {
  Block16 id{};
  id[0] = static_cast<std::uint8_t>(number + 1);
  return id;
}

// Makes subjects in uneven groups, so that pages are begun, filled and left, until something fails.
void work(VaultWorld& world, const std::vector<std::size_t>& groups, Promises& promises) {
  if (!world.reopen()) return;
  for (const auto group : groups) {
    for (std::size_t made = 0; made < group; ++made) {
      const auto owner = world.vault->owner_of("acme", subject_name(promises.owners.size()));
      if (!owner) return;
      promises.owners.push_back(*owner);
    }
    if (!world.vault->sync()) return;
    promises.synced = promises.owners.size();
    const auto month = Month{static_cast<std::uint16_t>(promises.retention.size())};
    const auto key = world.vault->retention_key(standard_retention, month);
    if (!key) return;
    promises.retention.push_back(*key);
    const auto file = promises.kept.size();
    const auto before = file == 0 ? std::nullopt : std::optional(file_id(file - 1));
    if (!world.vault->replace_kept_key(before, KeptKey{.file = file_id(file), .key = *key, .erasures = 0}))
      return;
    promises.kept.push_back(*key);
  }
}

struct Scenario {
  Start start;
  std::vector<std::size_t> groups;
  std::size_t subjects;  // in the end, if nothing fails
};
std::vector<Scenario> scenarios() {
  return {{{}, {3, 1, 2}, 6}, {nearly_full_page(), {2, 1, 1}, 513}, {nearly_full_page(), {516}, 1'025}};
}

std::uint64_t calls_of(const Scenario& scenario) {
  VaultWorld world(31);
  world.disk.restore(scenario.start.disk);
  world.disk.reset_calls();
  auto promises = scenario.start.promises;
  work(world, scenario.groups, promises);
  EXPECT_EQ(promises.synced, scenario.subjects);
  return world.disk.calls();
}

void expect_kept(VaultWorld& world, const Promises& promises) {
  const auto opened = world.reopen(true);
  ASSERT_TRUE(opened) << opened.error().message;
  for (std::size_t number = 0; number < promises.synced; ++number) {
    const auto found = world.vault->look_up("acme", subject_name(number)).value();
    ASSERT_EQ(found.state, SubjectState::active) << number;
    ASSERT_EQ(found.ref, promises.owners[number].ref);
    ASSERT_EQ(world.vault->key_of(*found.ref).value(), promises.owners[number].key);
  }
  for (std::size_t month = 0; month < promises.retention.size(); ++month)
    ASSERT_EQ(
        world.vault->find_retention_key(standard_retention, Month{static_cast<std::uint16_t>(month)}).value(),
        promises.retention[month]);
  const auto kept = read_vault(*world.files, world.root).value().top.kept_keys;
  const auto has = [&](std::size_t file) {
    return std::ranges::find(kept, file_id(file), &KeptEntry::file) != kept.end();
  };
  ASSERT_LE(kept.size(), 1U);
  if (const auto files = promises.kept.size(); files > 0) {
    // The next one may have taken its place, though nobody was told.
    ASSERT_TRUE(has(files - 1) || has(files));
    if (has(files - 1)) ASSERT_EQ(world.vault->kept_key(file_id(files - 1))->key, promises.kept.back());
  }
  // Goes on as if nothing had been, and stays sound.
  for (std::size_t number = promises.synced; number < promises.owners.size() + 5; ++number)
    ASSERT_TRUE(world.vault->owner_of("acme", subject_name(number)));
  ASSERT_TRUE(world.vault->sync());
  const auto image = read_vault(*world.files, world.root);
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_EQ(image->owners.size(), promises.owners.size() + 5);
  EXPECT_TRUE(image->left_overs.empty());
}

TEST(VaultCrash, PowerLossAtEveryCallKeepsEveryPromise) {
  std::uint64_t lost = 0, kept = 0;
  for (const auto& scenario : scenarios()) {
    const auto calls = calls_of(scenario);
    for (std::uint64_t call = 1; call <= calls; ++call) {
      for (std::uint64_t seed = 0; seed <= testing::rounds(5); ++seed) {
        SCOPED_TRACE(::testing::Message() << scenario.subjects << " subjects, power loss at call " << call
                                          << ", crash seed " << seed);
        VaultWorld world(31);
        world.disk.restore(scenario.start.disk);
        world.disk.fail_call(call, SimDisk::Fault::power_loss);
        auto promises = scenario.start.promises;
        work(world, scenario.groups, promises);
        world.vault.reset();
        world.files.reset();
        world.disk.crash({.seed = seed, .keep_unsynced = seed != 0});
        expect_kept(world, promises);
        if (HasFatalFailure()) return;
        lost += world.disk.probes().names_lost + world.disk.probes().writes_lost;
        kept += world.disk.probes().names_kept + world.disk.probes().writes_kept;
      }
    }
  }
  EXPECT_GT(lost, 0U);
  EXPECT_GT(kept, 0U);
}

TEST(VaultCrash, AFullDiskAtEveryCallLosesNothingAndCanBeWaitedFor) {
  for (const auto& scenario : scenarios()) {
    const auto calls = calls_of(scenario);
    for (std::uint64_t call = 1; call <= calls; ++call) {
      SCOPED_TRACE(::testing::Message() << scenario.subjects << " subjects, disk full at call " << call);
      VaultWorld world(31);
      world.disk.restore(scenario.start.disk);
      world.disk.fail_call(call, SimDisk::Fault::disk_full);
      auto promises = scenario.start.promises;
      work(world, scenario.groups, promises);
      if (world.vault != nullptr) {
        ASSERT_TRUE(world.vault->sync());  // there is room again
        promises.synced = promises.owners.size();
        for (std::size_t number = 0; number < promises.synced; number += 7)
          ASSERT_EQ(world.vault->owner_of("acme", subject_name(number)).value().key,
                    promises.owners[number].key);
      }
      expect_kept(world, promises);
      if (HasFatalFailure()) return;
    }
  }
}

// After a full disk nobody knows whether the new top table or the old one is there; both must open.
TEST(VaultCrash, AFullDiskAndThenAPowerLossKeepEveryPromise) {
  for (const auto& scenario : scenarios()) {
    const auto calls = calls_of(scenario);
    for (std::uint64_t call = 1; call <= calls; ++call) {
      for (std::uint64_t seed = 0; seed <= testing::rounds(2); ++seed) {
        SCOPED_TRACE(::testing::Message() << scenario.subjects << " subjects, disk full at call " << call
                                          << ", crash seed " << seed);
        VaultWorld world(31);
        world.disk.restore(scenario.start.disk);
        world.disk.fail_call(call, SimDisk::Fault::disk_full);
        auto promises = scenario.start.promises;
        work(world, scenario.groups, promises);
        world.vault.reset();
        world.files.reset();
        world.disk.crash({.seed = seed, .keep_unsynced = seed != 0});
        expect_kept(world, promises);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(VaultCrash, AFailingDiskEndsWritingButNotReading) {
  VaultWorld world(33);
  ASSERT_TRUE(world.reopen());
  const auto before = world.vault->owner_of("acme", "before").value();
  ASSERT_TRUE(world.vault->sync());
  const auto lost = world.vault->owner_of("acme", "lost").value();
  world.disk.fail_syncs_of("top");
  EXPECT_EQ(world.vault->sync().error().kind, ErrorKind::io);
  world.disk.fail_syncs_of("");
  const auto error = world.vault->sync().error();
  EXPECT_EQ(error.kind, ErrorKind::io);
  EXPECT_NE(error.message.find("restart"), std::string::npos) << error.message;
  EXPECT_FALSE(world.vault->owner_of("acme", "after"));
  EXPECT_FALSE(world.vault->retention_key(standard_retention, Month{1}));
  EXPECT_EQ(world.vault->owner_of("acme", "before").value().key, before.key);
  EXPECT_EQ(world.vault->owner_of("acme", "lost").value().key, lost.key);
  ASSERT_TRUE(world.reopen(false));
  EXPECT_EQ(world.vault->owner_of("acme", "before").value().key, before.key);
}

TEST(VaultCrash, AKeyThatIsNotDurableIsNotFound) {
  VaultWorld world(34);
  ASSERT_TRUE(world.reopen());
  world.disk.fail_call(1, SimDisk::Fault::disk_full);
  EXPECT_EQ(world.vault->retention_key(standard_retention, Month{1}).error().kind, ErrorKind::unavailable);
  EXPECT_FALSE(world.vault->find_retention_key(standard_retention, Month{1}).value());
  const auto key = world.vault->retention_key(standard_retention, Month{1}).value();
  EXPECT_EQ(world.vault->find_retention_key(standard_retention, Month{1}).value(), key);
}

}  // namespace
}  // namespace vestige::vault
