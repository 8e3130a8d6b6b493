// Vestige in process: durable ingest of many events, look-ups, counts and facets over them, whether an id is
// new, what they take on disk and in memory, and verifying them. Run by bench/run.py.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <random>

#include "bench/support/questions.h"
#include "bench/support/report.h"
#include "bench/support/trail.h"
#include "verify/inputs.h"
#include "verify/verify.h"

namespace vestige::bench {
namespace {

// A question is not asked again once all its times together took so long, and one is given up that takes
// longer.
constexpr double question_seconds_max = 20;

// Personal values are found by the person: where events are sealed, the target's id is one of them.
std::string search_of(Question question, const Probe& probe, bool sealed) {
  const auto hour = fmt::format(R"("timeFrom":"{}","timeTo":"{}")", probe.from, probe.to);
  switch (question) {
    case Question::target:
      return fmt::format(R"({{"{}":"{}"}})", sealed ? "subject" : "targetId", probe.target);
    case Question::word:
      return fmt::format(R"({{"text":"{}"}})", probe.rare);
    case Question::hour:
      return fmt::format(R"({{"action":"{}",{}}})", probe.action, hour);
    case Question::count:
      return fmt::format(R"({{"action":"{}",{},"total":true,"limit":1}})", probe.action, hour);
    case Question::facet:
      return fmt::format(R"({{{},"facets":["action"],"limit":1}})", hour);
  }
  return {};
}

void ask(Trail& trail, const Subject& subject, const cli::load::EventShape& shape) {
  const auto probes = make_probes(shape, subject.events, lookups_asked);
  for (const auto question : questions) {
    Times times;
    for (std::size_t i = 0; i < asked(question) && times.seconds() < question_seconds_max; ++i) {
      const auto search = search_of(question, probes[i], subject.sealed);
      times.ask([&] { return trail.ask(search, question_seconds_max); });
    }
    times.print(subject, name_of(question));
  }
}

void ask_new_ids(Trail& trail, const Subject& subject) {
  std::mt19937_64 random(7);
  constexpr int count = 200'000;
  const auto start = wall_seconds();
  for (int i = 0; i < count; ++i)
    if (const auto found = trail.service().home().stream().ids().find(random()); !found)
      give_up(found.error().message);
  Line("newId", subject).number("microseconds", (wall_seconds() - start) * 1e6 / count);
}

void verify(const std::string& directory, const Subject& subject) {
  const auto opened = verify::OpenedInputs::open({.data = directory});
  if (!opened) give_up(opened.error().message);
  const auto wall = wall_seconds();
  const auto cpu = cpu_seconds();
  const auto report = verify::verify_data((*opened)->inputs(), {.threads = 2});
  if (!report) give_up(report.error().message);
  if (!report->ok) give_up(fmt::format("{}: {}", report->first_bad->file, report->first_bad->reason));
  std::uint64_t entries = 0;
  for (const auto& stream : report->streams) entries += stream.entries_checked;
  Line("verify", subject)
      .number("entries", static_cast<double>(entries))
      .number("seconds", wall_seconds() - wall)
      .number("cpuSeconds", cpu_seconds() - cpu);
}

void run(const std::string& directory, std::uint64_t events, bool sealed, bool ingest_only) {
  const Subject subject{.store = "Vestige", .events = events, .sealed = sealed};
  const cli::load::EventShape shape{.with_subject = sealed};
  {
    Trail trail(directory);
    const auto wall = wall_seconds();
    const auto cpu = cpu_seconds();
    trail.ingest(shape, events);
    Line("ingest", subject)
        .number("seconds", wall_seconds() - wall)
        .number("cpuSeconds", cpu_seconds() - cpu);
    Line("memory", subject).number("peakBytes", static_cast<double>(peak_bytes()));
    if (ingest_only) return;
    trail.rest();
    ask(trail, subject, shape);
    ask_new_ids(trail, subject);
  }
  const auto stored = seal_all(directory);
  Line("disk", subject)
      .number("bytes", static_cast<double>(stored.segments + stored.hashes + stored.ids + stored.sidecars))
      .number("segments", static_cast<double>(stored.segments))
      .number("hashes", static_cast<double>(stored.hashes))
      .number("ids", static_cast<double>(stored.ids))
      .number("sidecars", static_cast<double>(stored.sidecars));
  verify(directory, subject);
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace vestige::bench

int main(int argc, char** argv) {
  CLI::App app("Vestige in process on the events of the benchmark.");
  std::string directory;
  std::uint64_t events = 100'000;
  bool sealed = false, ingest_only = false;
  app.add_option("--directory", directory, "an empty folder; it is removed again")->required();
  app.add_option("--events", events, "how many");
  app.add_flag("--sealed", sealed, "each event is about one of 10,000 persons, and sealed for them");
  app.add_flag("--ingest-only", ingest_only, "nothing but that, for a profiler; the folder stays");
  CLI11_PARSE(app, argc, argv);
  vestige::bench::run(directory, events, sealed, ingest_only);
  return 0;
}
