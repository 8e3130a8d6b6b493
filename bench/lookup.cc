// Look-ups in a trail of many events: by target, by a rare word, by an hour and an action; counts and facets
// over an hour; whether an id is new. Beside SQLite with FTS5 on the same events where there are few enough
// for it. Read the figures as ratios: machines differ, and this one may be busy.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <random>

#include "app/trail_service.h"
#include "audit/entry_view.h"
#include "base/check.h"
#include "base/mutex.h"
#include "bench/support/events.h"
#include "bench/support/sqlite_peer.h"
#include "json/json.h"
#include "platform/process.h"

namespace vestige::bench {
namespace {

struct Settings {
  std::uint64_t events = 1'000'000;
  std::uint64_t sqlite_events = 200'000;
  std::size_t questions = 200;
  std::string directory = ".";
};

constexpr std::size_t slab_events = 100'000;
constexpr std::size_t batch_events = 1'000;
constexpr std::uint64_t head_bytes_high = 192 << 20;  // past it a producer waits for sealing

double now_ms() {
  return std::chrono::duration<double, std::milli>(platform::system_clock().monotonic()).count();
}

std::vector<std::string> slab(std::uint64_t first, std::uint64_t count) {
  return make_batches(count, batch_events, {.seed = 1 + first, .first = first});
}

// What questions are asked about: taken from a few events here and there.
struct Probe {
  std::string target;
  std::string rare;  // occurs once
  std::string hour;  // "2026-03-01T05"
  std::string action;
};

Probe probe_of(std::string_view line) {
  json::Parser parser;
  json::Document document;
  if (!parser.parse(line, document)) give_up("an event does not parse");
  const auto root = document.root();
  return {std::string(root.find("targetId").string()),
          std::string(root.find("context").find("requestId").string()),
          std::string(root.find("time").string().substr(0, 13)), std::string(root.find("action").string())};
}

struct Times {
  std::vector<double> ms;
  std::uint64_t found = 0;
  void add(double took, std::uint64_t events) {
    ms.push_back(took);
    found += events;
  }
  std::string text() {
    if (ms.empty()) return "         -";
    std::ranges::sort(ms);
    return fmt::format("{:>8.2f} {:>8.2f} {:>9.1f}", ms[ms.size() / 2], ms[ms.size() * 99 / 100],
                       static_cast<double>(found) / static_cast<double>(ms.size()));
  }
};

class Trail {
 public:
  explicit Trail(const Settings& settings) {
    options_.data = settings.directory + "/vestige-bench-lookup";
    std::filesystem::remove_all(options_.data);
    options_.origin_prefix = "bench";
    options_.server.node = "bench";
    options_.version = "bench";
    auto service = app::TrailService::open(options_, platform::system_clock(), platform::system_entropy());
    if (!service) give_up(service.error().message);
    service_ = *std::move(service);
    if (auto started = service_->start(); !started) give_up(started.error().message);
  }
  ~Trail() {
    if (auto stopped = service_->stop(); !stopped) fmt::print(stderr, "bench: {}\n", stopped.error().message);
    service_.reset();
    std::filesystem::remove_all(options_.data);
  }
  Trail(const Trail&) = delete;
  Trail& operator=(const Trail&) = delete;

  void add(const std::vector<std::string>& batches) {
    const audit::RequestContext context{"default", "bench", platform::system_clock().now()};
    for (const auto& body : batches) {
      auto batch = service_->ingest().prepare(body, audit::BodyForm::ndjson, context);
      if (!batch) give_up(batch.error().message);
      {
        Lock lock(mutex_);
        while (under_way_ >= 16 || service_->log().figures().head_bytes > head_bytes_high)
          changed_.wait_for(mutex_, std::chrono::milliseconds(2));
        ++under_way_;
      }
      service_->ingest().submit(*std::move(batch), [this](Result<audit::BatchOutcome> outcome) {
        if (!outcome) give_up(outcome.error().message);
        Lock lock(mutex_);
        --under_way_;
        changed_.notify_all();
      });
    }
    Lock lock(mutex_);
    while (under_way_ > 0) changed_.wait(mutex_);
  }

