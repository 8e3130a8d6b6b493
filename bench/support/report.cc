#include "bench/support/report.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace vestige::bench {

void give_up(const std::string& what) {
  fmt::print(stderr, "bench: {}\n", what);
  std::exit(1);
}

Line::Line(std::string_view measure) { text_ = fmt::format(R"({{"measure":"{}")", measure); }

Line::Line(std::string_view measure, const Subject& subject) : Line(measure) {
  text("store", subject.store).number("events", static_cast<double>(subject.events));
  text_ += fmt::format(R"(,"sealed":{})", subject.sealed);
}

Line::~Line() {
  fmt::print("{}}}\n", text_);
  std::fflush(stdout);
}

// Names and values are our own words: nothing needs an escape.
Line& Line::text(std::string_view name, std::string_view value) {
  text_ += fmt::format(R"(,"{}":"{}")", name, value);
  return *this;
}

Line& Line::number(std::string_view name, double value) {
  text_ += fmt::format(R"(,"{}":{:.12g})", name, value);
  return *this;
}

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

std::uint64_t peak_bytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) << 10;
}

void Times::ask(const std::function<Answer()>& question) {
  const auto wall = wall_seconds();
  const auto cpu = cpu_seconds();
  const auto answer = question();
  const auto took = wall_seconds() - wall;
  ms_.push_back(took * 1e3);
  cpu_ms_.push_back((cpu_seconds() - cpu) * 1e3);
  seconds_ += took;
  rows_ += answer.rows;
  if (!answer.finished) ++unfinished_;
}

void Times::print(const Subject& subject, std::string_view question) const {
  if (ms_.empty()) return;
  const auto rank = [](std::vector<double> times, double share) {
    std::ranges::sort(times);
    return times[std::min(times.size() - 1,
                          static_cast<std::size_t>(share * static_cast<double>(times.size())))];
  };
  const auto count = static_cast<double>(ms_.size());
  Line("lookup", subject)
      .text("question", question)
      .number("asked", count)
      .number("unfinished", static_cast<double>(unfinished_))
      .number("p50ms", rank(ms_, 0.50))
      .number("p99ms", rank(ms_, 0.99))
      .number("cpuP50ms", rank(cpu_ms_, 0.50))
      .number("rows", static_cast<double>(rows_) / count);
}

}  // namespace vestige::bench
