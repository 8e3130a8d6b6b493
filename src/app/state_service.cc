#include "app/state_service.h"

#include <spdlog/spdlog.h>

#include "access/migrations.h"
#include "app/trail_service.h"
#include "json/json.h"

namespace vestige::app {
namespace {

constexpr std::chrono::milliseconds relay_period{
    500};  // of what failed before; what is added wakes the relay
constexpr std::chrono::minutes sweep_period{1};
constexpr std::chrono::seconds lease_duration{30};
constexpr std::chrono::seconds relay_wait{10};

// Content is named by nothing but its id: it may name people.
state::RelayReports reports() {
  return {
      .set_aside =
          [](const state::OutboxEvent& event, const Error&) {
            spdlog::error(
                "the trail refuses the event {} of the stream {}/{}, which was set aside; /metrics counts "
                "them as vestige_outbox_refused",
                format_uuid(event.id), event.tenant, event.stream);
          },
      .failed =
          [](const state::StreamName& stream, const Error& error) {
            spdlog::error("what waits for the stream {}/{} is not in the trail yet and is tried again: {}",
                          stream.tenant, stream.stream, error.message);
          }};
}

}  // namespace

StateService::~StateService() { loop_.stop(); }

Result<std::unique_ptr<StateService>> StateService::open(TrailService& trail, platform::Clock& clock,
                                                         platform::Entropy& entropy, const std::string& node,
                                                         std::vector<access::oidc::Configuration> providers) {
  std::unique_ptr<StateService> service(new StateService(trail, clock));
  const auto key = [&trail](std::string_view purpose) { return trail.vault().purpose_key(purpose, ""); };
  VESTIGE_TRY(service->database_,
              state::Database::open({.path = trail.data().describe(std::string(state_file_name))},
                                    access::migrations(), clock));
  service->fields_ = std::make_unique<state::Fields>(key("state-fields"), entropy);
  VESTIGE_CHECKED(service->fields_->hold_against(*service->database_));
  service->outbox_ = std::make_unique<state::Outbox>(*service->database_, *service->fields_, clock, entropy);
  service->lease_ =
      std::make_unique<state::Lease>(*service->database_, clock, "outbox-relay", node, lease_duration);
  service->relay_ = std::make_unique<state::Relay>(
      *service->outbox_, *service->lease_,
      [state = service.get()](std::span<const state::OutboxEvent> events) {
        return state->relay_into_trail(events);
      },
      reports(), clock);
  service->outbox_->on_added([state = service.get()] { state->loop_.post([state] { state->relay(); }); });
  VESTIGE_TRY(service->policies_, access::Policies::open(*service->database_, *service->outbox_, clock));
  VESTIGE_TRY(service->identity_,
              access::Identity::open(
                  {.database = *service->database_,
                   .outbox = *service->outbox_,
                   .fields = *service->fields_,
                   .clock = clock,
                   .entropy = entropy,
                   .data = trail.data(),
                   .terms_of = [policies = service->policies_.get()](
                                   std::string_view tenant,
                                   std::string_view role) { return policies->terms_of(tenant, role); },
                   .csrf_key = key("csrf"),
                   .customer_link_key = key("customer-link"),
                   .providers = std::move(providers)}));
  VESTIGE_TRY(
      service->tenants_,
      access::Tenants::open(*service->database_, *service->outbox_, service->identity_->sessions(), clock,
                            [&trail](const std::string& tenant) { return trail.open_tenant(tenant); }));
  return service;
}

void StateService::start() {
  // What was in the way may be gone, most of all where this is another version.
  if (auto offered = outbox_->offer_all_again(); !offered)
    spdlog::error("what the trail refused before waits on: {}", offered.error().message);
  relay();
  loop_.every(relay_period, [this] { relay(); });
  loop_.every(sweep_period, [this] { sweep(); });
  loop_.start();
}

void StateService::stop() {
  loop_.stop();
  sweep();
  relay();
}

Status StateService::relay_into_trail(std::span<const state::OutboxEvent> events) {
  auto* const tenant = trail_.find(events.front().tenant);
  auto* const ingest = tenant == nullptr ? nullptr : tenant->ingest_of(events.front().stream);
  if (ingest == nullptr)
    return fail(ErrorKind::invalid,
                fmt::format("there is no stream {}/{}", events.front().tenant, events.front().stream));
  std::vector<std::string> texts;
  for (const auto& event : events)
    // The outbox has events without their ids, and never an empty one.
    texts.push_back(
        fmt::format("{{\"id\":\"{}\",{}", format_uuid(event.id), std::string_view(event.event).substr(1)));
  VESTIGE_TRY(auto batch, ingest->prepare_relayed(texts));
  VESTIGE_TRY(const auto appended, tenant->append(*ingest, std::move(batch)));
  static_cast<void>(appended);
  return {};
}

Status StateService::forget(std::string_view tenant, std::string_view subject) {
  std::string quoted;
  json::append_quoted(quoted, subject);
  const auto concerns = [&](const state::OutboxEvent& event) {
    return event.tenant == tenant && event.event.find(quoted) != std::string::npos;
  };
  if (auto ended = identity_->sessions().revoke_subject(tenant, subject); !ended)
    return std::unexpected(std::move(ended).error());
  VESTIGE_CHECKED(identity_->approvals().forget_subject(tenant, subject));
  VESTIGE_CHECKED(outbox_->wait_for_all(relay_wait));
  // What the trail refused before; and what was added just now, which must not be lost.
  VESTIGE_TRY(const auto evicted, outbox_->evict(concerns));
  for (const auto& event : evicted.events)
    if (auto recorded = relay_into_trail(std::span(&event, 1));
        !recorded && recorded.error().kind != ErrorKind::invalid)
      return recorded;
  return database_->purge();
}

void StateService::relay() {
  const auto ran = relay_->run_once();
  if (!ran) return spdlog::error("the outbox cannot be read: {}", ran.error().message);
  if (ran->more) loop_.post([this] { relay(); });
}

void StateService::sweep() {
  if (auto swept = identity_->sweep(); !swept)
    spdlog::error("what expired could not be put away, and is tried again: {}", swept.error().message);
}

}  // namespace vestige::app
