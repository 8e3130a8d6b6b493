// Property: a stream that is added while the log runs is as good as one of its first start: it takes entries
// and marks at once, is sealed, signed and recovered, and its name and number are its own for ever. What
// cannot be added leaves everything as it was. Crashes and threads: log_crash_test.cc, log_threads_test.cc.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "base/testing/shared_data.h"
#include "trail/testing/sim_trail.h"

namespace vestige::trail {
namespace {

using platform::sim::SimDisk;
using testing::events_stream;
using testing::Random;
using testing::SimTrail;
using vestige::testing::scaled;
using vestige::testing::seed;

Manifest manifest_of(SimTrail& trail) {
  const auto bytes = platform::read_file(trail.files(), std::string(manifest_name), manifest_bytes_max);
  EXPECT_TRUE(bytes);
  auto manifest = decode_manifest(*bytes);
  EXPECT_TRUE(manifest);
  return *std::move(manifest);
}

TEST(LogStreams, AnAddedStreamIsAsGoodAsOneOfTheFirstStart) {
  for (std::size_t round = 0; round < scaled(20); ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed() + round));
    Random random(seed() + round);
    SimTrail trail(seed() + round);
    ASSERT_TRUE(trail.open());
    for (int step = 0; step < 40; ++step) {
      const auto streams = trail.streams();
      const auto choice = random.below(100);
      if (choice < 20) {
        ASSERT_TRUE(trail.add_stream("stream-" + std::to_string(random.below(12))));
      } else if (choice < 75) {
        const auto number = streams[random.below(streams.size())];
        trail.submit(number, {{.id = trail.next_id++, .padding = 300, .blobs = {Bytes(20, 3)}}},
                     {{"mark", random.next()}});
        trail.submit_new(number, 1 + random.below(20), 300);
        ASSERT_TRUE(trail.commit());
      } else if (choice < 85) {
        ASSERT_TRUE(trail.seal(random.chance(50)));
      } else if (choice < 93) {
        ASSERT_TRUE(trail.stop());
        ASSERT_TRUE(trail.open());
        EXPECT_TRUE(trail.log().recovery().clean);
      } else {
        trail.kill();
        ASSERT_TRUE(trail.open());
      }
      trail.verify();
      if (HasFailure()) return;
    }
  }
}

TEST(LogStreams, ItIsDurableAndEmptyWhenItIsTold) {
  SimTrail trail(seed());
  ASSERT_TRUE(trail.open());
  trail.submit_new(events_stream, 5);
  ASSERT_TRUE(trail.commit());
  const auto before = manifest_of(trail);
  const auto number = trail.add_stream("new");
  ASSERT_EQ(number, 3);
  const auto after = manifest_of(trail);
  EXPECT_EQ(after.sequence, before.sequence + 1);
  EXPECT_EQ(after.wal_root, before.wal_root);
  ASSERT_EQ(after.streams.size(), 3U);
  EXPECT_EQ(after.streams[2].full_name(), "late/new");
  EXPECT_EQ(after.streams[2].number, 3);
  EXPECT_TRUE(after.streams[2].proofs);
  // Power fails at once, and all that was not synced is gone.
  trail.crash({.seed = 0, .keep_unsynced = false});
  ASSERT_TRUE(trail.open());
  ASSERT_NE(trail.log().stream("late", "new"), nullptr);
  EXPECT_TRUE(trail.files().exists("streams/late/new"));
}

TEST(LogStreams, OneThatIsThereIsGivenAsItWasMade) {
  SimTrail trail(seed());
  ASSERT_TRUE(trail.open());
  auto* const first = *trail.log().add_stream({"acme", "system", true});
  EXPECT_EQ(first->number(), testing::system_stream);
  EXPECT_FALSE(first->proofs());
  const auto sequence = manifest_of(trail).sequence;
  EXPECT_EQ(*trail.log().add_stream({"acme", "system", false}), first);
  EXPECT_EQ(manifest_of(trail).sequence, sequence);
}

TEST(LogStreams, NamesThatAreNoneAreRefused) {
  SimTrail trail(seed());
  ASSERT_TRUE(trail.open());
  const auto files = trail.disk().snapshot();
  const std::vector<std::string> names{"", "..", "a/b", "A", "a b", "\xc3\xbc", std::string(65, 'a')};
  for (const auto& name : names)
    for (const auto& spec : {StreamSpec{name, "audit", true}, StreamSpec{"acme", name, true}}) {
      const auto added = trail.log().add_stream(spec);
      ASSERT_FALSE(added);
      EXPECT_EQ(added.error().kind, ErrorKind::invalid);
    }
  EXPECT_EQ(trail.disk().snapshot(), files);
  EXPECT_EQ(trail.log().streams().size(), 2U);
}

