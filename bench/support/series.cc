#include "bench/support/series.h"

#include <random>

#include "base/time_text.h"
#include "bench/support/report.h"
#include "json/json.h"

namespace vestige::bench {
namespace {

constexpr std::int64_t first_ms = 1'772'323'200'000;  // 2026-03-01T00:00:00Z
constexpr std::int64_t hour_ms = 3'600'000;
constexpr std::int64_t step_ms = 7;
constexpr std::uint64_t disorder_ms = 5'000;

UnixMs time_of(std::uint64_t number) {
  const auto late = (number * 0x9e3779b97f4a7c15ULL >> 32) % disorder_ms;
  return UnixMs{first_ms + static_cast<std::int64_t>(number) * step_ms + static_cast<std::int64_t>(late)};
}

}  // namespace

void append_event(std::string& to, const cli::load::EventShape& shape, std::uint64_t number) {
  cli::load::append_event(to, shape, number, time_of(number));
}

std::string make_lines(const cli::load::EventShape& shape, std::uint64_t first, std::uint64_t count) {
  std::string lines;
  lines.reserve((count + 2) * 600);
  for (std::uint64_t i = 0; i < count; ++i) {
    append_event(lines, shape, first + i);
    lines += '\n';
  }
  return lines;
}

std::vector<Probe> make_probes(const cli::load::EventShape& shape, std::uint64_t events, std::size_t count) {
  std::mt19937_64 random(3);
  std::vector<Probe> probes;
  json::Parser parser;
  json::Document document;
  for (std::size_t i = 0; i < count; ++i) {
    const auto number = random() % events;
    std::string line;
    append_event(line, shape, number);
    if (!parser.parse(line, document)) give_up("an event does not parse");
    const auto root = document.root();
    const auto hour = (time_of(number).value - first_ms) / hour_ms * hour_ms + first_ms;
    probes.push_back({.target = std::string(root.find("targetId").string()),
                      .rare = std::string(root.find("context").find("requestId").string()),
                      .from = format_time(UnixMs{hour}),
                      .to = format_time(UnixMs{hour + hour_ms}),
                      .action = std::string(root.find("action").string())});
  }
  return probes;
}

}  // namespace vestige::bench
