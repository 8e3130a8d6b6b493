// Defends: what waits for a yes is told with the id that makes it go on; the approval is sent with the
// commands that may need it and with no other; a verdict goes out as it was typed, and nobody's text reaches
// the terminal as it is.
#include <gtest/gtest.h>

#include "cli/cli.h"
#include "cli/internal/approval.h"
#include "cli/testing/recorder.h"
#include "cli/testing/scripted_server.h"

namespace vestige::cli {
namespace {

constexpr const char* id = "0193f0a4-7b1e-7c3e-8c53-2b3a6f1d9e10";

std::string approval(const std::string& state) {
  return R"({"id":")" + std::string(id) + R"(","state":")" + state +
         R"(","rule":"reveal","ruleAbout":"values that take a second person","operation":"discloseFields",)"
         R"("about":"disclose chosen fields with proof","role":"legal","askedBy":{"type":"ACCOUNT","id":"x",)"
         R"("name":"Thandi\u001b[31m"},"askedAt":"2026-11-25T14:38:02.118Z","expiresAt":"2026-11-25T15:38:02.118Z",)"
         R"("reason":"case 7","request":{"path":"/api/events"}})";
}

class Office {
 public:
  void add_routes(http::Router& router) {
    const auto add = [&](const char* method, const char* path, std::string body, unsigned status = 200) {
      notes_.add(router, method, path, std::move(body), status, [](const http::Request& request) {
        return request.method + " " + request.path + " " +
               std::string(request.query_value("which").value_or("")) + request.body + " " +
               std::string(request.header("x-vestige-approval").value_or("-"));
      });
    };
    add("GET", "/api/approvals", R"({"approvals":[)" + approval("asked") + R"(],"after":null})");
    add("GET", "/api/approvals/{id}", approval("asked"));
    add("DELETE", "/api/approvals/{id}", approval("withdrawn"));
    add("POST", "/api/approvals/{id}/decide", approval("approved"));
    add("POST", "/work", R"({"approval":)" + approval("asked") + "}", 202);
  }
  std::vector<std::string> seen() const { return notes_.seen(); }

 private:
  testing::Notes notes_;
};

class ApprovalCommand : public ::testing::Test {
 protected:
  ApprovalArguments arguments() const {
    ApprovalArguments out{.connection = server_.connection(), .id = id};
    return out;
  }

  Office office_;
  testing::ScriptedServer server_{[this](http::Router& router) { office_.add_routes(router); }};
  testing::Recorder recorder_;
  const std::string path_ = "/api/approvals/" + std::string(id);
};

TEST_F(ApprovalCommand, SendsWhatWasTyped) {
  auto wanted = arguments();
  wanted.to_decide = true;
  EXPECT_EQ(run_approval_list(wanted, recorder_), exit_ok);
  wanted.to_decide = false;
  EXPECT_EQ(run_approval_list(wanted, recorder_), exit_ok);
  EXPECT_EQ(run_approval_show(wanted, recorder_), exit_ok);
  wanted.verdict = "approve";
  EXPECT_EQ(run_approval_decide(wanted, recorder_), exit_ok);
  wanted.verdict = "refuse";
  wanted.comment = "not \"now\"";
  EXPECT_EQ(run_approval_decide(wanted, recorder_), exit_ok);
  EXPECT_EQ(run_approval_withdraw(wanted, recorder_), exit_ok);
  EXPECT_EQ(office_.seen(),
            (std::vector<std::string>{
                "GET /api/approvals to_decide -", "GET /api/approvals own -", "GET " + path_ + "  -",
                "POST " + path_ + "/decide {\"decision\":\"approve\"} -",
                "POST " + path_ + "/decide {\"decision\":\"refuse\",\"comment\":\"not \\\"now\\\"\"} -",
                "DELETE " + path_ + "  -"}));
}

TEST_F(ApprovalCommand, ShowsPeopleWhatTheyDecideAbout) {
  recorder_.terminal = true;
  EXPECT_EQ(run_approval_show(arguments(), recorder_), exit_ok);
  EXPECT_EQ(run_approval_list(arguments(), recorder_), exit_ok);
  for (const auto* part : {"case 7", "Thandi", "legal", "{\"path\":\"/api/events\"}", id})
    EXPECT_NE(recorder_.output.find(part), std::string::npos) << part << recorder_.output;
  EXPECT_EQ(recorder_.output.find('\x1b'), std::string::npos);
}

TEST_F(ApprovalCommand, AnApprovalGoesWithTheCommandsThatMayNeedIt) {
  recorder_.variables["VESTIGE_APPROVAL"] = id;
  EXPECT_EQ(run_approval_show(arguments(), recorder_), exit_ok);
  auto connection = server_.connection();
  connection.takes_approval = true;
  auto opened = connect(connection, recorder_, KeyNeed::required);
  ASSERT_TRUE(opened);
  const auto sent = opened->send("POST", "/work", "{}", "application/json");
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().kind, ErrorKind::denied);
  EXPECT_NE(sent.error().message.find("--approval " + std::string(id)), std::string::npos)
      << sent.error().message;
  EXPECT_EQ(office_.seen(),
            (std::vector<std::string>{"GET " + path_ + "  -", "POST /work {} " + std::string(id)}));
  connection.approval = "not an id";
  EXPECT_EQ(connect(connection, recorder_, KeyNeed::required).error().kind, ErrorKind::invalid);
}

}  // namespace
}  // namespace vestige::cli
