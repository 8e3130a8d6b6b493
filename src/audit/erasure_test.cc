// Property: wherever an erasure is interrupted, after the next start it has either not begun or is finished:
// an intent has one outcome, the outcome says what the vault did, the mark counts the outcomes, and nothing
// of the person can be read by any call or told by any index. Everybody else's events stay as they were. An
// older vault is refused until its journal is there.
#include "audit/erasure.h"

#include <gtest/gtest.h>

#include <random>

#include "audit/internal/erasure_entry.h"
#include "audit/testing/sealed_sidecars.h"
#include "audit/testing/world.h"
#include "base/encoding.h"
#include "trail/format/note.h"
#include "trail/limits.h"
#include "vault/format.h"

namespace vestige::audit {
namespace {

using platform::sim::SimDisk;
using testing::World;

constexpr std::uint64_t seed = 71;

std::string event_about(const std::string& subject, const std::string& secret) {
  return R"({"kind":"test.marks","action":"CREATED","subject":")" + subject + R"(","detail":{"own":")" +
         secret + R"("},"sourceId":")" + subject + R"("})";
}

Result<CertifiedErasure> erase(World& world, const std::string& subject) {
  return world.erasures->erase({.subject = subject, .reason = "asked for", .actor = "key-1"});
}

void start(World& world) {
  world.open();
  if (::testing::Test::HasFatalFailure()) return;
  const auto checked = world.erasures->check("vault/erased");
  ASSERT_TRUE(checked) << checked.error().message;
  const auto finished = world.erasures->finish();
  ASSERT_TRUE(finished) << finished.error().message;
}

// Two persons with events, some sealed, some in the head; the disk after a stop in order.
std::map<std::string, Bytes> trail_of_two() {
  World world(seed);
  start(world);
  EXPECT_TRUE(world.send(event_about("anna", "secret of anna")));
  EXPECT_TRUE(world.send(event_about("bert", "secret of bert")));
  world.seal_everything();
  EXPECT_TRUE(world.send(event_about("anna", "later secret of anna")));
  world.close();
  return world.disk.snapshot();
}

struct Entries {
  std::vector<internal::ErasureIntent> intents;
  std::vector<internal::ErasureOutcome> outcomes;
  std::uint64_t certificates = 0;
};
Entries entries_of(World& world) {
  Entries found;
  for (std::uint64_t index = 0; index < world.stream().size(); ++index) {
    const auto entry = world.clear_bytes(index);
    if (auto intent = internal::read_intent(entry, index)) found.intents.push_back(*intent);
    if (auto outcome = internal::read_outcome(entry, index)) found.outcomes.push_back(*outcome);
    if (internal::read_certificate(entry, index)) ++found.certificates;
  }
  return found;
}

std::string everything(World& world) {
  std::string all;
  for (std::uint64_t index = 0; index < world.stream().size(); ++index) all += world.rendered(index) + "\n";
  return all;
}

// `erased`: how many erasures of anna are finished; the state is as after the last of them.
void expect_consistent(World& world, std::size_t erased) {
  const auto found = entries_of(world);
  ASSERT_EQ(found.intents.size(), erased);
  ASSERT_EQ(found.outcomes.size(), erased);
  ASSERT_EQ(found.certificates, erased);
  ASSERT_EQ(world.log->mark(world.stream().number(), "erasures").value_or(0), erased);
  ASSERT_EQ(world.vault->erasures(), erased);
  for (std::size_t at = 0; at < erased; ++at) {
    const auto& outcome = found.outcomes[at];
    ASSERT_EQ(outcome.intent, found.intents[at].index);
    ASSERT_EQ(outcome.refs, std::vector{found.intents[at].ref});
    ASSERT_EQ(outcome.number, at + 1);
    ASSERT_EQ(world.vault->erasures_of("default").at(at).entry, outcome.intent);
    ASSERT_FALSE(world.vault->key_of(found.intents[at].ref).value());
    ASSERT_EQ(world.erasure_index->outcome_of(found.intents[at].ref), outcome.index);
  }
  const auto all = everything(world);
  ASSERT_NE(all.find("secret of bert"), std::string::npos) << all;
  ASSERT_EQ(all.find("secret of anna") == std::string::npos, erased > 0) << all;
  ASSERT_EQ(world.vault->owner_of("default", "anna").has_value(), erased == 0);
  // Nor by the personal sidecars.
  const auto sidecars = testing::check_sealed_sidecars(world);
  ASSERT_EQ(sidecars.behind, 0u);
  ASSERT_LE(sidecars.readable + sidecars.unreadable, 2u);
}

