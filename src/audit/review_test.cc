// Defends: a month of looks is counted whole, per person and role, and what is unusual is found from its
// limit on and not below it; nothing of another month, but for what is usual, counts.
#include "audit/review.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "audit/limits.h"
#include "audit/looks.h"
#include "audit/testing/world.h"
#include "base/time_text.h"

namespace vestige::audit {
namespace {

using testing::World;

constexpr std::string_view noon = "2026-11-11T12:00:00.000Z";  // a Wednesday

class AccessReview : public ::testing::Test {
 protected:
  AccessReview() : world_(1) {
    world_.open();
    at(noon);
  }

  void at(std::string_view time) { world_.clock.set(parse_time(time).value()); }
  static Block16 ref(unsigned number) {
    Block16 bytes{};
    bytes[0] = static_cast<std::uint8_t>(number);
    bytes[1] = static_cast<std::uint8_t>(number >> 8);
    return bytes;
  }
  // A look that showed personal values of the persons `first` to `first + persons - 1`, for a reason.
  static Look shown(unsigned first, unsigned persons) {
    Look look{.action = "VIEWED",
              .access_type = "view",
              .operation = "getEvent",
              .source_type = "ACCOUNT",
              .source_id = "u-1",
              .source_name = "Ada",
              .role = "legal",
              .reason = "a case",
              .personal = true,
              .outcome = "success",
              .status = 200};
    look.given_out.entries = persons;
    for (unsigned i = 0; i < persons; ++i) look.given_out.refs.insert(ref(first + i));
    return look;
  }
  static Look refused() {
    auto look = shown(0, 0);
    look.personal = false;
    look.outcome = "unauthorized";
    look.status = 403;
    return look;
  }
  void record(const Look& look, std::uint64_t times = 1) {
    for (std::uint64_t i = 0; i < times; ++i) {
      auto batch = world_.ingest->prepare_system(look_event(look));
      ASSERT_TRUE(batch) << batch.error().message << batch.error().path;
      ASSERT_TRUE(world_.append(*std::move(batch)));
    }
  }
  std::string report(std::string_view month = "2026-11") {
    Visibility visibility;
    visibility.kinds = world_.kinds.get();
    const auto parsed = Month::parse(month);
    if (!parsed) return "no month";
    const auto review = review_access(*world_.reader, visibility, *parsed);
    return review ? *review : review.error().message;
  }
  // The rules that found something, in order.
  std::vector<std::string> found(std::string_view month = "2026-11") {
    json::Parser parser;
    json::Document document;
    const auto text = report(month);
    EXPECT_TRUE(parser.parse(text, document)) << text;
    std::vector<std::string> rules;
    const auto findings = document.root().find("unusual");
    for (std::size_t i = 0; i < findings.size(); ++i)
      rules.emplace_back(findings.at(i).find("rule").string());
    return rules;
  }
  // One short of the limit nothing is found; the one that reaches it is.
  void expect_found_at(std::uint64_t limit, const Look& look, const std::vector<std::string>& rules) {
    record(look, limit - 1);
    EXPECT_EQ(found(), std::vector<std::string>{});
    record(look);
    EXPECT_EQ(found(), rules);
  }

