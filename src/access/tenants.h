// Which tenants there are, and whether anybody of one is let in. All of them are in memory, so that asking
// costs no SQL. Formats: docs/formats/tenants.md.
//
// The home tenant, "default", is there by itself: a server that never heard of tenants is one with this one
// alone. Those who act here are of it; it can be neither made nor suspended. No tenant is ever removed: its
// streams stay in the trail, and its id is nobody else's.
//
// Owner: app. Thread-safe; find(), list() and admit() may be called on loop threads, the rest waits for the
// database. Durable, and its events waiting in the outbox, when a call that changes something returns
// success; who asks afterwards gets the new state.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "access/client.h"
#include "access/principal.h"
#include "access/sessions.h"
#include "base/mutex.h"
#include "platform/clock.h"
#include "state/database.h"
#include "state/outbox.h"

namespace vestige::access {

// How long what is sealed is kept, later; nothing here depends on it.
enum class Tier { standard, premium, enterprise };
std::string_view name_of(Tier tier);
std::optional<Tier> parse_tier(std::string_view name);

enum class TenantState { active, suspended };
std::string_view name_of(TenantState state);

struct Tenant {
  std::string id;    // in paths and in origins of logs
  std::string name;  // for people
  Tier tier = Tier::standard;
  TenantState state = TenantState::active;
  UnixMs created{};
  UnixMs changed{};
};

// 1 to 63 of a-z 0-9 and '-', a letter or digit at both ends: good as the name of a directory, in a URL and
// in an origin, and a name of streams of the trail.
bool is_tenant_id(std::string_view id);

class Tenants {
 public:
  // Makes what a tenant has besides its row, durably, or finds that it is there: its streams of the trail.
  // After an error or a crash it is called again.
  using Provide = std::function<Status(const std::string& id)>;
  // Provides for every tenant of the table.
  static Result<std::unique_ptr<Tenants>> open(state::Database& database, state::Outbox& outbox,
                                               Sessions& sessions, platform::Clock& clock, Provide provide);

  std::optional<Tenant> find(std::string_view id) const;
  std::vector<Tenant> list() const;  // by id
  bool alone() const;                // whether there is none but the home tenant

  // What somebody who was recognised wants.
  enum class Use {
    record,  // put events on record, by a key that may do nothing else: goes on while the tenant is suspended
    other,   // anything that tells or changes something
  };
  // denied where the tenant is suspended, or is none. To be asked about each request, after its caller was
  // recognised. Whoever signs in meets it as Use::other, and is refused in the words of a wrong password:
  // that a tenant is there, or is suspended, is told to nobody else.
  Status admit(std::string_view tenant, Use use) const;

  struct Wanted {
    std::string id;
    std::string name;
    Tier tier = Tier::standard;
  };
  // denied to whoever is not of the home tenant, whatever their policy says: the others manage none, and are
  // told of none.
  static Status check_manages(const Principal& by);
  // denied as check_manages() says. What changes nothing is a success without an event. A tenant that is
  // created is provided for first, so that none is without.
  Result<Tenant> create(const Principal& by, const Client& client, const Wanted& wanted);
  Result<Tenant> set_tier(const Principal& by, const Client& client, std::string_view id, Tier tier);
  // Ends all sessions of the tenant as well. After an error in that the tenant is suspended all the same, so
  // that nobody is let in; the call can be repeated.
  Result<Tenant> suspend(const Principal& by, const Client& client, std::string_view id);
  // No session of before opens anything again.
  Result<Tenant> resume(const Principal& by, const Client& client, std::string_view id);
  // Puts on record that a link for the tenant's first administrator was given out.
  Status record_offer(const Principal& by, const Client& client, const Tenant& tenant);

 private:
  Tenants(state::Database& database, state::Outbox& outbox, Sessions& sessions, platform::Clock& clock,
          Provide provide)
      : database_(database),
        outbox_(outbox),
        sessions_(sessions),
        clock_(clock),
        provide_(std::move(provide)) {}
  Status load();
  Result<Tenant> known(std::string_view id) const;
  // Makes `after` of `before` durable with its events, then known. Gives `before` where they are the same.
  Result<Tenant> change(const Principal& by, const Client& client, const Tenant& before, Tenant after,
                        std::string_view action) REQUIRES(writing_);
  Status record(state::Transaction& transaction, const Principal& by, const Client& client,
                const Tenant* before, const Tenant& after, std::string_view action);

  state::Database& database_;
  state::Outbox& outbox_;
  Sessions& sessions_;
  platform::Clock& clock_;
  const Provide provide_;
  Mutex writing_;  // held from before a transaction until memory has followed it
  mutable Mutex mutex_;
  std::map<std::string, Tenant, std::less<>> tenants_ GUARDED_BY(mutex_);
};

}  // namespace vestige::access
