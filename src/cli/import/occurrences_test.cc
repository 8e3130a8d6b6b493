// Defends: each record of a run gets the number of times that it was read, as a map would count them; format,
// record and list of paths are told apart wherever one ends and the next begins.
#include "cli/import/occurrences.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "cli/import/testing/sources.h"

namespace vestige::cli::importing {
namespace {

TEST(Occurrences, RandomRecordsAgainstAMap) {
  const auto seed = std::random_device()();
  std::mt19937_64 random(seed);
  Occurrences occurrences;
  std::map<std::string, std::uint64_t> model;
  for (int i = 0; i < 20'000 * testing::test_scale(); ++i) {
    const std::string format = random() % 2 == 0 ? "json" : "csv";
    const auto record = fmt::format("{}", random() % 6'000);
    const std::string lossless = random() % 4 == 0 ? "[\"/n\"]" : "";
    ASSERT_EQ(occurrences.count(format, record, lossless).occurrence,
              ++model[format + "\n" + record + "\n" + lossless])
        << "seed " << seed;
  }
}

}  // namespace
}  // namespace vestige::cli::importing
