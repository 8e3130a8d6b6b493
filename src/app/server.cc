#include "app/server.h"

#include <spdlog/spdlog.h>

#include "api/api.h"
#include "app/capture_service.h"
#include "app/logging.h"
#include "app/state_service.h"
#include "app/trail_service.h"
#include "base/check.h"
#include "cli/cli.h"
#include "http/server.h"
#include "platform/process.h"

namespace vestige::app {
namespace {

constexpr unsigned loop_threads = 2;
constexpr unsigned query_threads = 2;
constexpr unsigned act_threads = 1;      // erasures: one at a time, and each may read the whole trail
constexpr unsigned signing_threads = 2;  // passwords take 20 to 60 ms of one core each
constexpr unsigned provider_threads = 2;
constexpr std::chrono::milliseconds housekeeping_period{500};
constexpr std::string_view admin_key_name = "admin.key";

std::string node_name(const cli::ServeArguments& arguments) {
  return arguments.node.empty() ? platform::host_name() : arguments.node;
}

TrailServiceOptions service_options(const cli::ServeArguments& arguments) {
  TrailServiceOptions options;
  options.data = arguments.data;
  options.vault_dir = arguments.vault_dir;
  options.signer_dir = arguments.signer_dir;
  options.root_key = {arguments.root_key_command, arguments.root_key_environment};
  options.origin_prefix = arguments.origin.empty() ? platform::host_name() : arguments.origin;
  options.server = {node_name(arguments), arguments.server_location, {}};
  options.location_database = arguments.location_database;
  options.trail.wal_bytes_max = arguments.wal_bytes_max;
  options.trail.head_bytes_max = arguments.head_bytes_max;
  options.trail.disk_reserve_bytes = arguments.disk_reserve_bytes;
  options.trail.segment_rows_max = static_cast<std::uint32_t>(arguments.segment_rows_max);
  options.trail.segment_bytes_max = arguments.segment_bytes_max;
  options.trail.page_cache_bytes_max = arguments.page_cache_bytes_max;
  options.trail.wal_file_bytes = std::min(options.trail.wal_file_bytes, arguments.wal_bytes_max / 4);
  options.erasure.vault_backup_days = static_cast<std::uint32_t>(arguments.vault_backup_days);
  options.version = cli::version;
  return options;
}

http::ServerOptions http_options(const cli::ServeArguments& arguments) {
  http::ServerOptions options;
  options.address = arguments.listen;
  options.port = arguments.port;
  options.tls_certificate_file = arguments.tls_certificate;
  options.tls_key_file = arguments.tls_key;
  options.connections_max = arguments.connections_max;
  options.body_bytes_max = arguments.body_bytes_max;
  return options;
}

// While some key of the home tenant may administer, the first one's file is as the operator left it; with
// none in force, a new one is made, so that nobody is locked out of his own server.
Status provide_admin_key(TrailService& service, access::ApiKeys& keys) {
  for (const auto& key : keys.list())
    if (key.tenant == access::home_tenant_id && keys.is_in_force(key.id) &&
        (key.scopes.has(access::Scope::admin) || key.role == access::service_role))
      return {};
  VESTIGE_TRY(const auto created, keys.make({.name = "admin",
                                             .tenant = std::string(access::home_tenant_id),
                                             .scopes = access::Scopes::all()}));
  VESTIGE_CHECKED(platform::replace_file(service.data(), std::string(admin_key_name),
                                         view(created.key + "\n"), platform::FileMode::secret));
  VESTIGE_CHECKED(keys.add(created, nullptr));
  spdlog::info("made the first API key: {} (all scopes, shown nowhere else)",
               service.data().describe(std::string(admin_key_name)));
  return {};
}

// Tells the command line where the server is; empty while none runs.
Status write_lock_content(platform::FileSystem& data, std::string_view content) {
  VESTIGE_TRY(auto file, data.open(std::string(lock_name)));
  VESTIGE_CHECKED(file->truncate(0));
  return content.empty() ? Status{} : file->write(0, view(content));
}

// A provider is of a tenant that there is, and its groups give roles of people that there are, or whoever has
// one comes in and may nothing, or too much.
Status check_providers(const cli::ServeArguments& arguments, const access::Policies& policies,
                       const access::Tenants& tenants) {
  for (const auto& provider : arguments.sso) {
    if (!tenants.find(provider.tenant))
      return fail(ErrorKind::invalid,
                  fmt::format("Sign-in provider \"{}\" is for the tenant \"{}\", which there is not. Make it "
                              "first: start without this provider, `vestige tenant create {}`, start again.",
                              provider.name, provider.tenant, provider.tenant));
    for (const auto& [group, roles] : provider.roles)
      for (const auto& role : roles)
        if (!access::is_for_people(role) || !policies.has_role(provider.tenant, role))
          return fail(
              ErrorKind::invalid,
              fmt::format("Sign-in provider \"{}\": the group \"{}\" is mapped to \"{}\", which is no "
                          "role of people in the policy.",
                          provider.name, group, role));
  }
  return {};
}

// Said to whoever started the server; the link is worth nothing once it was used, and after a day.
Status offer_first_administrator(access::Identity& identity, const std::string& url) {
  VESTIGE_TRY(const auto token, identity.first_administrator().offer(access::home_tenant_id));
  if (token)
    spdlog::info(
        "nobody administers accounts yet; whoever opens this link first, within a day, does: "
        "{}/welcome#administrator={}",
        url, *token);
  return {};
}

std::string url_of(const cli::ServeArguments& arguments, std::uint16_t port) {
  // A wildcard is no address to call.
  const bool any = arguments.listen == "0.0.0.0" || arguments.listen == "::";
  const auto host = any ? "127.0.0.1" : arguments.listen;
  return fmt::format("{}://{}:{}", arguments.tls_certificate.empty() ? "http" : "https",
                     host.find(':') == std::string::npos ? host : fmt::format("[{}]", host), port);
}

void say_how_it_stands(const TrailService& service, trail::Log& log) {
  const auto& recovery = log.recovery();
  if (recovery.created) {
    spdlog::info("a new trail begins");
  } else {
    std::uint64_t entries = 0;
    for (const auto* stream : log.streams()) entries += stream->size();
    spdlog::info("the trail has {} entries; {} of them were taken from the write-ahead log{}", entries,
                 recovery.entries_replayed, recovery.clean ? "" : " after a stop that was not in order");
  }
  spdlog::info(
      "the root key comes from {}. Back it up apart from the data: without it the data cannot be read by "
      "anybody, ever",
      service.root_key().described);
  if (service.vault_beside_data())
    spdlog::warn(
        "the vault lies inside the data directory: leave vault/ out of its backups, or set --vault-dir; a "
        "key "
        "that is in a backup is not destroyed by erasing");
  if (service.signer_beside_data())
    spdlog::warn(
        "the signer's state lies inside the data directory: leave signer/ out of its backups, or set "
        "--signer-dir; an old state that is restored could sign a second history");
}

// The threads of the server, by what may hold them up.
struct Loops {
  platform::EventLoop requests{loop_threads};
  platform::EventLoop queries{query_threads};
  platform::EventLoop acts{act_threads};
  platform::EventLoop signing{signing_threads};
  platform::EventLoop providers{provider_threads};
  platform::EventLoop keeping{1};  // of its own, so that no search keeps checkpoints waiting

