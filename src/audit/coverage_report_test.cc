// Defends: the report is of one tree, signed over every byte; it lists the changes that nobody put their name
// to, and only what a capture could have recorded, with neither values nor keys of rows; what is longer than
// a list may be is counted.
#include "audit/coverage_report.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "audit/limits.h"
#include "audit/testing/world.h"
#include "base/encoding.h"
#include "crypto/digest.h"
#include "trail/format/note.h"

namespace vestige::audit {
namespace {

using testing::World;

class CoverageReport : public ::testing::Test {
 protected:
  CoverageReport() : world_(3) { world_.open(); }

  void tell(std::string_view action, const std::string& members) {
    auto batch = world_.ingest->prepare_system(
        fmt::format(R"({{"kind":"system.capture","action":"{}","sourceType":"SERVER","targetType":"CAPTURE",)"
                    R"("targetId":"crm","detail":{{"capture":"crm",{}}}}})",
                    action, members));
    ASSERT_TRUE(batch) << batch.error().message << batch.error().path;
    ASSERT_TRUE(world_.append(*std::move(batch)));
  }
  void change(unsigned number, std::string_view action = "UPDATED", std::string_view attribution = "none",
              std::string_view capture = "crm") {
    const auto sent = world_.send(fmt::format(
        R"({{"kind":"data.change","action":"{}","targetType":"public.contacts","targetId":"secret key",)"
        R"("subject":"p-1","changes":[{{"field":"name","new":"secret value"}}],"context":{{"capture":"{}",)"
        R"("database":"d","transaction":{},"lsn":"0/{:X}","row":0,"attribution":"{}"}}}})",
        action, capture, number, number, attribution));
    ASSERT_TRUE(sent) << sent.error().message;
  }
  json::Value report(const CoverageOrder& order = {}) {
    const auto made = coverage_report(*world_.reader, order);
    EXPECT_TRUE(made) << made.error().message;
    text_ = made.value_or("{}");
    EXPECT_TRUE(parser_.parse(text_, document_));
    return document_.root().find("report");
  }
  static std::vector<std::uint64_t> indexes(const json::Value& listing) {
    std::vector<std::uint64_t> found;
    const auto listed = listing.find("listed");
    for (std::size_t i = 0; i < listed.size(); ++i)
      found.push_back(static_cast<std::uint64_t>(listed.at(i).find("index").number_value()));
    return found;
  }

  World world_;
  json::Parser parser_;
  json::Document document_;
  std::string text_;
};

constexpr auto started = R"("system":"7","database":"d","from":"0/1")";
constexpr auto covered =
    R"("system":"7","database":"d","from":"0/1","to":"0/9","transactions":2,"rows":3,"unattributed":1)";

TEST_F(CoverageReport, IsSignedOverEveryByte) {
  tell("STARTED", started);
  tell("COVERED", covered);
  const auto found = report();
  EXPECT_EQ(found.find("sources").size(), 1U);
  EXPECT_EQ(found.find("gaps").number(), "0");
  EXPECT_EQ(json::canonical(document_.root()), text_);
  const auto statement = trail::parse_note(document_.root().find("statement").string());
  const auto checkpoint = trail::parse_note(found.find("checkpoint").string());
  ASSERT_TRUE(statement && checkpoint);
  const auto key = world_.signer->verifier_key();
  for (const auto* note : {&*statement, &*checkpoint})
    EXPECT_TRUE(trail::verify_note(*note, std::span(&key, 1)));
  EXPECT_EQ(statement->text,
            fmt::format("vestige coverage v1\n{{\"digest\":\"{}\",\"gaps\":0,\"size\":{}}}\n",
                        to_base64(crypto::sha256(view(json::canonical(found)))), world_.stream().size()));
  EXPECT_EQ(trail::parse_checkpoint(checkpoint->text)->size, world_.stream().size());
}

TEST_F(CoverageReport, ListsWhatNobodySignedFor) {
  tell("STARTED", started);
  change(1);                              // 1
  change(2, "UPDATED", "message");        // 2
  change(3, "SNAPSHOT");                  // 3
  change(4, "DELETED", "none", "erp");    // 4
  change(5, "TRUNCATED", "configured");   // 5
  change(6, "PAID");                      // 6: none that a capture records
  change(7, "CREATED", "none", "Mr. X");  // 7: nor this
  for (const auto* context : {R"("transaction":1.5,"lsn":"0/8")", R"("transaction":-1,"lsn":"0/8")",
                              R"("transaction":4294967296,"lsn":"0/8")", R"("transaction":"8","lsn":"0/8")",
                              R"("transaction":8,"lsn":"0/a")", R"("transaction":8)", R"("lsn":"0/8")"})
    ASSERT_TRUE(world_.send(fmt::format(R"({{"kind":"data.change","action":"UPDATED","targetType":"t",)"
                                        R"("context":{{"capture":"crm","attribution":"none",{}}}}})",
                                        context)));
  const auto all = report().find("unattributed");
  EXPECT_EQ(indexes(all), (std::vector<std::uint64_t>{1, 4}));
  EXPECT_EQ(all.find("count").number(), "2");
  EXPECT_TRUE(all.find("whole").boolean());
  for (const auto* kept_out : {"secret", "p-1", "Mr. X"})
    EXPECT_EQ(text_.find(kept_out), std::string::npos) << kept_out;
  EXPECT_EQ(indexes(report({.source = "crm"}).find("unattributed")), (std::vector<std::uint64_t>{1}));
  EXPECT_EQ(report({.source = "other"}).find("sources").size(), 0U);
}

TEST_F(CoverageReport, RefusedCommandsAreListedAsFarAsTheListGoes) {
  const auto refuse = [&](std::size_t offset) {
    tell(
        "REFUSED",
        fmt::format(
            R"("cluster":"k","topic":"t","partition":0,"offset":"{}","reason":"not a number","deadLetters":"t.dlq")",
            offset));
  };
  for (std::size_t i = 0; i < coverage_listed_max + 2; ++i) refuse(i);
  const auto refused = report().find("refused");
  EXPECT_EQ(refused.find("count").number(), fmt::format("{}", coverage_listed_max + 2));
  EXPECT_EQ(refused.find("listed").size(), coverage_listed_max);
  EXPECT_EQ(text_.find("not a number"), std::string::npos);
}

TEST_F(CoverageReport, ASpanIsOfTimes) {
  tell("STARTED", started);
  change(1);
  world_.clock.advance(std::chrono::hours(1));
  const auto middle = world_.clock.now();
  change(2);
  tell("COVERED", covered);
  CoverageOrder before{.source = {}, .span = {.from = {}, .to = middle}};
  EXPECT_EQ(indexes(report(before).find("unattributed")), (std::vector<std::uint64_t>{1}));
  EXPECT_TRUE(report(before).find("sources").at(0).find("heartbeat").is_null());
  CoverageOrder after{.source = {}, .span = {.from = middle, .to = {}}};
  EXPECT_EQ(indexes(report(after).find("unattributed")), (std::vector<std::uint64_t>{2}));
  EXPECT_TRUE(report(after).find("sources").at(0).find("heartbeat").is_object());
}

}  // namespace
}  // namespace vestige::audit
