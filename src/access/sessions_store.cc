#include "access/internal/sessions_store.h"

#include <soci/soci.h>

namespace vestige::access::store {

using soci::into;
using soci::use;

std::vector<SessionRow> all_sessions(state::Transaction& transaction) {
  std::vector<SessionRow> rows;
  SessionRow row;
  int restricted = 0;
  long long created = 0, seen = 0, until = 0;
  soci::statement statement =
      (transaction.sql().prepare
           << "SELECT id, digest, tenant, kind, owner, roles, method, restricted, created, "
              "seen, until, sealed_person FROM access_sessions ORDER BY created, id",
       into(row.id), into(row.digest), into(row.tenant), into(row.kind), into(row.owner), into(row.roles),
       into(row.method), into(restricted), into(created), into(seen), into(until), into(row.sealed_person));
  statement.execute();
  while (statement.fetch()) {
    row.restricted = restricted != 0;
    row.created = UnixMs{created};
    row.seen = UnixMs{seen};
    row.until = UnixMs{until};
    rows.push_back(row);
  }
  return rows;
}

void insert_session(state::Transaction& transaction, const SessionRow& row) {
  const int restricted = row.restricted ? 1 : 0;
  const long long created = row.created.value, seen = row.seen.value, until = row.until.value;
  transaction.sql()
      << "INSERT INTO access_sessions (id, digest, tenant, kind, owner, roles, method, restricted, "
         "created, seen, until, sealed_person) VALUES (:id, :digest, :tenant, :kind, :owner, :roles, "
         ":method, "
         ":restricted, :created, :seen, :until, :person)",
      use(row.id), use(row.digest), use(row.tenant), use(row.kind), use(row.owner), use(row.roles),
      use(row.method), use(restricted), use(created), use(seen), use(until), use(row.sealed_person);
}

void renew_session(state::Transaction& transaction, const std::string& id, const std::string& digest,
                   const std::string& roles, bool restricted) {
  const int value = restricted ? 1 : 0;
  transaction.sql()
      << "UPDATE access_sessions SET digest = :digest, roles = :roles, restricted = :restricted WHERE id "
         "= :id",
      use(digest), use(roles), use(value), use(id);
}

void delete_session(state::Transaction& transaction, const std::string& id) {
  transaction.sql() << "DELETE FROM access_sessions WHERE id = :id", use(id);
}

void set_until(state::Transaction& transaction, const std::string& id, UnixMs until) {
  const long long value = until.value;
  transaction.sql() << "UPDATE access_sessions SET until = :until WHERE id = :id", use(value), use(id);
}

void set_seen(state::Transaction& transaction, const std::string& id, UnixMs seen) {
  const long long value = seen.value;
  transaction.sql() << "UPDATE access_sessions SET seen = :seen WHERE id = :id", use(value), use(id);
}

bool use_link(state::Transaction& transaction, const std::string& tenant, const std::string& digest,
              UnixMs expires) {
  int used = 0;
  transaction.sql() << "SELECT COUNT(*) FROM access_used_links WHERE digest = :digest", use(digest),
      into(used);
  if (used != 0) return false;
  const long long value = expires.value;
  transaction.sql()
      << "INSERT INTO access_used_links (digest, expires, tenant) VALUES (:digest, :expires, :tenant)",
      use(digest), use(value), use(tenant);
  return true;
}

std::size_t count_used_links(state::Transaction& transaction, const std::string& tenant) {
  int count = 0;
  transaction.sql() << "SELECT COUNT(*) FROM access_used_links WHERE tenant = :tenant", use(tenant),
      into(count);
  return static_cast<std::size_t>(count);
}

void drop_expired_links(state::Transaction& transaction, UnixMs before) {
  const long long value = before.value;
  transaction.sql() << "DELETE FROM access_used_links WHERE expires <= :before", use(value);
}

}  // namespace vestige::access::store
