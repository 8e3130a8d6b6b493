// Property: whatever the moment at which power fails or the process dies, and whatever the disk then keeps of
// what was not synced - during writing, sealing, recycling, stopping, and recovery itself - the next start
// has every acknowledged entry, byte for byte and in order; a group that was being written wholly or not at
// all; nothing that nobody submitted; and a tree that extends every tree head that was ever handed out. The
// signer, whose disk fails on its own, never signs a fork and never forgets a signature that it released. A
// stream that was being added is there and empty, or not there.
//
// VESTIGE_SIM_SEEDS sets the number of random schedules; the one that fails is printed and can be run alone
// with VESTIGE_TEST_SEED.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/testing/shared_data.h"
#include "trail/testing/crash_scene.h"
#include "trail/testing/sim_trail.h"

namespace vestige::trail {
namespace {

using platform::sim::SimDisk;
using testing::Draft;
using testing::events_stream;
using testing::inspect_scene;
using testing::Probes;
using testing::Random;
using testing::SimTrail;
using testing::system_stream;
using vestige::testing::scaled;
using vestige::testing::seed;

// ---------------------------------------------------------------------------- every call of one action

// How a crash treats what was not synced: forget all, keep all (the process dies), or by a seed.
std::uint64_t crash_kinds() { return 3 + scaled(1); }

void crash(SimTrail& trail, std::uint64_t kind) {
  if (kind == 1) return trail.kill();
  trail.crash({.seed = kind, .keep_unsynced = kind != 0});
}

struct Scenario {
  const char* name;
  void (*prepare)(SimTrail&);
  void (*act)(SimTrail&);
  unsigned calls_min;  // that the action is known to make
};

void submit_two_streams(SimTrail& trail, std::size_t rows, std::size_t padding) {
  trail.submit_new(events_stream, rows, padding);
  trail.submit(system_stream, {{.id = trail.next_id++, .padding = 3, .blobs = {Bytes(40, 7)}}},
               {{"mark", trail.next_id}});
  trail.submit_new(events_stream, rows, padding);
}

void open_with_entries(SimTrail& trail) {
  ASSERT_TRUE(trail.open());
  submit_two_streams(trail, 5, 20);
  ASSERT_TRUE(trail.commit());
}

// Several WAL files, a sealed segment, pages under construction and a head.
void open_with_everything(SimTrail& trail) {
  ASSERT_TRUE(trail.open());
  for (int i = 0; i < 3; ++i) {
    submit_two_streams(trail, 30, 500);
    ASSERT_TRUE(trail.commit());
    ASSERT_TRUE(trail.commit());
    if (i == 0) ASSERT_TRUE(trail.seal(true));
  }
  ASSERT_TRUE(trail.log().seal_once(true));
  submit_two_streams(trail, 2, 20);
  ASSERT_TRUE(trail.commit());
}

void add_and_fill(SimTrail& trail) {
  const auto number = trail.add_stream("added");
  if (!number) return;
  trail.submit_new(*number, 20, 100);
  submit_two_streams(trail, 2, 20);
  (void)trail.commit();
}

const Scenario scenarios[] = {
    {"create", [](SimTrail&) {}, [](SimTrail& trail) { (void)trail.open(); }, 12},
    {"commit", open_with_entries,
     [](SimTrail& trail) {
       submit_two_streams(trail, 40, 30);
       (void)trail.commit();
     },
     2},
    {"commit that rolls the WAL", open_with_entries,
     [](SimTrail& trail) {
       for (int i = 0; i < 3; ++i) {
         submit_two_streams(trail, 40, 600);
         if (!trail.commit()) return;
       }
     },
     15},
    {"end mark", open_with_entries, [](SimTrail& trail) { (void)trail.log().write_end_mark(); }, 2},
    {"seal", open_with_everything, [](SimTrail& trail) { (void)trail.seal(true); }, 40},
    {"write after recycling",
     [](SimTrail& trail) {
       open_with_everything(trail);
       ASSERT_TRUE(trail.seal(true));
     },
     [](SimTrail& trail) {
       for (int i = 0; i < 2; ++i) {
         submit_two_streams(trail, 40, 600);
         if (!trail.commit()) return;
       }
     },
     8},
    {"clean stop", open_with_everything, [](SimTrail& trail) { (void)trail.stop(); }, 6},
    {"add a stream", open_with_everything, add_and_fill, 7},
    {"recovery after a stream was added",
     [](SimTrail& trail) {
       open_with_everything(trail);
       add_and_fill(trail);
       ASSERT_TRUE(trail.seal(true));
       ASSERT_TRUE(trail.add_stream("empty"));
       trail.kill();
     },
     [](SimTrail& trail) { (void)trail.open(); }, 20},
    {"recovery after a crash",
     [](SimTrail& trail) {
       open_with_everything(trail);
       trail.kill();
     },
     [](SimTrail& trail) { (void)trail.open(); }, 20},
    {"recovery after half a sealing",
     [](SimTrail& trail) {
       open_with_everything(trail);
       trail.disk().fail_call(30, SimDisk::Fault::power_loss);
       EXPECT_FALSE(trail.seal(true));
       trail.crash({.seed = 3});
     },
     [](SimTrail& trail) { (void)trail.open(); }, 20},
    {"start after a clean stop",
     [](SimTrail& trail) {
       open_with_everything(trail);
       ASSERT_TRUE(trail.stop());
     },
     [](SimTrail& trail) { (void)trail.open(); }, 12},
};

// Power fails at the n-th call of the action. False where it makes fewer.
bool crash_at(const Scenario& scenario, std::uint64_t n, std::uint64_t kind, Probes& probes) {
  SimTrail trail(seed() + kind);
  scenario.prepare(trail);
  const auto before = trail.disk().probes().failures_injected;
  trail.disk().fail_call(n, SimDisk::Fault::power_loss);
  scenario.act(trail);
  const bool failed = trail.disk().probes().failures_injected > before;
  trail.disk().fail_call(0, SimDisk::Fault::power_loss);
  crash(trail, kind);
  inspect_scene(trail.disk(), probes);
  const auto streams = trail.streams().size();
  const auto opened = trail.open();
  EXPECT_TRUE(opened) << opened.error().message;
  if (!opened) return failed;
  if (trail.streams().size() > streams) probes.hit("stream left empty");
  // It goes on as if nothing had been.
  submit_two_streams(trail, 3, 10);
  const auto added = trail.add_stream("added");
  EXPECT_TRUE(added);
  if (added) trail.submit_new(*added, 3, 10);
  EXPECT_TRUE(trail.commit());
  EXPECT_TRUE(trail.seal(true));
  EXPECT_TRUE(trail.stop());
  EXPECT_TRUE(trail.open());
  EXPECT_TRUE(trail.log().recovery().clean);
  return failed;
}

class CrashAtEveryCall : public ::testing::TestWithParam<Scenario> {};

TEST_P(CrashAtEveryCall, Recovers) {
  Probes probes;
  for (std::uint64_t kind = 0; kind < crash_kinds(); ++kind) {
    std::uint64_t n = 1;
    for (; n < 500; ++n) {
      SCOPED_TRACE(fmt::format("{}, call {}, crash {}", GetParam().name, n, kind));
      const bool reached = crash_at(GetParam(), n, kind, probes);
      if (HasFailure()) return;
      if (!reached) break;
    }
    EXPECT_GT(n, GetParam().calls_min) << "the action makes fewer calls than this test believes";
  }
  if (std::string_view(GetParam().name) == "add a stream") EXPECT_GT(probes.count("stream left empty"), 0U);
  if (std::string_view(GetParam().name) != "seal") return;
  // Every state between two steps of sealing and recycling was one that a start was made from.
  for (const auto* state :
       {"segment under construction", "hash file written, not renamed", "id run written, not renamed",
        "hash file renamed, segment not", "segment renamed, manifest not replaced",
        "manifest written, not renamed", "manifest replaced, WAL file not yet recycled", "spare WAL file",
        "sealed segment"})
    EXPECT_GT(probes.count(state), 0U) << state;
}

INSTANTIATE_TEST_SUITE_P(Trail, CrashAtEveryCall, ::testing::ValuesIn(scenarios), [](const auto& tested) {
  std::string name(tested.param.name);
  std::ranges::replace(name, ' ', '_');
  return name;
});

// -------------------------------------------------------------------------------------- random schedules

std::vector<Draft> random_drafts(Random& random, SimTrail& trail) {
  std::vector<Draft> drafts;
  const auto padding = random.chance(20) ? 600 : 20;
  for (auto left = 1 + random.below(30); left > 0; --left) {
    const bool known = trail.next_id > 1 && random.chance(8);
    Draft draft{.id = known ? 1 + random.below(trail.next_id - 1) : trail.next_id++,
                .padding = static_cast<std::size_t>(random.below(static_cast<std::uint64_t>(padding))),
                .blobs = {}};
    if (random.chance(5)) draft.blobs.push_back(random.bytes(random.below(60)));
    drafts.push_back(std::move(draft));
  }
  return drafts;
}

// Runs schedules: lives of a server, each of some operations and an end.
class Schedule {
 public:
  Schedule(std::uint64_t number, Probes& probes) : random_(number), trail_(number), probes_(probes) {}