TEST(Erasure, ErasesForGoodAndSaysByWhichEntry) {
  World world(seed);
  world.disk.restore(trail_of_two());
  start(world);
  const auto done = erase(world, "anna");
  ASSERT_TRUE(done) << done.error().message;
  expect_consistent(world, 1);
  EXPECT_NE(everything(world).find("\"erasedBy\":" + std::to_string(done->outcome)), std::string::npos);
  const auto keys = world.erasures->keys("anna").value();
  EXPECT_EQ(keys.state, "erased");
  EXPECT_EQ(keys.intent, done->intent);
  EXPECT_EQ(keys.outcome, done->outcome);
  EXPECT_EQ(world.erasures->keys("bert")->state, "active");
  EXPECT_EQ(world.erasures->keys("nobody")->state, "never");
  // Later events are recorded without the personal values.
  const auto later = world.send(event_about("anna", "newest secret of anna"));
  ASSERT_TRUE(later);
  const auto entry = world.clear_bytes(later->events[0].index);
  EXPECT_NE(entry.find("\"/detail/own\""), std::string::npos) << entry;
  expect_consistent(world, 1);
}

TEST(Erasure, ErasingAgainGivesTheSameCertificateAndAddsNothing) {
  World world(seed);
  world.disk.restore(trail_of_two());
  start(world);
  const auto first = erase(world, "anna").value();
  const auto size = world.stream().size();
  EXPECT_EQ(erase(world, "anna")->certificate, first.certificate);
  EXPECT_EQ(world.erasures->certificate(first.intent)->certificate, first.certificate);
  EXPECT_EQ(world.stream().size(), size);
  world.close();
  start(world);
  EXPECT_EQ(erase(world, "anna")->certificate, first.certificate);
  EXPECT_EQ(world.erasures->certificate(first.outcome).error().kind, ErrorKind::not_found);
  EXPECT_EQ(world.erasures->certificate(1'000'000).error().kind, ErrorKind::not_found);
}

TEST(Erasure, WhoWasNeverSeenIsBarredForTheFuture) {
  World world(seed);
  start(world);
  ASSERT_TRUE(erase(world, "stranger"));
  const auto later = world.send(event_about("stranger", "secret"));
  ASSERT_TRUE(later);
  EXPECT_EQ(everything(world).find("\"secret\""), std::string::npos);
}

TEST(Erasure, ReauthorisedGetsANewKeyAndTheOldStaysGone) {
  World world(seed);
  world.disk.restore(trail_of_two());
  start(world);
  ASSERT_TRUE(erase(world, "anna"));
  const auto keys = world.erasures->reauthorise({.subject = "anna", .reason = "", .actor = "key-1"});
  ASSERT_TRUE(keys) << keys.error().message;
  EXPECT_EQ(keys->state, "reauthorised");
  EXPECT_EQ(keys->epoch, 1U);
  EXPECT_EQ(world.erasures->reauthorise({.subject = "anna", .reason = "", .actor = "k"}).error().kind,
            ErrorKind::conflict);
  ASSERT_TRUE(world.send(event_about("anna", "SECOND LIFE")));
  EXPECT_NE(everything(world).find("SECOND LIFE"), std::string::npos);
  EXPECT_EQ(everything(world).find("secret of anna"), std::string::npos);
  const auto again = erase(world, "anna");
  ASSERT_TRUE(again) << again.error().message;
  expect_consistent(world, 2);
  EXPECT_EQ(everything(world).find("SECOND LIFE"), std::string::npos);
  EXPECT_EQ(entries_of(world).outcomes[1].epoch, 1U);
}

