// SQLite with FTS5 beside Vestige: the same events, one durable transaction for 1,000 of them, the same
// questions. Run by bench/run.py.

#include <CLI/CLI.hpp>
#include <filesystem>

#include "bench/support/questions.h"
#include "bench/support/report.h"
#include "bench/support/sqlite_peer.h"

namespace vestige::bench {
namespace {

std::uint64_t bytes_below(const std::string& directory) {
  std::uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory))
    if (entry.is_regular_file()) bytes += entry.file_size();
  return bytes;
}

void ingest(Sqlite& database, const Subject& subject) {
  double wall = 0, cpu = 0;
  for (std::uint64_t first = 0; first < subject.events; first += batch_events) {
    const auto lines = make_lines({}, first, std::min<std::uint64_t>(batch_events, subject.events - first));
    const auto wall_start = wall_seconds();
    const auto cpu_start = cpu_seconds();
    database.add_batch(lines);
    wall += wall_seconds() - wall_start;
    cpu += cpu_seconds() - cpu_start;
  }
  Line("ingest", subject).number("seconds", wall).number("cpuSeconds", cpu);
}

void ask(Sqlite& database, const Subject& subject) {
  const auto probes = make_probes({}, subject.events, lookups_asked);
  for (const auto question : questions) {
    Times times;
    for (std::size_t i = 0; i < asked(question); ++i) {
      const auto sql = sql_of(question, probes[i], Dialect::sqlite);
      times.ask([&] { return Times::Answer{.rows = database.rows(sql)}; });
    }
    times.print(subject, name_of(question));
  }
}

void run(const std::string& directory, std::uint64_t events) {
  const Subject subject{.store = "SQLite FTS5", .events = events};
  std::filesystem::create_directories(directory);
  {
    Sqlite database(directory + "/events.sqlite");
    ingest(database, subject);
    database.checkpoint();
    Line("disk", subject).number("bytes", static_cast<double>(bytes_below(directory)));
    ask(database, subject);
    Line("memory", subject).number("peakBytes", static_cast<double>(peak_bytes()));
  }
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace vestige::bench

int main(int argc, char** argv) {
  CLI::App app("SQLite with FTS5 on the events of the benchmark.");
  std::string directory = ".";
  std::uint64_t events = 100'000;
  app.add_option("--directory", directory, "an empty folder; it is removed again")->required();
  app.add_option("--events", events, "how many");
  CLI11_PARSE(app, argc, argv);
  vestige::bench::run(directory, events);
  return 0;
}
