// Defends: a tenant's link is printed whole, alone on standard output, with what to do with it beside; each
// command asks for what it says; names of others reach the terminal escaped.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "cli/cli.h"
#include "cli/internal/tenant.h"
#include "cli/testing/recorder.h"
#include "cli/testing/scripted_server.h"

namespace vestige::cli {
namespace {

constexpr const char* tenant =
    R"("id":"acme","name":"Acme\u001b[31m","tier":"premium","state":"active","createdAt":"2026-11-30T08:14:02.118Z")";

class Office {
 public:
  void add_routes(http::Router& router) {
    const auto add = [&](const char* method, const char* path, std::string body, unsigned status = 200) {
      notes_.add(router, method, path, std::move(body), status, [](const http::Request& request) {
        return request.method + " " + request.path + " " + request.body;
      });
    };
    const auto one = fmt::format("{{{}}}", tenant);
    const auto offer = fmt::format(
        R"({{{},"token":"vsi_x","link":"/welcome#administrator=vsi_x&tenant=acme","expiresAt":"tomorrow"}})",
        tenant);
    add("POST", "/api/tenants", offer, 201);
    add("GET", "/api/tenants", fmt::format(R"({{"tenants":[{}]}})", one));
    add("PUT", "/api/tenants/{id}/tier", one);
    add("POST", "/api/tenants/{id}/suspend", one);
    add("POST", "/api/tenants/{id}/resume", one);
    add("POST", "/api/tenants/{id}/administrator", offer, 201);
  }
  std::vector<std::string> seen() const { return notes_.seen(); }

 private:
  testing::Notes notes_;
};

class TenantCommand : public ::testing::Test {
 protected:
  TenantArguments arguments() const {
    TenantArguments out{.connection = server_.connection(), .id = "acme"};
    return out;
  }

  Office office_;
  testing::ScriptedServer server_{[this](http::Router& router) { office_.add_routes(router); }};
  testing::Recorder recorder_;
};

TEST_F(TenantCommand, ALinkIsPrintedWholeAndAlone) {
  recorder_.terminal = true;
  auto wanted = arguments();
  wanted.name = "Acme \"Ltd\"";
  EXPECT_EQ(run_tenant_create(wanted, recorder_), exit_ok);
  const auto link = server_.connection().url + "/welcome#administrator=vsi_x&tenant=acme\n";
  EXPECT_EQ(recorder_.output, link);
  EXPECT_NE(recorder_.errors.find("first becomes the administrator of the tenant acme"), std::string::npos)
      << recorder_.errors;
  EXPECT_NE(recorder_.errors.find(server_.connection().url + "/sign-in?tenant=acme"), std::string::npos);
  EXPECT_EQ(run_tenant_invite(arguments(), recorder_), exit_ok);
  EXPECT_EQ(recorder_.output, link + link);
  EXPECT_EQ(office_.seen(),
            (std::vector<std::string>{R"(POST /api/tenants {"id":"acme","name":"Acme \"Ltd\""})",
                                      "POST /api/tenants/acme/administrator "}));
}

TEST_F(TenantCommand, EachAsksForWhatItSays) {
  recorder_.terminal = true;
  auto wanted = arguments();
  wanted.tier = "premium";
  for (const auto run : {run_tenant_list, run_tenant_tier, run_tenant_suspend, run_tenant_resume})
    EXPECT_EQ(run(wanted, recorder_), exit_ok);
  EXPECT_EQ(office_.seen(),
            (std::vector<std::string>{"GET /api/tenants ", R"(PUT /api/tenants/acme/tier {"tier":"premium"})",
                                      "POST /api/tenants/acme/suspend ", "POST /api/tenants/acme/resume "}));
  EXPECT_NE(recorder_.output.find("premium"), std::string::npos);
  EXPECT_EQ(recorder_.output.find('\x1b'), std::string::npos) << recorder_.output;
}

TEST_F(TenantCommand, WhatIsNotUtf8IsNotSent) {
  auto wanted = arguments();
  wanted.name = "\xff";
  EXPECT_EQ(run_tenant_create(wanted, recorder_), exit_usage);
  EXPECT_TRUE(office_.seen().empty());
}

}  // namespace
}  // namespace vestige::cli
