// Property: in every state of the trail - entries in the head, in a segment under construction, sealed, after
// a restart - everything that can be read (single entries, scans in both orders over any range, rows that
// pass a test, leaves, roots, proofs, tiles, look-ups of ids, marks) is what a plain list of the entries
// gives.
#include <gtest/gtest.h>

#include "base/testing/shared_data.h"
#include "trail/log/log.h"
#include "trail/testing/sim_trail.h"

namespace vestige::trail {
namespace {

using testing::Draft;
using testing::events_stream;
using testing::Random;
using testing::SimTrail;
using testing::StreamModel;
using testing::system_stream;
using vestige::testing::scaled;
using vestige::testing::seed;

// New events mostly, some seen before, some twice in one submission, some with sections.
std::vector<Draft> random_drafts(Random& random, SimTrail& trail, std::size_t rows_max) {
  std::vector<Draft> drafts;
  for (auto left = 1 + random.below(rows_max); left > 0; --left) {
    const bool known = trail.next_id > 1 && random.chance(10);
    Draft draft{.id = known ? 1 + random.below(trail.next_id - 1) : trail.next_id++,
                .padding = static_cast<std::size_t>(random.below(60)),
                .blobs = {}};
    if (random.chance(10))
      for (auto blobs = 1 + random.below(3); blobs > 0; --blobs)
        draft.blobs.push_back(random.bytes(random.below(80)));
    drafts.push_back(draft);
  }
  return drafts;
}

bool kind_is(const std::string& entry, const std::vector<std::string>& any_of) {
  return std::ranges::any_of(
      any_of, [&](const auto& kind) { return entry.find("\"kind\":\"" + kind + "\"") != std::string::npos; });
}

std::int64_t time_of(const testing::Placed& placed) {
  return 1'700'000'000'000 + static_cast<std::int64_t>(placed.id);
}

// `exact`: all of the range is in pages, so that a row that cannot match is not visited either.
void expect_scan(Random& random, const Snapshot& snapshot, const StreamModel& model, bool exact) {
  const auto from = random.below(snapshot.size() + 2);
  const auto to = from + random.below(snapshot.size() + 2);
  const bool up = random.chance(50);
  RowTest test;
  std::vector<std::string> kinds;
  if (random.chance(60)) {
    for (auto left = random.below(3); left > 0; --left)
      kinds.push_back("kind-" + std::to_string(random.below(6)));
    test.texts.push_back({"kind", kinds, false});
  }
  if (random.chance(40)) {
    test.time_column = "receivedAt";
    test.time_from = 1'700'000'000'000 + static_cast<std::int64_t>(random.below(model.entries.size() + 1));
    test.time_to = test.time_from + static_cast<std::int64_t>(random.below(500));
  }
  const auto matches = [&](std::uint64_t index) {
    const auto& placed = model.entries[index];
    return (test.texts.empty() || kind_is(placed.entry, kinds)) &&
           (test.time_column.empty() ||
            (time_of(placed) >= test.time_from && time_of(placed) < test.time_to));
  };
  const auto visits_max = random.chance(30) ? random.below(20) + 1 : UINT64_MAX;
  std::vector<std::uint64_t> visited;
  const auto scanned = snapshot.scan(from, to, up ? Snapshot::Order::ascending : Snapshot::Order::descending,
                                     test, [&](const ScannedRow& row) -> Result<bool> {
                                       visited.push_back(row.index);
                                       EXPECT_EQ(row.entry, model.entries[row.index].entry);
                                       return visited.size() < visits_max;
                                     });
  ASSERT_TRUE(scanned) << scanned.error().message;
  ASSERT_LE(visited.size(), visits_max);
  ASSERT_TRUE(up ? std::ranges::is_sorted(visited) : std::ranges::is_sorted(visited, std::greater{}));
  ASSERT_EQ(std::ranges::adjacent_find(visited), visited.end());
  for (const auto index : visited) {
    ASSERT_TRUE(index >= from && index < to);
    if (exact) ASSERT_TRUE(matches(index)) << model.entries[index].entry;
  }
  if (visited.size() == visits_max) return;  // stopped early
  for (auto index = from; index < std::min(to, snapshot.size()); ++index)
    if (matches(index)) ASSERT_TRUE(std::ranges::find(visited, index) != visited.end()) << index;
}

void expect_tiles(const Snapshot& snapshot, const StreamModel& model) {
  const auto size = snapshot.size();
  for (std::uint64_t number = 0; number <= size / tile_leaves; ++number) {
    const auto width = static_cast<unsigned>(std::min(tile_leaves, size - number * tile_leaves));
    if (width == 0) continue;
    const auto tile = snapshot.tile(0, number, width);
    ASSERT_TRUE(tile);
    ASSERT_TRUE(std::ranges::equal(*tile, std::span(model.leaves).subspan(number * tile_leaves, width)));
    if (width < tile_leaves) ASSERT_FALSE(snapshot.tile(0, number, width + 1));
  }
  const auto above = size / tile_leaves;
  ASSERT_FALSE(snapshot.tile(1, 0, static_cast<unsigned>(above + 1)));
  if (above == 0) return;
  const auto tile = snapshot.tile(1, 0, static_cast<unsigned>(above));
  ASSERT_TRUE(tile);
  for (std::uint64_t i = 0; i < above; ++i)
    ASSERT_EQ((*tile)[i], root_of(std::span(model.leaves).subspan(i * tile_leaves, tile_leaves)));
  ASSERT_FALSE(snapshot.tile(2, 0, 1));
  ASSERT_FALSE(snapshot.tile(63, 0, 1));
}

void expect_ids(Random& random, const Stream& stream, const StreamModel& model) {
  for (int i = 0; i < 20; ++i) {
    const auto id = random.below(model.entries.size() * 2 + 2);
    std::vector<std::uint64_t> expected;
    for (const auto twin : {id / 2 * 2, id / 2 * 2 + 1})
      if (const auto found = model.index_of.find(twin); found != model.index_of.end())
        expected.push_back(found->second);
    std::ranges::sort(expected);
    const auto found = stream.ids().find(testing::fingerprint_of(id));
    ASSERT_TRUE(found);
    ASSERT_EQ(*found, expected) << "id " << id;
  }
}

void expect_all(Random& random, SimTrail& trail, bool exact) {
  trail.verify();
  trail.verify_proofs(random);
  for (const auto number : {events_stream, system_stream}) {
    const auto& stream = trail.log().stream(number);
    const auto snapshot = stream.snapshot();
    expect_scan(random, snapshot, trail.model(number), exact);
    expect_ids(random, stream, trail.model(number));
    if (::testing::Test::HasFailure()) return;
    ASSERT_FALSE(snapshot.read(snapshot.size()));
    ASSERT_FALSE(snapshot.leaf(snapshot.size()));
  }
  expect_tiles(trail.log().stream(events_stream).snapshot(), trail.model(events_stream));
}

std::map<std::string, std::uint64_t> random_marks(Random& random) {
  std::map<std::string, std::uint64_t> marks;
  if (random.chance(30)) marks["mark-" + std::to_string(random.below(4))] = random.next();
  return marks;
}

void random_step(Random& random, SimTrail& trail, bool& exact) {
  const auto choice = random.below(100);
  if (choice < 55) {
    for (auto left = 1 + random.below(3); left > 0; --left)
      trail.submit(random.chance(70) ? events_stream : system_stream, random_drafts(random, trail, 60),
                   random_marks(random), random.chance(10));
    ASSERT_TRUE(trail.commit());
    exact = false;
  } else if (choice < 75) {
    const bool everything = random.chance(60);
    ASSERT_TRUE(trail.seal(everything));
    exact = everything;
  } else if (choice < 85) {
    ASSERT_TRUE(trail.log().seal_once(true));  // one step only: pages under construction, manifest behind
  } else if (choice < 90) {
    ASSERT_TRUE(trail.log().write_end_mark());
  } else if (choice < 95) {
    ASSERT_TRUE(trail.stop());
    ASSERT_TRUE(trail.open());
    EXPECT_TRUE(trail.log().recovery().clean);
    exact = false;
  } else {
    trail.kill();
    ASSERT_TRUE(trail.open());
    exact = false;
  }
}

TEST(LogModel, EveryStateReadsAsAList) {
  for (std::size_t round = 0; round < scaled(40); ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed() + round));
    Random random(seed() + round);
    SimTrail trail(seed() + round);
    ASSERT_TRUE(trail.open());
    EXPECT_TRUE(trail.log().recovery().created);
    bool exact = false;
    for (int step = 0; step < 25; ++step) {
      random_step(random, trail, exact);
      expect_all(random, trail, exact);
      if (::testing::Test::HasFailure()) return;
    }
  }
}

