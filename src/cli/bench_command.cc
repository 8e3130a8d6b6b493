#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>

#include "base/mutex.h"
#include "cli/cli.h"
#include "cli/internal/bench.h"
#include "cli/internal/commands.h"
#include "cli/internal/display.h"
#include "cli/internal/json_text.h"
#include "cli/internal/progress.h"
#include "cli/load/events.h"
#include "cli/load/load.h"
#include "platform/clock.h"
#include "platform/entropy.h"

namespace vestige::cli {
namespace {

using std::chrono::nanoseconds;

constexpr std::string_view confirmation = "bench";
constexpr unsigned targets_without_persons = 10'000;
constexpr double percents[] = {50, 90, 99, 99.9};

double milliseconds(nanoseconds time) { return std::chrono::duration<double, std::milli>(time).count(); }
double in_seconds(nanoseconds time) { return std::chrono::duration<double>(time).count(); }

nanoseconds retry_after(const http::ClientResponse& response) {
  for (const auto& [name, value] : response.headers) {
    std::uint32_t seconds = 0;
    if (name == "retry-after" &&
        std::from_chars(value.data(), value.data() + value.size(), seconds).ec == std::errc{})
      return std::chrono::seconds(seconds);
  }
  return nanoseconds(0);
}

// One connection to the server.
class HttpSender final : public load::Sender {
 public:
  HttpSender(const Target& target, const load::EventShape& shape, unsigned batch, nanoseconds start)
      : connection_(target), shape_(shape), batch_(batch), start_(start) {}

  void prepare(std::uint64_t number) override {
    body_.clear();
    const auto time = platform::system_clock().now();
    for (unsigned i = 0; i < batch_; ++i) {
      load::append_event(body_, shape_, number * batch_ + i, time);
      body_ += '\n';
    }
  }
  Result<load::Sent> send() override {
    VESTIGE_TRY(const auto response,
                connection_.client().send("POST", "/api/events", body_, "application/x-ndjson"));
    if (response.status == 503 || response.status == 429)
      return load::Sent{.outcome = load::Sent::Outcome::busy, .retry_after = retry_after(response)};
    if (response.status >= 300) return std::unexpected(refusal(response));
    return load::Sent{};
  }
  nanoseconds now() override { return platform::system_clock().monotonic() - start_; }
  void wait_until(nanoseconds time) override {
    // Nobody notifies: this is a plain wait, in real time.
    Lock lock(mutex_);
    for (auto at = now(); at < time; at = now()) never_.wait_for(mutex_, time - at);
  }

