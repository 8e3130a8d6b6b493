// Durable ingest: Vestige in process and over HTTP, beside SQLite with FTS5 doing the same durable work on
// the same events in the same run. Every figure is events per second from the first event handed over to the
// last one known to be durable. Read them as ratios: machines differ, and this one may be busy.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <future>

#include "app/trail_service.h"
#include "base/check.h"
#include "base/mutex.h"
#include "bench/support/events.h"
#include "bench/support/sqlite_peer.h"
#include "http/client.h"
#include "json/json.h"
#include "platform/process.h"
#include "platform/thread.h"

namespace vestige::bench {
namespace {

struct Settings {
  std::uint64_t events = 1'000'000;
  std::uint64_t sqlite_events = 200'000;
  std::size_t batch = 1'000;
  std::string directory = ".";
  std::string server;  // the vestige binary; empty: no HTTP
  bool json = false;
};

struct Figure {
  std::string name;
  std::uint64_t events = 0;
  double seconds = 0;
  std::uint64_t disk_bytes = 0;
  double cpu_seconds = 0;  // of this process; also where the machine is busy with something else
  double p50_ms = 0;
  double p99_ms = 0;
  double per_second() const { return static_cast<double>(events) / seconds; }
};

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

double now_seconds() { return std::chrono::duration<double>(platform::system_clock().monotonic()).count(); }

std::uint64_t bytes_below(const std::string& directory) {
  std::uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory))
    if (entry.is_regular_file()) bytes += entry.file_size();
  return bytes;
}

// ------------------------------------------------------------------------------- Vestige in process

// Lets a bounded number of batches be on their way.
class Window {
 public:
  explicit Window(std::size_t size) : free_(size) {}
  void enter() {
    Lock lock(mutex_);
    while (free_ == 0) changed_.wait(mutex_);
    --free_;
  }
  void leave() {
    Lock lock(mutex_);
    ++free_;
    changed_.notify_all();
  }
  void pause() {
    Lock lock(mutex_);
    changed_.wait_for(mutex_, std::chrono::milliseconds(2));
  }
  void drain(std::size_t size) {
    Lock lock(mutex_);
    while (free_ < size) changed_.wait(mutex_);
  }

 private:
  Mutex mutex_;
  Condition changed_;
  std::size_t free_ GUARDED_BY(mutex_);
};

// What the entries take once all are in segments: entries, leaf hashes, id index, and what searches go by.
std::uint64_t sealed_bytes(app::TrailServiceOptions options) {
  options.trail.threads = false;
  auto service = app::TrailService::open(options, platform::system_clock(), platform::system_entropy());
  if (!service) give_up(service.error().message);
  for (;;) {
    const auto more = (*service)->log().seal_once(true);
    if (!more) give_up(more.error().message);
    if (!*more) break;
  }
  std::uint64_t bytes = 0;
  for (const auto& segment : (*service)->audit_stream().record().segments)
    bytes += segment.segment.bytes + segment.hashes.bytes + segment.ids.bytes;
  // Sidecars are in no manifest.
  for (const auto& entry : std::filesystem::recursive_directory_iterator(options.data))
    if (entry.path().extension() == ".pub") bytes += entry.file_size();
  return bytes;
}

Figure run_vestige(const Settings& settings, const std::string& name,
                   const std::vector<std::string>& batches) {
  const auto directory = settings.directory + "/vestige-bench-" + name;
  std::filesystem::remove_all(directory);
  app::TrailServiceOptions options;
  options.data = directory;
  options.origin_prefix = "bench";
  options.server.node = "bench";
  options.version = "bench";
  auto service = app::TrailService::open(options, platform::system_clock(), platform::system_entropy());
  if (!service) give_up(service.error().message);
  if (auto started = (*service)->start(); !started) give_up(started.error().message);

  constexpr std::size_t window_size = 32;
  const auto head_bytes_high = options.trail.head_bytes_max / 4 * 3;
  constexpr std::size_t producers = 2;
  Window window(window_size);
  std::atomic<std::size_t> next{0};
  std::atomic<std::uint64_t> accepted{0};
  const double start = now_seconds();
  const double cpu_start = cpu_seconds();
  {
    std::vector<std::unique_ptr<platform::Thread>> threads;
    for (std::size_t i = 0; i < producers; ++i)
      threads.push_back(std::make_unique<platform::Thread>("producer", [&] {
        const audit::RequestContext context{"default", "bench", platform::system_clock().now()};
        for (auto at = next++; at < batches.size(); at = next++) {
          auto batch = (*service)->ingest().prepare(batches[at], audit::BodyForm::ndjson, context);
          if (!batch) give_up(batch.error().message);
          window.enter();
          // Past the limit the server answers 503 and a client waits; what is measured then is the speed of
          // sealing.
          while ((*service)->log().figures().head_bytes > head_bytes_high) window.pause();
          (*service)->ingest().submit(*std::move(batch), [&](Result<audit::BatchOutcome> outcome) {
            if (!outcome) give_up(outcome.error().message);
            accepted += outcome->accepted;
            window.leave();
          });
        }
      }));
  }
  window.drain(window_size);
  Figure figure{name, accepted.load(), now_seconds() - start};
  figure.cpu_seconds = cpu_seconds() - cpu_start;
  if (auto stopped = (*service)->stop(); !stopped) give_up(stopped.error().message);
  service->reset();
  figure.disk_bytes = sealed_bytes(options);
  std::filesystem::remove_all(directory);
  return figure;
}