void expect_exhausted(const Error& error) {
  EXPECT_EQ(error.kind, ErrorKind::exhausted);
  EXPECT_EQ(error.limit, "streams_max = 255");
}

TEST(LogStreams, AsManyAsTheFormatsHaveRoomForAndNoMore) {
  SimTrail trail(seed());
  ASSERT_TRUE(trail.open());
  for (std::size_t i = 2; i < streams_max; ++i) ASSERT_TRUE(trail.add_stream(fmt::format("stream-{}", i)));
  const auto sequence = manifest_of(trail).sequence;
  const auto more = trail.log().add_stream({"late", "one-more", true});
  ASSERT_FALSE(more);
  expect_exhausted(more.error());
  EXPECT_EQ(manifest_of(trail).sequence, sequence);
  // Those that are there are still given, and take entries.
  ASSERT_EQ(trail.add_stream("stream-254"), 255);
  trail.submit_new(255, 3);
  ASSERT_TRUE(trail.commit());
  trail.kill();
  ASSERT_TRUE(trail.open());
  EXPECT_EQ(trail.log().streams().size(), streams_max);
}

// A number of one byte would begin again with 0.
TEST(LogStreams, MoreAtAStartAreRefusedAsWell) {
  SimDisk disk;
  const auto files = disk.open("data");
  platform::sim::SimClock clock;
  platform::sim::SimEntropy entropy(seed());
  testing::TestWrapper wrapper;
  testing::NoBarrier barrier;
  const LogParts parts{.files = *files,
                       .clock = clock,
                       .entropy = entropy,
                       .wrapper = wrapper,
                       .barrier = barrier,
                       .schema = testing::test_schema()};
  std::vector<StreamSpec> specs;
  for (std::size_t i = 0; i <= streams_max; ++i)
    specs.push_back({fmt::format("tenant-{}", i), "audit", true});
  for (int start = 0; start < 2; ++start) {
    const auto refused = Log::open(parts, testing::small_options(), specs);
    ASSERT_FALSE(refused);
    expect_exhausted(refused.error());
    // With as many as there is room for it starts; then once more with one too many.
    const auto opened =
        Log::open(parts, testing::small_options(), {specs.begin(), specs.begin() + streams_max});
    ASSERT_TRUE(opened) << opened.error().message;
    EXPECT_EQ((*opened)->streams().size(), streams_max);
  }
}

// Whatever single call fails: nothing that was acknowledged is lost, the stream can be added later, and a
// crash that forgets all that was not synced changes nothing about it.
TEST(LogStreams, AddingThatFailsCanBeRepeated) {
  for (const auto fault : {SimDisk::Fault::io_error, SimDisk::Fault::disk_full})
    for (const bool repeat : {false, true})
      for (std::uint64_t n = 1;; ++n) {
        ASSERT_LT(n, 100U);
        SCOPED_TRACE(fmt::format("call {} fails, repeat {}", n, repeat));
        SimTrail trail(seed());
        ASSERT_TRUE(trail.open());
        trail.submit_new(events_stream, 5);
        ASSERT_TRUE(trail.commit());
        trail.disk().fail_call(n, fault);
        const bool added = trail.add_stream("new").has_value();
        trail.disk().fail_call(0, fault);
        // Another gets the number of one that was not added; sealing writes a manifest without it.
        if (n % 2 == 0) ASSERT_TRUE(trail.add_stream("other"));
        if (repeat) ASSERT_TRUE(trail.add_stream("new"));
        for (const auto number : trail.streams()) trail.submit_new(number, 2);
        ASSERT_TRUE(trail.commit());
        if (n % 3 == 0) ASSERT_TRUE(trail.seal(true));
        trail.crash({.seed = 0, .keep_unsynced = false});
        ASSERT_TRUE(trail.open());
        ASSERT_TRUE(trail.add_stream("new"));
        if (HasFailure()) return;
        if (!added) continue;
        ASSERT_GT(n, 4U);
        break;
      }
}

}  // namespace
}  // namespace vestige::trail
