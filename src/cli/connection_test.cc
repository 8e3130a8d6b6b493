// Defends: the server and the key come from where --help says, in that order; a key of a directory never goes
// to a server that was merely named by address; a message says what was looked for and where; what a server
// refuses is told with path, position and limit.
#include "cli/internal/connection.h"

#include <gtest/gtest.h>

#include "cli/cli.h"
#include "cli/internal/local_file.h"
#include "cli/testing/recorder.h"
#include "platform/files.h"

namespace vestige::cli {
namespace {

class Locating : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = ::testing::TempDir() + "vestige-locate-" +
                 ::testing::UnitTest::GetInstance()->current_test_info()->name();
    const auto files = platform::open_directory(directory_, true);
    ASSERT_TRUE(files) << files.error().message;
    for (const auto* const name : {"LOCK", "admin.key"})
      if ((*files)->exists(name)) ASSERT_TRUE((*files)->remove(name));
  }
  void put(const std::string& name, const std::string& content) {
    const auto written = write_local(directory_ + "/" + name, content);
    ASSERT_TRUE(written) << written.error().message;
  }
  Result<Target> located(ConnectionArguments arguments, KeyNeed need = KeyNeed::required) {
    return locate(arguments, surroundings_, need);
  }

  std::string directory_;
  testing::Recorder surroundings_;
};

TEST_F(Locating, InTheDataDirectory) {
  put("LOCK", "http://127.0.0.1:9\n");
  put("admin.key", "secret\n");
  const auto named = located({.data = directory_});
  ASSERT_TRUE(named) << named.error().message;
  EXPECT_EQ(named->url, "http://127.0.0.1:9");
  EXPECT_EQ(named->key, "secret");
  EXPECT_EQ(named->url_source, directory_ + "/LOCK");
  surroundings_.variables["VESTIGE_DATA"] = directory_;
  EXPECT_EQ(located({})->key, "secret");
  surroundings_.variables["VESTIGE_KEY"] = "of-environment";
  surroundings_.variables["VESTIGE_URL"] = "http://environment:1";
  EXPECT_EQ(located({})->key, "of-environment");
  EXPECT_EQ(located({})->url, "http://environment:1");
  EXPECT_EQ(located({.url = "http://line:2", .key = "of-line"})->key, "of-line");
  EXPECT_EQ(located({.url = "http://line:2", .key = "of-line"})->url, "http://line:2");
}

TEST_F(Locating, WithoutAServerItSaysWhereItLooked) {
  for (const bool with_empty_file : {false, true}) {
    if (with_empty_file) put("LOCK", "\n");
    const auto nowhere = located({.data = directory_});
    ASSERT_FALSE(nowhere);
    EXPECT_EQ(nowhere.error().kind, ErrorKind::unavailable);
    for (const auto& words :
         {std::string("--url"), std::string("VESTIGE_URL"), directory_ + "/LOCK", std::string("--data")})
      EXPECT_NE(nowhere.error().message.find(words), std::string::npos) << nowhere.error().message;
    EXPECT_EQ(report(surroundings_, nowhere.error()), exit_unreachable);
  }
}

TEST_F(Locating, WithoutAKeyItSaysWhereItLooked) {
  put("LOCK", "http://127.0.0.1:9\n");
  for (const auto* const content : {"", "\n", "two words\n"}) {
    put("admin.key", content);
    const auto nowhere = located({.data = directory_});
    ASSERT_FALSE(nowhere) << content;
    EXPECT_EQ(nowhere.error().kind, ErrorKind::invalid);
    for (const auto& words : {std::string("--key"), std::string("VESTIGE_KEY"), directory_ + "/admin.key"})
      EXPECT_NE(nowhere.error().message.find(words), std::string::npos) << nowhere.error().message;
    EXPECT_EQ(report(surroundings_, nowhere.error()), exit_usage);
  }
  EXPECT_TRUE(located({.data = directory_}, KeyNeed::none));
}

TEST_F(Locating, AKeyDoesNotGoToAServerNamedByAddressAlone) {
  put("LOCK", "http://127.0.0.1:9\n");
  put("admin.key", "secret\n");
  // ./var may be there or not: it must not matter.
  const auto stranger = located({.url = "http://elsewhere:1"});
  ASSERT_FALSE(stranger);
  EXPECT_EQ(stranger.error().kind, ErrorKind::invalid);
  EXPECT_EQ(located({.url = "http://elsewhere:1", .data = directory_})->key, "secret");
  EXPECT_EQ(located({.url = "http://elsewhere:1"}, KeyNeed::none)->key, "");
}

TEST_F(Locating, WhatIsSaidOfALookGoesIntoItsHeadersOrNowhere) {
  const auto target =
      located({.url = "http://h:1", .key = "k", .reason = "why", .subject = "p-1", .purpose = "regulatory"});
  ASSERT_TRUE(target);
  EXPECT_EQ(target->reason + "|" + target->subject + "|" + target->purpose, "why|p-1|regulatory");
  for (const std::string bad : {"p\r\nX-Vestige-Role: service", "\xff", "\n"}) {
    EXPECT_FALSE(located({.url = "http://h:1", .key = "k", .subject = bad}));
    EXPECT_FALSE(located({.url = "http://h:1", .key = "k", .purpose = bad}));
    EXPECT_FALSE(located({.url = "http://h:1", .key = "k", .reason = bad}));
  }
  // An approval is used up by what it was given for, and sent with nothing else.
  const std::string approval = "0193f0a4-7b1e-7c3e-8c53-2b3a6f1d9e10";
  EXPECT_EQ(located({.url = "http://h:1", .key = "k", .approval = approval})->approval, "");
  EXPECT_EQ(
      located({.url = "http://h:1", .key = "k", .approval = approval, .takes_approval = true})->approval,
      approval);
}

TEST_F(Locating, AKeyThatIsNoHeaderValueIsRefused) {
  for (const auto* const key : {"a\r\nX: y", "a b", "\xff"})
    EXPECT_FALSE(located({.url = "http://h:1", .key = key})) << key;
}

TEST(Refusal, NamesPathPositionAndLimit) {
  http::ClientResponse response{
      .status = 413, .content_type = "application/problem+json", .body = {}, .headers = {}};
  response.body =
      R"({"title":"Too large","status":413,"detail":"the event is \u001b[31mtoo large","path":"/17/detail",)"
      R"("position":1234,"limit":"event 1 MiB"})";
  EXPECT_EQ(describe_refusal(response),
            "The server refused with status 413: the event is \\x1b[31mtoo large\n  path: /17/detail\n"
            "  position: 1234\n  limit: event 1 MiB");
  response.content_type = "text/html";
  response.body = "<h1>\x1b]0;gotcha\x07</h1>";
  EXPECT_EQ(describe_refusal(response), "The server answered with status 413: <h1>\\x1b]0;gotcha\\x07</h1>");
  EXPECT_EQ(refusal({.status = 404, .content_type = {}, .body = {}, .headers = {}}).kind,
            ErrorKind::not_found);
}

TEST(Encoding, LeavesNothingThatEndsASegment) {
  EXPECT_EQ(encoded("a/b?c#d%e f\xff~."), "a%2Fb%3Fc%23d%25e%20f%FF~.");
}

}  // namespace
}  // namespace vestige::cli
