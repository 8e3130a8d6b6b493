// Property: one key comes from one place, a malformed one is named without its bytes, and a key is made only
// where there is neither a key nor a vault.
#include "vault/root_key.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/encoding.h"
#include "vault/testing/vault_world.h"

namespace vestige::vault {
namespace {

using testing::VaultWorld;

std::string shown(const Key& key) { return to_base64(key); }

TEST(RootKey, AFileIsMadeOnceAndReadEverAfter) {
  VaultWorld world(41);
  auto files = world.disk.open("vault");
  EXPECT_EQ(load_root_key(*files, world.entropy, {}, false).error().kind, ErrorKind::not_found);
  const auto made = load_root_key(*files, world.entropy, {}, true).value();
  EXPECT_TRUE(made.created);
  EXPECT_NE(made.described.find("root.key"), std::string::npos);
  const auto content = world.disk.snapshot().at("vault/root.key");
  EXPECT_EQ(text(content), shown(made.key) + "\n");
  files.reset();
  world.disk.crash({.seed = 1, .keep_unsynced = false});
  files = world.disk.open("vault");
  const auto again = load_root_key(*files, world.entropy, {}, true).value();
  EXPECT_FALSE(again.created);
  EXPECT_EQ(again.key, made.key);
}

TEST(RootKey, NoNewKeyIsMadeBesideAVault) {
  VaultWorld world(42);
  ASSERT_TRUE(world.reopen());
  const auto error = load_root_key(*world.files, world.entropy, {}, true).error();
  EXPECT_EQ(error.kind, ErrorKind::not_found);
  EXPECT_NE(error.message.find("cannot be read"), std::string::npos) << error.message;
}

TEST(RootKey, TheEnvironmentAndACommandGiveTheirKey) {
  VaultWorld world(43);
  auto files = world.disk.open("vault");
  const auto key = world.entropy.bytes<32>();
  ASSERT_EQ(::setenv("VESTIGE_TEST_ROOT_KEY", shown(key).c_str(), 1), 0);
  const auto from_variable =
      load_root_key(*files, world.entropy, {.command = "", .environment = "VESTIGE_TEST_ROOT_KEY"}, true);
  EXPECT_EQ(from_variable.value().key, key);
  const auto from_command =
      load_root_key(*files, world.entropy, {.command = "echo " + shown(key), .environment = ""}, true);
  EXPECT_EQ(from_command.value().key, key);
  EXPECT_FALSE(from_command->created);
  EXPECT_FALSE(files->exists("root.key"));
}

TEST(RootKey, AnAbsentVariableAndAFailedCommandAreNamed) {
  VaultWorld world(44);
  auto files = world.disk.open("vault");
  const auto unset =
      load_root_key(*files, world.entropy, {.command = "", .environment = "VESTIGE_NOT_SET"}, true);
  EXPECT_EQ(unset.error().kind, ErrorKind::not_found);
  EXPECT_NE(unset.error().message.find("VESTIGE_NOT_SET"), std::string::npos);
  const auto failed = load_root_key(*files, world.entropy, {.command = "exit 3", .environment = ""}, true);
  EXPECT_EQ(failed.error().kind, ErrorKind::unavailable);
  EXPECT_NE(failed.error().message.find("status 3"), std::string::npos);
  const auto flood =
      load_root_key(*files, world.entropy, {.command = "head -c 100000 /dev/zero", .environment = ""}, true);
  EXPECT_EQ(flood.error().kind, ErrorKind::invalid);
}

TEST(RootKey, AMalformedKeyIsRefusedWithoutShowingIt) {
  VaultWorld world(45);
  auto files = world.disk.open("vault");
  const std::string secret = shown(world.entropy.bytes<32>());
  for (const auto& bad :
       {secret.substr(0, 40), secret + "AAAA", "0x" + secret, secret + "\n" + secret, std::string("\n")}) {
    world.disk.put("vault/root.key", view(bad));
    const auto error = load_root_key(*files, world.entropy, {}, true).error();
    EXPECT_EQ(error.kind, ErrorKind::invalid);
    EXPECT_EQ(error.message.find(secret.substr(4, 12)), std::string::npos) << error.message;
    EXPECT_NE(error.message.find("root.key"), std::string::npos) << error.message;
  }
  world.disk.put("vault/root.key", view(secret + "\r\n"));
  EXPECT_TRUE(load_root_key(*files, world.entropy, {}, true));
}

}  // namespace
}  // namespace vestige::vault
