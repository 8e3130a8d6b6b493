#include <soci/soci.h>

#include "base/check.h"
#include "state/lease.h"
#include "state/limits.h"

namespace vestige::state {

Lease::Lease(Database& database, platform::Clock& clock, std::string name, std::string holder,
             std::chrono::milliseconds duration)
    : database_(database),
      clock_(clock),
      name_(std::move(name)),
      holder_(std::move(holder)),
      duration_(duration) {
  CHECK(duration_.count() > 1 && duration_ <= limits::lease_max);
}

Result<bool> Lease::keep() {
  Lock lock(mutex_);
  const auto asked_at = clock_.monotonic();
  if (held_since_ && asked_at - *held_since_ < duration_ / 2) return true;
  held_since_.reset();
  VESTIGE_TRY(const bool held, database_.write([&](Transaction& transaction) -> Result<bool> {
    auto& sql = transaction.sql();
    const long long now = clock_.now().value;
    std::string holder;
    long long expires_at = 0;
    sql << "SELECT holder, expires_at FROM state_leases WHERE name = :name", soci::use(name_),
        soci::into(holder), soci::into(expires_at);
    if (sql.got_data() && holder != holder_ && expires_at > now) {
      // Nobody takes a lease for longer: the clock has jumped back since. That the rest passes from now on
      // keeps a lease of somebody who is gone from being his for ever.
      const long long latest = now + limits::lease_max.count();
      if (expires_at > latest)
        sql << "UPDATE state_leases SET expires_at = :latest WHERE name = :name", soci::use(latest),
            soci::use(name_);
      return false;
    }
    expires_at = now + duration_.count();
    sql << "INSERT INTO state_leases (name, holder, expires_at) VALUES (:name, :holder, :expires) "
           "ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at",
        soci::use(name_), soci::use(holder_), soci::use(expires_at);
    return true;
  }));
  if (held) held_since_ = asked_at;
  return held;
}

Status Lease::release() {
  Lock lock(mutex_);
  held_since_.reset();
  return database_.write([&](Transaction& transaction) -> Status {
    transaction.sql() << "DELETE FROM state_leases WHERE name = :name AND holder = :holder", soci::use(name_),
        soci::use(holder_);
    return {};
  });
}

}  // namespace vestige::state
