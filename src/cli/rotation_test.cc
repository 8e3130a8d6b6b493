// Defends: rotated files of one log are read oldest first whatever order they are named in, nothing is lost
// or read twice, and files that belong to no rotation stay where they are.
#include "cli/internal/rotation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "cli/testing/recorder.h"

namespace vestige::cli {
namespace {

TEST(Rotation, AnyOrderGivesOldestFirst) {
  const auto seed = std::random_device()();
  std::mt19937_64 random(seed);
  for (int round = 0; round < testing::rounds(200); ++round) {
    std::vector<std::string> expected;
    for (auto number = random() % 15; number > 0; --number)
      expected.push_back("/var/log/dpkg.log." + std::to_string(number) + (random() % 2 ? ".gz" : ""));
    expected.push_back("/var/log/dpkg.log");
    auto paths = expected;
    std::ranges::shuffle(paths, random);
    ASSERT_EQ(oldest_first(paths), expected) << "seed " << seed;
  }
}

TEST(Rotation, Examples) {
  using Paths = std::vector<std::string>;
  EXPECT_EQ(oldest_first({"dpkg.log", "dpkg.log.1", "dpkg.log.10.gz", "dpkg.log.2.gz"}),
            (Paths{"dpkg.log.10.gz", "dpkg.log.2.gz", "dpkg.log.1", "dpkg.log"}));
  EXPECT_EQ(oldest_first({"dpkg.log", "dpkg.log-20260201.gz", "dpkg.log-20260101.zst"}),
            (Paths{"dpkg.log-20260101.zst", "dpkg.log-20260201.gz", "dpkg.log"}));
  // Two logs are two logs, also of the same name elsewhere.
  EXPECT_EQ(oldest_first({"a/x.log", "b/x.log.1", "a/x.log.1", "b/x.log"}),
            (Paths{"a/x.log.1", "a/x.log", "b/x.log.1", "b/x.log"}));
  EXPECT_EQ(oldest_first({"-", "events.ndjson", "2026", ".5", "-", "v1.2.3"}),
            (Paths{"-", "events.ndjson", "2026", ".5", "v1.2.3"}));
  EXPECT_EQ(oldest_first({"x.99999999999999999999", "x"}), (Paths{"x.99999999999999999999", "x"}));
  EXPECT_TRUE(oldest_first({}).empty());
}

}  // namespace
}  // namespace vestige::cli