// --------------------------------------------------------------------------------------------- SQLite

Figure run_sqlite(const Settings& settings, const std::vector<std::string>& batches,
                  std::uint64_t events_max) {
  const auto directory = settings.directory + "/sqlite-bench";
  std::filesystem::remove_all(directory);
  std::filesystem::create_directories(directory);
  Figure figure{"SQLite FTS5, durable", 0, 0};
  {
    Sqlite database(directory + "/events.sqlite");
    const double start = now_seconds();
    const double cpu_start = cpu_seconds();
    for (const auto& batch : batches) {
      if (figure.events >= events_max) break;
      database.add_batch(batch);
      figure.events += static_cast<std::uint64_t>(std::ranges::count(batch, '\n'));
    }
    figure.seconds = now_seconds() - start;
    figure.cpu_seconds = cpu_seconds() - cpu_start;
  }
  figure.disk_bytes = bytes_below(directory);
  std::filesystem::remove_all(directory);
  return figure;
}

// ----------------------------------------------------------------------------------- Vestige over HTTP

// A server process of its own on a free port; ended by SIGTERM... through its handle.
class ServerProcess {
 public:
  ServerProcess(const std::string& binary, std::string directory) : directory_(std::move(directory)) {
    std::filesystem::remove_all(directory_);
    auto program = platform::start_program({binary, "serve", "--data", directory_, "--port", "0"},
                                           {.errors_to_output = true});
    if (!program) give_up(program.error().message);
    program_ = *std::move(program);
    std::array<std::uint8_t, 4096> piece;
    // Its log says when it is ready; until then it prints little.
    while (log_.find("ready: ") == std::string::npos) {
      const auto got = program_->read(piece);
      if (!got || *got == 0) give_up("the server did not start: " + log_);
      log_.append(reinterpret_cast<const char*>(piece.data()), *got);
    }
    const auto start = log_.find("http", log_.find("ready: "));
    url_ = log_.substr(start, log_.find(' ', start) - start);
  }
  ~ServerProcess() {
    program_.reset();  // kills and reaps: what it holds is thrown away
    std::filesystem::remove_all(directory_);
  }
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;
  const std::string& url() const { return url_; }
  std::string key() const {
    auto files = platform::open_directory(directory_, false);
    auto bytes = platform::read_file(**files, "admin.key", 4096);
    std::string key(text(*bytes));
    while (key.ends_with('\n')) key.pop_back();
    return key;
  }

 private:
  std::string directory_;
  std::string log_;
  std::string url_;
  std::unique_ptr<platform::Program> program_;
};

Figure run_http(const Settings& settings, const std::string& name, const std::vector<std::string>& bodies,
                std::size_t events_a_body, std::size_t connections) {
  ServerProcess server(settings.server, settings.directory + "/vestige-bench-http");
  const auto key = server.key();
  std::atomic<std::size_t> next{0};
  Mutex mutex;
  std::vector<double> latencies;
  const double start = now_seconds();
  {
    std::vector<std::unique_ptr<platform::Thread>> threads;
    for (std::size_t i = 0; i < connections; ++i)
      threads.push_back(std::make_unique<platform::Thread>("client", [&] {
        http::Client client({.url = server.url(), .bearer_token = key});
        std::vector<double> mine;
        for (auto at = next++; at < bodies.size(); at = next++) {
          const double sent = now_seconds();
          const auto answer = client.send("POST", "/api/events", bodies[at], "application/x-ndjson");
          if (!answer || answer->status != 201) give_up(answer ? answer->body : answer.error().message);
          mine.push_back((now_seconds() - sent) * 1e3);
        }
        Lock lock(mutex);
        latencies.insert(latencies.end(), mine.begin(), mine.end());
      }));
  }
  Figure figure{name, bodies.size() * events_a_body, now_seconds() - start};
  std::ranges::sort(latencies);
  figure.p50_ms = latencies[latencies.size() / 2];
  figure.p99_ms = latencies[latencies.size() * 99 / 100];
  return figure;
}

