// Property: local_time is the inverse of what the C library shows as local time, with the documented choice
// where that has no inverse; a child's output comes over whole and in order, and its status is told apart
// from ours; no child is left behind.

#include "platform/process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

#include <fstream>
#include <random>

#include "base/time_text.h"

namespace vestige::platform {
namespace {

class TimeZone {
 public:
  explicit TimeZone(const char* name) : before_(environment("TZ")) {
    ::setenv("TZ", name, 1);
    ::tzset();
  }
  ~TimeZone() {
    if (before_)
      ::setenv("TZ", before_->c_str(), 1);
    else
      ::unsetenv("TZ");
    ::tzset();
  }
  TimeZone(const TimeZone&) = delete;
  TimeZone& operator=(const TimeZone&) = delete;

 private:
  std::optional<std::string> before_;
};

std::string utc_of(std::string_view local) {
  const auto instant = local_time(local);
  return instant ? format_time(*instant) : "none";
}

std::string shown_locally(std::int64_t seconds) {
  const time_t at = seconds;
  tm local{};
  ::localtime_r(&at, &local);
  char text[32];
  ::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &local);
  return text;
}

TEST(LocalTime, InvertsWhatTheZoneShows) {
  for (const char* name : {"Africa/Johannesburg", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe",
                           "Pacific/Kiritimati", "UTC", "XYZ-3:30"}) {
    const TimeZone zone(name);
    const std::uint64_t seed = 77;
    SCOPED_TRACE(testing::Message() << name << " seed " << seed);
    std::mt19937_64 random(seed);
    for (int i = 0; i < 2'000; ++i) {
      const auto instant = static_cast<std::int64_t>(random() % 2'000'000'000);
      const auto shown = shown_locally(instant);
      const auto read = local_time(shown);
      ASSERT_TRUE(read) << shown;
      // The same instant, or an earlier one that the zone shows alike.
      ASSERT_LE(read->value, instant * 1'000) << shown;
      ASSERT_EQ(shown_locally(read->value / 1'000), shown);
      ASSERT_GE(read->value, (instant - 3 * 3'600) * 1'000) << shown;
    }
  }
}

TEST(LocalTime, AZoneWithoutChanges) {
  const TimeZone zone("Africa/Johannesburg");
  EXPECT_EQ(utc_of("2026-11-25 14:36:01"), "2026-11-25T12:36:01.000Z");
  EXPECT_EQ(utc_of("2026-01-01 00:00:00"), "2025-12-31T22:00:00.000Z");
}

TEST(LocalTime, WhereTheClockGoesForwardAndBack) {
  const TimeZone zone("Europe/Berlin");
  EXPECT_EQ(utc_of("2026-03-29 01:59:59"), "2026-03-29T00:59:59.000Z");
  EXPECT_EQ(utc_of("2026-03-29 02:30:00"), "2026-03-29T01:00:00.000Z") << "skipped: the moment of the change";
  EXPECT_EQ(utc_of("2026-03-29 03:00:00"), "2026-03-29T01:00:00.000Z");
  EXPECT_EQ(utc_of("2026-10-25 02:30:00"), "2026-10-25T00:30:00.000Z") << "twice: the first";
  EXPECT_EQ(utc_of("2026-10-25 03:00:00"), "2026-10-25T02:00:00.000Z");
}

TEST(LocalTime, RefusesWhatIsNoTime) {
  for (const char* bad :
       {"", "2026-11-25", "2026-11-25T14:36:01", "2026-13-01 00:00:00", "2026-02-29 00:00:00",
        "2026-11-25 24:00:00", "2026-11-25 14:60:01", "2026-11-25 14:36:60", "2026-11-25 14:36:0x",
        "2026-11-25 14:36:01 ", "+026-11-25 14:36:01"})
    EXPECT_FALSE(local_time(bad)) << bad;
}

struct Outcome {
  Result<int> status;
  std::string output;
};
Outcome run(const std::vector<std::string>& argv, const ProgramOptions& options = {}) {
  std::string output;
  auto status = run_program(
      argv,
      [&](std::string_view piece) -> Status {
        output += piece;
        return {};
      },
      options);
  return {std::move(status), std::move(output)};
}

bool a_child_is_left() { return ::waitpid(-1, nullptr, WNOHANG) >= 0; }

TEST(RunProgram, HandsOverAllOutputAndTheStatus) {
  const auto counted = run({"seq", "1", "200000"});
  ASSERT_EQ(counted.status, 0);
  std::string expected;
  for (int i = 1; i <= 200'000; ++i) expected += std::to_string(i) + "\n";
  EXPECT_EQ(counted.output, expected);
  EXPECT_EQ(run({"sh", "-c", "exit 7"}).status, 7);
  EXPECT_EQ(run({"sh", "-c", "kill -TERM $$"}).status, 128 + SIGTERM);
  EXPECT_EQ(run({"printf", "%s", "a b;$HOME\n"}).output, "a b;$HOME\n") << "there is no shell in between";
  EXPECT_EQ(run({"cat"}).output, "") << "standard input is empty";
  EXPECT_FALSE(a_child_is_left());
}

TEST(RunProgram, AMissingProgramIsNamed) {
  const auto outcome = run({"no-such-program-of-vestige"});
  ASSERT_FALSE(outcome.status);
  EXPECT_EQ(outcome.status.error().kind, ErrorKind::not_found);
  EXPECT_NE(outcome.status.error().message.find("no-such-program-of-vestige"), std::string::npos);
}

TEST(RunProgram, AnErrorOfTheReaderEndsTheChild) {
  const auto status =
      run_program({"yes"}, [](std::string_view) -> Status { return fail(ErrorKind::invalid, "enough"); });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message, "enough");
  EXPECT_FALSE(a_child_is_left());
}

TEST(RunProgram, EnvironmentAndErrors) {
  ::setenv("VESTIGE_PROCESS_TEST", "set", 1);
  EXPECT_EQ(run({"sh", "-c", "printf %s \"$VESTIGE_PROCESS_TEST\""}).output, "set");
  EXPECT_EQ(run({"sh", "-c", "printf %s \"$VESTIGE_PROCESS_TEST\""},
                {.without_environment = {"VESTIGE_PROCESS_TEST"}, .errors_to_output = false})
                .output,
            "");
  ::unsetenv("VESTIGE_PROCESS_TEST");
  EXPECT_EQ(run({"sh", "-c", "echo told >&2"}, {.without_environment = {}, .errors_to_output = true}).output,
            "told\n");
}

TEST(RunProgram, AChildCanBeInterruptedAlthoughWeBlockStopSignals) {
  sigset_t before;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &before);
  block_stop_signals();
  EXPECT_EQ(run({"sh", "-c", "kill -INT $$; echo survived"}).output, "");
  ::raise(SIGTERM);
  EXPECT_EQ(wait_for_stop_signal(), SIGTERM);
  EXPECT_FALSE(stop_signal_came());
  ::raise(SIGINT);
  EXPECT_TRUE(stop_signal_came());
  EXPECT_FALSE(stop_signal_came()) << "it is told of once";
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST(Process, AsksTheMachine) {
  EXPECT_FALSE(host_name().empty());
  EXPECT_GT(terminal_columns(), 0u);
  EXPECT_FALSE(environment("VESTIGE_NO_SUCH_VARIABLE"));
  // The kernel says the same, less exactly, in another file.
  std::ifstream status("/proc/self/status");
  std::uint64_t shown_kib = 0;
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmRSS:")) shown_kib = std::stoull(line.substr(6));
  ASSERT_GT(shown_kib, 0u);
  EXPECT_GT(resident_bytes(), shown_kib * 1'024 / 2);
  EXPECT_LT(resident_bytes(), shown_kib * 1'024 * 2);
}

}  // namespace
}  // namespace vestige::platform
