// Defends: nobody is erased without being asked for it in so many words; what is sent names the person in the
// body and nowhere else; the certificate is written whole; states are said in words to people and as JSON to
// programs.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdio>

#include "base/mutex.h"
#include "cli/cli.h"
#include "cli/internal/json_text.h"
#include "cli/internal/local_file.h"
#include "cli/internal/subject.h"
#include "cli/testing/recorder.h"
#include "cli/testing/scripted_server.h"

namespace vestige::cli {
namespace {

constexpr const char* certificate = "vestige erasure certificate v1\n{}\n\n\xE2\x80\x94 log AAAA\n";

class Vault {
 public:
  explicit Vault(std::string state) : state_(std::move(state)) {}

  void add_routes(http::Router& router) {
    router.add("POST", "/api/subjects/erase", [this](http::Request request, http::Responder responder) {
      take(std::move(request));
      responder.respond(testing::answer(JsonObject()
                                            .text("state", "erased")
                                            .number("intent", 6)
                                            .number("erasedBy", 7)
                                            .text("certificate", certificate)
                                            .str()));
    });
    router.add("POST", "/api/subjects/reauthorise", [this](http::Request request, http::Responder responder) {
      take(std::move(request));
      responder.respond(testing::answer(state_));
    });
    router.add("GET", "/api/subjects/{id}/keys", [this](http::Request request, http::Responder responder) {
      EXPECT_EQ(request.captures.at("id"), "anna/b \xC3\xBC");
      take(std::move(request));
      responder.respond(testing::answer(state_));
    });
  }
  std::vector<std::string> bodies() const {
    const Lock lock(mutex_);
    return bodies_;
  }

 private:
  void take(http::Request request) {
    EXPECT_EQ(request.header("authorization"), "Bearer test-key");
    const Lock lock(mutex_);
    bodies_.push_back(std::move(request.body));
  }

  const std::string state_;
  mutable Mutex mutex_;
  std::vector<std::string> bodies_ GUARDED_BY(mutex_);
};

using Command = int (*)(const SubjectArguments&, Surroundings&);

struct Ran {
  int code = 0;
  testing::Recorder recorder;
  std::vector<std::string> bodies;
};

Ran run(Command command, SubjectArguments arguments, std::optional<std::string> typed, bool terminal,
        std::string state = R"({"state":"active","epoch":0})") {
  Vault vault(std::move(state));
  Ran ran;
  {
    const testing::ScriptedServer server([&](http::Router& router) { vault.add_routes(router); });
    const auto reason = arguments.connection.reason;
    arguments.connection = server.connection();
    arguments.connection.reason = reason;
    ran.recorder.answer = std::move(typed);
    ran.recorder.terminal = terminal;
    ran.code = command(arguments, ran.recorder);
  }
  ran.bodies = vault.bodies();
  return ran;
}

TEST(SubjectCommand, NobodyIsErasedUnasked) {
  for (const auto& typed :
       std::vector<std::optional<std::string>>{std::nullopt, "", "y", "yes", "Erase", "erase "}) {
    const auto ran = run(run_erase, {.subject = "anna"}, typed, true);
    EXPECT_EQ(ran.code, exit_usage) << typed.value_or("no terminal");
    EXPECT_TRUE(ran.bodies.empty());
    EXPECT_NE(ran.recorder.errors.find("Nothing was erased"), std::string::npos) << ran.recorder.errors;
    EXPECT_NE(ran.recorder.questions.find("\"anna\""), std::string::npos);
  }
}

TEST(SubjectCommand, WhoIsMeantIsErased) {
  const auto typed = run(run_erase, {.subject = "anna"}, "erase", true);
  EXPECT_EQ(typed.code, exit_ok) << typed.recorder.errors;
  EXPECT_EQ(typed.bodies, std::vector<std::string>{R"({"subject":"anna"})"});
  EXPECT_NE(typed.recorder.output.find(certificate), std::string::npos) << typed.recorder.output;

  const auto told = run(run_erase, {.connection = {.reason = "because"}, .subject = "anna", .yes = true},
                        std::nullopt, false);
  EXPECT_EQ(told.code, exit_ok);
  EXPECT_TRUE(told.recorder.questions.empty());
  EXPECT_EQ(told.bodies, std::vector<std::string>{R"({"subject":"anna","reason":"because"})"});
  json::Parser parser;
  json::Document document;
  ASSERT_TRUE(parser.parse(told.recorder.output, document)) << told.recorder.output;
  EXPECT_EQ(text_of(document.root(), "certificate"), certificate);
}

TEST(SubjectCommand, TheCertificateGoesIntoAFileWhole) {
  const auto path = ::testing::TempDir() + "vestige-certificate";
  const auto ran =
      run(run_erase, {.subject = "anna", .certificate_file = path, .yes = true}, std::nullopt, true);
  EXPECT_EQ(ran.code, exit_ok) << ran.recorder.errors;
  EXPECT_EQ(read_local(path, 1'000).value(), certificate);
  EXPECT_EQ(ran.recorder.output.find("vestige erasure certificate"), std::string::npos);
  std::remove(path.c_str());
}

TEST(SubjectCommand, StatesAreSaidInWordsAndAsJson) {
  const std::vector<std::pair<std::string, std::string>> states{
      {R"({"state":"never","epoch":0})", "never seen"},
      {R"({"state":"active","epoch":0})", "has a key"},
      {R"({"state":"erased","epoch":0,"erasedBy":57})", "erased, by entry 57"},
      {R"({"state":"reauthorised","epoch":2,"erasedBy":57})", "epoch 2"}};
  for (const auto& [state, words] : states) {
    const auto shown = run(run_subject, {.subject = "anna/b \xC3\xBC"}, std::nullopt, true, state);
    EXPECT_NE(shown.recorder.output.find(words), std::string::npos) << shown.recorder.output;
    const auto piped = run(run_subject, {.subject = "anna/b \xC3\xBC"}, std::nullopt, false, state);
    EXPECT_EQ(piped.code, exit_ok);
    EXPECT_NE(piped.recorder.output.find("\"state\""), std::string::npos) << piped.recorder.output;
  }
  const auto again = run(run_reauthorise, {.subject = "anna"}, std::nullopt, true, states[3].first);
  EXPECT_EQ(again.code, exit_ok);
  EXPECT_EQ(again.bodies, std::vector<std::string>{R"({"subject":"anna"})"});
}

}  // namespace
}  // namespace vestige::cli
