#include "bench/support/trail.h"

#include <fmt/format.h>

#include <filesystem>

#include "audit/filter.h"
#include "platform/thread.h"

namespace vestige::bench {
namespace {

constexpr std::size_t producers = 2;
constexpr std::size_t under_way_max = 32;  // batches
constexpr std::chrono::milliseconds look_again{2};
constexpr std::chrono::milliseconds rest_period{300};
constexpr int rest_periods_max = 200;

// Past the limit the server answers 503 and a client waits; what is measured then is the speed of sealing.
std::uint64_t head_bytes_high() { return trail::Options{}.head_bytes_max / 4 * 3; }

}  // namespace

app::TrailServiceOptions trail_options(const std::string& directory) {
  app::TrailServiceOptions options;
  options.data = directory;
  options.origin_prefix = "bench";
  options.server.node = "bench";
  options.version = "bench";
  return options;
}

Trail::Trail(const std::string& directory) {
  auto service =
      app::TrailService::open(trail_options(directory), platform::system_clock(), platform::system_entropy());
  if (!service) give_up(service.error().message);
  service_ = *std::move(service);
  if (auto started = service_->start(); !started) give_up(started.error().message);
}

Trail::~Trail() {
  if (auto stopped = service_->stop(); !stopped) give_up(stopped.error().message);
}

void Trail::wait_for_room() {
  Lock lock(mutex_);
  while (under_way_ >= under_way_max || service_->log().figures().head_bytes > head_bytes_high())
    changed_.wait_for(mutex_, look_again);
  ++under_way_;
}

void Trail::produce(const cli::load::EventShape& shape, std::uint64_t count,
                    std::atomic<std::uint64_t>& next) {
  const audit::RequestContext context{"default", "bench", platform::system_clock().now()};
  for (auto first = next.fetch_add(batch_events); first < count; first = next.fetch_add(batch_events)) {
    const auto lines = make_lines(shape, first, std::min<std::uint64_t>(batch_events, count - first));
    auto batch = service_->ingest().prepare(lines, audit::BodyForm::ndjson, context);
    if (!batch) give_up(batch.error().message);
    wait_for_room();
    service_->ingest().submit(*std::move(batch), [this](Result<audit::BatchOutcome> outcome) {
      if (!outcome) give_up(outcome.error().message);
      if (outcome->duplicates > 0) give_up("an event of the benchmark was there already");
      Lock lock(mutex_);
      --under_way_;
      changed_.notify_all();
    });
  }
}

void Trail::ingest(const cli::load::EventShape& shape, std::uint64_t count) {
  std::atomic<std::uint64_t> next{0};
  {
    std::vector<std::unique_ptr<platform::Thread>> threads;
    for (std::size_t i = 0; i < producers; ++i)
      threads.push_back(std::make_unique<platform::Thread>("producer", [&] { produce(shape, count, next); }));
  }
  Lock lock(mutex_);
  while (under_way_ > 0) changed_.wait(mutex_);
}

void Trail::rest() {
  Lock lock(mutex_);
  auto cpu = cpu_seconds();
  for (int i = 0; i < rest_periods_max; ++i) {
    changed_.wait_for(mutex_, rest_period);
    const auto now = cpu_seconds();
    if (now - cpu < 0.01) return;
    cpu = now;
  }
}

Times::Answer Trail::ask(const std::string& text, double seconds_max) {
  json::Parser parser;
  json::Document document;
  Times::Answer found;
  std::optional<std::string> cursor;
  const auto start = wall_seconds();
  for (;;) {
    const auto body =
        cursor ? fmt::format(R"({},"cursor":"{}"}})", text.substr(0, text.size() - 1), *cursor) : text;
    if (!parser.parse(body, document)) give_up(body);
    const auto search = audit::parse_search(document, platform::system_clock().now());
    if (!search) give_up(search.error().message);
    const auto answer = service_->reader().search(*search, {}, "bench");
    if (!answer) give_up(answer.error().message);
    found.rows += answer->events.size();
    // A page ends early after so many entries were read; a reader then goes on.
    cursor = answer->cursor;
    if (!cursor || found.rows >= search->limit) return found;
    if (wall_seconds() - start > seconds_max) return {.rows = found.rows, .finished = false};
  }
}

StoredBytes seal_all(const std::string& directory) {
  auto options = trail_options(directory);
  options.trail.threads = false;
  auto service = app::TrailService::open(options, platform::system_clock(), platform::system_entropy());
  if (!service) give_up(service.error().message);
  for (;;) {
    const auto more = (*service)->log().seal_once(true);
    if (!more) give_up(more.error().message);
    if (!*more) break;
  }
  StoredBytes stored;
  for (const auto& segment : (*service)->home().stream().record().segments) {
    stored.segments += segment.segment.bytes;
    stored.hashes += segment.hashes.bytes;
    stored.ids += segment.ids.bytes;
  }
  // Sidecars are in no manifest.
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory + "/streams")) {
    const auto kind = entry.path().extension();
    if (entry.is_regular_file() && kind != ".seg" && kind != ".hashes" && kind != ".ids")
      stored.sidecars += entry.file_size();
  }
  stored.entries = (*service)->home().stream().size();
  return stored;
}

}  // namespace vestige::bench