  std::uint64_t ask(const std::string& body) {
    json::Parser parser;
    json::Document document;
    if (!parser.parse(body, document)) give_up(body);
    const auto search = audit::parse_search(document, platform::system_clock().now());
    if (!search) give_up(search.error().message);
    const auto answer = service_->reader().search(*search, {}, "bench");
    if (!answer) give_up(answer.error().message);
    return answer->events.size();
  }
  app::TrailService& service() { return *service_; }

 private:
  app::TrailServiceOptions options_;
  std::unique_ptr<app::TrailService> service_;
  Mutex mutex_;
  Condition changed_;
  std::size_t under_way_ GUARDED_BY(mutex_) = 0;
};

std::string next_hour(const std::string& hour) {
  const int number = std::stoi(hour.substr(11)) + 1;
  return number == 24 ? hour.substr(0, 11) + "23:59:59.999Z"
                      : fmt::format("{}{:02}:00:00Z", hour.substr(0, 11), number);
}

void time_trail(Trail& trail, const std::string& name, const std::vector<Probe>& probes,
                const std::function<std::string(const Probe&)>& body, std::map<std::string, Times>& out) {
  for (const auto& probe : probes) {
    const auto text = body(probe);
    const auto start = now_ms();
    const auto found = trail.ask(text);
    out[name].add(now_ms() - start, found);
  }
}

void time_sqlite(Sqlite& database, const std::string& name, const std::vector<Probe>& probes,
                 const std::function<std::string(const Probe&)>& sql, std::map<std::string, Times>& out) {
  for (const auto& probe : probes) {
    const auto text = sql(probe);
    const auto start = now_ms();
    const auto found = database.rows(text);
    out[name].add(now_ms() - start, found);
  }
}

const char* const questions[] = {"target id, newest 100", "rare word", "1 hour + action, newest 100",
                                 "count of 1 hour + action", "facet of 1 hour"};

void ask_trail(Trail& trail, const std::vector<Probe>& probes, std::map<std::string, Times>& out) {
  const auto hour = [](const Probe& probe) {
    return fmt::format(R"("timeFrom":"{}:00:00Z","timeTo":"{}")", probe.hour, next_hour(probe.hour));
  };
  const std::vector<Probe> few(
      probes.begin(), probes.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(5, probes.size())));
  time_trail(
      trail, questions[0], probes,
      [](const Probe& p) { return fmt::format(R"({{"targetId":"{}"}})", p.target); }, out);
  time_trail(
      trail, questions[1], probes, [](const Probe& p) { return fmt::format(R"({{"text":"{}"}})", p.rare); },
      out);
  time_trail(
      trail, questions[2], probes,
      [&](const Probe& p) { return fmt::format(R"({{"action":"{}",{}}})", p.action, hour(p)); }, out);
  time_trail(
      trail, questions[3], few,
      [&](const Probe& p) {
        return fmt::format(R"({{"action":"{}",{},"total":true,"limit":1}})", p.action, hour(p));
      },
      out);
  time_trail(
      trail, questions[4], few,
      [&](const Probe& p) { return fmt::format(R"({{{},"facets":["action"],"limit":1}})", hour(p)); }, out);
}

void ask_sqlite(Sqlite& database, const std::vector<Probe>& probes, std::map<std::string, Times>& out) {
  const auto hour = [](const Probe& p) {
    return fmt::format("time >= '{}:00:00.000Z' AND time < '{}'", p.hour, next_hour(p.hour));
  };
  const std::vector<Probe> few(
      probes.begin(), probes.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(5, probes.size())));
  time_sqlite(
      database, questions[0], probes,
      [](const Probe& p) {
        return fmt::format(
            "SELECT content FROM event WHERE target_id = '{}' ORDER BY position DESC LIMIT 100", p.target);
      },
      out);
  time_sqlite(
      database, questions[1], probes,
      [](const Probe& p) {
        return fmt::format(
            "SELECT e.content FROM event_words w JOIN event e ON e.position = w.rowid WHERE event_words "
            "MATCH '\"{}\"' ORDER BY w.rowid DESC LIMIT 100",
            p.rare);
      },
      out);
  time_sqlite(
      database, questions[2], probes,
      [&](const Probe& p) {
        return fmt::format(
            "SELECT content FROM event WHERE {} AND action = '{}' ORDER BY position DESC LIMIT 100", hour(p),
            p.action);
      },
      out);
  time_sqlite(
      database, questions[3], few,
      [&](const Probe& p) {
        return fmt::format("SELECT count(*) FROM event WHERE {} AND action = '{}'", hour(p), p.action);
      },
      out);
  time_sqlite(
      database, questions[4], few,
      [&](const Probe& p) {
        return fmt::format("SELECT action, count(*) FROM event WHERE {} GROUP BY action", hour(p));
      },
      out);
}

