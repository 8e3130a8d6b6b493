#include "app/trail_service.h"

#include <fmt/format.h>

#include "access/principal.h"
#include "base/check.h"
#include "json/json.h"

namespace vestige::app {
namespace {

std::string quoted(std::string_view text) {
  std::string out;
  json::append_quoted(out, text);
  return out;
}

}  // namespace

class TrailService::Wrapper final : public trail::KeyWrapper {
 public:
  explicit Wrapper(vault::Vault& vault) : vault_(vault) {}
  Bytes wrap(const Key& key, std::string_view context) override { return vault_.wrap(key, context); }
  Result<Key> unwrap(ByteView wrapped, std::string_view context) const override {
    return vault_.unwrap(wrapped, context);
  }

 private:
  vault::Vault& vault_;
};

// A group that brings new persons makes their keys durable before its frame.
class TrailService::Barrier final : public trail::CommitBarrier {
 public:
  explicit Barrier(vault::Vault& vault) : vault_(vault) {}
  Status before_commit() override { return vault_.sync(); }

 private:
  vault::Vault& vault_;
};

TrailService::TrailService(const TrailServiceOptions& options, platform::Clock& clock,
                           platform::Entropy& entropy)
    : options_(options), clock_(clock), entropy_(entropy) {}

TrailService::~TrailService() = default;

Status TrailService::open_directories(Missing missing) {
  const bool make = missing == Missing::make;
  VESTIGE_TRY(data_, platform::open_directory(options_.data, make));
  VESTIGE_TRY(lock_, data_->lock(std::string(lock_name)));
  vault_beside_data_ = options_.vault_dir.empty();
  signer_beside_data_ = options_.signer_dir.empty();
  const auto vault_dir = vault_beside_data_ ? options_.data + "/vault" : options_.vault_dir;
  const auto signer_dir = signer_beside_data_ ? options_.data + "/signer" : options_.signer_dir;
  VESTIGE_TRY(vault_files_, platform::open_directory(vault_dir, make));
  // Only who serves, signs.
  if (make) {
    VESTIGE_TRY(signer_files_, platform::open_directory(signer_dir, true));
  }
  return {};
}

Status TrailService::open_vault() {
  // A directory that holds a trail already must find its own vault; a new one would open nothing of it.
  const bool create = !data_->exists(std::string(trail::manifest_name));
  VESTIGE_TRY(root_key_, vault::load_root_key(*vault_files_, entropy_, options_.root_key, create));
  VESTIGE_TRY(vault_, vault::Vault::open(*vault_files_, entropy_, clock_, root_key_.key, create));
  wrapper_ = std::make_unique<Wrapper>(*vault_);
  barrier_ = std::make_unique<Barrier>(*vault_);
  sealed_tokeniser_ = std::make_unique<audit::SealedTokeniser>(*vault_);
  sidecar_keys_ = std::make_unique<audit::VaultSidecarKeys>(*vault_);
  return {};
}

trail::LogParts TrailService::log_parts() {
  return {*data_,
          clock_,
          entropy_,
          *wrapper_,
          *barrier_,
          audit::entry_schema(),
          &tokeniser_,
          sealed_tokeniser_.get(),
          sidecar_keys_.get()};
}

Status TrailService::open_log() {
  VESTIGE_TRY(kinds_, audit::KindRegistry::with_shipped_kinds());
  const std::string tenant(access::home_tenant_id);
  VESTIGE_TRY(log_, trail::Log::open(log_parts(), options_.trail,
                                     {{tenant, std::string(audit::audit_stream_name), true},
                                      {tenant, std::string(audit::access_stream_name), true}}));
  return {};
}

Result<std::unique_ptr<TrailService>> TrailService::open(const TrailServiceOptions& options,
                                                         platform::Clock& clock, platform::Entropy& entropy) {
  std::unique_ptr<TrailService> service(new TrailService(options, clock, entropy));
  VESTIGE_CHECKED(service->open_directories(Missing::make));
  VESTIGE_CHECKED(service->open_vault());
  VESTIGE_CHECKED(service->open_log());
  VESTIGE_CHECKED(service->open_tenants());
  return service;
}

// Those that the log has, so that the erasures of all of them are held against the vault before any is
// served.
Status TrailService::open_tenants() {
  server_ = options_.server;
  if (!options_.location_database.empty()) {
    VESTIGE_TRY(locations_, audit::LocationDatabase::open(options_.location_database));
    server_.locate = [&locations = *locations_](std::string_view address) {
      return locations.locate(address);
    };
  }
  for (const auto* stream : log_->streams()) {
    // A crash while a tenant was made may have left one stream; nothing is in it, and open_tenant() goes on.
    const bool whole = log_->stream(stream->tenant(), audit::audit_stream_name) != nullptr &&
                       log_->stream(stream->tenant(), audit::access_stream_name) != nullptr;
    if (whole && find(stream->tenant()) == nullptr) VESTIGE_CHECKED(take_in(stream->tenant()));
  }
  home_ = find(access::home_tenant_id);
  CHECK(home_ != nullptr);
  return {};
}

audit::TenantTrailParts TrailService::tenant_parts() {
  return {.log = *log_,
          .vault = *vault_,
          .kinds = *kinds_,
          .clock = clock_,
          .entropy = entropy_,
          .data = *data_,
          .signer_files = *signer_files_,
          .origin_prefix = options_.origin_prefix,
          .server = server_,
          .ledger = ledger_,
          .erasure = options_.erasure};
}

Status TrailService::take_in(const std::string& tenant) {
  VESTIGE_TRY(auto opened, audit::TenantTrail::open(tenant_parts(), tenant));
  VESTIGE_CHECKED(opened->erasures().check(vault_files_->describe(std::string(vault::journal_name))));
  const Lock lock(tenants_mutex_);
  tenants_.emplace(tenant, std::move(opened));
  return {};
}

Status TrailService::open_tenant(const std::string& tenant) {
  const Lock opening(opening_);
  if (find(tenant) != nullptr) return {};
  for (const auto name : {audit::audit_stream_name, audit::access_stream_name}) {
    const auto added = log_->add_stream({tenant, std::string(name), true});
    if (!added) return std::unexpected(added.error());
  }
  return take_in(tenant);
}

audit::TenantTrail* TrailService::find(std::string_view tenant) const {
  const Lock lock(tenants_mutex_);
  const auto found = tenants_.find(tenant);
  return found == tenants_.end() ? nullptr : found->second.get();
}

std::vector<audit::TenantTrail*> TrailService::tenants() const {
  const Lock lock(tenants_mutex_);
  std::vector<audit::TenantTrail*> all;
  for (const auto& [name, tenant] : tenants_) all.push_back(tenant.get());
  return all;
}

Result<trail::ReindexReport> TrailService::reindex(const TrailServiceOptions& options, platform::Clock& clock,
                                                   platform::Entropy& entropy,
                                                   const trail::ReindexProgress& progress) {
  TrailService service(options, clock, entropy);
  VESTIGE_CHECKED(service.open_directories(Missing::refuse));
  if (!service.data_->exists(std::string(trail::manifest_name)))
    return fail(ErrorKind::not_found, fmt::format("There is no trail in {}: it has no file \"{}\". Name the "
                                                  "directory that was given to `vestige serve --data`.",
                                                  service.data_->describe(""), trail::manifest_name));
  VESTIGE_CHECKED(service.open_vault());
  return trail::reindex(service.log_parts(), progress);
}

Result<audit::BatchOutcome> TrailService::record(std::string_view event) {
  VESTIGE_TRY(auto batch, ingest().prepare_system(event));
  return home_->append(ingest(), std::move(batch));
}

Status TrailService::start() {
  log_->start();
  const auto& recovery = log_->recovery();
  const auto event = fmt::format(
      R"({{"kind":"system.server","action":"STARTED","sourceType":"SERVER","sourceId":{},"detail":{{"version":{},"node":{},)"
      R"("created":{},"clean":{},"entriesReplayed":{},"bytesCopied":{}}}}})",
      quoted(options_.server.node), quoted(options_.version), quoted(options_.server.node), recovery.created,
      recovery.clean, recovery.entries_replayed, recovery.bytes_copied);
  VESTIGE_CHECKED(record(event));
  VESTIGE_CHECKED(finish_erasures());
  return housekeep();
}

Status TrailService::finish_erasures() {
  for (auto* tenant : tenants()) VESTIGE_CHECKED(tenant->erasures().finish());
  return {};
}

Status TrailService::housekeep() {
  Status kept;
  for (auto* tenant : tenants())
    if (auto one = tenant->housekeep(); !one && kept) kept = std::move(one);
  return kept;
}

Status TrailService::stop() {
  if (stopped_) return {};
  stopped_ = true;
  const auto event = fmt::format(
      R"({{"kind":"system.server","action":"STOPPED","sourceType":"SERVER","sourceId":{},"detail":{{"version":{},"node":{}}}}})",
      quoted(options_.server.node), quoted(options_.version), quoted(options_.server.node));
  // A log that cannot be written any more is closed all the same.
  const auto recorded = record(event);
  auto kept = recorded ? housekeep() : Status(std::unexpected(recorded.error()));
  auto stopped = log_->stop(kept ? trail::Log::Ending::in_order : trail::Log::Ending::cut_short);
  return kept ? stopped : kept;
}

}  // namespace vestige::app
