// Property: beside a running server nothing that the server does is damage, whatever it does between any two
// things that the verifier reads: new entries, new persons, new streams, sealing, recycling of write-ahead
// files, signing.
// Damage that was there before is found all the same.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "trail/format/segment_format.h"
#include "verify/testing/report_text.h"
#include "verify/testing/step_files.h"
#include "verify/testing/world.h"

namespace vestige::verify {
namespace {

using testing::StepFiles;
using testing::World;

constexpr std::size_t streams_added_max = 2;

struct Server {
  World& world;
  std::mt19937_64 random;
  std::uint64_t persons = 0;
  std::uint64_t steps = 0;
  std::vector<std::uint8_t> added{};

  std::uint8_t any_stream() {
    const auto number = random() % (2 + added.size());
    return static_cast<std::uint8_t>(number < 2 ? 1 + number : added[number - 2]);
  }

  void add_stream() {
    const auto tenant = fmt::format("tenant-{}", added.size() / 2);
    added.push_back(world.add_stream(tenant, added.size() % 2 == 0 ? "audit" : "access"));
  }

  // One thing that a server may do next; mostly nothing.
  void step() {
    ++steps;
    switch (random() % 8) {
      case 0:
        world.append_some(any_stream(), 1 + random() % 40);
        break;
      case 1:
        world.append(1, {{.subjects = {fmt::format("person {}", ++persons)}, .number = persons}});
        break;
      case 2:
        world.sign();
        break;
      case 3:
        if (random() % 4 == 0) world.seal();
        break;
      case 4:
        if (added.size() < streams_added_max && random() % 16 == 0) add_stream();
        break;
      default:
        break;
    }
  }
};

std::uint64_t rounds() {
  const char* scale = std::getenv("VESTIGE_TEST_SCALE");
  return 15 * (scale == nullptr ? 1 : std::max(1UL, std::strtoul(scale, nullptr, 10)));
}

TEST(Running, NothingThatTheServerDoesIsDamage) {
  std::uint64_t steps = 0;
  std::uint64_t segments = 0;
  std::uint64_t added = 0;
  for (std::uint64_t seed = 1; seed <= rounds(); ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    World world(seed);
    world.open();
    world.append_some(1, 100);
    world.sign();
    Server server{world, std::mt19937_64(seed)};
    const auto inputs = world.inputs();
    StepFiles data(inputs.data, [&] { server.step(); });
    StepFiles vault(*inputs.vault, [&] { server.step(); });
    StepFiles signer(*inputs.signer, [&] { server.step(); });
    for (int round = 0; round < 4; ++round) {
      const auto before = world.log().streams()[0]->size();
      const auto report = verify_data({data, &signer, &vault, inputs.root_key}, {.while_running = true});
      ASSERT_TRUE(report) << report.error().message;
      ASSERT_TRUE(report->ok) << testing::in_words(*report);
      EXPECT_GE(report->streams[0].size, before);
      const auto keyless = verify_data({data, &signer, &vault, nullptr}, {.while_running = true});
      ASSERT_TRUE(keyless) << keyless.error().message;
      ASSERT_TRUE(keyless->ok) << testing::in_words(*keyless);
    }
    steps += server.steps;
    added += server.added.size();
    segments += world.log().streams()[0]->record().segments.size();
    world.stop();
    const auto last = world.verify();
    ASSERT_TRUE(last->ok) << testing::in_words(*last);
    ASSERT_EQ(last->streams.size(), 2 + server.added.size());
  }
  EXPECT_GE(added, rounds());
  EXPECT_GT(steps, 1'000U);
  EXPECT_GT(segments, rounds());
}

TEST(Running, DamageOfBeforeIsFoundAllTheSame) {
  World world(500);
  world.open();
  world.append_some(1, 400);
  world.sign();
  world.seal();
  world.append_some(1, 50);
  const auto segment = "streams/default/audit/" + trail::range_file_name(0, 400, trail::segment_ending);
  world.disk().flip_bit("data/" + segment, 2'000, 3);
  Server server{world, std::mt19937_64(5)};
  const auto inputs = world.inputs();
  StepFiles data(inputs.data, [&] { server.step(); });
  const auto report =
      verify_data({data, inputs.signer, inputs.vault, inputs.root_key}, {.while_running = true});
  ASSERT_TRUE(report);
  ASSERT_FALSE(report->ok);
  EXPECT_EQ(report->first_bad->file, segment);
  EXPECT_EQ(report->first_bad->index, 0U);
}

TEST(Running, TheLogsUnusedSpaceIsNotJudged) {
  World world(501);
  world.open();
  world.append_some(1, 30);
  world.sign();
  const auto report = world.verify({.while_running = true});
  EXPECT_TRUE(report->ok) << testing::in_words(*report);
  EXPECT_EQ(report->streams[0].size, 30U);
}

}  // namespace
}  // namespace vestige::verify