TEST(Erasure, WrongRequestsAreRefusedByPath) {
  World world(seed);
  start(world);
  const auto refused = [&](const SubjectRequest& request) {
    const auto done = world.erasures->erase(request);
    EXPECT_FALSE(done);
    return done ? "" : done.error().path;
  };
  EXPECT_EQ(refused({"", "", "k"}), "/subject");
  EXPECT_EQ(refused({std::string(1'025, 'x'), "", "k"}), "/subject");
  EXPECT_EQ(refused({"anna", std::string(1'001, 'x'), "k"}), "/reason");
  EXPECT_EQ(refused({"anna", "request of anna, article 17", "k"}), "/reason");
  EXPECT_EQ(refused({"7", "request of 7", "k"}), "/reason");
  EXPECT_TRUE(world.erasures->erase({"7", "article 17", "k"}));
  EXPECT_EQ(entries_of(world).intents.size(), 1U);
}

TEST(Erasure, TheCertificateIsSignedByTheLogAndCoversBothEntries) {
  World world(seed);
  world.disk.restore(trail_of_two());
  start(world);
  const auto done = erase(world, "anna").value();
  const auto note = trail::parse_note(done.certificate);
  ASSERT_TRUE(note) << note.error().message;
  const auto key = world.signer->verifier_key();
  EXPECT_TRUE(trail::verify_note(*note, std::span(&key, 1)));
  json::Parser parser;
  json::Document document;
  const auto line = note->text.substr(note->text.find('\n') + 1);
  ASSERT_TRUE(parser.parse(line, document));
  EXPECT_EQ(json::canonical(document.root()) + "\n", line);
  EXPECT_EQ(document.root().find("concerned").find("entries").number(), "2");
  EXPECT_EQ(document.root().find("tenant").string(), "default");
  EXPECT_EQ(document.root().find("intent").find("index").number(), std::to_string(done.intent));
  EXPECT_EQ(done.certificate.find("anna"), std::string::npos);
  EXPECT_FALSE(world.signer->sign_statement("log.example/default/audit\n1\n" + to_base64(Hash{}) + "\n"));
}

// ------------------------------------------------------------------------------------------- interrupted

TEST(Erasure, PowerLossAtEveryCallLeavesItNotBegunOrFinished) {
  const auto before = trail_of_two();
  std::uint64_t calls = 0;
  {
    World world(seed);
    world.disk.restore(before);
    start(world);
    world.disk.reset_calls();
    ASSERT_TRUE(erase(world, "anna"));
    calls = world.disk.calls();
  }
  std::uint64_t begun = 0, finished = 0;
  for (std::uint64_t call = 1; call <= calls; ++call) {
    for (const std::uint64_t crash_seed : {0, 1, 2}) {
      SCOPED_TRACE(::testing::Message()
                   << "call " << call << " of " << calls << ", crash seed " << crash_seed);
      World world(seed);
      world.disk.restore(before);
      start(world);
      world.disk.fail_call(call, SimDisk::Fault::power_loss);
      const auto done = erase(world, "anna");
      world.disk.fail_call(0, SimDisk::Fault::power_loss);
      world.crash({.seed = crash_seed, .keep_unsynced = crash_seed != 0});
      start(world);
      if (HasFatalFailure()) return;
      const auto intents = entries_of(world).intents.size();
      if (done) ASSERT_EQ(intents, 1U);
      begun += intents;
      finished += done.has_value();
      expect_consistent(world, intents);
      if (!HasFatalFailure()) {
        ASSERT_TRUE(erase(world, "anna"));
        expect_consistent(world, 1);
      }
      if (HasFatalFailure()) return;
    }
  }
  EXPECT_GT(begun, finished);
  EXPECT_LT(begun, calls * 3);
}

// The moments between the steps, without a disk that fails: what is durable is what each step made so.
TEST(Erasure, AnEndBetweenAnyTwoStepsIsMadeGoodAtTheNextStart) {
  const auto before = trail_of_two();
  for (int steps = 1; steps <= 3; ++steps) {
    SCOPED_TRACE(::testing::Message() << "ended after " << steps << " entries");
    World world(seed);
    world.disk.restore(before);
    start(world);
    int appended = 0;
    Erasures interrupted({*world.log, world.stream(), *world.signer, *world.vault, *world.ingest,
                          *world.erasure_index, *world.erasure_ledger,
                          [&](Batch batch) -> Result<BatchOutcome> {
                            auto outcome = world.append(std::move(batch));
                            if (++appended == steps) return fail(ErrorKind::unavailable, "the end");
                            return outcome;
                          }});
    EXPECT_FALSE(interrupted.erase({.subject = "anna", .reason = "", .actor = "k"}));
    world.kill();
    start(world);
    expect_consistent(world, 1);
    if (HasFatalFailure()) return;
  }
}

TEST(Erasure, WhatCouldNotBeFinishedIsFinishedByTheNextCall) {
  World world(seed);
  world.disk.restore(trail_of_two());
  start(world);
  int appended = 0;
  Erasures erasures({*world.log, world.stream(), *world.signer, *world.vault, *world.ingest,
                     *world.erasure_index, *world.erasure_ledger, [&](Batch batch) -> Result<BatchOutcome> {
                       if (++appended == 2) return fail(ErrorKind::unavailable, "busy");
                       return world.append(std::move(batch));
                     }});
  EXPECT_EQ(erasures.erase({.subject = "anna", .reason = "", .actor = "k"}).error().kind,
            ErrorKind::unavailable);
  EXPECT_EQ(entries_of(world).outcomes.size(), 0U);
  ASSERT_TRUE(erasures.erase({.subject = "carl", .reason = "", .actor = "k"}));
  const auto found = entries_of(world);
  ASSERT_EQ(found.outcomes.size(), 2U);
  EXPECT_EQ(found.outcomes[0].intent, found.intents[0].index);
  EXPECT_EQ(found.outcomes[1].previous, found.outcomes[0].index);
  EXPECT_EQ(everything(world).find("secret of anna"), std::string::npos);
}

// Of the marks that a trail may have, an erasure needs three. Where they are not there it does not begin.
TEST(Erasure, OneThatBeginsFindsRoomForItsEnd) {
  for (const std::size_t room : {0, 1, 2, 3}) {
    SCOPED_TRACE(::testing::Message() << "room for " << room);
    World world(seed);
    world.disk.restore(trail_of_two());
    start(world);
    auto filler = world.ingest->prepare_system(R"({"kind":"test.marks","action":"CREATED"})");
    ASSERT_TRUE(filler);
    filler->placed = [room](trail::Placement& placement, const BatchOutcome&) {
      for (std::size_t i = 0; i < trail::marks_max - room; ++i)
        placement.set_mark("filler " + std::to_string(i), i);
    };
    ASSERT_TRUE(world.log->marks(world.stream().number(), "").empty());
    const auto filled = world.append(*std::move(filler));
    ASSERT_TRUE(filled) << filled.error().message;
    const auto done = erase(world, "anna");
    EXPECT_EQ(done.has_value(), room == 3);
    if (!done) EXPECT_EQ(done.error().kind, ErrorKind::exhausted);
    expect_consistent(world, done ? 1 : 0);
    world.close();
    start(world);
    expect_consistent(world, done ? 1 : 0);
  }
}

// An event that was sealed before the bar and is placed after it is taken, and cannot be read.
TEST(Erasure, WhatWasUnderWayIsTakenAndUnreadable) {
  World world(seed);
  world.disk.restore(trail_of_two());
  start(world);
  auto under_way =
      world.ingest->prepare(event_about("anna", "SECRET UNDER WAY"), BodyForm::json, world.request);
  ASSERT_TRUE(under_way);
  const auto done = erase(world, "anna").value();
  const auto placed = world.append(*std::move(under_way));
  ASSERT_TRUE(placed) << placed.error().message;
  ASSERT_GT(placed->events[0].index, done.outcome);
  const auto shown = world.rendered(placed->events[0].index);
  EXPECT_EQ(shown.find("SECRET"), std::string::npos) << shown;
  EXPECT_NE(shown.find("\"state\":\"erased\",\"erasedBy\":" + std::to_string(done.outcome)),
            std::string::npos)
      << shown;
}

// ---------------------------------------------------------------------------------- personal sidecars

// Where the person's values are when the erasure comes: in the head, in pages of a segment under
// construction, in a closed one; and those of an event that was sealed before and is placed after.
TEST(Erasure, NoIndexTellsOfThePersonWhereverTheirValuesWere) {
  for (int steps = 0; steps <= 3; ++steps) {
    SCOPED_TRACE(::testing::Message() << steps << " steps of sealing before");
    World world(seed);
    start(world);
    ASSERT_TRUE(world.send(event_about("bert", "secret of bert")));
    ASSERT_TRUE(world.send(event_about("anna", "secret of anna")));
    for (int step = 0; step < steps; ++step) ASSERT_TRUE(world.log->seal_once(true));
    ASSERT_TRUE(world.send(event_about("bert", "later secret of bert")));
    auto under_way =
        world.ingest->prepare(event_about("anna", "secret under way"), BodyForm::json, world.request);
    const auto before = world.image().top.kept_keys;
    ASSERT_EQ(before.size(), steps < 2 ? 0u : 1u);
    ASSERT_TRUE(erase(world, "anna"));
    ASSERT_TRUE(world.append(*std::move(under_way)));
    for (const auto& kept : world.image().top.kept_keys)
      EXPECT_TRUE(std::ranges::none_of(before, [&](const auto& old) { return old.file == kept.file; }));
    EXPECT_EQ(testing::check_sealed_sidecars(world).readable, before.size());
    world.seal_everything();
    const auto sidecars = testing::check_sealed_sidecars(world);
    EXPECT_EQ(sidecars.behind + sidecars.unreadable, 0u);
    EXPECT_GT(sidecars.readable, before.size());
    if (HasFailure()) return;
  }
}

// Sealing, and building a sidecar anew beside a key that is gone.
TEST(Erasure, PowerLossAtEveryCallOfSealingLeavesNoKeyWithoutAFileAndNoPageThatHidesSomething) {
  World before(seed);
  start(before);
  for (const auto* person : {"bert", "anna", "carl"})
    ASSERT_TRUE(before.send(event_about(person, std::string("secret of ") + person)));
  before.close();
  const auto disk = before.disk.snapshot();
  for (std::uint64_t call = 1;; ++call) {
    SCOPED_TRACE(::testing::Message() << "call " << call);
    World world(seed);
    world.disk.restore(disk);
    start(world);
    const auto failures = world.disk.probes().failures_injected;
    world.disk.fail_call(call, SimDisk::Fault::power_loss);
    for (bool more = true; more;) more = world.log->seal_once(true).value_or(false);
    const bool reached = world.disk.probes().failures_injected > failures;
    world.disk.fail_call(0, SimDisk::Fault::power_loss);
    world.crash({.seed = call % 3, .keep_unsynced = call % 3 != 0});
    start(world);
    auto sidecars = testing::check_sealed_sidecars(world);
    EXPECT_EQ(world.image().top.kept_keys.size(), sidecars.readable);
    world.seal_everything();
    sidecars = testing::check_sealed_sidecars(world);
    EXPECT_EQ(sidecars.readable, 1u);
    EXPECT_EQ(sidecars.unreadable + sidecars.behind, 0u);
    if (HasFailure() || !reached) return;
  }
}

TEST(Erasure, AFullDiskAtAnyCallMayCostTheSidecarButNotTheForgetting) {
  const auto before = trail_of_two();
  std::uint64_t given_up = 0;
  for (std::uint64_t call = 1;; ++call) {
    SCOPED_TRACE(::testing::Message() << "call " << call);
    World world(seed);
    world.disk.restore(before);
    start(world);
    const auto failures = world.disk.probes().failures_injected;
    world.disk.fail_call(call, SimDisk::Fault::disk_full);
    const auto done = erase(world, "anna");
    const bool reached = world.disk.probes().failures_injected > failures;
    world.disk.fail_call(0, SimDisk::Fault::disk_full);
    // There is room again; what a failed sync stopped goes on after a restart.
    if (!done && !erase(world, "anna")) {
      world.kill();
      start(world);
      const auto again = erase(world, "anna");
      ASSERT_TRUE(again) << again.error().message << "\n" << done.error().message;
    }
    expect_consistent(world, 1);
    given_up += testing::check_sealed_sidecars(world).unreadable;
    world.seal_everything();
    EXPECT_EQ(testing::check_sealed_sidecars(world).unreadable, 0u);
    if (HasFailure()) return;
    if (!reached) break;
  }
  EXPECT_GT(given_up, 0u);
}

// --------------------------------------------------------------------------------------- restored copies

std::map<std::string, Bytes> part_of(const std::map<std::string, Bytes>& disk, const std::string& prefix) {
  std::map<std::string, Bytes> part;
  for (const auto& [path, bytes] : disk)
    if (path.starts_with(prefix)) part[path] = bytes;
  return part;
}

TEST(Erasure, AnOlderVaultIsRefusedUntilTheNewerJournalIsThere) {
  const auto before = trail_of_two();
  World world(seed);
  world.disk.restore(before);
  start(world);
  ASSERT_TRUE(erase(world, "anna"));
  world.close();
  const auto after = world.disk.snapshot();
  auto mixed = part_of(before, "vault/");
  for (const auto* prefix : {"data/", "signer/"}) mixed.merge(part_of(after, prefix));
  world.disk.restore(mixed);
  world.open();
  const auto refused = world.erasures->check("vault/erased").error();
  EXPECT_EQ(refused.kind, ErrorKind::conflict);
  EXPECT_NE(refused.message.find("vault/erased"), std::string::npos) << refused.message;
  world.close();
  world.disk.put("vault/erased", after.at("vault/erased"));
  start(world);
  expect_consistent(world, 1);
}

TEST(Erasure, AnOlderTrailWithTheCurrentVaultShowsNothing) {
  const auto before = trail_of_two();
  World world(seed);
  world.disk.restore(before);
  start(world);
  ASSERT_TRUE(erase(world, "anna"));
  world.close();
  auto mixed = part_of(world.disk.snapshot(), "vault/");
  for (const auto* prefix : {"data/", "signer/"}) mixed.merge(part_of(before, prefix));
  world.disk.restore(mixed);
  start(world);
  const auto all = everything(world);
  EXPECT_EQ(all.find("secret of anna"), std::string::npos) << all;
  EXPECT_NE(all.find("secret of bert"), std::string::npos) << all;
  EXPECT_EQ(erase(world, "anna").error().kind, ErrorKind::not_found);
  // The old sidecar cannot be read any more; a new one knows the others only.
  EXPECT_EQ(testing::check_sealed_sidecars(world).unreadable, 1u);
  world.seal_everything();
  const auto sidecars = testing::check_sealed_sidecars(world);
  EXPECT_EQ(sidecars.unreadable, 0u);
  EXPECT_EQ(sidecars.readable, 2u);
}

TEST(Erasure, AVaultOfAnotherHistoryIsRefused) {
  const auto before = trail_of_two();
  World world(seed);
  world.disk.restore(before);
  start(world);
  ASSERT_TRUE(erase(world, "anna"));
  world.close();
  const auto after = world.disk.snapshot();
  world.disk.restore(before);
  start(world);
  ASSERT_TRUE(world.send(event_about("bert", "one entry more")));
  ASSERT_TRUE(erase(world, "bert"));
  world.close();
  auto mixed = part_of(world.disk.snapshot(), "vault/");
  for (const auto* prefix : {"data/", "signer/"}) mixed.merge(part_of(after, prefix));
  world.disk.restore(mixed);
  world.open();
  EXPECT_EQ(world.erasures->check("vault/erased").error().kind, ErrorKind::conflict);
}

}  // namespace
}  // namespace vestige::audit
