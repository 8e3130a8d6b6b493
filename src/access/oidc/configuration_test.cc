// Property: a configuration that would leave a door open, or let nobody in, is refused with a sentence that
// names the table and the key.
#include "access/oidc/configuration.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "access/oidc/identity.h"
#include "access/oidc/limits.h"

namespace vestige::access::oidc {
namespace {

Configuration staff() {
  return {.name = "okta",
          .tenant = "example",
          .issuer = "https://login.example",
          .client_id = "vestige",
          .client_secret_environment = "VESTIGE_TEST_OIDC_SECRET",
          .redirect_url = "https://audit.example/callback",
          .roles = {{"auditors", {"auditor"}}}};
}
Configuration customers() {
  auto made = staff();
  made.audience = Audience::customers;
  made.roles.clear();
  made.subject_claim = "sub";
  return made;
}

template <typename Change>
void expect_wrong(Configuration configuration, std::string_view key, Change change) {
  change(configuration);
  const auto status = validate({configuration});
  ASSERT_FALSE(status.has_value()) << key;
  EXPECT_EQ(status.error().kind, ErrorKind::invalid);
  EXPECT_NE(status.error().message.find(fmt::format("Sign-in provider \"{}\": {} ", configuration.name, key)),
            std::string::npos)
      << status.error().message;
}

TEST(SsoConfiguration, SensibleOnesPass) {
  EXPECT_TRUE(validate({}).has_value());
  EXPECT_TRUE(validate({staff()}).has_value());
  EXPECT_TRUE(validate({customers()}).has_value());
  auto local = staff();
  local.name = "local-2";
  local.issuer = "http://127.0.0.1:3000";
  local.redirect_url = "http://localhost:8080/callback";
  EXPECT_TRUE(validate({staff(), local}).has_value());
  EXPECT_EQ(validate({staff(), customers()}).error().kind, ErrorKind::invalid);  // one name twice
  EXPECT_FALSE(validate(std::vector<Configuration>(limits::providers_max + 1, staff())).has_value());
}

TEST(SsoConfiguration, WhatIsWrongIsNamed) {
  using C = Configuration;
  for (const char* name : {"", "Okta", "a b", "../x", "-a", "a/b", "a_b"})
    expect_wrong(staff(), "name", [&](C& c) { c.name = name; });
  expect_wrong(staff(), "tenant", [](C& c) { c.tenant.clear(); });
  expect_wrong(staff(), "label", [](C& c) { c.label = "a\nb"; });
  for (const char* issuer :
       {"", "login.example", "http://login.example", "https://login.example?x=1", "https://login.example?",
        "https://u:p@login.example", "https://login.example#a"})
    expect_wrong(staff(), "issuer", [&](C& c) { c.issuer = issuer; });
  for (const char* address : {"", "http://audit.example/callback", "/callback"})
    expect_wrong(staff(), "redirect_url", [&](C& c) { c.redirect_url = address; });
  expect_wrong(staff(), "client_id", [](C& c) { c.client_id.clear(); });
  expect_wrong(staff(), "client_secret_file", [](C& c) { c.client_secret_file = "/x"; });
  expect_wrong(staff(), "algorithms", [](C& c) { c.algorithms.clear(); });
  expect_wrong(staff(), "scopes", [](C& c) { c.scopes = {"profile"}; });
  expect_wrong(staff(), "scopes", [](C& c) { c.scopes = {"openid", "a b"}; });
  expect_wrong(staff(), "groups_claim", [](C& c) { c.groups_claim.clear(); });
  expect_wrong(staff(), "roles", [](C& c) { c.roles.clear(); });
  expect_wrong(staff(), "roles", [](C& c) { c.roles["x"] = {}; });
  expect_wrong(staff(), "roles", [](C& c) { c.roles["x"] = {""}; });
  expect_wrong(staff(), "roles", [](C& c) { c.roles[""] = {"auditor"}; });
  expect_wrong(staff(), "subject_claim", [](C& c) { c.subject_claim = "sub"; });
  expect_wrong(customers(), "roles", [](C& c) { c.roles["x"] = {"auditor"}; });
  for (const char* claim : {"", "email", "preferred_username", "name", "phone_number"})
    expect_wrong(customers(), "subject_claim", [&](C& c) { c.subject_claim = claim; });
}

TEST(SsoConfiguration, SecretsComeFromOnePlace) {
  auto configuration = staff();
  ::unsetenv("VESTIGE_TEST_OIDC_SECRET");
  const auto missing = read_client_secret(configuration);
  ASSERT_FALSE(missing.has_value());
  EXPECT_NE(missing.error().message.find("VESTIGE_TEST_OIDC_SECRET"), std::string::npos);
  ::setenv("VESTIGE_TEST_OIDC_SECRET", "from the environment", 1);
  EXPECT_EQ(read_client_secret(configuration)->text(), "from the environment");
  configuration.client_secret_environment.clear();
  EXPECT_TRUE(read_client_secret(configuration)->empty());

  std::string folder = (std::filesystem::temp_directory_path() / "vestige-oidc-XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  configuration.client_secret_file = folder + "/secret";
  EXPECT_NE(read_client_secret(configuration).error().message.find("secret"), std::string::npos);
  for (const auto& [content, expected] : {std::pair{"from a file\n", "from a file"},
                                          {"x\r\n", "x"},
                                          {"", ""},
                                          {"two\nlines\n", ""},
                                          {"\n", ""},
                                          {"tab\tand\x7f", ""}}) {
    std::ofstream(configuration.client_secret_file) << content;
    const auto secret = read_client_secret(configuration);
    EXPECT_EQ(secret ? secret->text() : "", expected);
    if (!secret) EXPECT_EQ(secret.error().message.find("lines"), std::string::npos) << secret.error().message;
  }
  std::ofstream(configuration.client_secret_file) << std::string(limits::client_secret_bytes_max + 1, 'x');
  EXPECT_FALSE(read_client_secret(configuration).has_value());
  std::filesystem::remove_all(folder);
}

// What identity_of makes of `text`; the rest of it is tested by whole logins (login_test.cc).
Result<SignedIn> identity(const std::string& text) {
  json::Parser parser;
  json::Document document;
  EXPECT_TRUE(parser.parse(text, document).has_value()) << text;
  return identity_of(staff(), document.root());
}

TEST(Identity, NamesAreForPeopleOnly) {
  const auto name_in = [](std::string_view members) {
    const auto person = identity(fmt::format(R"({{"sub":"s-1","groups":"auditors"{}}})", members));
    return person ? person->display_name : person.error().message;
  };
  EXPECT_EQ(name_in(R"(,"name":"Ada","preferred_username":"ada","email":"a@b")"), "Ada");
  EXPECT_EQ(name_in(R"(,"name":"","preferred_username":"ada","email":"a@b")"), "ada");
  EXPECT_EQ(name_in(R"(,"name":"a\u0007","email":"a@b")"), "a@b");
  EXPECT_EQ(name_in(R"(,"name":7,"email":["a@b"])"), "s-1");
  EXPECT_EQ(name_in(fmt::format(R"(,"name":"{}")", std::string(limits::text_bytes_max + 1, 'x'))), "s-1");
}

TEST(Identity, TooManyGroupsAreSaid) {
  std::string groups = R"("auditors")";
  for (std::size_t i = 0; i < limits::groups_max; ++i) groups += R"(,"x")";
  EXPECT_NE(identity(R"({"sub":"s","groups":[)" + groups + "]}").error().message.find("2001 groups"),
            std::string::npos);
  EXPECT_NE(identity(R"({"sub":"s","_claim_names":{"groups":"src1"}})").error().message.find("too many"),
            std::string::npos);
}

}  // namespace
}  // namespace vestige::access::oidc
