// Defends: scripts may rely on the exit codes and on the JSON of `vestige verify`; what cannot be used is
// said with what to do instead.
#include "cli/verify_command.h"

#include <gtest/gtest.h>

#include "cli/cli.h"
#include "cli/internal/local_file.h"
#include "cli/testing/recorder.h"
#include "json/json.h"
#include "platform/files.h"

namespace vestige::cli {
namespace {

class Verifying : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = ::testing::TempDir() + "vestige-verify-" +
                 ::testing::UnitTest::GetInstance()->current_test_info()->name();
    const auto files = platform::open_directory(directory_, true);
    ASSERT_TRUE(files) << files.error().message;
    if ((*files)->exists("manifest")) ASSERT_TRUE((*files)->remove("manifest"));
  }
  void put_broken_manifest() {
    const auto written = write_local(directory_ + "/manifest", "no manifest");
    ASSERT_TRUE(written) << written.error().message;
  }

  std::string directory_;
  testing::Recorder surroundings_;
};

TEST_F(Verifying, WhatIsNotThereIsAWrongCommandLine) {
  EXPECT_EQ(run_verify({.data = directory_ + "/absent"}, surroundings_), exit_usage);
  EXPECT_NE(surroundings_.errors.find("absent"), std::string::npos);
  EXPECT_EQ(run_verify({.data = directory_, .no_keys = true}, surroundings_), exit_usage);
  EXPECT_NE(surroundings_.errors.find("no data directory"), std::string::npos);
  surroundings_.variables["VESTIGE_DATA"] = directory_ + "/of-the-environment";
  EXPECT_EQ(run_verify({}, surroundings_), exit_usage);
  EXPECT_NE(surroundings_.errors.find("of-the-environment"), std::string::npos);
  EXPECT_EQ(surroundings_.output, "");
}

TEST_F(Verifying, AVerifierKeyThatIsNoneIsAWrongCommandLine) {
  for (const std::string key : {"log+00000000+AA==", "no-such-file"}) {
    EXPECT_EQ(run_verify({.data = directory_, .verifier_keys = {key}}, surroundings_), exit_usage);
    EXPECT_NE(surroundings_.errors.find(key), std::string::npos) << surroundings_.errors;
  }
}

TEST_F(Verifying, ARootKeyThatIsMissingIsSaidWithWhatToDo) {
  put_broken_manifest();
  EXPECT_EQ(run_verify({.data = directory_}, surroundings_), exit_usage);
  EXPECT_NE(surroundings_.errors.find("--vault-dir"), std::string::npos);
  EXPECT_NE(surroundings_.errors.find("--no-keys"), std::string::npos);
  EXPECT_EQ(run_verify({.data = directory_, .vault_dir = directory_, .root_key_file = directory_ + "/none"},
                       surroundings_),
            exit_usage);
  EXPECT_NE(surroundings_.errors.find("/none"), std::string::npos);
  ASSERT_TRUE(write_local(directory_ + "/short", "AAAA\n"));
  EXPECT_EQ(run_verify({.data = directory_, .vault_dir = directory_, .root_key_file = directory_ + "/short"},
                       surroundings_),
            exit_usage);
  EXPECT_NE(surroundings_.errors.find("base64 of 32 bytes"), std::string::npos);
}

TEST_F(Verifying, DamageIsOneObjectForScripts) {
  put_broken_manifest();
  EXPECT_EQ(run_verify({.data = directory_, .no_keys = true}, surroundings_), exit_found_wrong);
  json::Parser parser;
  json::Document document;
  ASSERT_TRUE(parser.parse(surroundings_.output, document)) << surroundings_.output;
  const auto report = document.root();
  ASSERT_EQ(report.size(), 5U) << surroundings_.output;
  EXPECT_FALSE(report.find("ok").boolean());
  EXPECT_EQ(report.find("size").number(), "0");
  EXPECT_EQ(report.find("root").string(), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
  EXPECT_EQ(report.find("streams").size(), 0U);
  const auto bad = report.find("firstBad");
  EXPECT_EQ(bad.size(), 4U);
  EXPECT_TRUE(bad.find("index").is_null());
  EXPECT_EQ(bad.find("file").string(), "manifest");
  EXPECT_TRUE(bad.find("offset").is_number());
  EXPECT_TRUE(bad.find("reason").is_string());
}

TEST_F(Verifying, DamageIsWordsForPeople) {
  put_broken_manifest();
  surroundings_.terminal = true;
  EXPECT_EQ(run_verify({.data = directory_, .no_keys = true}, surroundings_), exit_found_wrong);
  EXPECT_NE(surroundings_.output.find("WRONG: manifest, byte "), std::string::npos) << surroundings_.output;
  EXPECT_NE(surroundings_.output.find("restore"), std::string::npos);
}

}  // namespace
}  // namespace vestige::cli
