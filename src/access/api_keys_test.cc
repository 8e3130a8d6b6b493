// Defends: a key that was made opens, from where and for as long as it may, until it is revoked, and nothing
// else does; what add and revoke acknowledged is there after a restart; the file of before is taken over
// once, whole; and no key is written anywhere.
#include "access/api_keys.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "access/testing/world.h"
#include "base/encoding.h"
#include "base/testing/shared_data.h"
#include "base/time_text.h"
#include "crypto/digest.h"

namespace vestige::access {
namespace {

using testing::World;
using namespace std::chrono_literals;

Scopes random_scopes(std::mt19937_64& random) {
  Scopes scopes;
  do {
    for (const auto scope : {Scope::ingest, Scope::read, Scope::admin})
      if (random() % 2 == 0) scopes.add(scope);
  } while (scopes.empty());
  return scopes;
}

std::string random_name(std::mt19937_64& random) {
  static const std::vector<std::string> pieces = {"a",
                                                  " ",
                                                  "%",
                                                  "\n",
                                                  "\xc3\xa9",
                                                  "-",
                                                  "\xf0\x9f\x98\x80",
                                                  "sha256 ",
                                                  "'; DROP TABLE access_api_keys; --"};
  std::string name;
  for (auto left = 1 + random() % 6; left > 0; --left) name += pieces[random() % pieces.size()];
  return name;
}

void expect_same(const ApiKey& seen, const ApiKey& expected) {
  EXPECT_EQ(seen.id, expected.id);
  EXPECT_EQ(seen.name, expected.name);
  EXPECT_EQ(seen.tenant, expected.tenant);
  EXPECT_EQ(seen.scopes.names(), expected.scopes.names());
  EXPECT_EQ(seen.created, expected.created);
  EXPECT_EQ(seen.service, expected.service);
  EXPECT_EQ(seen.role, expected.role);
  EXPECT_EQ(seen.expires, expected.expires);
  EXPECT_EQ(seen.ranges, expected.ranges);
  EXPECT_EQ(seen.used, expected.used);
}

struct Known {
  ApiKey about;
  std::optional<UnixMs> written;
};

TEST(ApiKeys, RandomMakingUsingAndRevokingAgainstAMap) {
  std::mt19937_64 random(vestige::testing::seed());
  static const std::vector<std::string> places = {"10.1.2.3",    "10.2.0.1",        "192.0.2.7",
                                                  "2001:db8::7", "::ffff:10.1.9.9", "none"};
  std::size_t opened = 0, turned_away = 0;
  for (std::size_t round = 0; round < vestige::testing::scaled(4); ++round) {
    World world(random());
    std::map<std::string, Known> model;  // by key
    for (int step = 0; step < 60; ++step) {
      world.events();
      switch (random() % 6) {
        case 0:
        case 1: {
          ApiKeys::Wanted wanted{.name = random_name(random), .tenant = "default"};
          if (random() % 3 == 0)
            wanted.role = "legal";
          else
            wanted.scopes = random_scopes(random);
          if (random() % 3 == 0)
            wanted.expires = world.clock().now() + static_cast<std::int64_t>(random() % 600'000 + 1);
          if (random() % 2 == 0) wanted.ranges = {"10.1.0.0/16", "2001:db8::/32"};
          const auto made = world.keys->make(wanted);
          ASSERT_TRUE(made) << made.error().message;
          world.keep_secret(made->key);
          EXPECT_FALSE(world.keys->authenticate(made->key, World::here()));  // not added yet
          const auto by = world.administrator();
          ASSERT_TRUE(world.keys->add(*made, random() % 2 == 0 ? &by : nullptr));
          model[made->key] = {made->about, {}};
          const auto events = world.events();
          ASSERT_EQ(events.size(), 1u);
          EXPECT_EQ(events[0].kind, "system.key");
          EXPECT_EQ(events[0].action, "CREATED");
          break;
        }
        case 2: {
          if (model.empty()) break;
          const auto gone = std::next(model.begin(), static_cast<std::ptrdiff_t>(random() % model.size()));
          auto stranger = world.administrator();
          stranger.tenant = "other";
          EXPECT_EQ(world.keys->revoke(gone->second.about.id, stranger).error().kind, ErrorKind::not_found);
          ASSERT_TRUE(world.keys->revoke(gone->second.about.id, world.administrator()));
          EXPECT_FALSE(world.keys->authenticate(gone->first, World::here()));
          model.erase(gone);
          EXPECT_EQ(world.acts(), std::vector<std::string>{"REVOKED"});
          break;
        }
        case 3:
          world.clock().advance(std::chrono::seconds(random() % 300));
          break;
        case 4:
          ASSERT_TRUE(world.keys->sweep());
          for (auto& [key, known] : model)
            if (known.about.used && *known.about.used - known.written.value_or(UnixMs{}) >= 60'000)
              known.written = known.about.used;
          break;
        default:
          world.restart();
          for (auto& [key, known] : model) known.about.used = known.written;
      }
      ASSERT_EQ(world.keys->list().size(), model.size());
      for (auto& [key, known] : model) {
        expect_same(*world.keys->find(known.about.id), known.about);
        const auto& place = places[random() % places.size()];
        const bool here = known.about.ranges.empty() || place == "10.1.2.3" || place == "2001:db8::7" ||
                          place == "::ffff:10.1.9.9";
        const bool good = here && (!known.about.expires || world.clock().now() < *known.about.expires);
        const auto seen = world.keys->authenticate(key, World::from(place));
        ASSERT_EQ(seen.has_value(), good) << place;
        (good ? opened : turned_away) += 1;
        if (good) known.about.used = world.clock().now();
        EXPECT_FALSE(world.keys->authenticate(key + "x", World::here()));
      }
    }
    world.expect_no_secret_said();
  }
  EXPECT_GT(opened, 100u);
  EXPECT_GT(turned_away, 20u);
}

TEST(ApiKeys, ThePrincipalOfAKey) {
  World world;
  const auto made =
      world.keys->make({.name = "nightly", .tenant = "default", .role = "legal", .service = "exporter"});
  ASSERT_TRUE(made);
  const auto principal = made->about.principal();
  EXPECT_EQ(principal.kind, PrincipalKind::service);
  EXPECT_EQ(principal.name, "exporter");
  EXPECT_EQ(principal.roles, std::vector<std::string>{"legal"});
  EXPECT_EQ(principal.method, Method::api_key);
}

TEST(ApiKeys, RefusedOnesAreToldAsSums) {
  World world;
  const auto made = world.keys->make({.name = "k",
                                      .tenant = "default",
                                      .scopes = Scopes::all(),
                                      .expires = world.clock().now() + 1'000,
                                      .ranges = {"10.0.0.0/8"}});
  ASSERT_TRUE(world.keys->add(*made, nullptr));
  world.events();
  for (int i = 0; i < 7; ++i) EXPECT_FALSE(world.keys->authenticate("vst_wrong", World::here()));
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(world.keys->authenticate(made->key, World::from("192.0.2.1")));
  world.clock().advance(1s);
  EXPECT_FALSE(world.keys->authenticate(made->key, World::from("10.0.0.1")));
  EXPECT_TRUE(world.events().empty());
  ASSERT_TRUE(world.keys->sweep());
  std::vector<std::string> details;
  for (const auto& seen : world.events()) details.push_back(seen.details);
  EXPECT_EQ(details, (std::vector<std::string>{"unknown_key: 7 times", "expired_key: 1 times",
                                               "key_used_from_elsewhere: 3 times"}));
  ASSERT_TRUE(world.keys->sweep());
  EXPECT_TRUE(world.events().empty());
}

TEST(ApiKeys, WishesThatAreRefused) {
  World world;
  const auto refused = [&](const ApiKeys::Wanted& wanted, std::string_view path) {
    const auto made = world.keys->make(wanted);
    ASSERT_FALSE(made) << path;
    EXPECT_EQ(made.error().path, path);
  };
  const auto all = Scopes::all();
  for (const std::string& name :
       {std::string(), std::string(limits::key_name_bytes_max + 1, 'x'), std::string("\xff")})
    refused({.name = name, .tenant = "t", .scopes = all}, "/name");
  refused({.name = "x", .tenant = "t"}, "/scopes");
  refused({.name = "x", .tenant = "t", .role = "nobody"}, "/role");
  refused({.name = "x", .tenant = "t", .scopes = all, .role = "legal"}, "/role");
  refused({.name = "x", .tenant = "t", .scopes = all, .service = std::string(300, 's')}, "/service");
  refused({.name = "x", .tenant = "t", .scopes = all, .expires = world.clock().now()}, "/expiresAt");
  const auto latest = world.clock().now() + 90LL * 24 * 3'600'000;
  refused({.name = "x", .tenant = "t", .role = "auditor"}, "/expiresAt");
  refused({.name = "x", .tenant = "t", .role = "auditor", .expires = latest + 1}, "/expiresAt");
  EXPECT_TRUE(world.keys->make({.name = "x", .tenant = "t", .role = "auditor", .expires = latest}));
  refused({.name = "x", .tenant = "t", .scopes = all, .ranges = {"10.0.0.0/8", "10.0.0.1/8"}}, "/ranges/1");
  refused({.name = "x", .tenant = "t", .scopes = all, .ranges = std::vector<std::string>(65, "10.0.0.0/8")},
          "/ranges");
  EXPECT_EQ(world.keys->revoke(Uuid{}, world.administrator()).error().kind, ErrorKind::not_found);
  EXPECT_FALSE(parse_scope("write"));
  EXPECT_EQ(Scopes::all().names(), (std::vector<std::string_view>{"ingest", "read", "admin"}));
}

// As the file was written before there was a database.
std::string keys_file(const std::vector<std::pair<Uuid, std::string>>& keys) {
  std::string out = "vestige-api-keys 1\n";
  for (const auto& [id, key] : keys)
    out += fmt::format("{} ingest,read 2026-11-25T14:40:11.213Z default {} a%20name\n", format_uuid(id),
                       to_base64(crypto::sha256(view(key))));
  return out + fmt::format("sha256 {}\n", to_hex(crypto::sha256(view(out))));
}

TEST(ApiKeys, TheFileOfBeforeIsTakenOverOnce) {
  World world;
  const std::vector<std::pair<Uuid, std::string>> old = {{make_uuid_v8({1}), "vst_one"},
                                                         {make_uuid_v8({2}), "vst_two"}};
  world.disk.put("data/api-keys", view(keys_file(old)));
  world.restart();
  EXPECT_FALSE(world.files->exists("api-keys"));
  EXPECT_TRUE(world.files->exists("api-keys.imported"));
  EXPECT_TRUE(world.events().empty());
  for (const auto& [id, key] : old) {
    const auto seen = world.keys->authenticate(key, World::here());
    ASSERT_TRUE(seen);
    EXPECT_EQ(seen->id, id);
    EXPECT_EQ(seen->name, "a name");
    EXPECT_EQ(format_time(seen->created), "2026-11-25T14:40:11.213Z");
    EXPECT_EQ(seen->scopes.names(), (std::vector<std::string_view>{"ingest", "read"}));
  }
  // A start that was cut off before the file was renamed.
  world.disk.put("data/api-keys", view(keys_file(old)));
  world.disk.erase("data/api-keys.imported");
  world.restart();
  EXPECT_EQ(world.keys->list().size(), 2u);
  // What was revoked since does not come back with a file that somebody restored.
  ASSERT_TRUE(world.keys->revoke(old[0].first, world.administrator()));
  const auto reopen = [&] {
    return ApiKeys::open(*world.database, *world.outbox, world.clock(), world.entropy, *world.files,
                         {.terms_of = {}});
  };
  world.disk.put("data/api-keys", view(keys_file(old)));
  ASSERT_FALSE(reopen());
  EXPECT_EQ(reopen().error().kind, ErrorKind::conflict);
  world.disk.erase("data/api-keys.imported");
  ASSERT_FALSE(reopen());
  EXPECT_EQ(reopen().error().kind, ErrorKind::conflict);
  world.disk.erase("data/api-keys");
  ASSERT_TRUE(reopen());
  EXPECT_EQ((*reopen())->list().size(), 1u);
}

TEST(ApiKeys, EveryChangedByteOfTheOldFileIsFoundAndNothingIsTakenOver) {
  World world;
  const auto whole = keys_file({{make_uuid_v8({1}), "vst_one"}});
  const auto reopen = [&](std::string_view content) {
    world.disk.put("data/api-keys", view(content));
    return ApiKeys::open(*world.database, *world.outbox, world.clock(), world.entropy, *world.files,
                         {.terms_of = {}});
  };
  for (std::size_t at = 0; at < whole.size(); ++at) {
    auto changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ (1 << at % 7));
    const auto opened = reopen(changed);
    ASSERT_FALSE(opened) << at;
    EXPECT_EQ(opened.error().kind, ErrorKind::corrupt) << at;
    ASSERT_FALSE(reopen(whole.substr(0, at))) << at;
  }
  EXPECT_FALSE(world.files->exists("api-keys.imported"));
  EXPECT_TRUE(world.keys->list().empty());
  ASSERT_TRUE(reopen(whole));
}

}  // namespace
}  // namespace vestige::access
