// API keys: which programs may call, and for what. All keys are in memory, so that a request costs no SQL.
// Formats: docs/formats/keys.md.
//
// Owner: app. Thread-safe. Durable, and its event waiting in the outbox, when add() or revoke() returns
// success; "last used" is written by sweep(), about once a minute.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "access/api_scope.h"
#include "access/client.h"
#include "access/limits.h"
#include "access/principal.h"
#include "access/role_terms.h"
#include "base/mutex.h"
#include "base/result.h"
#include "base/uuid.h"
#include "platform/clock.h"
#include "platform/entropy.h"
#include "platform/files.h"
#include "state/database.h"
#include "state/outbox.h"

namespace vestige::access {

struct ApiKey {
  Uuid id{};
  std::string name;
  std::string tenant;
  Scopes scopes{};  // of a key without role
  UnixMs created{};
  std::string service{};  // the service account: which program uses it; empty where that was not said
  std::optional<std::string> role{};  // in the policy, in place of scopes
  std::optional<UnixMs> expires{};
  std::vector<AddressRange> ranges{};  // from where it may be used; none: from anywhere
  std::optional<UnixMs> used{};        // last
  std::optional<Uuid> maker{};         // the account that it leads back to, see add()

  Principal principal() const;
};

// In which role a key acts that has scopes and none of its own.
std::string_view role_of(const Scopes& scopes);

inline constexpr std::string_view keys_file_name = "api-keys";  // of before there was a database
inline constexpr std::string_view imported_keys_file_name = "api-keys.imported";

class ApiKeys {
 public:
  struct Options {
    TermsOfRole terms_of;
    // Where refused keys that nobody has are put on record.
    std::string home_tenant = std::string(home_tenant_id);
  };
  // Takes over the file of before where `files`, the data directory, has one, and renames it. conflict where
  // keys were made since: a file that somebody put back would bring back what was revoked.
  static Result<std::unique_ptr<ApiKeys>> open(state::Database& database, state::Outbox& outbox,
                                               platform::Clock& clock, platform::Entropy& entropy,
                                               platform::FileSystem& files, Options options);

  struct Created {
    ApiKey about;
    std::string key;  // shown once, never stored
  };
  struct Wanted {
    std::string name;
    std::string tenant;
    Scopes scopes{};
    std::optional<std::string> role{};
    std::string service{};
    std::optional<UnixMs> expires{};
    std::vector<std::string> ranges{};
  };
  // Makes a key without storing it; add() stores it. invalid, with path, where the wish is none that can be
  // granted.
  Result<Created> make(const Wanted& wanted);
  // `by` is nothing where the server makes its own first key. The key leads back to the account or key that
  // makes it, or that the key which makes it leads back to.
  Status add(const Created& created, const Principal* by);
  // not_found where the caller's tenant has none such.
  Status revoke(const Uuid& id, const Principal& by);

  std::optional<ApiKey> find(const Uuid& id) const;
  bool is_in_force(const Uuid& id) const;  // there, and not expired
  std::vector<ApiKey> list() const;        // of all tenants, by time of making
  // The key that was presented, which is then counted as used; nothing where there is none such, where it
  // expired, and where it comes from elsewhere. Takes the same time for every wrong key.
  std::optional<ApiKey> authenticate(std::string_view presented, const Client& client);

  // To be called about once a minute, on a thread that may wait: writes when keys were used, and puts refused
  // ones on record as sums.
  Status sweep();

 private:
  struct Stored {
    ApiKey about;
    Hash digest{};
    std::optional<UnixMs> used_written{};
  };
  struct ByPrefix {
    std::size_t operator()(const Hash& digest) const { return load_le<std::size_t>(digest.data()); }
  };
  // Tenant, the key's id where there is one, and why.
  struct Refused {
    std::string tenant, key, why;
    auto operator<=>(const Refused&) const = default;
  };
  ApiKeys(state::Database& database, state::Outbox& outbox, platform::Clock& clock,
          platform::Entropy& entropy, Options options)
      : database_(database),
        outbox_(outbox),
        clock_(clock),
        entropy_(entropy),
        options_(std::move(options)) {}
  static std::optional<Uuid> maker_of(const Principal& by);
  Status import_file(platform::FileSystem& files) REQUIRES(writing_);
  Status load() REQUIRES(writing_);
  Status record(state::Transaction& transaction, std::string_view action, const ApiKey& about,
                const Principal* by);
  Status write_used();
  Status tell_refused();

  state::Database& database_;
  state::Outbox& outbox_;
  platform::Clock& clock_;
  platform::Entropy& entropy_;
  const Options options_;
  Mutex writing_;  // held from before a transaction until memory has followed it
  mutable Mutex mutex_;
  std::map<Uuid, Stored> keys_ GUARDED_BY(mutex_);
  std::unordered_map<Hash, Uuid, ByPrefix> by_digest_ GUARDED_BY(mutex_);
  std::map<Refused, std::uint64_t> refused_ GUARDED_BY(mutex_);
};

}  // namespace vestige::access