 private:
  Connection connection_;
  const load::EventShape shape_;
  const unsigned batch_;
  const nanoseconds start_;
  std::string body_;
  Mutex mutex_;
  Condition never_;
};

std::string load_in_words(const BenchArguments& arguments) {
  return fmt::format("{} connections, {} events a request{}, {}", arguments.connections, arguments.batch,
                     arguments.persons > 0 ? ", each sealed for a person" : "",
                     arguments.rate > 0
                         ? fmt::format("{} events a second on a fixed schedule",
                                       with_separators(static_cast<std::uint64_t>(arguments.rate)))
                         : "each sends as soon as it has an answer");
}

// Nobody fills a trail by a slip of the hand: what is in one stays.
Status confirm(const BenchArguments& arguments, const Target& target, Surroundings& surroundings) {
  if (arguments.yes) return {};
  const auto amount = arguments.events > 0 ? with_separators(arguments.events) + " events"
                                           : fmt::format("{:g} seconds of events", arguments.seconds);
  const auto answer = surroundings.ask(fmt::format(
      "This writes {} into the trail of {}, into the tenant of the key, for ever: kind data.change,\n"
      "sourceType {}. Type \"{}\" to go on: ",
      amount, described(target), load::source_type, confirmation));
  if (answer == confirmation) return {};
  return fail(ErrorKind::invalid,
              answer
                  ? "Nothing was sent."
                  : "Nothing was sent: what is sent stays in the trail, and there is no terminal to confirm "
                    "it on. Give --yes where it is meant.");
}

std::string times_json(const load::Histogram& times) {
  return JsonObject()
      .raw("p50ms", fmt::format("{:.3f}", milliseconds(times.percentile(percents[0]))))
      .raw("p90ms", fmt::format("{:.3f}", milliseconds(times.percentile(percents[1]))))
      .raw("p99ms", fmt::format("{:.3f}", milliseconds(times.percentile(percents[2]))))
      .raw("p999ms", fmt::format("{:.3f}", milliseconds(times.percentile(percents[3]))))
      .raw("maxMs", fmt::format("{:.3f}", milliseconds(times.greatest())))
      .str();
}

struct Figures {
  std::uint64_t events = 0;
  double per_second = 0;
};

Figures figures_of(const BenchArguments& arguments, const load::Outcome& outcome) {
  const auto events = outcome.tally.taken * arguments.batch;
  const auto seconds = in_seconds(outcome.took);
  return {.events = events, .per_second = seconds > 0 ? static_cast<double>(events) / seconds : 0};
}

std::string as_json(const BenchArguments& arguments, const load::Outcome& outcome) {
  const auto figures = figures_of(arguments, outcome);
  const auto& tally = outcome.tally;
  JsonObject out;
  out.number("connections", arguments.connections).number("batch", arguments.batch);
  out.raw("rate", arguments.rate > 0 ? fmt::format("{:g}", arguments.rate) : "null");
  out.number("persons", arguments.persons).raw("seconds", fmt::format("{:.3f}", in_seconds(outcome.took)));
  out.number("events", figures.events).raw("eventsPerSecond", fmt::format("{:.0f}", figures.per_second));
  out.number("requests", tally.taken).number("busy", tally.busy).number("unsent", tally.unsent);
  out.raw("heldBackMs", fmt::format("{:.0f}", milliseconds(tally.held_back)));
  out.raw("latency", arguments.rate > 0 ? times_json(tally.latency) : "null");
  out.raw("service", times_json(tally.service));
  out.boolean("complete", !tally.error);
  return out.str() + "\n";
}

std::vector<std::string> times_row(const std::string& name, const load::Histogram& times) {
  std::vector<std::string> row{name};
  for (const auto percent : percents)
    row.push_back(fmt::format("{:.2f}", milliseconds(times.percentile(percent))));
  row.push_back(fmt::format("{:.2f}", milliseconds(times.greatest())));
  return row;
}

std::string in_words(const BenchArguments& arguments, const load::Outcome& outcome, unsigned columns) {
  const auto figures = figures_of(arguments, outcome);
  const auto& tally = outcome.tally;
  auto out = load_in_words(arguments) + "\n\n";
  out +=
      fmt::format("{} events in {:.1f} s: {} events/s\n", with_separators(figures.events),
                  in_seconds(outcome.took), with_separators(static_cast<std::uint64_t>(figures.per_second)));
  out += fmt::format("{} requests were taken", with_separators(tally.taken));
  if (tally.busy > 0)
    out += fmt::format(", {} were refused as too much (503, 429)", with_separators(tally.busy));
  if (tally.held_back > nanoseconds(0))
    out +=
        fmt::format(", and connections then waited {:.1f} s in all, as asked", in_seconds(tally.held_back));
  if (tally.unsent > 0)
    out += fmt::format(", {} were due and not sent before the end", with_separators(tally.unsent));
  out += ".\n\n";
  std::vector<std::vector<std::string>> rows;
  if (arguments.rate > 0) rows.push_back(times_row("from when it was due", tally.latency));
  rows.push_back(times_row("from when it was sent", tally.service));
  out +=
      render_table({{"MS A REQUEST", false}, {"P50"}, {"P90"}, {"P99"}, {"P99.9"}, {"MAX"}}, rows, columns);
  out += arguments.rate > 0
             ? "\nThe first line is what a sender on this schedule meets: waiting for a slow server counts.\n"
             : "\nThese are service times: while the server is slow less is sent, and nobody waits in line. "
               "What "
               "senders\nthat keep coming would meet is measured with --rate.\n";
  return out;
}

load::Plan plan_of(const BenchArguments& arguments) {
  load::Plan plan{.requests_per_second = arguments.rate / arguments.batch};
  if (arguments.events > 0)
    plan.requests = (arguments.events + arguments.batch - 1) / arguments.batch;
  else
    plan.duration = std::chrono::duration_cast<nanoseconds>(std::chrono::duration<double>(arguments.seconds));
  return plan;
}

load::Outcome run_plan(const BenchArguments& arguments, const Target& target, Surroundings& surroundings) {
  // New ids every time: an event that the trail knows already would not be written.
  std::uint64_t seed = 0;
  const auto random = platform::system_entropy().bytes<sizeof seed>();
  std::memcpy(&seed, random.data(), sizeof seed);
  const load::EventShape shape{
      .seed = seed,
      .with_subject = arguments.persons > 0,
      .targets = arguments.persons > 0 ? arguments.persons : targets_without_persons};
  const auto plan = plan_of(arguments);
  Progress progress(surroundings);
  return load::run_load(
      plan, arguments.connections,
      [&](nanoseconds start) { return std::make_unique<HttpSender>(target, shape, arguments.batch, start); },
      [&](std::uint64_t requests, nanoseconds passed) {
        const auto share = plan.requests > 0
                               ? static_cast<double>(requests) / static_cast<double>(plan.requests)
                               : in_seconds(passed) / arguments.seconds;
        progress.update("bench", share, requests * arguments.batch);
      });
}

}  // namespace

int run_bench_http(const BenchArguments& arguments, Surroundings& surroundings) {
  const auto target = locate(arguments.connection, surroundings, KeyNeed::required);
  if (!target) return report(surroundings, target.error());
  if (auto meant = confirm(arguments, *target, surroundings); !meant)
    return report(surroundings, meant.error());
  const auto outcome = run_plan(arguments, *target, surroundings);
  const auto& tally = outcome.tally;
  if (tally.taken > 0)
    surroundings.print(wants_json(arguments.connection, surroundings)
                           ? as_json(arguments, outcome)
                           : in_words(arguments, outcome, surroundings.columns()));
  if (tally.error) return report(surroundings, *tally.error);
  if (tally.taken > 0) return exit_ok;
  return report(surroundings, {.kind = ErrorKind::unavailable,
                               .message = fmt::format(
                                   "The server took none of {} requests: it said that it has too much to "
                                   "do (503, 429). Try again later, or with fewer connections.",
                                   with_separators(tally.busy))});
}

namespace {

constexpr const char* footer =
    "What is sent stays in the trail: events of kind data.change with sourceType BENCHMARK, into the tenant "
    "of "
    "the\nkey, which needs the scope ingest. It asks before it sends; give --yes where it is meant. Best is "
    "a "
    "server of\nits own on a directory that is thrown away afterwards.\n\n"
    "Two ways to ask:\n"
    "  how much    without --rate each connection sends as soon as it has an answer. The events a second are "
    "what\n"
    "              the server can do; the times are service times, from sending to the answer.\n"
    "  how fast    with --rate requests are due at fixed times, and their latency counts from then on, also "
    "where\n"
    "              the server is slow and they wait in line. Percentiles of a run without a schedule leave "
    "that "
    "out.\n"
    "Choose a rate below what the first way gave: above it the line only grows. Percentiles are at most 0.8 "
    "% "
    "too\nhigh, and never too low. The generator shares the machine with the server unless it runs "
    "elsewhere: "
    "name the\nserver with --url.\n\n"
    "A request that is refused with 503 or 429 is counted apart and not sent again. Without --rate its "
    "connection\nthen waits as the server asks, a second at most.\n\n"
    "Examples:\n"
    "  vestige bench http --yes\n"
    "  vestige bench http --connections 64 --batch 1 --events 100000 --yes\n"
    "  vestige bench http --rate 20000 --duration 30 --yes --json\n"
    "  vestige bench http --persons 1000 --url https://audit.example.org:8080 --key KEY\n";

}  // namespace

void declare_bench(CLI::App& app, Invocation& invocation) {
  auto arguments = std::make_shared<BenchArguments>();
  auto* command = app.add_subcommand("bench", "Measure a running server, by events that stay in its trail");
  command->require_subcommand(1);
  command->footer("Examples:\n  vestige bench http --yes\n  vestige bench http --help\n");
  auto* http = command->add_subcommand("http", "Send made-up events and measure throughput and latency");
  http->add_option("--connections", arguments->connections, "senders at the same time (16)")
      ->check(CLI::Range(1U, bench_connections_max).description(""))
      ->type_name("N");
  http->add_option("--batch", arguments->batch, "events a request (100)")
      ->check(CLI::Range(1U, bench_batch_max).description(""))
      ->type_name("N");
  http->add_option("--rate", arguments->rate,
                   "events a second, on a fixed schedule; as many as it takes without this")
      ->check(CLI::Range(0.001, bench_rate_max).description(""))
      ->type_name("N");
  auto* duration = http->add_option("--duration", arguments->seconds, "seconds to send for (10)")
                       ->check(CLI::Range(0.001, bench_seconds_max).description(""))
                       ->type_name("SECONDS");
  http->add_option("--events", arguments->events, "send so many instead, in whole requests")
      ->check(CLI::Range(std::uint64_t{1}, bench_events_max).description(""))
      ->excludes(duration)
      ->type_name("N");
  http->add_option("--persons", arguments->persons,
                   "each event is about one of so many persons, and sealed for them")
      ->check(CLI::Range(1U, bench_persons_max).description(""))
      ->type_name("N");
  http->add_flag("--yes", arguments->yes, "do not ask");
  add_connection_options(*http, arguments->connection, KeyNeed::required);
  http->footer(footer);
  run_with(*http, arguments, invocation, run_bench_http);
}

}  // namespace vestige::cli
