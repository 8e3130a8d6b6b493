// Property: the vault behaves like a map from (tenant, subject) to an owner that is drawn once, whatever is
// cached, synced or reopened; two subjects never share a ref or a key. Then the limits and the examples.
#include "vault/vault.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <thread>

#include "platform/sim/sim_files.h"
#include "vault/format.h"
#include "vault/limits.h"
#include "vault/testing/vault_world.h"

namespace vestige::vault {
namespace {

using testing::VaultWorld;

std::string subject_name(std::uint64_t number) { return "user:" + std::to_string(number); }

TEST(Vault, BehavesLikeAMap) {
  for (std::uint64_t seed = 1; seed <= testing::rounds(4); ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    VaultWorld world(seed);
    world.options.cached_keys_max = 1 + random() % 40;
    ASSERT_TRUE(world.reopen());
    std::map<std::pair<std::string, std::string>, Owner> model;
    std::map<std::pair<std::uint8_t, std::uint16_t>, Key> retention;
    std::set<Block16> refs;
    for (int step = 0; step < 3'000; ++step) {
      const std::pair name(random() % 3 == 0 ? "acme" : "umbrella", subject_name(random() % 900));
      const auto known = model.find(name);
      const auto what = random() % 100;
      if (what < 55) {
        const auto owner = world.vault->owner_of(name.first, name.second).value();
        if (known == model.end()) {
          ASSERT_TRUE(refs.insert(owner.ref).second);
          model[name] = owner;
        } else {
          ASSERT_EQ(owner.ref, known->second.ref);
          ASSERT_EQ(owner.key, known->second.key);
        }
      } else if (what < 75) {
        const auto found = world.vault->look_up(name.first, name.second).value();
        ASSERT_EQ(found.state, known == model.end() ? SubjectState::never : SubjectState::active);
        if (known != model.end()) ASSERT_EQ(found.ref, known->second.ref);
        ASSERT_FALSE(found.erased_by);
      } else if (what < 92 && known != model.end()) {
        ASSERT_EQ(world.vault->key_of(known->second.ref).value(), known->second.key);
      } else if (what < 95) {
        const std::pair place(static_cast<std::uint8_t>(random() % 3),
                              static_cast<std::uint16_t>(random() % 5));
        const auto found =
            world.vault->find_retention_key(RetentionClass{place.first}, Month{place.second}).value();
        ASSERT_EQ(found.has_value(), retention.contains(place));
        const auto key = world.vault->retention_key(RetentionClass{place.first}, Month{place.second}).value();
        ASSERT_EQ(retention.try_emplace(place, key).first->second, key);
      } else if (what < 97) {
        ASSERT_FALSE(world.vault->key_of(world.entropy.bytes<16>()).value());
      } else if (what < 99) {
        ASSERT_TRUE(world.vault->sync());
      } else {
        ASSERT_TRUE(world.vault->sync());
        ASSERT_TRUE(world.reopen(false));
      }
    }
    EXPECT_EQ(world.vault->figures().subjects_active, model.size());
  }
}

TEST(Vault, AFewCachedKeysServeManySubjects) {
  VaultWorld world(7);
  world.options.cached_keys_max = 16;
  ASSERT_TRUE(world.reopen());
  std::map<std::uint64_t, Owner> owners;
  for (std::uint64_t number = 0; number < 5'000; ++number)
    owners[number] = world.vault->owner_of("acme", subject_name(number)).value();
  ASSERT_TRUE(world.vault->sync());
  for (int pass = 0; pass < 2; ++pass) {
    for (const auto& [number, owner] : owners) {
      if (number % 7 != 0) continue;
      ASSERT_EQ(world.vault->owner_of("acme", subject_name(number)).value().key, owner.key);
      ASSERT_EQ(world.vault->key_of(owner.ref).value(), owner.key);
    }
    EXPECT_LE(world.vault->figures().cached_keys, 16 + limits::page_slots_max);
    ASSERT_TRUE(world.reopen(false));
  }
}

TEST(Vault, AFullPageIsFollowedByTheNext) {
  VaultWorld world(8);
  ASSERT_TRUE(world.reopen());
  std::vector<Owner> owners;
  const auto pages = [&] { return world.files->list("pages").value().size(); };
  for (std::uint64_t number = 0; number < 1'025; ++number) {
    owners.push_back(world.vault->owner_of("acme", subject_name(number)).value());
    if (number == 511 || number == 512 || number == 1'023 || number == 1'024) {
      ASSERT_TRUE(world.vault->sync());
      EXPECT_EQ(pages(), number / 512 + 1);
      ASSERT_TRUE(world.reopen(false));
    }
  }
  for (std::uint64_t number = 0; number < owners.size(); ++number)
    ASSERT_EQ(world.vault->owner_of("acme", subject_name(number)).value().key, owners[number].key);
}

TEST(Vault, OneSyncWritesEachPageOnceAndNothingWhereNothingChanged) {
  VaultWorld world(9);
  ASSERT_TRUE(world.reopen());
  ASSERT_TRUE(world.vault->owner_of("acme", "warm-up"));
  ASSERT_TRUE(world.vault->sync());
  world.disk.reset_calls();
  ASSERT_TRUE(world.vault->sync());
  EXPECT_EQ(world.disk.calls(), 0U);
  ASSERT_TRUE(world.vault->owner_of("acme", "one"));
  ASSERT_TRUE(world.vault->sync());
  const auto for_one = world.disk.calls();
  world.disk.reset_calls();
  for (std::uint64_t number = 0; number < 400; ++number)
    ASSERT_TRUE(world.vault->owner_of("acme", subject_name(number)));
  ASSERT_TRUE(world.vault->sync());
  EXPECT_EQ(world.disk.calls(), for_one);
  EXPECT_EQ(world.vault->figures().syncs, 3U);
}

TEST(Vault, SubjectsPastTheLimitAreRefusedAndThoseBeforeItServed) {
  VaultWorld world(10);
  world.options.subjects_max = 3;
  ASSERT_TRUE(world.reopen());
  for (std::uint64_t number = 0; number < 3; ++number)
    ASSERT_TRUE(world.vault->owner_of("acme", subject_name(number)));
  const auto error = world.vault->owner_of("acme", subject_name(3)).error();
  EXPECT_EQ(error.kind, ErrorKind::exhausted);
  EXPECT_EQ(error.limit, "subjects_max = 3");
  EXPECT_TRUE(world.vault->owner_of("acme", subject_name(0)));
  EXPECT_EQ(world.vault->look_up("acme", subject_name(3)).value().state, SubjectState::never);
}

TEST(Vault, SubjectsThatWaitForASyncAreBounded) {
  VaultWorld world(18);
  ASSERT_TRUE(world.reopen());
  for (std::uint64_t number = 0; number < limits::unsynced_subjects_max; ++number)
    ASSERT_TRUE(world.vault->owner_of("acme", subject_name(number)));
  EXPECT_EQ(world.vault->figures().syncs, 0U);
  ASSERT_TRUE(world.vault->owner_of("acme", "one more"));
  EXPECT_EQ(world.vault->figures().syncs, 1U);
  EXPECT_EQ(read_vault(*world.files, world.root).value().owners.size(), limits::unsynced_subjects_max);
}

// Gives the same 16 bytes, the size of a ref, again and again.
class StuckEntropy final : public platform::Entropy {
 public:
  void fill(std::span<std::uint8_t> out) override {
    if (out.size() == sizeof(Block16))
      std::ranges::fill(out, std::uint8_t{7});
    else
      under_.fill(out);
  }

 private:
  platform::sim::SimEntropy under_{19};
};

TEST(Vault, ASourceOfRandomnessThatRepeatsItselfGivesNoSecondRef) {
  VaultWorld world(19);
  StuckEntropy stuck;
  auto files = world.disk.open("vault");
  auto vault = Vault::open(*files, stuck, world.clock, world.root, true).value();
  ASSERT_TRUE(vault->owner_of("acme", "one"));
  EXPECT_EQ(vault->owner_of("acme", "other").error().kind, ErrorKind::io);
  EXPECT_EQ(vault->look_up("acme", "other").value().state, SubjectState::never);
}

TEST(Vault, WithoutAVaultOnlyCreateMakesOne) {
  VaultWorld world(11);
  EXPECT_EQ(world.reopen(false).error().kind, ErrorKind::not_found);
  EXPECT_TRUE(world.reopen(true));
  EXPECT_TRUE(world.reopen(false));
}

TEST(Vault, AMissingTopTableIsDamageAndNotANewVault) {
  VaultWorld world(12);
  ASSERT_TRUE(world.reopen());
  ASSERT_TRUE(world.vault->owner_of("acme", "someone"));
  ASSERT_TRUE(world.vault->sync());
  world.disk.erase("vault/top");
  EXPECT_EQ(world.reopen(true).error().kind, ErrorKind::corrupt);
}

TEST(Vault, AnotherRootKeyIsDeniedAndChangesNothing) {
  VaultWorld world(13);
  ASSERT_TRUE(world.reopen());
  ASSERT_TRUE(world.vault->owner_of("acme", "someone"));
  ASSERT_TRUE(world.vault->sync());
  world.disk.put("vault/top.tmp", Bytes{1});
  const auto before = world.disk.snapshot();
  world.root.fill(0x5b);
  const auto error = world.reopen(true).error();
  EXPECT_EQ(error.kind, ErrorKind::denied);
  EXPECT_NE(error.message.find("root key"), std::string::npos) << error.message;
  EXPECT_EQ(world.disk.snapshot(), before);
}

TEST(Vault, DerivedKeysAndWrappedKeysStayTheSameAfterReopening) {
  VaultWorld world(14);
  ASSERT_TRUE(world.reopen());
  const auto purpose = world.vault->purpose_key("content-mac", "acme");
  EXPECT_NE(purpose, world.vault->purpose_key("content-mac", "umbrella"));
  Key key;
  key.fill(3);
  const auto wrapped = world.vault->wrap(key, "segment 1");
  EXPECT_NE(wrapped, world.vault->wrap(key, "segment 1"));
  ASSERT_TRUE(world.reopen(false));
  EXPECT_EQ(world.vault->purpose_key("content-mac", "acme"), purpose);
  EXPECT_EQ(world.vault->unwrap(wrapped, "segment 1").value(), key);
  EXPECT_EQ(world.vault->unwrap(wrapped, "segment 2").error().kind, ErrorKind::corrupt);
}

TEST(Vault, AnErasedSubjectGetsNoKeyAndAReauthorisedOneDoes) {
  auto golden =
      platform::open_directory(std::string(VESTIGE_SOURCE_DIR) + "/tests/golden/vault/v1", false).value();
  VaultWorld world(15);
  for (const auto* name : {"top", "erased", "pages/00000000-0000000000000007.page"})
    world.disk.put(std::string("vault/") + name, platform::read_file(*golden, name, top_bytes_max).value());
  for (std::size_t at = 0; at < world.root.size(); ++at) world.root[at] = static_cast<std::uint8_t>(at);
  ASSERT_TRUE(world.reopen(false));
  EXPECT_EQ(world.vault->owner_of("acme", "user:2").error().kind, ErrorKind::denied);
  const auto erased = world.vault->look_up("acme", "user:2").value();
  EXPECT_EQ(erased.state, SubjectState::erased);
  EXPECT_FALSE(erased.ref);
  EXPECT_EQ(erased.erased_by, 41U);
  const auto again = world.vault->look_up("acme", "user:3").value();
  EXPECT_EQ(again.state, SubjectState::reauthorised);
  EXPECT_EQ(again.epoch, 1U);
  EXPECT_EQ(world.vault->key_of(world.vault->owner_of("acme", "user:3").value().ref).value()->at(0), 0xb2);
  EXPECT_FALSE(world.vault->key_of(Block16{}).value());
  EXPECT_EQ(world.vault->figures().subjects_active, 2U);
  EXPECT_EQ(world.vault->figures().subjects_erased, 1U);
  ASSERT_TRUE(world.vault->owner_of("acme", "user:4"));
  ASSERT_TRUE(world.vault->sync());
  ASSERT_TRUE(world.reopen(false));
  EXPECT_EQ(world.vault->owner_of("acme", "user:2").error().kind, ErrorKind::denied);
  EXPECT_EQ(read_vault(*world.files, world.root).value().top.erasures, 2U);
}

TEST(Vault, AKeptKeyIsThereUntilItIsDestroyedAndCountsNoErasureThatWasNot) {
  VaultWorld world(17);
  ASSERT_TRUE(world.reopen());
  const Block16 one{1}, two{2}, three{3};
  ASSERT_TRUE(world.vault->replace_kept_key({}, KeptKey{.file = one, .key = Key{11}, .erasures = 7}));
  ASSERT_TRUE(world.vault->replace_kept_key({}, KeptKey{.file = two, .key = Key{22}, .erasures = 0}));
  EXPECT_EQ(world.vault->kept_key(one)->erasures, 0U);
  ASSERT_TRUE(world.vault->replace_kept_key(two, KeptKey{.file = three, .key = Key{33}, .erasures = 0}));
  ASSERT_TRUE(world.reopen(false));
  EXPECT_EQ(world.vault->kept_key(one)->key, Key{11});
  EXPECT_FALSE(world.vault->kept_key(two));
  EXPECT_EQ(world.vault->kept_key(three)->key, Key{33});
  ASSERT_TRUE(world.vault->erase("acme", world.vault->subject_hash("acme", "someone"), 5));
  world.vault->settle_kept_key(one, 1);
  ASSERT_TRUE(world.vault->retain_kept_keys(std::span(&one, 1)));
  ASSERT_TRUE(world.reopen(false));
  EXPECT_EQ(world.vault->kept_key(one)->erasures, 1U);
  EXPECT_FALSE(world.vault->kept_key(three));
}

TEST(Vault, AShorterJournalIsRefusedAndALongerOneCarriedOut) {
  auto golden =
      platform::open_directory(std::string(VESTIGE_SOURCE_DIR) + "/tests/golden/vault/v1", false).value();
  VaultWorld world(16);
  for (const auto* name : {"top", "pages/00000000-0000000000000007.page"})
    world.disk.put(std::string("vault/") + name, platform::read_file(*golden, name, top_bytes_max).value());
  for (std::size_t at = 0; at < world.root.size(); ++at) world.root[at] = static_cast<std::uint8_t>(at);
  EXPECT_EQ(world.reopen(false).error().kind, ErrorKind::corrupt);  // no journal
  const auto journal = platform::read_file(*golden, "erased", top_bytes_max).value();
  world.disk.put("vault/erased", ByteView(journal).first(64 + 160));
  EXPECT_EQ(world.reopen(false).error().kind, ErrorKind::corrupt);  // an older one
  auto longer = journal;
  const auto top = decode_top(platform::read_file(*golden, "top", top_bytes_max).value(), world.root).value();
  const auto next =
      encode_erasure({}, 2, top.vault_id, top.journal_digest, derive_journal_key(top.purpose_secret.bytes));
  longer.insert(longer.end(), next.begin(), next.end());
  world.disk.put("vault/erased", longer);
  const auto before = world.disk.snapshot();
  world.disk.put("vault/erased", ByteView(longer).first(journal.size() + 159));
  ASSERT_TRUE(world.reopen(false));  // an interrupted append
  EXPECT_EQ(world.vault->erasures(), 2U);
  world.vault.reset();
  world.disk.restore(before);
  ASSERT_TRUE(world.reopen(false));  // an erasure that was not carried out
  EXPECT_EQ(world.vault->erasures(), 3U);
}

TEST(Vault, ThreadsThatMeetGetOneOwnerASubjectAndShareSyncs) {
  VaultWorld world(17);
  world.options.cached_keys_max = 64;
  ASSERT_TRUE(world.reopen());
  constexpr std::size_t threads = 4, subjects = 1'500;
  std::vector<std::vector<Owner>> seen(threads, std::vector<Owner>(subjects));
  {
    std::vector<std::jthread> running;
    for (std::size_t thread = 0; thread < threads; ++thread) {
      running.emplace_back([&world, &mine = seen[thread], thread] {
        for (std::size_t step = 0; step < subjects; ++step) {
          const auto number = (step + thread * 37) % subjects;
          mine[number] = world.vault->owner_of("acme", subject_name(number)).value();
          EXPECT_EQ(world.vault->key_of(mine[number].ref).value(), mine[number].key);
          if (step % 50 == 0) EXPECT_TRUE(world.vault->sync());
          if (step % 400 == 0)
            EXPECT_TRUE(
                world.vault->retention_key(standard_retention, Month{static_cast<std::uint16_t>(step)}));
        }
        EXPECT_TRUE(world.vault->sync());
      });
    }
  }
  ASSERT_TRUE(world.reopen(false));
  std::set<Block16> refs;
  for (std::size_t number = 0; number < subjects; ++number) {
    const auto owner = world.vault->owner_of("acme", subject_name(number)).value();
    EXPECT_TRUE(refs.insert(owner.ref).second);
    for (const auto& mine : seen) ASSERT_EQ(mine[number].key, owner.key);
  }
  EXPECT_EQ(world.vault->figures().subjects_active, subjects);
}

}  // namespace
}  // namespace vestige::vault
