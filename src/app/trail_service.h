// The trail with everything it needs, assembled: directories, vault, log, and each tenant's part of it.
// Without HTTP, so that benchmarks and tests use the very thing that the server serves.
//
// Order of start: lock, vault, recovery, each tenant's signers checked and receivedAt resumed, the vault held
// against the erasures of all, threads. Order of stop: the last entry, the last checkpoints, the clean end
// mark.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "audit/location.h"
#include "audit/search/tokens.h"
#include "audit/sidecar_keys.h"
#include "audit/tenant_trail.h"
#include "base/mutex.h"
#include "platform/clock.h"
#include "platform/entropy.h"
#include "platform/files.h"
#include "trail/log/log.h"
#include "trail/log/reindex.h"
#include "vault/root_key.h"
#include "vault/vault.h"

namespace vestige::app {

inline constexpr std::string_view lock_name = "LOCK";

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

  // Finishes erasures that were interrupted; puts the start on record, and segments that a crash kept from
  // being recorded.
  Status start();
  // To be called about once a second: signs what is new, writes the checkpoint files, records segments that
  // were closed. Of all tenants, also where one fails; gives the first error.
  Status housekeep();
  // Goes on with erasures that were interrupted, of all tenants. Not on a thread that may not wait.
  Status finish_erasures();
  Status stop();

  // Makes the trail of a tenant, or finds that it is there. Durable when it returns; after an error or a
  // crash to be called again. Writes files; thread-safe.
  Status open_tenant(const std::string& tenant);
  // Null where there is none. As long as the service.
  audit::TenantTrail* find(std::string_view tenant) const;
  audit::TenantTrail& home() const { return *home_; }

  // Appends an entry of the server's own to the home tenant's trail and waits until it is durable. Not on the
  // committer.
  Result<audit::BatchOutcome> record(std::string_view event);

  platform::FileSystem& data() { return *data_; }
  vault::Vault& vault() { return *vault_; }
  trail::Log& log() { return *log_; }
  // Of the home tenant.
  audit::Ingest& ingest() { return home_->ingest(); }
  audit::Reader& reader() { return home_->reader(); }
  const audit::KindRegistry& kinds() const { return *kinds_; }
  const vault::RootKey& root_key() const { return root_key_; }
  // Whether vault and signer lie below the data directory, where its backups would take them along.
  bool vault_beside_data() const { return vault_beside_data_; }
  bool signer_beside_data() const { return signer_beside_data_; }

 private:
  class Wrapper;
  class Barrier;
  TrailService(const TrailServiceOptions& options, platform::Clock& clock, platform::Entropy& entropy);
  // Whether directories are made, and the signer's is opened; or those that must be there are.
  enum class Missing { make, refuse };
  Status open_directories(Missing missing);
  Status open_vault();
  trail::LogParts log_parts();
  Status open_log();
  Status open_tenants();
  audit::TenantTrailParts tenant_parts();
  // Checks the tenant's erasures too, and makes the tenant known.
  Status take_in(const std::string& tenant);
  std::vector<audit::TenantTrail*> tenants() const;

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
  audit::ServerContext server_;
  audit::ErasureLedger ledger_;
  Mutex opening_;  // one tenant at a time
  mutable Mutex tenants_mutex_;
  std::map<std::string, std::unique_ptr<audit::TenantTrail>, std::less<>> tenants_ GUARDED_BY(tenants_mutex_);
  audit::TenantTrail* home_ = nullptr;
  bool stopped_ = false;
};

}  // namespace vestige::app