  World world_;
};

using Rules = std::vector<std::string>;

TEST_F(AccessReview, CountsAMonthByPersonAndRole) {
  at("2026-10-31T23:59:59.999Z");
  record(shown(9, 1));
  at("2026-11-01T00:00:00.000Z");  // a Sunday
  record(shown(1, 2));
  at("2026-11-11T12:00:00.000Z");
  auto exported = shown(2, 2);
  exported.action = "EXPORTED";
  exported.reason.clear();
  exported.sensitive = true;
  exported.access_type = "print";
  record(exported);
  exported.action = "EXPORT_BEGUN";
  record(exported);
  record(refused());
  auto other = shown(1, 1);
  other.role = "auditor";
  record(other);
  at("2026-12-01T00:00:00.000Z");
  record(shown(9, 1));
  const auto text = report();
  EXPECT_NE(
      text.find(
          R"("people":[{"sourceType":"ACCOUNT","sourceId":"u-1","name":"Ada","role":"legal","looks":3,"usual":1,"days":2,)"
          R"("first":"2026-11-01T00:00:00.000Z","last":"2026-11-11T12:00:00.000Z",)"
          R"("actions":{"EXPORTED":1,"VIEWED":2},"entries":4,"persons":3,"refused":1,"offHours":1,"revealed":1,)"
          R"("exports":1,"exported":2,"prints":1,"withoutReason":1},{"sourceType":"ACCOUNT","sourceId":"u-1","name":"Ada",)"
          R"("role":"auditor","looks":1,)"),
      std::string::npos)
      << text;
  EXPECT_NE(report("2026-09").find(R"("people":[])"), std::string::npos);
}

TEST_F(AccessReview, ManyRefusalsOnADay) {
  expect_found_at(review_refusals_a_day, refused(), {"refusals"});
  at("2026-11-12T12:00:00.000Z");
  record(refused(), review_refusals_a_day - 1);
  EXPECT_EQ(found(), Rules{"refusals"});
}

TEST_F(AccessReview, ManyPersonsOnADay) {
  record(shown(0, review_persons_a_day - 1), 2);
  EXPECT_EQ(found(), Rules{});
  auto masked = shown(500, 200);
  masked.personal = false;
  record(masked);
  EXPECT_EQ(found(), Rules{});
  record(shown(300, 1));
  EXPECT_EQ(found(), Rules{"persons_in_a_day"});
}

TEST_F(AccessReview, OnePersonAgainAndAgain) {
  record(shown(1, 2), review_looks_on_one_person);  // lists
  expect_found_at(review_looks_on_one_person, shown(1, 1), {"one_person"});
}

TEST_F(AccessReview, MoreThanUsual) {
  auto look = shown(0, 0);
  record(look, review_looks_more_than_usual);
  EXPECT_EQ(found(), Rules{});  // nobody knows what is usual
  at("2026-09-11T12:00:00.000Z");
  record(look, review_looks_more_than_usual / review_times_usual + 1);
  EXPECT_EQ(found(), Rules{});  // it is not three times as many
  at("2026-08-11T12:00:00.000Z");
  record(look);
  EXPECT_EQ(found(), Rules{"more_than_usual"});
}

TEST_F(AccessReview, OutOfHours) {
  at("2026-11-11T20:00:00.000Z");
  record(shown(0, 2), review_off_hours / 2);
  at("2026-11-11T05:59:59.999Z");
  record(shown(0, 2), review_off_hours / 2 - 1);
  at("2026-11-11T19:59:59.999Z");
  record(shown(0, 2));
  at("2026-11-11T06:00:00.000Z");
  record(shown(0, 2));
  EXPECT_EQ(found(), Rules{});
  at("2026-11-14T12:00:00.000Z");  // a Saturday
  record(shown(0, 2));
  EXPECT_EQ(found(), Rules{"off_hours"});
}

TEST_F(AccessReview, LargeExportsAndNewcomers) {
  auto exported = shown(0, 0);
  exported.action = "EXPORTED";
  exported.given_out.entries = review_large_export - 1;
  record(exported);
  EXPECT_EQ(found(), Rules{});
  ++exported.given_out.entries;
  record(exported);
  EXPECT_EQ(found(), Rules{"large_export"});
  record(shown(1, 2), review_newcomer_looks);
  EXPECT_EQ(found(), Rules{"large_export"});  // nobody looked in the months before
  at("2026-10-11T12:00:00.000Z");
  auto other = refused();
  other.source_id = "u-2";
  record(other);
  EXPECT_EQ(found(), (Rules{"large_export", "newcomer"}));
}

TEST_F(AccessReview, SignedOffAtAnyTimeAfter) {
  record(shown(1, 1));
  at("2027-02-01T00:00:00.000Z");
  SignOff sign_off{.month = *Month::parse("2026-11"),
                   .size = 1,
                   .comment = "read",
                   .source_type = "ACCOUNT",
                   .source_id = "u-9",
                   .source_name = "Grace",
                   .role = "compliance_officer"};
  auto batch = world_.ingest->prepare_system(sign_off_event(sign_off).value());
  ASSERT_TRUE(batch) << batch.error().message << batch.error().path;
  ASSERT_TRUE(world_.append(*std::move(batch)));
  EXPECT_NE(
      report().find(
          R"("signOffs":[{"index":1,"time":"2027-02-01T00:00:00.000Z","sourceType":"ACCOUNT","sourceId":"u-9","name":"Grace",)"
          R"("role":"compliance_officer","size":1,"comment":"read"}])"),
      std::string::npos)
      << report();
  EXPECT_NE(report("2026-12").find(R"("signOffs":[])"), std::string::npos);
  sign_off.comment.assign(look_reason_bytes_max + 1, 'x');
  EXPECT_EQ(sign_off_event(sign_off).error().path, "/comment");
}

TEST_F(AccessReview, MonthsOfTheCalendar) {
  EXPECT_EQ(format_time(Month::parse("2026-01")->begin()), "2026-01-01T00:00:00.000Z");
  EXPECT_EQ(Month::parse("2026-01")->before(3).text(), "2025-10");
  EXPECT_EQ(Month::parse("2026-12")->before(-1).text(), "2027-01");
  for (const auto* wrong :
       {"", "2026", "2026-00", "2026-13", "2026-1", "2026-011", "-026-01", "1969-12", "2026+01"})
    EXPECT_FALSE(Month::parse(wrong)) << wrong;
}

}  // namespace
}  // namespace vestige::audit
