// Defends: progress never takes more than its line, whatever a reader claims and however narrow the terminal
// is; nothing is drawn where nobody looks, and nothing is left behind.
#include "cli/internal/progress.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "cli/internal/display.h"
#include "cli/testing/recorder.h"

namespace vestige::cli {
namespace {

TEST(Progress, StaysOnItsLine) {
  const auto seed = std::random_device()();
  std::mt19937_64 random(seed);
  const std::optional<double> shares[] = {
      std::nullopt, 0.0, 0.5, 1.0, 7.0, -1.0, std::numeric_limits<double>::quiet_NaN()};
  for (int round = 0; round < testing::rounds(500); ++round) {
    const auto columns = static_cast<unsigned>(2 + random() % 150);
    const auto line =
        render_progress(std::string(random() % 200, 'p') + "\n\x1b[2J", shares[random() % std::size(shares)],
                        random(), static_cast<double>(random() % 10'000'000), columns);
    ASSERT_LT(display_width(line), columns) << "seed " << seed << ": " << line;
    ASSERT_EQ(line.find_first_of("\n\r\x1b"), std::string::npos) << "seed " << seed;
  }
}

TEST(Progress, Examples) {
  EXPECT_EQ(render_progress("a.log", 0.5, 12'345, 8'200.9, 100),
            "a.log [############............]  50% 12,345 events 8,200/s");
  EXPECT_EQ(render_progress("-", std::nullopt, 7, 0, 100), "- 7 events");
  EXPECT_EQ(with_separators(0), "0");
  EXPECT_EQ(with_separators(999), "999");
  EXPECT_EQ(with_separators(1'000), "1,000");
  EXPECT_EQ(with_separators(18'446'744'073'709'551'615U), "18,446,744,073,709,551,615");
}

TEST(Progress, DrawsTenTimesASecondAtMostAndCleansUp) {
  testing::Recorder surroundings;
  surroundings.terminal = true;
  {
    Progress progress(surroundings);
    for (int i = 0; i < 1'000; ++i) {
      progress.update("x", 0.5, 1);
      surroundings.now += std::chrono::milliseconds(1);
    }
  }
  const auto erasures = [&] {
    std::size_t count = 0;
    for (std::size_t at = 0; (at = surroundings.errors.find("\r\x1b[K", at)) != std::string::npos; ++at)
      ++count;
    return count;
  }();
  EXPECT_EQ(erasures, 10U + 1);
  EXPECT_TRUE(surroundings.errors.ends_with("\r\x1b[K"));
  EXPECT_TRUE(surroundings.output.empty());
}

TEST(Progress, IsSilentWithoutATerminal) {
  testing::Recorder surroundings;
  Progress(surroundings).update("x", 0.5, 1);
  EXPECT_TRUE(surroundings.errors.empty());
}

}  // namespace
}  // namespace vestige::cli
