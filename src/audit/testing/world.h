// Vault, log, ingest and reader on a simulated disk, one thread: what a server has, without a server.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "audit/erasure.h"
#include "audit/ingest.h"
#include "audit/kinds.h"
#include "audit/reader.h"
#include "audit/search/tokens.h"
#include "audit/sidecar_keys.h"
#include "audit/testing/forgetful_vault.h"
#include "platform/sim/sim_clock.h"
#include "platform/sim/sim_files.h"
#include "trail/log/sidecar_file.h"
#include "trail/testing/test_keys.h"
#include "vault/format.h"

namespace vestige::audit::testing {

// A kind with every annotation, whose values may be anything; content of several is gone with any of them.
extern const char* const marks_schema;
// The same, gone with all of them.
std::string marks_all_schema();

class World {
 public:
  explicit World(std::uint64_t seed);
  ~World();

  // Starts on what the disk holds.
  void open();
  // Ends in order; the disk stays.
  void close();
  // Ends without a word, as kill -9 would, or as the power does.
  void kill() { crash({.seed = 1, .keep_unsynced = true}); }
  void crash(const platform::sim::CrashPolicy& policy);

  // prepare, submit, commit.
  Result<BatchOutcome> send(const std::string& body, BodyForm form = BodyForm::json);
  // The answer that is waited for where several were submitted; commit with commit().
  void submit(const std::string& body, std::vector<Result<BatchOutcome>>& outcomes);
  void commit();
  Result<BatchOutcome> append(Batch batch);  // of the server's own: submit, commit
  void seal_everything();

  // The vault as it is on the disk.
  vault::VaultImage image();
  trail::SidecarContext sidecars();

  trail::Stream& stream() { return *log->stream("default", "audit"); }
  std::string clear_bytes(std::uint64_t index) { return stream().snapshot().read(index)->entry; }
  // The event as readers see it.
  std::string rendered(std::uint64_t index);

  platform::sim::SimDisk disk;
  platform::sim::SimClock clock;
  platform::sim::SimEntropy entropy;
  std::unique_ptr<KindRegistry> kinds;
  RequestContext request{"default", "the service", {}};
  ServerContext server{"node-1", "Frankfurt", {}};

  std::unique_ptr<platform::FileSystem> data_files, vault_files, signer_files;
  std::unique_ptr<vault::Vault> real_vault;
  std::unique_ptr<ForgetfulVault> vault;
  std::unique_ptr<trail::Log> log;
  std::unique_ptr<trail::Signer> signer;
  std::unique_ptr<Ingest> ingest;
  std::unique_ptr<Reader> reader;
  std::unique_ptr<ErasureIndex> erasure_index;
  std::unique_ptr<ErasureLedger> erasure_ledger;
  std::unique_ptr<Erasures> erasures;  // not checked yet: Erasures::check() and finish() are the test's

 private:
  class Barrier;
  trail::testing::TestWrapper wrapper_;
  EntryTokeniser tokeniser_;
  std::unique_ptr<SealedTokeniser> sealed_tokeniser_;
  std::unique_ptr<VaultSidecarKeys> sidecar_keys_;
  std::unique_ptr<Barrier> barrier_;
  Key root_{};
};

}  // namespace vestige::audit::testing
