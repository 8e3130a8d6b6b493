// The trail with everything it needs, assembled: directories, vault, log, signers, ingest, reader. Without
// HTTP, so that benchmarks and tests use the very thing that the server serves.
//
// Order of start: lock, vault, recovery, signers checked, receivedAt resumed, the vault held against the
// trail's erasures, threads. Order of stop: the last entry, the last checkpoint, the clean end mark.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "audit/cursors.h"
#include "audit/erasure.h"
#include "audit/ingest.h"
#include "audit/location.h"
#include "audit/looks.h"
#include "audit/reader.h"
#include "audit/search/tokens.h"
#include "audit/sidecar_keys.h"
#include "platform/clock.h"
#include "platform/entropy.h"
#include "platform/files.h"
#include "trail/log/log.h"
#include "trail/log/reindex.h"
#include "trail/log/signer.h"
#include "vault/root_key.h"
#include "vault/vault.h"

namespace vestige::app {

inline constexpr std::string_view lock_name = "LOCK";
inline constexpr std::string_view home_tenant = "default";

struct TrailServiceOptions {
  std::string data;
  std::string vault_dir;   // empty: <data>/vault
  std::string signer_dir;  // empty: <data>/signer
  vault::RootKeySource root_key;
  std::string origin_prefix;
  audit::ServerContext server;
  std::string location_database;  // empty: none
  trail::Options trail;
  audit::ErasureOptions erasure;
  std::string version;
};

class TrailService {
 public:
  static Result<std::unique_ptr<TrailService>> open(const TrailServiceOptions& options,
                                                    platform::Clock& clock, platform::Entropy& entropy);
  // Builds all sidecars of a directory that nobody serves anew. not_found where there is no trail in it.
  static Result<trail::ReindexReport> reindex(const TrailServiceOptions& options, platform::Clock& clock,
                                              platform::Entropy& entropy,
                                              const trail::ReindexProgress& progress);
  ~TrailService();
  TrailService(const TrailService&) = delete;
  TrailService& operator=(const TrailService&) = delete;

  // Finishes an erasure that was interrupted; puts the start on record, and segments that a crash kept from
  // being recorded.
  Status start();
  // To be called about once a second: signs what is new, writes the checkpoint files, records segments that
  // were closed.
  Status housekeep();
  Status stop();

  // Appends an entry of the server's own and waits until it is durable. Not on the committer.
  Result<audit::BatchOutcome> record(std::string_view event);
  Result<audit::BatchOutcome> append(audit::Ingest& ingest, audit::Batch batch);

  platform::FileSystem& data() { return *data_; }
  vault::Vault& vault() { return *vault_; }
  trail::Log& log() { return *log_; }
  trail::Stream& audit_stream() { return *audit_; }
  trail::Signer& signer() { return *signers_.front().signer; }
  audit::Ingest& ingest() { return *ingest_; }
  audit::Reader& reader() { return *reader_; }
  audit::Erasures& erasures() { return *erasures_; }
  audit::Cursors& cursors() { return *cursors_; }
  // Of a stream by its name; nullptr where there is none.
  audit::Ingest* ingest_of(std::string_view tenant, std::string_view stream);
  // The way in and the way out of the stream `access`.
  audit::Ingest& looks() { return *looks_; }
  audit::Reader& looks_reader() { return *looks_reader_; }
  const audit::QueryDigests& digests() const { return *digests_; }
  const audit::KindRegistry& kinds() const { return *kinds_; }
  const vault::RootKey& root_key() const { return root_key_; }
  // Whether vault and signer lie below the data directory, where its backups would take them along.
  bool vault_beside_data() const { return vault_beside_data_; }
  bool signer_beside_data() const { return signer_beside_data_; }

 private:
  class Wrapper;
  class Barrier;
  struct StreamSigner {
    trail::Stream* stream;
    std::unique_ptr<trail::Signer> signer;
    std::string written;  // the note in the checkpoint file
  };

  TrailService(const TrailServiceOptions& options, platform::Clock& clock, platform::Entropy& entropy);
  // Whether directories are made, and the signer's is opened; or those that must be there are.
  enum class Missing { make, refuse };
  Status open_directories(Missing missing);
  Status open_vault();
  trail::LogParts log_parts();
  Status open_log();
  Status open_signers();
  Status open_audit();
  trail::Signer& signer_of(const trail::Stream& stream);
  Status open_erasures();
  Status record_segments(const trail::Stream& stream, std::size_t& recorded);

  const TrailServiceOptions options_;
  platform::Clock& clock_;
  platform::Entropy& entropy_;
  std::unique_ptr<platform::FileSystem> data_;
  std::unique_ptr<platform::FileSystem> vault_files_;
  std::unique_ptr<platform::FileSystem> signer_files_;
  std::unique_ptr<platform::DirectoryLock> lock_;
  vault::RootKey root_key_;
  bool vault_beside_data_ = false;
  bool signer_beside_data_ = false;
  std::unique_ptr<vault::Vault> vault_;
  std::unique_ptr<audit::KindRegistry> kinds_;
  std::unique_ptr<audit::LocationDatabase> locations_;
  std::unique_ptr<Wrapper> wrapper_;
  std::unique_ptr<Barrier> barrier_;
  audit::EntryTokeniser tokeniser_;
  std::unique_ptr<audit::SealedTokeniser> sealed_tokeniser_;
  std::unique_ptr<audit::VaultSidecarKeys> sidecar_keys_;
  std::unique_ptr<trail::Log> log_;
  trail::Stream* audit_ = nullptr;
  trail::Stream* access_ = nullptr;
  std::vector<StreamSigner> signers_;
  std::unique_ptr<audit::Ingest> ingest_;
  audit::ErasureIndex erasure_index_;
  std::unique_ptr<audit::Reader> reader_;
  std::unique_ptr<audit::Erasures> erasures_;
  std::unique_ptr<audit::Cursors> cursors_;
  std::unique_ptr<audit::Ingest> looks_;
  std::unique_ptr<audit::Reader> looks_reader_;
  std::unique_ptr<audit::QueryDigests> digests_;
  std::vector<std::size_t> segments_recorded_;  // by stream
  bool stopped_ = false;
};

}  // namespace vestige::app
