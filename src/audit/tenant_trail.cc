#include "audit/tenant_trail.h"

#include <fmt/format.h>

#include <cstring>
#include <future>

#include "base/check.h"
#include "base/encoding.h"
#include "crypto/digest.h"
#include "json/json.h"

namespace vestige::audit {
namespace {

constexpr std::string_view checkpoint_name = "checkpoint";

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
  std::string name;
  json::append_quoted(name, stream.full_name());
  return fmt::format(
      R"({{"id":"{}","kind":"system.segment","action":"SEALED","sourceType":"SERVER","targetType":"STREAM","targetId":{},)"
      R"("detail":{{"first":{},"end":{},"rows":{},"segment":{},"hashes":{},"ids":{}}}}})",
      format_uuid(segment_event_id(stream, record)), name, record.first, record.end,
      record.end - record.first, file_json(record, trail::segment_ending, record.segment),
      file_json(record, trail::hashes_ending, record.hashes),
      file_json(record, trail::ids_ending, record.ids));
}

}  // namespace

TenantTrail::TenantTrail(const TenantTrailParts& parts, trail::Stream& audit, trail::Stream& access)
    : data_(parts.data), audit_{.stream = audit}, access_{.stream = access} {}

TenantTrail::~TenantTrail() = default;

Result<std::unique_ptr<TenantTrail>> TenantTrail::open(const TenantTrailParts& parts,
                                                       std::string_view tenant) {
  auto* const audit = parts.log.stream(tenant, audit_stream_name);
  auto* const access = parts.log.stream(tenant, access_stream_name);
  CHECK(audit != nullptr && access != nullptr);
  std::unique_ptr<TenantTrail> trail(new TenantTrail(parts, *audit, *access));
  VESTIGE_CHECKED(trail->open(parts, trail->audit_));
  VESTIGE_CHECKED(trail->open(parts, trail->access_));
  trail->erasures_ = std::make_unique<Erasures>(
      ErasureParts{
          parts.log, *audit, trail->signer(), parts.vault, trail->ingest(), trail->erasure_index_,
          parts.ledger,
          [trail = trail.get()](Batch batch) { return trail->append(trail->ingest(), std::move(batch)); }},
      parts.erasure);
  trail->cursors_ = std::make_unique<Cursors>(parts.log, *audit);
  trail->digests_ = std::make_unique<QueryDigests>(parts.vault, tenant);
  return trail;
}

Status TenantTrail::open(const TenantTrailParts& parts, Part& part) {
  VESTIGE_TRY(part.signer,
              trail::Signer::open(parts.signer_files, parts.entropy, parts.clock, part.stream.full_name(),
                                  parts.origin_prefix, parts.log.data_id(), part.stream.size()));
  VESTIGE_CHECKED(part.signer->check(part.stream.snapshot()));
  part.ingest = std::make_unique<Ingest>(parts.log, part.stream, parts.vault, parts.kinds, parts.clock,
                                         parts.entropy, parts.server);
  VESTIGE_CHECKED(part.ingest->resume());
  part.reader = std::make_unique<Reader>(part.stream, parts.vault, *part.signer, &erasure_index_);
  return {};
}

Ingest* TenantTrail::ingest_of(std::string_view stream) {
  if (stream == audit_stream_name) return audit_.ingest.get();
  return stream == access_stream_name ? access_.ingest.get() : nullptr;
}

std::future<Result<BatchOutcome>> TenantTrail::submit(Ingest& ingest, Batch batch) {
  const auto promise = std::make_shared<std::promise<Result<BatchOutcome>>>();
  auto outcome = promise->get_future();
  ingest.submit(std::move(batch),
                [promise](Result<BatchOutcome> result) { promise->set_value(std::move(result)); });
  return outcome;
}

Status TenantTrail::housekeep() {
  for (auto* part : {&audit_, &access_}) VESTIGE_CHECKED(record_segments(*part));
  for (auto* part : {&audit_, &access_}) VESTIGE_CHECKED(write_checkpoint(*part));
  return {};
}

Status TenantTrail::record_segments(Part& part) {
  const auto segments = part.stream.record().segments;
  for (; part.segments_told < segments.size(); ++part.segments_told) {
    VESTIGE_TRY(auto batch,
                ingest().prepare_system(segment_event(part.stream, segments[part.segments_told])));
    const auto recorded = append(ingest(), std::move(batch));
    if (!recorded) return std::unexpected(recorded.error());
  }
  return {};
}

Status TenantTrail::write_checkpoint(Part& part) {
  VESTIGE_TRY(auto note, part.signer->sign(part.stream.snapshot()));
  if (note == part.note) return {};
  VESTIGE_CHECKED(platform::replace_file(data_, platform::join(part.stream.directory(), checkpoint_name),
                                         view(note), platform::FileMode::shared_read));
  part.note = std::move(note);
  return {};
}

}  // namespace vestige::audit