  void run() {
    start();
    for (auto lives = 1 + random_.below(4); lives > 0 && !::testing::Test::HasFailure(); --lives) {
      if (random_.chance(70))
        trail_.disk().fail_call(1 + random_.below(random_.chance(50) ? 30 : 120), SimDisk::Fault::power_loss);
      if (random_.chance(20))
        trail_.signer_disk().fail_call(1 + random_.below(20), SimDisk::Fault::power_loss);
      for (auto left = 1 + random_.below(25); left > 0 && !power_lost() && !::testing::Test::HasFailure();
           --left)
        step();
      end();
      start();
    }
    if (::testing::Test::HasFailure()) return;
    ASSERT_TRUE(trail_.stop());
    ASSERT_TRUE(trail_.open());
    EXPECT_TRUE(trail_.log().recovery().clean);
    trail_.verify_proofs(random_);
    const auto& seen = trail_.disk().probes();
    probes_.hit("directory operations lost", seen.names_lost);
    probes_.hit("directory operations kept", seen.names_kept);
    probes_.hit("writes torn", seen.writes_torn);
    probes_.hit("writes lost", seen.writes_lost);
    probes_.hit("writes kept", seen.writes_kept);
    probes_.hit("crashes", seen.crashes);
  }

 private:
  bool power_lost() { return trail_.disk().probes().failures_injected > failures_seen_; }
  bool signer_lost() { return trail_.signer_disk().probes().failures_injected > signer_failures_seen_; }

