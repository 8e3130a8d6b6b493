// Property: a key that was destroyed is found nowhere: by no call, in no file, after no restart, whatever
// call of the disk a power loss or a full disk hit; who was not erased keeps theirs; the journal has one
// record an erasure, and brings a vault that was restored from any earlier moment to the same state.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "platform/sim/sim_files.h"
#include "vault/format.h"
#include "vault/testing/hooked_files.h"
#include "vault/testing/vault_world.h"

namespace vestige::vault {
namespace {

using platform::sim::SimDisk;
using testing::VaultWorld;

std::string subject_name(std::uint64_t number) { return "user:" + std::to_string(number); }

struct Person {
  SubjectState state = SubjectState::never;
  std::uint32_t epoch = 0;
  Owner owner;
  std::optional<std::uint64_t> erased_by;
};

struct Model {
  std::map<std::string, Person> people;
  std::set<Block16> dead;
  std::vector<std::uint64_t> entries;  // of the erasures, in order
};

Result<Erasure> erase(VaultWorld& world, const std::string& name, std::uint64_t entry) {
  return world.vault->erase("acme", world.vault->subject_hash("acme", name), entry);
}

void expect_person(VaultWorld& world, const std::string& name, const Person& person) {
  const auto found = world.vault->look_up("acme", name).value();
  ASSERT_EQ(found.state, person.state) << name;
  ASSERT_EQ(found.epoch, person.epoch) << name;
  ASSERT_EQ(found.erased_by, person.erased_by) << name;
  const bool has_key = person.state == SubjectState::active || person.state == SubjectState::reauthorised;
  ASSERT_EQ(found.ref.has_value(), has_key) << name;
  if (!has_key) return;
  ASSERT_EQ(*found.ref, person.owner.ref);
  ASSERT_EQ(world.vault->key_of(person.owner.ref).value(), person.owner.key);
}

// Everything that the vault's files hold, read with the root key by the code that the verifier uses.
void expect_files(VaultWorld& world, const Model& model) {
  const auto image = read_vault(*world.files, world.root);
  ASSERT_TRUE(image) << image.error().message;
  for (const auto& ref : model.dead) ASSERT_FALSE(image->owners.contains(ref));
  ASSERT_EQ(image->journal.records.size(), model.entries.size());
  ASSERT_EQ(image->top.erasures, model.entries.size());
  for (std::size_t at = 0; at < model.entries.size(); ++at)
    ASSERT_EQ(image->journal.records[at].entry, model.entries[at]);
  ASSERT_EQ(world.files->list("pages").value().size(), image->top.pages.size());
}

void do_something(VaultWorld& world, Model& model, std::mt19937_64& random) {
  const auto name = subject_name(random() % 1'200);
  auto& person = model.people[name];
  const auto what = random() % 100;
  const bool gone = person.state == SubjectState::erased;
  if (what < 40) {
    const auto owner = world.vault->owner_of("acme", name);
    ASSERT_EQ(owner.has_value(), !gone);
    if (gone) {
      ASSERT_EQ(owner.error().kind, ErrorKind::denied);
      return;
    }
    if (person.state == SubjectState::never) person = {SubjectState::active, 0, *owner, {}};
    ASSERT_EQ(owner->ref, person.owner.ref);
    ASSERT_EQ(owner->key, person.owner.key);
  } else if (what < 60) {
    const auto entry = 1'000 + model.entries.size();
    const auto done = erase(world, name, entry);
    ASSERT_EQ(done.has_value(), !gone);
    if (gone) {
      ASSERT_EQ(done.error().kind, ErrorKind::conflict);
      return;
    }
    ASSERT_EQ(done->number, model.entries.size());
    ASSERT_EQ(done->epoch, person.epoch);
    ASSERT_EQ(erase(world, name, entry).value(), *done);
    ASSERT_EQ(world.vault->erasures_of("acme").at(done->number), *done);
    if (person.state != SubjectState::never) model.dead.insert(person.owner.ref);
    person = {SubjectState::erased, person.epoch, {}, entry};
    model.entries.push_back(entry);
  } else if (what < 75) {
    const auto again = world.vault->reauthorise("acme", name);
    ASSERT_EQ(again.has_value(), gone);
    if (!gone) {
      ASSERT_EQ(again.error().kind, ErrorKind::conflict);
      return;
    }
    const auto owner = world.vault->owner_of("acme", name).value();
    ASSERT_FALSE(model.dead.contains(owner.ref));
    person = {SubjectState::reauthorised, person.epoch + 1, owner, person.erased_by};
  } else if (what < 90) {
    expect_person(world, name, person);
  } else if (what < 95 && !model.dead.empty()) {
    ASSERT_FALSE(world.vault->key_of(*model.dead.begin()).value());
  } else {
    ASSERT_TRUE(world.vault->sync());
    if (what == 99) ASSERT_TRUE(world.reopen(false));
  }
}

TEST(VaultErase, BehavesLikeAModelWithEpochs) {
  for (std::uint64_t seed = 1; seed <= testing::rounds(3); ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    VaultWorld world(seed);
    world.options.cached_keys_max = 1 + random() % 700;
    ASSERT_TRUE(world.reopen());
    Model model;
    for (int step = 0; step < 2'500; ++step) {
      do_something(world, model, random);
      if (HasFatalFailure()) FAIL() << "step " << step;
    }
    ASSERT_TRUE(world.vault->sync());
    for (int pass = 0; pass < 2; ++pass) {
      for (const auto& [name, person] : model.people) expect_person(world, name, person);
      for (const auto& ref : model.dead) ASSERT_FALSE(world.vault->key_of(ref).value());
      expect_files(world, model);
      if (HasFatalFailure()) return;
      ASSERT_TRUE(world.reopen(false));
    }
    EXPECT_GT(model.dead.size(), 100U);
  }
}

TEST(VaultErase, WhoIsBarredGetsNoKeyAndIsNotErased) {
  VaultWorld world(61);
  ASSERT_TRUE(world.reopen());
  const auto owner = world.vault->owner_of("acme", "one").value();
  world.vault->bar(world.vault->subject_hash("acme", "one"));
  world.vault->bar(world.vault->subject_hash("acme", "new"));
  EXPECT_EQ(world.vault->owner_of("acme", "one").error().kind, ErrorKind::denied);
  EXPECT_EQ(world.vault->owner_of("acme", "new").error().kind, ErrorKind::denied);
  EXPECT_EQ(world.vault->look_up("acme", "new").value().state, SubjectState::never);
  EXPECT_EQ(world.vault->key_of(owner.ref).value(), owner.key);
  EXPECT_TRUE(world.vault->owner_of("acme", "other"));
  ASSERT_TRUE(world.vault->sync());
  ASSERT_TRUE(world.reopen(false));
  EXPECT_EQ(world.vault->owner_of("acme", "one").value().key, owner.key);
}

// ------------------------------------------------------------------------------------------- crashes

constexpr std::uint64_t subjects = 515;  // two pages: one full, one begun

struct Start {
  std::map<std::string, Bytes> disk;
  std::vector<Owner> owners;
};
const Start& start() {
  static const Start made = [] {
    VaultWorld world(62);
    Start start;
    EXPECT_TRUE(world.reopen());
    for (std::uint64_t number = 0; number < subjects; ++number)
      start.owners.push_back(world.vault->owner_of("acme", subject_name(number)).value());
    EXPECT_TRUE(world.vault->sync());
    world.vault.reset();
    start.disk = world.disk.snapshot();
    return start;
  }();
  return made;
}

enum class Act { erase, reauthorise };
struct Step {
  Act act;
  std::string name;
  std::uint64_t entry;
};
const std::vector<Step> steps{{Act::erase, subject_name(3), 900},  {Act::erase, subject_name(513), 901},
                              {Act::erase, "unheard of", 902},     {Act::reauthorise, subject_name(3), 0},
                              {Act::erase, subject_name(3), 903},  {Act::reauthorise, subject_name(513), 0},
                              {Act::erase, subject_name(400), 904}};

Status act(VaultWorld& world, const Step& step) {
  if (step.act == Act::erase) {
    VESTIGE_CHECKED(erase(world, step.name, step.entry));
  } else {
    VESTIGE_CHECKED(world.vault->reauthorise("acme", step.name));
  }
  return {};
}

// How many steps succeeded.
std::size_t work(VaultWorld& world) {
  if (!world.reopen(false)) return 0;
  std::size_t done = 0;
  while (done < steps.size() && act(world, steps[done])) ++done;
  return done;
}

std::uint64_t calls_of_work() {
  VaultWorld world(63);
  world.disk.restore(start().disk);
  world.disk.reset_calls();
  EXPECT_EQ(work(world), steps.size());
  return world.disk.calls();
}

// What holds after `done` steps, the next of which may or may not have happened.
void expect_after(VaultWorld& world, std::size_t done) {
  std::map<std::string, std::pair<SubjectState, std::uint32_t>> states;
  std::set<std::string> touched;
  for (std::size_t at = 0; at < done; ++at) {
    auto& [state, epoch] = states[steps[at].name];
    const bool erases = steps[at].act == Act::erase;
    state = erases ? SubjectState::erased : SubjectState::reauthorised;
    if (!erases) ++epoch;
    touched.insert(steps[at].name);
  }
  if (done < steps.size()) {
    states.erase(steps[done].name);
    touched.insert(steps[done].name);
  }
  for (const auto& [name, wanted] : states) {
    const auto found = world.vault->look_up("acme", name).value();
    ASSERT_EQ(found.state, wanted.first) << name;
    ASSERT_EQ(found.epoch, wanted.second) << name;
    ASSERT_EQ(world.vault->owner_of("acme", name).has_value(), wanted.first != SubjectState::erased);
  }
  const auto image = read_vault(*world.files, world.root).value();
  ASSERT_EQ(image.top.erasures, image.journal.records.size());
  for (std::uint64_t number = 0; number < subjects; ++number) {
    const auto& owner = start().owners[number];
    const bool erased = states.contains(subject_name(number));
    if (touched.contains(subject_name(number)) && !erased) continue;  // under way
    ASSERT_EQ(image.owners.contains(owner.ref), !erased) << number;
    if (!erased) ASSERT_EQ(world.vault->key_of(owner.ref).value(), owner.key);
  }
}

// Goes on with the step that was under way, to the end.
void finish(VaultWorld& world, std::size_t done) {
  for (auto at = done; at < steps.size(); ++at) {
    const auto outcome = act(world, steps[at]);
    if (outcome) continue;
    // It had happened.
    ASSERT_EQ(at, done) << outcome.error().message;
    ASSERT_EQ(steps[at].act, Act::reauthorise) << outcome.error().message;
    ASSERT_EQ(outcome.error().kind, ErrorKind::conflict) << outcome.error().message;
  }
  expect_after(world, steps.size());
  std::set<std::uint64_t> entries;
  for (const auto& record : read_vault(*world.files, world.root).value().journal.records)
    ASSERT_TRUE(entries.insert(record.entry).second) << "two records of entry " << record.entry;
  ASSERT_EQ(entries, (std::set<std::uint64_t>{900, 901, 902, 903, 904}));
}

TEST(VaultErase, PowerLossAtEveryCallLosesNoErasureAndNobodyElse) {
  const auto calls = calls_of_work();
  std::uint64_t interrupted = 0;
  for (std::uint64_t call = 1; call <= calls; ++call) {
    for (std::uint64_t seed = 0; seed <= testing::rounds(3); ++seed) {
      SCOPED_TRACE(::testing::Message()
                   << "power loss at call " << call << " of " << calls << ", crash seed " << seed);
      VaultWorld world(63);
      world.disk.restore(start().disk);
      world.disk.fail_call(call, SimDisk::Fault::power_loss);
      const auto done = work(world);
      interrupted += done < steps.size();
      world.vault.reset();
      world.files.reset();
      world.disk.crash({.seed = seed, .keep_unsynced = seed != 0});
      const auto opened = world.reopen(false);
      ASSERT_TRUE(opened) << opened.error().message;
      ASSERT_TRUE(read_vault(*world.files, world.root).value().left_overs.empty());
      expect_after(world, done);
      if (!HasFatalFailure()) finish(world, done);
      if (HasFatalFailure()) return;
    }
  }
  EXPECT_GT(interrupted, calls / 2);
}

TEST(VaultErase, AFullDiskAtEveryCallCanBeWaitedFor) {
  const auto calls = calls_of_work();
  for (std::uint64_t call = 1; call <= calls; ++call) {
    SCOPED_TRACE(::testing::Message() << "disk full at call " << call);
    VaultWorld world(63);
    world.disk.restore(start().disk);
    world.disk.fail_call(call, SimDisk::Fault::disk_full);
    const auto done = work(world);
    if (world.vault == nullptr) continue;  // it was full at the start
    finish(world, done);
    if (HasFatalFailure()) return;
    ASSERT_TRUE(world.reopen(false));
    ASSERT_TRUE(read_vault(*world.files, world.root).value().left_overs.empty());
    expect_after(world, steps.size());
    if (HasFatalFailure()) return;
  }
}

TEST(VaultErase, AFailingJournalEndsWritingAndDestroysNothing) {
  VaultWorld world(64);
  world.disk.restore(start().disk);
  ASSERT_TRUE(world.reopen(false));
  ASSERT_TRUE(erase(world, subject_name(1), 7));
  world.disk.fail_syncs_of("erased");
  const auto error = erase(world, subject_name(2), 8).error();
  EXPECT_EQ(error.kind, ErrorKind::io);
  EXPECT_NE(error.message.find("restart"), std::string::npos) << error.message;
  EXPECT_TRUE(world.vault->owner_of("acme", subject_name(2)));
  EXPECT_FALSE(world.vault->owner_of("acme", "new"));
}

// ------------------------------------------------------------------------------- restored older vaults

TEST(VaultErase, AnOlderVaultBesideTheNewerJournalCarriesItOutBeforeItServes) {
  VaultWorld world(65);
  world.disk.restore(start().disk);
  ASSERT_TRUE(world.reopen(false));
  std::vector<std::map<std::string, Bytes>> copies;
  for (const auto& step : steps) {
    world.vault.reset();
    copies.push_back(world.disk.snapshot());
    ASSERT_TRUE(world.reopen(false));
    ASSERT_TRUE(act(world, step));
  }
  // Younger than every copy, and erased: the copies have no slot for it.
  ASSERT_TRUE(world.vault->owner_of("acme", "young"));
  ASSERT_TRUE(erase(world, "young", 905));
  world.vault.reset();
  const auto journal = world.disk.snapshot().at("vault/erased");
  for (std::size_t at = 0; at < copies.size(); ++at) {
    SCOPED_TRACE(::testing::Message() << "the copy before step " << at);
    world.disk.restore(copies[at]);
    world.disk.put("vault/erased", journal);
    const auto opened = world.reopen(false);
    ASSERT_TRUE(opened) << opened.error().message;
    for (const auto& name :
         {subject_name(3), subject_name(400), std::string("unheard of"), std::string("young")}) {
      EXPECT_EQ(world.vault->owner_of("acme", name).error().kind, ErrorKind::denied) << name;
      EXPECT_EQ(world.vault->look_up("acme", name).value().state, SubjectState::erased) << name;
    }
    EXPECT_EQ(world.vault->look_up("acme", subject_name(3)).value().erased_by, 903U);
    EXPECT_EQ(world.vault->look_up("acme", subject_name(3)).value().epoch, 1U);
    EXPECT_FALSE(world.vault->key_of(start().owners[400].ref).value());
    EXPECT_EQ(world.vault->key_of(start().owners[5].ref).value(), start().owners[5].key);
    const auto image = read_vault(*world.files, world.root).value();
    EXPECT_EQ(image.top.erasures, 6U);
    EXPECT_FALSE(image.owners.contains(start().owners[400].ref));
    EXPECT_EQ(world.vault->figures().subjects_erased + world.vault->figures().subjects_active, subjects + 2);
  }
}

TEST(VaultErase, ARecordOfAnEpochThatIsOverIsDamage) {
  VaultWorld world(66);
  ASSERT_TRUE(world.reopen());
  ASSERT_TRUE(world.vault->owner_of("acme", "one"));
  ASSERT_TRUE(erase(world, "one", 5));
  ASSERT_TRUE(world.vault->reauthorise("acme", "one"));
  const auto image = read_vault(*world.files, world.root).value();
  const auto hash = world.vault->subject_hash("acme", "one");
  auto journal = platform::read_file(*world.files, "erased", top_bytes_max).value();
  const auto record = encode_erasure({.tenant = {}, .subject = hash, .epoch = 0, .entry = 6, .time = {}}, 1,
                                     image.top.vault_id, image.top.journal_digest,
                                     derive_journal_key(image.top.purpose_secret.bytes));
  journal.insert(journal.end(), record.begin(), record.end());
  world.disk.put("vault/erased", journal);
  EXPECT_EQ(world.reopen(false).error().kind, ErrorKind::corrupt);
}

// The moment between reading a page and using what it held: another thread's erasure must not be undone by
// it.
TEST(VaultErase, AKeyReadFromAPageThatIsRewrittenMeanwhileIsNotGivenOut) {
  VaultWorld world(67);
  world.disk.restore(start().disk);
  world.options.cached_keys_max = 1;
  const auto under = world.disk.open("vault");
  testing::HookedFiles hooked(*under);
  auto opened = Vault::open(hooked, world.entropy, world.clock, world.root, false, world.options);
  ASSERT_TRUE(opened);
  world.vault = *std::move(opened);
  const auto top = decode_top(platform::read_file(*under, "top", top_bytes_max).value(), world.root).value();
  hooked.before("open_read_only", page_path({0, top.pages[0].generation}),
                [&] { ASSERT_TRUE(erase(world, subject_name(10), 77)); });
  EXPECT_EQ(world.vault->owner_of("acme", subject_name(10)).error().kind, ErrorKind::denied);
  ASSERT_FALSE(hooked.waiting());
  EXPECT_FALSE(world.vault->key_of(start().owners[10].ref).value());
  EXPECT_EQ(world.vault->key_of(start().owners[11].ref).value(), start().owners[11].key);
  world.vault.reset();
}

}  // namespace
}  // namespace vestige::vault