// ------------------------------------------------------------------------------------------- report

double per_event(double amount, const Figure& figure) { return amount / static_cast<double>(figure.events); }

void print_json(const std::vector<Figure>& figures) {
  const auto& peer = figures.front();
  std::string out = "[";
  for (const auto& figure : figures) {
    if (out.size() > 1) out += ",";
    out += fmt::format(
        R"({{"name":"{}","events":{},"eventsPerSecond":{:.0f},"ratio":{:.2f},"cpuMicroseconds":{:.2f},)"
        R"("bytesPerEvent":{:.0f},"p50ms":{:.2f},"p99ms":{:.2f}}})",
        figure.name, figure.events, figure.per_second(), figure.per_second() / peer.per_second(),
        per_event(figure.cpu_seconds * 1e6, figure),
        per_event(static_cast<double>(figure.disk_bytes), figure), figure.p50_ms, figure.p99_ms);
  }
  fmt::print("{}]\n", out);
}

// A figure that was not measured is a dash.
std::string cell(double value, int digits) { return value > 0 ? fmt::format("{:.{}f}", value, digits) : "-"; }

void print_table(const std::vector<Figure>& figures) {
  const auto& peer = figures.front();
  fmt::print("{:<46} {:>9} {:>10} {:>7} {:>9} {:>8} {:>8} {:>8}\n", "durable ingest", "events", "events/s",
             "ratio", "us CPU/ev", "B/event", "p50 ms", "p99 ms");
  for (const auto& figure : figures)
    fmt::print("{:<46} {:>9} {:>10.0f} {:>6.1f}x {:>9} {:>8} {:>8} {:>8}\n", figure.name, figure.events,
               figure.per_second(), figure.per_second() / peer.per_second(),
               cell(per_event(figure.cpu_seconds * 1e6, figure), 1),
               cell(per_event(static_cast<double>(figure.disk_bytes), figure), 0), cell(figure.p50_ms, 2),
               cell(figure.p99_ms, 2));
}

int run(const Settings& settings) {
  const auto plain = make_batches(settings.events, settings.batch, {});
  const auto sealed = make_batches(settings.events / 2, settings.batch, {.with_subject = true});
  std::vector<Figure> figures;
  figures.push_back(run_sqlite(settings, plain, settings.sqlite_events));
  figures.push_back(run_vestige(settings, "Vestige, in process", plain));
  figures.push_back(run_vestige(settings, "Vestige, in process, sealed for a person", sealed));
  if (!settings.server.empty()) {
    figures.push_back(run_http(settings, "Vestige, HTTP, batches of 100, 16 connections",
                               make_batches(settings.events / 4, 100, {}), 100, 16));
    figures.push_back(run_http(settings, "Vestige, HTTP, single events, 64 connections",
                               make_batches(settings.events / 20, 1, {}), 1, 64));
  }
  settings.json ? print_json(figures) : print_table(figures);
  return 0;
}

}  // namespace
}  // namespace vestige::bench

int main(int argc, char** argv) {
  vestige::bench::Settings settings;
  CLI::App app("Durable ingest of Vestige beside SQLite with FTS5, on the same events in one run.");
  bool quick = false;
  app.add_flag("--quick", quick, "200,000 events instead of 1,000,000: about a minute");
  app.add_option("--events", settings.events, "events for Vestige in process");
  app.add_option("--sqlite-events", settings.sqlite_events, "events for SQLite, which is slower");
  app.add_option("--directory", settings.directory, "where the data is written (it is removed again)");
  const auto beside = std::filesystem::path(argv[0]).parent_path() / "vestige";
  if (std::filesystem::exists(beside)) settings.server = beside.string();
  app.add_option("--server", settings.server,
                 "the vestige binary, to measure over HTTP as well (default: the one beside this program)");
  app.add_flag("--json", settings.json, "figures as JSON");
  CLI11_PARSE(app, argc, argv);
  if (quick) {
    settings.events = std::min<std::uint64_t>(settings.events, 200'000);
    settings.sqlite_events = std::min<std::uint64_t>(settings.sqlite_events, 50'000);
  }
  return vestige::bench::run(settings);
}