  // An operation may fail only because power did.
  void expect(const Status& status, std::string_view what) {
    if (!status) EXPECT_TRUE(power_lost()) << what << ": " << status.error().message;
  }

  void step() {
    const auto choice = random_.below(100);
    if (choice < 60) {
      for (auto left = 1 + random_.below(3); left > 0; --left)
        trail_.submit(random_.chance(50) ? events_stream : any_stream(), random_drafts(random_, trail_),
                      random_.chance(20) ? std::map<std::string, std::uint64_t>{{"m", random_.next()}}
                                         : std::map<std::string, std::uint64_t>{});
      if (!trail_.commit()) EXPECT_TRUE(power_lost() || !trail_.log().figures().writing_stopped);
    } else if (choice < 70) {
      expect(trail_.seal(true), "sealing");
    } else if (choice < 80) {
      const auto sealed = trail_.log().seal_once(true);
      if (!sealed) expect(std::unexpected(sealed.error()), "a step of sealing");
    } else if (choice < 85) {
      expect(trail_.log().write_end_mark(), "an end mark");
    } else if (choice < 90) {
      add_stream();
    } else if (trail_.signer() != nullptr) {
      sign();
    }
  }

  std::uint8_t any_stream() {
    const auto streams = trail_.streams();
    return streams[random_.below(streams.size())];
  }

  void add_stream() {
    const auto before = trail_.streams().size();
    if (trail_.add_stream("stream-" + std::to_string(random_.below(8)))) {
      probes_.hit("streams added", trail_.streams().size() - before);
    } else {
      EXPECT_TRUE(power_lost()) << "adding a stream";
      probes_.hit("crash while a stream was added");
    }
  }

