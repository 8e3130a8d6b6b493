// Defends: a time that is written in any of the supported ways is read as the instant that was written,
// whatever its fraction and offset; what is no time is none.
#include "cli/import/internal/foreign_time.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include "base/time_text.h"
#include "cli/import/testing/sources.h"

namespace vestige::cli::importing {
namespace {

std::optional<UnixMs> parse(std::string_view format, std::string_view text, int offset = 0) {
  const auto read = TimeFormat::read(format);
  EXPECT_TRUE(read) << format;
  return read ? read->parse(text, offset) : std::nullopt;
}

std::string shown(std::optional<UnixMs> time) { return time ? format_time(*time) : "none"; }

TEST(ForeignTime, RandomInstantsInEachForm) {
  const auto seed = std::random_device()();
  std::mt19937_64 random(seed);
  for (int round = 0; round < 2'000 * testing::test_scale(); ++round) {
    // From 2001 to 2096, where the number of digits tells the unit.
    const UnixMs time{1'000'000'000'000 + static_cast<std::int64_t>(random() % 3'000'000'000'000)};
    const auto text = format_time(time);
    SCOPED_TRACE(fmt::format("seed {}, {}", seed, text));
    const auto date = text.substr(0, 10), clock = text.substr(11, 8), fraction = text.substr(20, 3);
    ASSERT_EQ(parse("auto", text), time);
    ASSERT_EQ(parse("auto", fmt::format("{} {}.{}000000", date, clock, fraction)), time);
    ASSERT_EQ(parse("auto", fmt::format("{} {},{} UTC", date, clock, fraction)), time);
    ASSERT_EQ(parse("auto", fmt::format("{}T{}.{}", date, clock, fraction)), time);
    ASSERT_EQ(parse("auto", fmt::format("{}.{}", time.value / 1'000, fraction)), time);
    for (const auto& [unit, digits] :
         {std::pair{"milliseconds", ""}, {"microseconds", "123"}, {"nanoseconds", "123456"}}) {
      ASSERT_EQ(parse("auto", fmt::format("{}{}", time.value, digits)), time);
      ASSERT_EQ(parse(unit, fmt::format("{}{}", time.value, digits)), time);
    }
    const int offset = static_cast<int>(random() % 1'600) - 800;
    const UnixMs local{time.value + offset * 60'000};
    const auto there = format_time(local);
    const auto zone =
        fmt::format("{}{:02}{:02}", offset < 0 ? '-' : '+', std::abs(offset) / 60, std::abs(offset) % 60);
    ASSERT_EQ(
        parse("%Y%m%d %H:%M:%S.%f %z", fmt::format("{}{}{} {} {}", there.substr(0, 4), there.substr(5, 2),
                                                   there.substr(8, 2), there.substr(11, 12), zone)),
        time);
    ASSERT_EQ(parse("auto", fmt::format("{} {}", there.substr(0, 10), there.substr(11, 12)), offset), time);
  }
}

TEST(ForeignTime, Examples) {
  EXPECT_EQ(shown(parse("%d.%m.%Y %H:%M", "5.1.2026 07:30", 60)), "2026-01-05T06:30:00.000Z");
  EXPECT_EQ(shown(parse("%m/%d/%Y %I:%M:%S %p", "11/25/2026 12:05:09 AM")), "2026-11-25T00:05:09.000Z");
  EXPECT_EQ(shown(parse("%m/%d/%Y %I:%M:%S %p", "11/25/2026 12:05:09 pm")), "2026-11-25T12:05:09.000Z");
  EXPECT_EQ(shown(parse("%b %d %Y %H:%M:%S", "Nov  5 2026 01:02:03")), "2026-11-05T01:02:03.000Z");
  EXPECT_EQ(shown(parse("auto", "25/Nov/2026:14:40:11 +0100")), "2026-11-25T13:40:11.000Z");
  EXPECT_EQ(shown(parse("auto", "2025-07-10 17:05:14Z")), "2025-07-10T17:05:14.000Z");
  EXPECT_EQ(shown(parse("auto", "2022-02-18T17:39:28.127636+00:00")), "2022-02-18T17:39:28.127Z");
  EXPECT_EQ(shown(parse("auto", " 2026-11-25 ")), "2026-11-25T00:00:00.000Z");
  EXPECT_EQ(shown(parse("seconds", "-1")), "1969-12-31T23:59:59.000Z");
  EXPECT_EQ(parse_offset("-05:30"), -330);
  EXPECT_EQ(parse_offset("GMT"), 0);
}

TEST(ForeignTime, WhatIsNoTimeIsNone) {
  for (const char* text :
       {"", "null", "yesterday", "2026-13-01 00:00:00", "2026-02-30 00:00", "2026-01-01 24:00:00",
        "2026-01-01 00:60", "12345", "2026-01-01 00:00:00 Mars", "2026-01-01 00:00:00.", "1e9",
        "99999999999999999999", "2026-01-01 00:00:00 +25:00"})
    EXPECT_EQ(shown(parse("auto", text)), "none") << text;
  for (const char* text : {"", "x", "1.", "1.x", "--1", "999999999999999999"})
    EXPECT_EQ(shown(parse("seconds", text)), "none") << text;
  EXPECT_EQ(shown(parse("%H:%M %p", "13:00 PM")), "none");
  for (const char* format : {"", "now", "%", "%Q", "%Y-%"}) EXPECT_FALSE(TimeFormat::read(format)) << format;
  for (const char* offset : {"", "2", "+2", "+24:00", "+02:60", "+02:3", "+02:000", "+0a"})
    EXPECT_FALSE(parse_offset(offset)) << offset;
}

}  // namespace
}  // namespace vestige::cli::importing
