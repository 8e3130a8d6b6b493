// Defends: a key that was made opens, until it is revoked, and nothing else does; what create and revoke
// acknowledged survives a crash at any call, whole; the file holds no key and no byte of it can change
// unseen.
#include "api/api_keys.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "base/testing/shared_data.h"
#include "platform/sim/sim_clock.h"
#include "platform/sim/sim_files.h"

namespace vestige::api {
namespace {

constexpr UnixMs now{1'795'617'611'213};

struct World {
  explicit World(std::uint64_t seed) : entropy(seed), files(disk.open("data")) {}
  platform::sim::SimDisk disk;
  platform::sim::SimEntropy entropy;
  std::unique_ptr<platform::FileSystem> files;

  std::unique_ptr<ApiKeys> open() {
    auto keys = ApiKeys::open(*files, entropy);
    EXPECT_TRUE(keys) << keys.error().message;
    return keys ? *std::move(keys) : nullptr;
  }
};

Scopes random_scopes(std::mt19937_64& random) {
  Scopes scopes;
  do {
    for (const auto scope : {Scope::ingest, Scope::read, Scope::admin})
      if (random() % 2 == 0) scopes.add(scope);
  } while (scopes.empty());
  return scopes;
}

std::string random_name(std::mt19937_64& random) {
  static const std::vector<std::string> pieces = {
      "a", " ", "%", "\n", "\xc3\xa9", "-", std::string(1, '\0'), "\xf0\x9f\x98\x80", "sha256 ", "\r\n"};
  std::string name;
  for (auto left = 1 + random() % 12; left > 0; --left) name += pieces[random() % pieces.size()];
  return name;
}

using Model = std::map<std::string, ApiKey>;  // by key

void verify(const ApiKeys& keys, const Model& model) {
  ASSERT_EQ(keys.list().size(), model.size());
  for (const auto& [key, about] : model) {
    const auto found = keys.authenticate(key);
    ASSERT_TRUE(found);
    for (const auto& seen : {*found, *keys.find(about.id)}) {
      EXPECT_EQ(seen.id, about.id);
      EXPECT_EQ(seen.name, about.name);
      EXPECT_EQ(seen.tenant, about.tenant);
      EXPECT_EQ(seen.scopes.names(), about.scopes.names());
      EXPECT_EQ(seen.created, about.created);
    }
    EXPECT_FALSE(keys.authenticate(key + "x"));
    EXPECT_FALSE(keys.authenticate(key.substr(1)));
  }
  for (const auto* wrong : {"", "vst_", "Bearer"}) EXPECT_FALSE(keys.authenticate(wrong));
}

TEST(ApiKeys, RandomMakingAndRevokingWithCrashesAgainstAMap) {
  std::mt19937_64 random(vestige::testing::seed());
  std::printf("seed %llu (VESTIGE_TEST_SEED)\n", static_cast<unsigned long long>(vestige::testing::seed()));
  std::uint64_t crashes = 0;
  for (std::size_t round = 0; round < vestige::testing::scaled(60); ++round) {
    World world(random());
    auto keys = world.open();
    ASSERT_TRUE(keys);
    Model model;
    for (int step = 0; step < 12; ++step) {
      auto next = model;
      const bool crash = random() % 5 == 0;
      if (crash) world.disk.fail_call(1 + random() % 5, platform::sim::SimDisk::Fault::power_loss);
      Status done;
      if (model.empty() || random() % 3 != 0) {
        const auto created = keys->make(random_name(random), random_scopes(random), "default", now);
        ASSERT_TRUE(created) << created.error().message;
        next[created->key] = created->about;
        done = keys->add(*created);
      } else {
        const auto gone = std::next(model.begin(), static_cast<std::ptrdiff_t>(random() % model.size()));
        done = keys->revoke(gone->second.id);
        next.erase(gone->first);
      }
      world.disk.fail_call(0, platform::sim::SimDisk::Fault::io_error);
      if (done) {
        model = next;
      } else {
        // What failed changes nothing that this process says.
        ASSERT_NO_FATAL_FAILURE(verify(*keys, model));
      }
      if (crash || random() % 5 == 0) {
        ++crashes;
        keys.reset();
        world.disk.crash({.seed = random(), .keep_unsynced = random() % 2 == 0});
        world.files = world.disk.open("data");
        keys = world.open();
        ASSERT_TRUE(keys);
        // What was not acknowledged happened wholly or not at all.
        if (!done && keys->list().size() == next.size()) model = next;
      }
      ASSERT_NO_FATAL_FAILURE(verify(*keys, model));
    }
  }
  EXPECT_GT(crashes, vestige::testing::scaled(60));
}

TEST(ApiKeys, TheFileHoldsNoKeyAndEveryChangedByteIsFound) {
  World world(1);
  auto keys = world.open();
  Scopes scopes;
  scopes.add(Scope::read);
  const auto created = keys->make("a name", scopes, "default", now);
  ASSERT_TRUE(keys->add(*created));
  EXPECT_EQ(created->key.size(), 47u);
  EXPECT_TRUE(created->key.starts_with("vst_"));
  keys.reset();
  const auto whole = world.disk.snapshot();
  const auto path = "data/" + std::string(keys_file_name);
  const auto& bytes = whole.at(path);
  EXPECT_EQ(text(bytes).find(created->key.substr(4)), std::string_view::npos);
  EXPECT_TRUE(text(bytes).starts_with("vestige-api-keys 1\n"));
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    world.disk.restore(whole);
    world.disk.flip_bit(path, at, static_cast<unsigned>(at % 8));
    const auto opened = ApiKeys::open(*world.files, world.entropy);
    ASSERT_FALSE(opened) << at;
    EXPECT_EQ(opened.error().kind, ErrorKind::corrupt) << at;
    ASSERT_TRUE(opened.error().where);
    EXPECT_EQ(opened.error().where->file, keys_file_name);
  }
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    world.disk.put(path, ByteView(bytes).first(size));
    EXPECT_FALSE(ApiKeys::open(*world.files, world.entropy)) << size;
  }
}

TEST(ApiKeys, WishesThatAreRefused) {
  World world(1);
  auto keys = world.open();
  for (const std::string& name :
       {std::string(), std::string(key_name_bytes_max + 1, 'x'), std::string("\xff")}) {
    const auto made = keys->make(name, Scopes::all(), "default", now);
    ASSERT_FALSE(made) << name;
    EXPECT_EQ(made.error().path, "/name");
  }
  EXPECT_TRUE(keys->make(std::string(key_name_bytes_max, 'x'), Scopes::all(), "default", now));
  EXPECT_EQ(keys->make("x", Scopes(), "default", now).error().path, "/scopes");
  EXPECT_EQ(keys->revoke(Uuid{}).error().kind, ErrorKind::not_found);
  EXPECT_FALSE(keys->find(Uuid{}));
  EXPECT_FALSE(access::parse_scope("write"));
  EXPECT_EQ(Scopes::all().names(), (std::vector<std::string_view>{"ingest", "read", "admin"}));
}

}  // namespace
}  // namespace vestige::api