  void sign() {
    const auto signed_head = trail_.sign();
    if (signed_head) return;
    EXPECT_TRUE(power_lost() || signer_lost()) << signed_head.error().message;
    if (!signer_lost()) return;
    probes_.hit("signer's disk crashed while signing");
    trail_.crash_signer({.seed = random_.next()});
    signer_failures_seen_ = trail_.signer_disk().probes().failures_injected;
    open_signer();
  }

  void open_signer() {
    for (;;) {
      const auto opened = trail_.open_signer();
      if (opened) return;
      ASSERT_TRUE(signer_lost()) << opened.error().message;
      trail_.crash_signer({.seed = random_.next()});
      signer_failures_seen_ = trail_.signer_disk().probes().failures_injected;
    }
  }

  void end() {
    if (!power_lost() && random_.chance(30)) {
      probes_.hit("clean stops");
      const auto stopped = trail_.stop();
      expect(stopped, "stopping");
      if (stopped) {
        forget_failures();
        return;
      }
    }
    if (!power_lost() && random_.chance(40)) {
      probes_.hit("kills");
      trail_.kill();
    } else {
      trail_.crash({.seed = random_.next(), .keep_unsynced = random_.chance(85)});
    }
    forget_failures();
  }

  void forget_failures() {
    trail_.disk().fail_call(0, SimDisk::Fault::power_loss);
    failures_seen_ = trail_.disk().probes().failures_injected;
  }

  // Opens, with power failing again on the way now and then.
  void start() {
    const auto streams = trail_.streams().size();
    for (;;) {
      inspect_scene(trail_.disk(), probes_);
      if (random_.chance(35)) trail_.disk().fail_call(1 + random_.below(40), SimDisk::Fault::power_loss);
      const auto opened = trail_.open();
      if (opened) break;
      ASSERT_TRUE(power_lost()) << opened.error().message;
      probes_.hit("crash during recovery");
      trail_.crash({.seed = random_.next(), .keep_unsynced = random_.chance(85)});
      forget_failures();
    }
    if (::testing::Test::HasFailure()) return;
    forget_failures();
    probes_.hit("starts");
    if (trail_.streams().size() > streams) probes_.hit("streams that a crash left empty");
    const auto& report = trail_.log().recovery();
    if (report.entries_replayed > 0) probes_.hit("starts that replayed entries");
    trail_.verify_proofs(random_);
    // First while the log is empty: later it would be refused.
    if (trail_.signer() == nullptr || random_.chance(60)) open_signer();
  }

  Random random_;
  SimTrail trail_;
  Probes& probes_;
  std::uint64_t failures_seen_ = 0;
  std::uint64_t signer_failures_seen_ = 0;
};

std::size_t schedules() {
  const char* count = std::getenv("VESTIGE_SIM_SEEDS");
  return count == nullptr ? scaled(200) : std::strtoul(count, nullptr, 10);
}

TEST(CrashSchedules, AcknowledgedMeansPresent) {
  Probes probes;
  const auto count = schedules();
  for (std::size_t i = 0; i < count; ++i) {
    SCOPED_TRACE(fmt::format("run it alone: VESTIGE_TEST_SEED={} VESTIGE_SIM_SEEDS=1", seed() + i));
    Schedule(seed() + i, probes).run();
    if (HasFailure()) return;
  }
  fmt::print("{} schedules; states met:\n", count);
  probes.print();
  if (count < 200) return;
  for (const auto* state :
       {"torn frame", "WAL of several files", "spare WAL file", "attempt of recovery to discard",
        "crash during recovery", "manifest replaced, WAL file not yet recycled", "segment under construction",
        "hash file written, not renamed", "hash file renamed, segment not",
        "segment renamed, manifest not replaced", "manifest written, not renamed", "sealed segment",
        "directory operations lost", "signer's disk crashed while signing", "clean stops", "kills",
        "starts that replayed entries", "streams added", "crash while a stream was added"})
    EXPECT_GT(probes.count(state), 0U) << state;
}

}  // namespace
}  // namespace vestige::trail
