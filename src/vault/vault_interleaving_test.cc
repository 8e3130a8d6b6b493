// Property: whatever another thread does while this one waits for the disk, a subject has one owner, nothing
// that was made during a commit is taken for durable or lost, and a reader sees one whole vault. The other
// thread's moment is chosen by the test, not by the scheduler.
#include <gtest/gtest.h>

#include <unordered_map>

#include "platform/sim/sim_files.h"
#include "vault/format.h"
#include "vault/testing/hooked_files.h"
#include "vault/testing/vault_world.h"

namespace vestige::vault {
namespace {

using testing::HookedFiles;
using testing::VaultWorld;

std::string subject_name(std::uint64_t number) { return "user:" + std::to_string(number); }

struct HookedWorld : VaultWorld {
  explicit HookedWorld(std::uint64_t seed) : VaultWorld(seed) {
    options.cached_keys_max = 1;
    EXPECT_TRUE(open_hooked());
  }
  Status open_hooked() {
    vault.reset();
    VESTIGE_TRY(vault, Vault::open(hooked, entropy, clock, root, true, options));
    return {};
  }
  Owner owner(const std::string& subject) const { return vault->owner_of("acme", subject).value(); }
  void make(std::uint64_t first, std::uint64_t count) const {
    for (auto number = first; number < first + count; ++number) owner(subject_name(number));
  }

  std::unique_ptr<platform::FileSystem> under = disk.open("vault");
  HookedFiles hooked{*under};
};

// Two subjects whose hashes begin with the same 32 bits: the index alone cannot tell them apart.
std::pair<std::string, std::string> colliding(HookedWorld& world) {
  const auto top =
      decode_top(platform::read_file(*world.under, "top", top_bytes_max).value(), world.root).value();
  const crypto::HmacKey secret(top.subject_secret.bytes);
  std::unordered_map<std::uint32_t, std::uint64_t> seen;
  for (std::uint64_t number = 1'000'000;; ++number) {
    const auto tag = load_le<std::uint32_t>(subject_hash(secret, "acme", subject_name(number)).data());
    const auto [place, fresh] = seen.try_emplace(tag, number);
    if (!fresh) return {subject_name(place->second), subject_name(number)};
  }
}

TEST(VaultInterleaving, SubjectsWithTheSameBeginningOfTheirHashAreToldApart) {
  HookedWorld world(51);
  const auto [one, other] = colliding(world);
  const auto first = world.owner(one);
  EXPECT_EQ(world.vault->look_up("acme", other).value().state, SubjectState::never);
  world.make(0, 511);  // the page of `one` is full, so the sync lets go of it
  ASSERT_TRUE(world.vault->sync());
  EXPECT_EQ(world.vault->look_up("acme", other).value().state, SubjectState::never);
  const auto second = world.owner(other);
  EXPECT_NE(first.ref, second.ref);
  ASSERT_TRUE(world.vault->sync());
  ASSERT_TRUE(world.open_hooked());
  EXPECT_EQ(world.owner(one).key, first.key);
  EXPECT_EQ(world.owner(other).key, second.key);
}

TEST(VaultInterleaving, ASubjectThatAnotherThreadMadeMeanwhileIsNotMadeTwice) {
  HookedWorld world(52);
  const auto [one, other] = colliding(world);
  world.owner(one);
  world.make(0, 511);
  ASSERT_TRUE(world.vault->sync());
  world.owner(subject_name(3));  // takes the one place in the cache
  Owner meanwhile;
  world.hooked.before("open_read_only", page_path({0, 2}), [&] { meanwhile = world.owner(other); });
  const auto owner = world.owner(other);
  ASSERT_FALSE(world.hooked.waiting());
  EXPECT_EQ(owner.ref, meanwhile.ref);
  EXPECT_EQ(world.vault->figures().subjects_active, 513U);
}

// The page is planned with 510 slots and is full when the commit ends; the next commit must write it again.
TEST(VaultInterleaving, SubjectsMadeDuringACommitBelongToTheNext) {
  HookedWorld world(53);
  world.make(0, 510);
  world.hooked.before("sync_directory", "pages", [&] { world.make(510, 3); });
  ASSERT_TRUE(world.vault->sync());
  ASSERT_FALSE(world.hooked.waiting());
  EXPECT_EQ(read_vault(*world.under, world.root).value().owners.size(), 510U);
  const auto owner = world.owner(subject_name(511));
  ASSERT_TRUE(world.vault->sync());
  EXPECT_EQ(world.vault->figures().syncs, 2U);
  ASSERT_TRUE(world.open_hooked());
  EXPECT_EQ(world.vault->figures().subjects_active, 513U);
  EXPECT_EQ(world.owner(subject_name(511)).key, owner.key);
}

TEST(VaultInterleaving, AReaderBesideAWritingServerStartsOver) {
  HookedWorld world(54);
  world.make(0, 5);
  ASSERT_TRUE(world.vault->sync());
  auto beside = world.disk.open("vault");
  HookedFiles reader(*beside);
  reader.before("open_read_only", page_path({0, 2}), [&] {
    world.make(5, 1);
    ASSERT_TRUE(world.vault->sync());
  });
  const auto image = read_vault(reader, world.root);
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_EQ(image->owners.size(), 6U);
  EXPECT_EQ(image->top.sequence, 3U);
}

}  // namespace
}  // namespace vestige::vault
