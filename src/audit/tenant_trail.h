// One tenant's trail with everything that serves it: its streams `audit` and `access` with their signers, the
// ways in and out, erasing, cursors. What tenants share (log, vault, kinds) comes from outside, so nothing
// that is asked of one tenant's trail can tell of another's.
//
// Owner: app, one per tenant, as long as the log. Thread-safe, except that housekeep() is one thread's.
#pragma once

#include <future>
#include <memory>
#include <string>
#include <string_view>

#include "audit/cursors.h"
#include "audit/erasure.h"
#include "audit/ingest.h"
#include "audit/looks.h"
#include "audit/reader.h"
#include "platform/files.h"
#include "trail/log/log.h"
#include "trail/log/signer.h"

namespace vestige::audit {

inline constexpr std::string_view audit_stream_name = "audit";
inline constexpr std::string_view access_stream_name = "access";  // who looked, and who came in

// What all tenants of a server share; everything outlives them.
struct TenantTrailParts {
  trail::Log& log;
  vault::Vault& vault;
  const KindRegistry& kinds;
  platform::Clock& clock;
  platform::Entropy& entropy;
  platform::FileSystem& data;          // where the checkpoint files are
  platform::FileSystem& signer_files;  // the signers' own
  std::string origin_prefix;
  ServerContext server;
  ErasureLedger& ledger;
  ErasureOptions erasure;
};

class TenantTrail {
 public:
  // Of a tenant whose streams are in the log. Refuses what Signer::open() and check() refuse.
  static Result<std::unique_ptr<TenantTrail>> open(const TenantTrailParts& parts, std::string_view tenant);
  ~TenantTrail();
  TenantTrail(const TenantTrail&) = delete;
  TenantTrail& operator=(const TenantTrail&) = delete;

  // Told once it is durable, or was refused. Wait for it anywhere but on the committer.
  std::future<Result<BatchOutcome>> submit(Ingest& ingest, Batch batch);
  // Waits for it.
  Result<BatchOutcome> append(Ingest& ingest, Batch batch) { return submit(ingest, std::move(batch)).get(); }
  // Signs what is new, writes the checkpoint files, puts segments on record that were closed. To be called
  // about once a second.
  Status housekeep();

  const std::string& tenant() const { return audit_.stream.tenant(); }
  trail::Stream& stream() { return audit_.stream; }
  trail::Signer& signer() { return *audit_.signer; }
  Ingest& ingest() { return *audit_.ingest; }
  Reader& reader() { return *audit_.reader; }
  Erasures& erasures() { return *erasures_; }
  Cursors& cursors() { return *cursors_; }
  // The stream `access`.
  Ingest& looks() { return *access_.ingest; }
  Reader& looks_reader() { return *access_.reader; }
  const QueryDigests& digests() const { return *digests_; }
  // The way into a stream by its name; nullptr where there is none.
  Ingest* ingest_of(std::string_view stream);

 private:
  struct Part {
    trail::Stream& stream;
    std::unique_ptr<trail::Signer> signer{};
    std::unique_ptr<Ingest> ingest{};
    std::unique_ptr<Reader> reader{};
    std::string note{};             // in the checkpoint file
    std::size_t segments_told = 0;  // are on record
  };
  TenantTrail(const TenantTrailParts& parts, trail::Stream& audit, trail::Stream& access);
  Status open(const TenantTrailParts& parts, Part& part);
  Status record_segments(Part& part);
  Status write_checkpoint(Part& part);

  platform::FileSystem& data_;
  ErasureIndex erasure_index_;
  Part audit_, access_;
  std::unique_ptr<Erasures> erasures_;
  std::unique_ptr<Cursors> cursors_;
  std::unique_ptr<QueryDigests> digests_;
};

}  // namespace vestige::audit
