// Defends: what an event lacks is added where it is known, nothing that was sent is overwritten, and what is
// not known is left out.
#include "audit/preprocess.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>

#include "audit/testing/random_events.h"

namespace vestige::audit {
namespace {

using testing::Random;

constexpr UnixMs received{1'800'000'000'000};

struct Outcome {
  UnixMs time{};
  std::map<std::string, std::string> added;
};

Outcome run(const std::string& members, const RequestContext& request, const ServerContext& server) {
  static const auto kinds = KindRegistry::with_shipped_kinds();
  json::Parser parser;
  json::Document document;
  const auto text = R"({"kind":"data.change","action":"X")" + members + "}";
  EXPECT_TRUE(parser.parse(text, document)) << text;
  const auto event = read_event(document.root(), **kinds, false);
  EXPECT_TRUE(event) << text;
  const auto additions = Preprocessors().run(*event, request, server);
  Outcome outcome{additions.time, {}};
  std::string last;
  for (const auto& addition : additions.context) {
    EXPECT_TRUE(last.empty() || json::canonical_less(last, addition.name))
        << "out of order: " << addition.name;
    last = addition.name;
    outcome.added.emplace(addition.name, addition.json);
  }
  return outcome;
}

TEST(Preprocess, RandomEventsAreCompletedAndNeverOverwritten) {
  Random random(testing::seed_of_test());
  for (std::size_t round = 0; round < testing::rounds(300); ++round) {
    std::map<std::string, std::string> sent, known;
    for (const char* name : {"node", "serverLocation", "location", "service"})
      if (random.chance(40)) sent[name] = "\"sent\"";
    const bool has_ip = random.chance(50);
    std::string context;
    for (const auto& [name, value] : sent)
      context += fmt::format("{}\"{}\":{}", context.empty() ? "" : ",", name, value);
    if (has_ip) context += fmt::format("{}\"ip\":\"203.0.113.9\"", context.empty() ? "" : ",");
    const bool has_context = !context.empty() || random.chance(50);
    const bool has_time = random.chance(50);
    RequestContext request{"default", random.chance(50) ? "billing \"A\"" : "", received};
    ServerContext server{random.chance(50) ? "node-1" : "", random.chance(50) ? "Manila" : "", {}};
    if (random.chance(70))
      server.locate = [&](std::string_view address) -> std::optional<std::string> {
        EXPECT_EQ(address, "203.0.113.9");
        return random.next() % 2 == 0 ? std::nullopt : std::optional<std::string>("\"PH\"");
      };
    const auto outcome = run((has_context ? ",\"context\":{" + context + "}" : "") +
                                 (has_time ? R"(,"time":"2026-11-25T14:40:11.213Z")" : ""),
                             request, server);
    EXPECT_EQ(outcome.time, has_time ? UnixMs{1'795'617'611'213} : received);
    if (!server.node.empty()) known["node"] = "\"node-1\"";
    if (!server.location.empty()) known["serverLocation"] = "\"Manila\"";
    if (!request.service.empty()) known["service"] = R"("billing \"A\"")";
    if (outcome.added.contains("location")) known["location"] = "\"PH\"";
    if (!has_ip || !server.locate) EXPECT_FALSE(outcome.added.contains("location"));
    for (const auto& [name, value] : sent) known.erase(name);
    EXPECT_EQ(outcome.added, known);
  }
}

TEST(Preprocess, AnAddressThatIsKnownGivesAPlace) {
  ServerContext server{"", "", [](std::string_view) { return std::optional<std::string>("\"PH\""); }};
  EXPECT_EQ(run(R"(,"context":{"ip":"203.0.113.9"})", {"default", "", received}, server).added,
            (std::map<std::string, std::string>{{"location", "\"PH\""}}));
  EXPECT_TRUE(run("", {"default", "", received}, server).added.empty());
  EXPECT_TRUE(run(R"(,"context":{"ip":"203.0.113.9","location":"sent"})", {"default", "", received}, server)
                  .added.empty());
}

}  // namespace
}  // namespace vestige::audit
