// Erasing persons, and re-authorising them. What an erasure is, step by step: docs/formats/erasure.md.
//
//   intent durable in the trail -> the person barred at admission -> key destroyed (vault) -> outcome durable
//   in the trail -> tokens of the values forgotten (personal sidecars) -> certificate durable in the trail
//
// Whatever is interrupted after the first step is finished by resume(), finish() or the next call.
//
// Invariants:
// 1. At most one intent has no outcome, and it is the last one: nothing is begun before it is finished.
// 2. The mark "erasures" counts the outcomes; the vault's journal is never behind it.
// 3. An outcome says that the key is gone, so it is written after the vault's erase() returned.
// 4. No certificate is made while an index tells of what an erasure took: forget_lost() comes before it.
// 5. The certificate is made once and kept as an entry; every later call gives its very bytes.
//
// Owner: TenantTrail, one per stream that takes events. Thread-safe; of all tenants together one call at a
// time does something, the others wait. Calls wait for the disk, and erase() rewrites what tells of the
// person, so they belong on a thread of their own.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/erasure_index.h"
#include "audit/ingest.h"
#include "base/mutex.h"
#include "trail/log/log.h"
#include "trail/log/signer.h"
#include "vault/vault.h"

namespace vestige::audit {

struct ErasureOptions {
  std::uint32_t vault_backup_days = 30;  // how long a copy of the vault may live
};

struct SubjectRequest {
  std::string subject;
  std::string reason;  // may be empty
  std::string actor;   // id of the account or API key that asks
  std::string actor_type = "API_KEY";
};

struct CertifiedErasure {
  std::uint64_t intent = 0;  // indexes of entries
  std::uint64_t outcome = 0;
  std::string certificate;  // a signed note
};

struct SubjectKeys {
  std::string_view state;  // never, active, erased or reauthorised
  std::uint32_t epoch = 0;
  std::optional<Block16> ref;            // while there is a key
  std::optional<std::uint64_t> intent;   // of the last erasure
  std::optional<std::uint64_t> outcome;  // the same; absent where another copy of the trail has it
};

// The vault has one journal for all tenants, and the indexes of sealed values count by it; so what the
// tenants' trails tell of it is put together here. Owner: app, one per log.
struct ErasureLedger {
  Mutex mutex;  // whoever erases holds it
  // By record of the vault's journal, as far as some trail tells of it: what was taken.
  std::map<std::uint64_t, std::vector<Block16>> refs GUARDED_BY(mutex);
  std::uint64_t counted GUARDED_BY(mutex) = 0;               // by the trails that were checked
  std::optional<std::uint64_t> forgotten GUARDED_BY(mutex);  // erasures that no index tells of any more
};

struct ErasureParts {
  trail::Log& log;
  trail::Stream& stream;
  trail::Signer& signer;
  vault::Vault& vault;
  Ingest& ingest;
  ErasureIndex& index;
  ErasureLedger& ledger;
  // Submits a batch and waits until it is settled.
  std::function<Result<BatchOutcome>(Batch)> append;
};

class Erasures {
 public:
  explicit Erasures(ErasureParts parts, ErasureOptions options = {});

  // Once, before anything is served: conflict where the trails counted so far count more erasures than the
  // vault's journal has, which is an older vault. `journal` is the journal's name, for the message. Fills
  // index and ledger.
  Status check(const std::string& journal);
  // Finishes what was interrupted. After check() of all tenants, with the log running.
  Status finish();

  // Gives the certificate; for a person who is erased already, the one of then. A person who was never seen
  // is erased like any other: it bars what would come.
  Result<CertifiedErasure> erase(const SubjectRequest& request);
  // not_found where the entry is no intent of an erasure that is finished.
  Result<CertifiedErasure> certificate(std::uint64_t intent);
  Result<SubjectKeys> keys(std::string_view subject);
  // conflict where the person is not erased.
  Result<SubjectKeys> reauthorise(const SubjectRequest& request);

 private:
  struct Found {
    std::uint64_t index;
    std::string entry;
  };
  Uuid id_of(std::string_view step, std::uint64_t intent) const;
  Result<std::optional<Found>> find(const Uuid& id) const;
  Result<Acknowledged> append(const std::string& event, std::string_view mark) REQUIRES(ledger_.mutex);
  Status finish_locked() REQUIRES(ledger_.mutex);
  Result<CertifiedErasure> complete(std::uint64_t intent) REQUIRES(ledger_.mutex);
  Result<std::uint64_t> destroy(std::uint64_t intent) REQUIRES(ledger_.mutex);
  // Makes the indexes of sealed values forget what every erasure so far took.
  Status forget_lost() REQUIRES(ledger_.mutex);
  Result<std::string> certify(std::uint64_t intent, std::uint64_t outcome) REQUIRES(ledger_.mutex);
  Result<std::string> make_certificate(std::uint64_t intent, std::uint64_t outcome) REQUIRES(ledger_.mutex);

  const ErasureParts parts_;
  const ErasureOptions options_;
  const crypto::HmacKey id_key_;
  ErasureLedger& ledger_;
  std::optional<std::uint64_t> unfinished_ GUARDED_BY(ledger_.mutex);  // the intent
};

}  // namespace vestige::audit