double new_id_us(Trail& trail) {
  std::mt19937_64 random(7);
  constexpr int count = 100'000;
  const auto start = now_ms();
  for (int i = 0; i < count; ++i)
    if (const auto found = trail.service().audit_stream().ids().find(random()); !found)
      give_up(found.error().message);
  return (now_ms() - start) * 1e3 / count;
}

int run(const Settings& settings) {
  std::map<std::string, Times> of_trail, of_sqlite;
  std::vector<Probe> probes, early_probes;
  Trail trail(settings);
  const auto sqlite_directory = settings.directory + "/sqlite-bench-lookup";
  std::filesystem::remove_all(sqlite_directory);
  std::filesystem::create_directories(sqlite_directory);
  Sqlite database(sqlite_directory + "/events.sqlite");
  std::mt19937_64 random(3);
  const auto slabs = std::max<std::uint64_t>(1, settings.events / slab_events);
  for (std::uint64_t first = 0; first < settings.events; first += slab_events) {
    const auto batches = slab(first, std::min<std::uint64_t>(slab_events, settings.events - first));
    trail.add(batches);
    const auto wanted = (settings.questions + slabs - 1) / slabs;
    for (std::uint64_t i = 0; i < wanted; ++i) {
      const auto& batch = batches[random() % batches.size()];
      const auto probe = probe_of(std::string_view(batch).substr(0, batch.find('\n')));
      probes.push_back(probe);
      if (first < settings.sqlite_events) early_probes.push_back(probe);
    }
    if (first < settings.sqlite_events)
      for (const auto& batch : batches) database.add_batch(batch);
  }
  const auto resident = platform::resident_bytes();
  ask_trail(trail, probes, of_trail);
  ask_sqlite(database, early_probes, of_sqlite);
  fmt::print("{} events; SQLite: {}\n\n{:<30} {:>8} {:>8} {:>9}   {:>8} {:>8} {:>9}\n", settings.events,
             std::min(settings.events, settings.sqlite_events), "Vestige | SQLite FTS5 (ms)", "p50", "p99",
             "events", "p50", "p99", "events");
  for (const auto* question : questions)
    fmt::print("{:<30} {}   {}\n", question, of_trail[question].text(), of_sqlite[question].text());
  fmt::print(
      "\na new id is told from known ones in {:.2f} us; resident {} MiB, of which the benchmark itself has "
      "some\n",
      new_id_us(trail), resident >> 20);
  std::filesystem::remove_all(sqlite_directory);
  return 0;
}

}  // namespace
}  // namespace vestige::bench

int main(int argc, char** argv) {
  vestige::bench::Settings settings;
  CLI::App app{"Look-ups in a large trail"};
  bool quick = false;
  std::string ignored;
  app.add_flag("--quick", quick, "fewer events");
  app.add_option("--events", settings.events, "events in the trail");
  app.add_option("--sqlite-events", settings.sqlite_events, "events in SQLite, at most");
  app.add_option("--questions", settings.questions, "look-ups of each kind");
  app.add_option("--directory", settings.directory, "where the data goes");
  app.add_option("--server", ignored, "not used here");
  CLI11_PARSE(app, argc, argv);
  if (quick) {
    settings.events = std::min<std::uint64_t>(settings.events, 300'000);
    settings.sqlite_events = std::min<std::uint64_t>(settings.sqlite_events, 100'000);
  }
  return vestige::bench::run(settings);
}
