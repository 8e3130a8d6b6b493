#include "app/trail_service.h"

#include <fmt/format.h>

#include <future>

#include "base/check.h"
#include "base/encoding.h"
#include "crypto/digest.h"
#include "json/json.h"

namespace vestige::app {
namespace {

constexpr std::string_view audit_name = "audit";
constexpr std::string_view access_name = "access";
constexpr std::string_view checkpoint_name = "checkpoint";

std::string quoted(std::string_view text) {
  std::string out;
  json::append_quoted(out, text);
  return out;
}

// Always the same id for the same segment, so that recording it again adds nothing.
Uuid segment_event_id(const trail::Stream& stream, const trail::SegmentRecord& record) {
  const auto digest =
      crypto::sha256({view("vestige segment entry"), view(stream.full_name()), record.segment.digest});
  Block16 half;
  std::memcpy(half.data(), digest.data(), half.size());
  return make_uuid_v8(half);
}

std::string file_json(const trail::SegmentRecord& record, std::string_view ending,
                      const trail::FileDigest& file) {
  return fmt::format(R"({{"bytes":{},"file":"{}","sha256":"{}"}})", file.bytes,
                     trail::range_file_name(record.first, record.end, ending), to_hex(file.digest));
}

std::string segment_event(const trail::Stream& stream, const trail::SegmentRecord& record) {
  return fmt::format(
      R"({{"id":"{}","kind":"system.segment","action":"SEALED","sourceType":"SERVER","targetType":"STREAM","targetId":{},)"
      R"("detail":{{"first":{},"end":{},"rows":{},"segment":{},"hashes":{},"ids":{}}}}})",
      format_uuid(segment_event_id(stream, record)), quoted(stream.full_name()), record.first, record.end,
      record.end - record.first, file_json(record, trail::segment_ending, record.segment),
      file_json(record, trail::hashes_ending, record.hashes),
      file_json(record, trail::ids_ending, record.ids));
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
  const std::vector<trail::StreamSpec> streams = {{std::string(home_tenant), std::string(audit_name), true},
                                                  {std::string(home_tenant), std::string(access_name), true}};
  VESTIGE_TRY(log_, trail::Log::open(log_parts(), options_.trail, streams));
  audit_ = log_->stream(home_tenant, audit_name);
  access_ = log_->stream(home_tenant, access_name);
  CHECK(audit_ != nullptr && access_ != nullptr);
  return {};
}

Status TrailService::open_signers() {
  for (auto* stream : log_->streams()) {
    if (!stream->proofs()) continue;
    VESTIGE_TRY(auto signer, trail::Signer::open(*signer_files_, entropy_, clock_, stream->full_name(),
                                                 options_.origin_prefix, log_->data_id(), stream->size()));
    VESTIGE_CHECKED(signer->check(stream->snapshot()));
    signers_.push_back({stream, std::move(signer), {}});
  }
  CHECK(!signers_.empty() && signers_.front().stream == audit_);
  return {};
}

Result<std::unique_ptr<TrailService>> TrailService::open(const TrailServiceOptions& options,
                                                         platform::Clock& clock, platform::Entropy& entropy) {
  std::unique_ptr<TrailService> service(new TrailService(options, clock, entropy));
  VESTIGE_CHECKED(service->open_directories(Missing::make));
  VESTIGE_CHECKED(service->open_vault());
  VESTIGE_CHECKED(service->open_log());
  VESTIGE_CHECKED(service->open_signers());
  VESTIGE_CHECKED(service->open_audit());
  service->segments_recorded_.assign(service->log_->streams().size(), 0);
  return service;
}

Status TrailService::open_audit() {
  auto server = options_.server;
  if (!options_.location_database.empty()) {
    VESTIGE_TRY(locations_, audit::LocationDatabase::open(options_.location_database));
    server.locate = [&locations = *locations_](std::string_view address) {
      return locations.locate(address);
    };
  }
  ingest_ = std::make_unique<audit::Ingest>(*log_, *audit_, *vault_, *kinds_, clock_, entropy_, server);
  VESTIGE_CHECKED(ingest_->resume());
  looks_ = std::make_unique<audit::Ingest>(*log_, *access_, *vault_, *kinds_, clock_, entropy_, server);
  VESTIGE_CHECKED(looks_->resume());
  reader_ = std::make_unique<audit::Reader>(*audit_, *vault_, signer_of(*audit_), &erasure_index_);
  looks_reader_ = std::make_unique<audit::Reader>(*access_, *vault_, signer_of(*access_), &erasure_index_);
  digests_ = std::make_unique<audit::QueryDigests>(*vault_, home_tenant);
  VESTIGE_CHECKED(open_erasures());
  cursors_ = std::make_unique<audit::Cursors>(*log_, *audit_);
  return {};
}

trail::Signer& TrailService::signer_of(const trail::Stream& stream) {
  const auto found = std::ranges::find(signers_, &stream, &StreamSigner::stream);
  CHECK(found != signers_.end());
  return *found->signer;
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

Status TrailService::open_erasures() {
  erasures_ = std::make_unique<audit::Erasures>(
      audit::ErasureParts{*log_, *audit_, signer(), *vault_, *ingest_, erasure_index_,
                          [this](audit::Batch batch) { return append(*ingest_, std::move(batch)); }},
      options_.erasure);
  return erasures_->check(vault_files_->describe(std::string(vault::journal_name)));
}

Result<audit::BatchOutcome> TrailService::record(std::string_view event) {
  VESTIGE_TRY(auto batch, ingest_->prepare_system(event));
  return append(*ingest_, std::move(batch));
}

audit::Ingest* TrailService::ingest_of(std::string_view tenant, std::string_view stream) {
  if (tenant != home_tenant) return nullptr;
  if (stream == audit_name) return ingest_.get();
  return stream == access_name ? looks_.get() : nullptr;
}

Result<audit::BatchOutcome> TrailService::append(audit::Ingest& ingest, audit::Batch batch) {
  std::promise<Result<audit::BatchOutcome>> promise;
  auto outcome = promise.get_future();
  ingest.submit(std::move(batch),
                [&promise](Result<audit::BatchOutcome> result) { promise.set_value(std::move(result)); });
  return outcome.get();
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
  VESTIGE_CHECKED(erasures_->finish());
  return housekeep();
}

Status TrailService::record_segments(const trail::Stream& stream, std::size_t& recorded) {
  const auto segments = stream.record().segments;
  for (; recorded < segments.size(); ++recorded)
    VESTIGE_CHECKED(record(segment_event(stream, segments[recorded])));
  return {};
}

Status TrailService::housekeep() {
  const auto streams = log_->streams();
  for (std::size_t i = 0; i < streams.size(); ++i)
    VESTIGE_CHECKED(record_segments(*streams[i], segments_recorded_[i]));
  for (auto& [stream, signer, written] : signers_) {
    VESTIGE_TRY(auto note, signer->sign(stream->snapshot()));
    if (note == written) continue;
    VESTIGE_CHECKED(platform::replace_file(*data_, platform::join(stream->directory(), checkpoint_name),
                                           view(note), platform::FileMode::shared_read));
    written = std::move(note);
  }
  return {};
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
