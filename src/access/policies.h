// The policy that each tenant has in force: the shipped one until it is changed. A change is one entry of the
// trail, with the whole new policy. docs/formats/policy.md.
//
// Owner: app. Thread-safe. Durable, and its event waiting in the outbox, when change() returns success; who
// asks for the policy afterwards gets the new one.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "access/client.h"
#include "access/policy.h"
#include "access/principal.h"
#include "base/mutex.h"
#include "platform/clock.h"
#include "state/database.h"
#include "state/outbox.h"

namespace vestige::access {

class Policies {
 public:
  // corrupt where a policy in the database is none. One that names an operation which this program does not
  // have any more is refused too: better no server than one whose policy is half in force.
  static Result<std::unique_ptr<Policies>> open(state::Database& database, state::Outbox& outbox,
                                                platform::Clock& clock);

  struct InForce {
    std::shared_ptr<const Policy> policy;
    std::uint64_t version = 0;  // 0: as shipped; each change is one more
    UnixMs changed{};
  };
  InForce of(std::string_view tenant) const;
  // Whether the tenant's policy has a role of this name.
  bool has_role(std::string_view tenant, std::string_view role) const;
  std::optional<RoleTerms> terms_of(std::string_view tenant,
                                    std::string_view role) const;  // nothing: no role

  // For the caller's tenant. `expected` is the version that the change was made from: conflict where it was
  // changed since. invalid where the text is no policy (Policy::parse).
  Result<InForce> change(const Principal& by, const Client& client, std::string_view text,
                         std::uint64_t expected);

 private:
  Policies(state::Database& database, state::Outbox& outbox, platform::Clock& clock)
      : database_(database), outbox_(outbox), clock_(clock) {}
  Status load();

  state::Database& database_;
  state::Outbox& outbox_;
  platform::Clock& clock_;
  Mutex writing_;  // held from before a transaction until memory has followed it
  mutable Mutex mutex_;
  std::map<std::string, InForce, std::less<>> changed_ GUARDED_BY(mutex_);  // by tenant
};

}  // namespace vestige::access
