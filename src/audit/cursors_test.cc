// Defends: a reader goes on where it last saved, across restarts and crashes, whatever else is written;
// saving adds no entry; names and positions that make no sense are refused; a log that gets nothing but saved
// positions does not fill up.
#include "audit/cursors.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>

#include "audit/limits.h"
#include "audit/testing/random_events.h"
#include "audit/testing/world.h"

namespace vestige::audit {
namespace {

using testing::Random;
using testing::World;

Status save(World& world, Cursors& cursors, Cursor cursor, const CursorOwner& owner = {}) {
  Status outcome = fail(ErrorKind::io, "never told");
  cursors.save(owner, std::move(cursor), [&](Status told) { outcome = std::move(told); });
  while (world.log->commit_once().value_or(false)) {
  }
  return outcome;
}

TEST(Cursors, AreWhatWasSavedLastAcrossRestartsAndCrashes) {
  Random random(testing::seed_of_test());
  World world(testing::seed_of_test());
  world.open();
  auto cursors = std::make_unique<Cursors>(*world.log, world.stream());
  const CursorOwner owners[] = {"", "reader-1", "01930000-0000-7000-8000-000000000001"};
  std::map<CursorOwner, std::map<std::string, std::uint64_t>> model;
  for (std::size_t step = 0; step < testing::rounds(300); ++step) {
    const auto size = world.stream().size();
    if (random.chance(20)) {
      ASSERT_TRUE(world.send(R"({"kind":"data.change","action":"CREATED"})"));
      ASSERT_EQ(world.stream().size(), size + 1);
    } else if (random.chance(70)) {
      const Cursor cursor{fmt::format("reader-{}", random.below(4)), random.below(size + 1)};
      const auto& owner = owners[random.below(std::size(owners))];
      ASSERT_TRUE(save(world, *cursors, cursor, owner));
      model[owner][cursor.name] = cursor.next;
      ASSERT_EQ(world.stream().size(), size) << "saving makes no entry";
    } else if (random.chance(30)) {
      world.seal_everything();
    } else {
      cursors.reset();
      if (random.chance(50))
        world.close();
      else
        world.crash({.seed = random.below(1'000'000)});
      world.open();
      cursors = std::make_unique<Cursors>(*world.log, world.stream());
    }
    for (const auto& owner : owners) {
      std::map<std::string, std::uint64_t> found;
      for (const auto& cursor : cursors->list(owner)) found.emplace(cursor.name, cursor.next);
      ASSERT_EQ(found, model[owner]) << owner;
      for (const auto& [name, next] : model[owner])
        ASSERT_EQ(cursors->find(owner, name), (Cursor{name, next})) << owner;
    }
  }
  EXPECT_EQ(cursors->find("", "reader-9"), std::nullopt);
  // Another's by no name.
  EXPECT_EQ(cursors->find("", "reader-1/reader-2"), std::nullopt);
}

TEST(Cursors, RefuseWhatMakesNoSense) {
  World world(1);
  world.open();
  Cursors cursors(*world.log, world.stream());
  for (const std::string& name : {std::string(), std::string("a/b"), std::string("a b"),
                                  std::string("\xc3\xa9"), std::string(cursor_name_bytes_max + 1, 'a')}) {
    const auto refused = save(world, cursors, {name, 0});
    ASSERT_FALSE(refused) << name;
    EXPECT_EQ(refused.error().kind, ErrorKind::invalid);
  }
  EXPECT_TRUE(save(world, cursors, {std::string(cursor_name_bytes_max, 'a'), world.stream().size()}));
  const auto refused = save(world, cursors, {"a", world.stream().size() + 1});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().path, "/next");
}

TEST(Cursors, HaveALimit) {
  World world(1);
  world.open();
  Cursors cursors(*world.log, world.stream());
  for (std::size_t i = 0; i < cursors_max; ++i)
    cursors.save("", {fmt::format("c{}", i), 0}, [](const Status& told) { EXPECT_TRUE(told); });
  while (world.log->commit_once().value_or(false)) {
  }
  const auto refused = save(world, cursors, {"one-more", 0});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::exhausted);
  EXPECT_TRUE(save(world, cursors, {"c0", 0})) << "a known name can still be saved";
}

}  // namespace
}  // namespace vestige::audit