// Full blocks and segments, as a busy server makes them.
TEST(LogModel, FullBlocksAndSegments) {
  Random random(seed());
  SimTrail trail(seed());
  ASSERT_TRUE(trail.open());
  for (int round = 0; round < 12; ++round) {
    for (int i = 0; i < 3; ++i) trail.submit(events_stream, random_drafts(random, trail, 500));
    ASSERT_TRUE(trail.commit());
    ASSERT_TRUE(trail.seal(false));
    if (round % 4 == 3) expect_all(random, trail, false);
    if (::testing::Test::HasFailure()) return;
  }
  ASSERT_GT(trail.log().stream(events_stream).sealed_size(), 0U);
  ASSERT_EQ(trail.log().stream(events_stream).sealed_size() % block_rows, 0U);
  ASSERT_TRUE(trail.stop());
  ASSERT_TRUE(trail.open());
  expect_all(random, trail, false);
}

TEST(LogModel, ASnapshotStaysAsItWas) {
  SimTrail trail(seed());
  ASSERT_TRUE(trail.open());
  ASSERT_TRUE(trail.submit_new(events_stream, 300));
  ASSERT_TRUE(trail.commit());
  const auto before = trail.log().stream(events_stream).snapshot();
  const auto roots = trail.model(events_stream).roots;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(trail.submit_new(events_stream, 200));
    ASSERT_TRUE(trail.commit());
    ASSERT_TRUE(trail.seal(true));
    EXPECT_EQ(before.size(), 300U);
    EXPECT_EQ(before.root(), roots[300]);
    EXPECT_FALSE(before.read(300));
    for (const std::uint64_t index : {0, 255, 256, 299}) {
      const auto record = before.read(index);
      ASSERT_TRUE(record);
      EXPECT_EQ(record->entry, trail.model(events_stream).entries[index].entry);
    }
    const auto root = before.root_at(257);
    ASSERT_TRUE(root);
    EXPECT_EQ(*root, roots[257]);
  }
}

TEST(LogModel, WhatIsTooLargeOrTooMuchIsRefusedAtOnce) {
  SimTrail trail(seed());
  ASSERT_TRUE(trail.open());
  EXPECT_FALSE(trail.submit(events_stream, {{.id = 1, .padding = frame_payload_bytes_max, .blobs = {}}}));
  for (std::size_t i = 0; i < queue_submissions_max; ++i) ASSERT_TRUE(trail.submit(events_stream, {}));
  EXPECT_FALSE(trail.submit(events_stream, {}));
  EXPECT_TRUE(trail.commit());
  EXPECT_TRUE(trail.submit_new(events_stream, 1));
  EXPECT_TRUE(trail.commit());
}

}  // namespace
}  // namespace vestige::trail