  void start() {
    for (auto* loop : {&requests, &queries, &acts, &signing, &providers, &keeping}) loop->start();
  }
  void stop() {
    for (auto* loop : {&keeping, &acts, &providers, &signing, &queries, &requests}) loop->stop();
  }
};

std::vector<api::CaptureFigures> figures_of(const CaptureService& captures) {
  std::vector<api::CaptureFigures> all;
  for (const auto& each : captures.postgres_figures())
    all.push_back({.name = each.name,
                   .connected = each.connected,
                   .lag_bytes = each.lag_bytes,
                   .rows = each.rows,
                   .unattributed = each.unattributed,
                   .gaps = each.gaps});
  for (const auto& each : captures.kafka_figures())
    all.push_back({.name = each.name,
                   .connected = each.connected,
                   .lag_messages = each.lag_messages,
                   .rows = each.commands,
                   .refused = each.refused,
                   .gaps = each.gaps,
                   .rebalances = each.rebalances});
  return all;
}

api::ApiParts api_parts(const cli::ServeArguments& arguments, TrailService& service, StateService& state,
                        const CaptureService& captures, Loops& loops,
                        const std::unique_ptr<http::Server>& server) {
  return {.loop = loops.requests,
          .queries = loops.queries,
          .acts = loops.acts,
          .signing = loops.signing,
          .providers = loops.providers,
          .clock = platform::system_clock(),
          .log = service.log(),
          .trail_of = [&service](std::string_view tenant) { return service.find(tenant); },
          .kinds = service.kinds(),
          .database = state.database(),
          .fields = state.fields(),
          .outbox = state.outbox(),
          .policies = state.policies(),
          .identity = state.identity(),
          .tenants = state.tenants(),
          .forget_in_state = [&state](std::string_view tenant,
                                      std::string_view subject) { return state.forget(tenant, subject); },
          // Checked with the configuration.
          .trusted_proxies = access::parse_ranges(arguments.trusted_proxies).value(),
          .over_tls = !arguments.tls_certificate.empty() || arguments.public_url.starts_with("https://"),
          .public_url = arguments.public_url,
          .http_figures = [&server] { return server->figures(); },
          .capture_figures = [&captures] { return figures_of(captures); },
          .version = std::string(cli::version)};
}

void keep_house(TrailService& service, Loops& loops) {
  loops.keeping.every(housekeeping_period, [&service] {
    if (auto kept = service.housekeep(); !kept) spdlog::error("housekeeping: {}", kept.error().message);
  });
  loops.acts.every(housekeeping_period, [&service] {
    if (auto finished = service.finish_erasures(); !finished)
      spdlog::error("an erasure is not finished yet: {}", finished.error().message);
  });
}

// Until a signal comes.
Status serve_requests(const cli::ServeArguments& arguments, TrailService& service, StateService& state,
                      CaptureService& captures) {
  Loops loops;
  http::Router router;
  std::unique_ptr<http::Server> server;
  api::Api api(api_parts(arguments, service, state, captures, loops, server));
  api.add_routes(router);
  server = std::make_unique<http::Server>(loops.requests, http_options(arguments), router, api.gate());
  VESTIGE_CHECKED(server->start());
  keep_house(service, loops);
  // Before the first request is answered, so that whoever finds the server ready finds its address as well.
  const auto url = url_of(arguments, server->port());
  VESTIGE_CHECKED(write_lock_content(service.data(), url + "\n"));
  state.start();
  VESTIGE_CHECKED(
      offer_first_administrator(state.identity(), arguments.public_url.empty() ? url : arguments.public_url));
  loops.start();
  captures.start();
  say_how_it_stands(service, service.log());
  spdlog::info("ready: {} (data {}, key {})", url, arguments.data,
               service.data().describe(std::string(admin_key_name)));

  platform::wait_for_stop_signal();
  spdlog::info("stopping: no new requests, running ones are finished");
  captures.stop();
  api.close_streams();
  server->stop();
  loops.stop();
  return {};
}

Status run(const cli::ServeArguments& arguments) {
  auto& clock = platform::system_clock();
  auto& entropy = platform::system_entropy();
  VESTIGE_TRY(auto service, TrailService::open(service_options(arguments), clock, entropy));
  VESTIGE_CHECKED(service->start());
  VESTIGE_TRY(auto state, StateService::open(*service, clock, entropy, node_name(arguments), arguments.sso));
  VESTIGE_CHECKED(check_providers(arguments, state->policies(), state->tenants()));
  VESTIGE_CHECKED(provide_admin_key(*service, state->identity().keys()));
  VESTIGE_TRY(const auto captures, CaptureService::open(*service, clock, entropy, arguments.capture_postgres,
                                                        arguments.capture_kafka));
  // Whatever kept it from serving, the trail is closed in order.
  auto served = serve_requests(arguments, *service, *state, *captures);
  state->stop();
  const auto stopped = service->stop();
  if (auto cleared = write_lock_content(service->data(), ""); !cleared)
    spdlog::error("{}", cleared.error().message);
  if (!served) {
    if (!stopped) spdlog::error("{}", stopped.error().message);
    return served;
  }
  if (stopped) spdlog::info("stopped: everything acknowledged is durable");
  return stopped;
}

}  // namespace

Result<cli::ReindexSummary> reindex(const cli::ReindexArguments& arguments,
                                    const cli::ReindexProgress& progress) {
  TrailServiceOptions options;
  options.data = arguments.data;
  options.vault_dir = arguments.vault_dir;
  options.root_key = {arguments.root_key_command, arguments.root_key_environment};
  VESTIGE_TRY(const auto report,
              TrailService::reindex(options, platform::system_clock(), platform::system_entropy(), progress));
  return cli::ReindexSummary{.segments = report.segments,
                             .pages = report.pages,
                             .entries = report.entries,
                             .with_sealed_values = report.with_sections};
}

int serve(const cli::ServeArguments& arguments) {
  start_logging(arguments.log_format);
  platform::block_stop_signals();
  const auto outcome = run(arguments);
  if (outcome) return cli::exit_ok;
  const auto& error = outcome.error();
  spdlog::critical("{}", error.message);
  const bool usage = error.kind == ErrorKind::invalid || error.kind == ErrorKind::conflict ||
                     error.kind == ErrorKind::denied || error.kind == ErrorKind::not_found;
  if (error.where && !error.where->file.empty())
    spdlog::critical("the damage is in {} at byte {}; `vestige verify --data {}` tells more",
                     error.where->file, error.where->offset, arguments.data);
  return usage || error.kind == ErrorKind::unavailable ? cli::exit_usage : cli::exit_found_wrong;
}

}  // namespace vestige::app
