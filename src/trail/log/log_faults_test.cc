// Properties:
// 1. Whatever single call of the disk fails, with an error or for want of space, during writing, sealing or
//    recycling: nothing that was acknowledged is lost, then or after a later crash that forgets all that was
//    not synced; and what can go on does.
// 2. After a failed write or sync of the WAL every later submission is refused until a restart, reads go on.
// 3. A full disk refuses writes, leaves reads alone, and writes resume by themselves when there is space.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/testing/shared_data.h"
#include "trail/testing/sim_trail.h"

namespace vestige::trail {
namespace {

using platform::sim::SimDisk;
using testing::events_stream;
using testing::SimTrail;
using testing::system_stream;
using vestige::testing::seed;

void write(SimTrail& trail, std::size_t rows, std::size_t padding) {
  trail.submit_new(events_stream, rows, padding);
  trail.submit(system_stream, {{.id = trail.next_id++, .padding = 3, .blobs = {Bytes(40, 7)}}});
  trail.commit();
}

// Two WAL files, a sealed segment, a segment under construction and a head.
void prepare(SimTrail& trail) {
  ASSERT_TRUE(trail.open());
  write(trail, 60, 500);
  ASSERT_TRUE(trail.seal(true));
  write(trail, 60, 500);
  ASSERT_TRUE(trail.log().seal_once(true));
  write(trail, 60, 500);
}

struct Action {
  const char* name;
  void (*act)(SimTrail&);
};

const Action actions[] = {
    {"write", [](SimTrail& trail) { write(trail, 5, 10); }},
    {"roll",
     [](SimTrail& trail) {
       write(trail, 60, 500);
       // What fits into the old file may not stand behind a new one.
       write(trail, 1, 10);
       write(trail, 60, 500);
     }},
    {"seal", [](SimTrail& trail) { (void)trail.seal(true); }},
    {"stop", [](SimTrail& trail) { (void)trail.stop(); }},
};

// False where the action makes fewer than n calls.
bool fail_at(const Action& action, std::uint64_t n, SimDisk::Fault fault, std::uint64_t crash_seed) {
  SimTrail trail(seed());
  prepare(trail);
  const auto before = trail.disk().probes().failures_injected;
  trail.disk().fail_call(n, fault);
  action.act(trail);
  const bool failed = trail.disk().probes().failures_injected > before;
  trail.disk().fail_call(0, fault);
  if (trail.is_open()) {
    trail.verify();
    // Sealing tries again; writing goes on unless the WAL itself is in doubt.
    for (int tries = 0; tries < 2; ++tries) {
      (void)trail.seal(true);
      write(trail, 3, 10);
    }
    trail.verify();
  }
  trail.crash({.seed = crash_seed, .keep_unsynced = crash_seed != 0});
  const auto opened = trail.open();
  EXPECT_TRUE(opened) << opened.error().message;
  return failed;
}

class FailAtEveryCall : public ::testing::TestWithParam<Action> {};

TEST_P(FailAtEveryCall, LosesNothingAcknowledged) {
  for (const auto fault : {SimDisk::Fault::io_error, SimDisk::Fault::disk_full})
    for (std::uint64_t crash_seed = 0; crash_seed < 2; ++crash_seed)
      for (std::uint64_t n = 1; n < 500; ++n) {
        SCOPED_TRACE(fmt::format("{}, call {} fails with {}, crash {}", GetParam().name, n,
                                 fault == SimDisk::Fault::io_error ? "an error" : "a full disk", crash_seed));
        const bool reached = fail_at(GetParam(), n, fault, crash_seed);
        if (HasFailure()) return;
        if (!reached) {
          ASSERT_GT(n, 2U);
          break;
        }
      }
}

INSTANTIATE_TEST_SUITE_P(Trail, FailAtEveryCall, ::testing::ValuesIn(actions),
                         [](const auto& tested) { return std::string(tested.param.name); });

TEST(LogFaults, AStartThatFailsCanBeRepeated) {
  for (const auto fault : {SimDisk::Fault::io_error, SimDisk::Fault::disk_full})
    for (std::uint64_t n = 1; n < 500; ++n) {
      SCOPED_TRACE(fmt::format("call {} fails", n));
      SimTrail trail(seed());
      prepare(trail);
      trail.kill();
      const auto before = trail.disk().probes().failures_injected;
      trail.disk().fail_call(n, fault);
      const bool opened = trail.open().has_value();
      const bool reached = trail.disk().probes().failures_injected > before;
      trail.disk().fail_call(0, fault);
      EXPECT_EQ(opened, !reached);
      if (!opened) {
        const auto again = trail.open();
        ASSERT_TRUE(again) << again.error().message;
      }
      trail.crash({.seed = n, .keep_unsynced = n % 2 == 0});
      const auto last = trail.open();
      ASSERT_TRUE(last) << last.error().message;
      if (!reached) {
        ASSERT_GT(n, 20U);
        break;
      }
    }
}

ErrorKind outcome_of_a_write(SimTrail& trail) {
  auto ticket = std::make_shared<testing::Ticket>();
  ticket->stream = events_stream;
  ticket->drafts.push_back({.id = trail.next_id++, .padding = 10, .blobs = {}});
  if (const auto taken = trail.log().submit(testing::make_submission(ticket)); !taken)
    return taken.error().kind;
  EXPECT_TRUE(trail.log().commit_once());
  EXPECT_EQ(ticket->settled_times, 1U);
  EXPECT_FALSE(*ticket->outcome) << "written although the disk is in doubt";
  return ticket->outcome->has_value() ? ErrorKind::io : ticket->outcome->error().kind;
}

void expect_stopped_until_restart(SimTrail& trail) {
  EXPECT_TRUE(trail.log().figures().writing_stopped);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(outcome_of_a_write(trail), ErrorKind::unavailable);
  EXPECT_FALSE(trail.log().write_end_mark());
  trail.verify();
  EXPECT_FALSE(trail.stop()) << "no clean end may be written over a doubtful one";
  trail.kill();
  ASSERT_TRUE(trail.open());
  write(trail, 2, 10);
  EXPECT_FALSE(trail.log().figures().writing_stopped);
  trail.verify();
}

TEST(LogFaults, AFailedSyncStopsWritingForGood) {
  SimTrail trail(seed());
  prepare(trail);
  trail.disk().fail_syncs_of("wal/");
  trail.submit_new(events_stream, 1);
  EXPECT_FALSE(trail.commit());
  trail.disk().fail_syncs_of("");  // the disk is well again; what it lost is not
  expect_stopped_until_restart(trail);
}

TEST(LogFaults, AFailedWriteStopsWritingForGood) {
  SimTrail trail(seed());
  prepare(trail);
  trail.disk().fail_call(1, SimDisk::Fault::io_error);
  trail.submit_new(events_stream, 1);
  EXPECT_FALSE(trail.commit());
  expect_stopped_until_restart(trail);
}

TEST(LogFaults, AFailedSyncOfASegmentIsNotTriedAgain) {
  SimTrail trail(seed());
  prepare(trail);
  trail.disk().fail_syncs_of("streams/");
  EXPECT_FALSE(trail.seal(true));
  trail.disk().fail_syncs_of("");
  const auto sealed = trail.log().stream(events_stream).sealed_size();
  const auto again = trail.seal(true);
  ASSERT_FALSE(again) << "a second sync may succeed although the first one lost pages";
  EXPECT_EQ(trail.log().stream(events_stream).sealed_size(), sealed);
  // Reading and writing go on; the entries are in the WAL.
  write(trail, 3, 10);
  trail.verify();
  trail.crash({.seed = 1, .keep_unsynced = false});
  ASSERT_TRUE(trail.open());
  ASSERT_TRUE(trail.seal(true));
  trail.verify();
}

TEST(LogFaults, AFullDiskRefusesWritesUntilThereIsSpace) {
  SimTrail trail(seed());
  prepare(trail);
  trail.disk().set_capacity(trail.disk().used_bytes());
  bool refused = false;
  for (int i = 0; i < 10; ++i) {
    trail.submit_new(events_stream, 60, 500);
    if (!trail.commit()) refused = true;
  }
  ASSERT_TRUE(refused);
  EXPECT_FALSE(trail.log().figures().writing_stopped);
  trail.verify();
  trail.disk().set_capacity(std::uint64_t{1} << 40);
  trail.submit_new(events_stream, 60, 500);
  EXPECT_TRUE(trail.commit()) << "there is space again";
  EXPECT_TRUE(trail.seal(true));
  trail.crash({.seed = 0, .keep_unsynced = false});
  ASSERT_TRUE(trail.open());
}

// A block of several pages of which a failed step wrote some: its segment, full meanwhile, must not end
// within it.
TEST(LogFaults, ASegmentNeverEndsWithinABlock) {
  auto options = testing::small_options();
  options.segment_bytes_max = 20 << 10;
  for (std::uint64_t call = 1; call <= 12; ++call) {
    SCOPED_TRACE(fmt::format("call {} fails", call));
    SimTrail trail(seed(), options);
    ASSERT_TRUE(trail.open());
    for (int group = 0; group < 30; ++group) {
      trail.submit_new(events_stream, 30, 100);
      ASSERT_TRUE(trail.commit());
    }
    trail.disk().fail_call(call, SimDisk::Fault::disk_full);
    (void)trail.log().seal_once(true);
    trail.disk().fail_call(0, SimDisk::Fault::disk_full);
    // What comes while sealing is behind stands in the next block.
    trail.submit_new(events_stream, 30, 100);
    ASSERT_TRUE(trail.commit());
    ASSERT_TRUE(trail.log().seal_once(false));
    trail.verify();
    ASSERT_TRUE(trail.seal(true));
    trail.verify();
    if (::testing::Test::HasFailure()) return;
  }
}

TEST(LogFaults, ARecoveryOnAFullDiskCanBeRepeated) {
  SimTrail trail(seed());
  prepare(trail);
  trail.kill();
  trail.disk().set_capacity(trail.disk().used_bytes());
  for (int i = 0; i < 3; ++i) {
    const auto opened = trail.open();
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().kind, ErrorKind::unavailable) << opened.error().message;
  }
  trail.disk().set_capacity(std::uint64_t{1} << 40);
  ASSERT_TRUE(trail.open());
}

TEST(LogFaults, TheWalLimitRefusesWritesUntilSealingCatchesUp) {
  auto options = testing::small_options();
  options.wal_bytes_max = 128 << 10;
  SimTrail trail(seed(), options);
  ASSERT_TRUE(trail.open());
  bool refused = false;
  for (int i = 0; i < 5 && !refused; ++i) {
    trail.submit_new(events_stream, 60, 500);
    refused = !trail.commit();
  }
  ASSERT_TRUE(refused);
  EXPECT_FALSE(trail.log().figures().writing_stopped);
  ASSERT_TRUE(trail.seal(true));
  trail.submit_new(events_stream, 60, 500);
  EXPECT_TRUE(trail.commit());
  trail.verify();
}

TEST(LogFaults, ALogThatGetsMarksAndNoEntriesDoesNotFillUp) {
  auto options = testing::small_options();
  options.wal_bytes_max = 256 << 10;
  SimTrail trail(seed(), options);
  ASSERT_TRUE(trail.open());
  std::uint64_t value = 0;
  // Some megabytes of frames.
  for (int round = 0; round < 40; ++round) {
    for (int i = 0; i < 200; ++i) {
      ASSERT_TRUE(trail.submit(events_stream, {}, {{"position", ++value}}));
      ASSERT_TRUE(trail.commit()) << "round " << round;
    }
    ASSERT_TRUE(trail.seal(true));
  }
  EXPECT_EQ(trail.log().mark(events_stream, "position"), value);
  trail.kill();
  ASSERT_TRUE(trail.open());
  EXPECT_EQ(trail.log().mark(events_stream, "position"), value);
}

// Of a group with such a submission the others are taken, and what is written is read again.
TEST(LogFaults, MoreMarksThanALogMayHaveAreRefusedWithTheirEntries) {
  SimTrail trail(seed());
  ASSERT_TRUE(trail.open());
  std::map<std::string, std::uint64_t> marks;
  for (std::size_t i = 0; i + 2 < marks_max; ++i) marks[fmt::format("mark {}", i)] = i;
  ASSERT_TRUE(trail.submit(events_stream, {}, marks));
  ASSERT_TRUE(trail.commit());
  const auto draft = [&] { return testing::Draft{.id = trail.next_id++, .padding = 10, .blobs = {}}; };
  const auto again = draft();
  for (const auto stream : {events_stream, system_stream}) {
    // Two places are left at first. Who finds room, with which entries, the model says.
    ASSERT_TRUE(trail.submit(stream, {draft()}, {{"a", 1}, {"b", 2}, {"c", 3}}));
    ASSERT_TRUE(trail.submit(stream, {draft(), again}, {{"mark 5", 7}, {"a", 1}}));
    ASSERT_TRUE(trail.submit(stream, {again, draft(), draft()}, {{"mark 5", 8}, {"b", 2}, {"c", 3}}));
    ASSERT_TRUE(trail.submit(stream, {draft(), again}, {{"a", 3}}));
    ASSERT_TRUE(trail.commit());
  }
  EXPECT_EQ(trail.log().mark(events_stream, "mark 5"), 7U);
  EXPECT_EQ(trail.log().mark(events_stream, "a"), 3U);
  EXPECT_FALSE(trail.log().mark(events_stream, "b"));
  EXPECT_EQ(trail.log().stream(events_stream).size(), 3U);
  // Two of a group that are known, but more than it may bring. (Sealing makes room in the write-ahead log.)
  ASSERT_TRUE(trail.seal(true));
  ASSERT_TRUE(trail.submit(events_stream, {draft()}, marks));
  ASSERT_TRUE(trail.submit(events_stream, {draft()}, marks));
  ASSERT_TRUE(trail.commit());
  EXPECT_EQ(trail.log().stream(events_stream).size(), 4U);
  ASSERT_TRUE(trail.seal(true));
  trail.kill();
  ASSERT_TRUE(trail.open());
  trail.verify();
}

TEST(LogFaults, TheHeadLimitRefusesWritesUntilSealingCatchesUp) {
  auto options = testing::small_options();
  options.head_bytes_max = 1 << 20;
  SimTrail trail(seed(), options);
  ASSERT_TRUE(trail.open());
  bool refused = false;
  for (int i = 0; i < 100 && !refused; ++i) {
    refused = !trail.submit_new(events_stream, 50, 1'000);
    ASSERT_TRUE(trail.commit());
  }
  ASSERT_TRUE(refused);
  ASSERT_TRUE(trail.seal(true));
  EXPECT_TRUE(trail.submit_new(events_stream, 50, 1'000));
  EXPECT_TRUE(trail.commit());
}

}  // namespace
}  // namespace vestige::trail
