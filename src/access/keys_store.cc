#include "access/internal/keys_store.h"

#include <soci/soci.h>

namespace vestige::access::store {

using soci::into;
using soci::use;

std::vector<KeyRow> all_keys(state::Transaction& transaction) {
  KeyRow row;
  long long created = 0, expires = 0, used = 0;
  soci::statement statement =
      (transaction.sql().prepare
           << "SELECT id, tenant, name, service, scopes, role, digest, created, expires, ranges, "
              "used, maker FROM access_api_keys ORDER BY created, id",
       into(row.id), into(row.tenant), into(row.name), into(row.service), into(row.scopes), into(row.role),
       into(row.digest), into(created), into(expires), into(row.ranges), into(used), into(row.maker));
  statement.execute();
  std::vector<KeyRow> rows;
  while (statement.fetch()) {
    row.created = UnixMs{created};
    row.expires = UnixMs{expires};
    row.used = UnixMs{used};
    rows.push_back(row);
  }
  return rows;
}

std::size_t count_keys(state::Transaction& transaction, const std::string& tenant) {
  int count = 0;
  transaction.sql() << "SELECT COUNT(*) FROM access_api_keys WHERE tenant = :tenant", use(tenant),
      into(count);
  return static_cast<std::size_t>(count);
}

bool has_key(state::Transaction& transaction, const std::string& id) {
  int count = 0;
  transaction.sql() << "SELECT COUNT(*) FROM access_api_keys WHERE id = :id", use(id), into(count);
  return count != 0;
}

void insert_key(state::Transaction& transaction, const KeyRow& row) {
  const long long created = row.created.value, expires = row.expires.value, used = row.used.value;
  transaction.sql()
      << "INSERT INTO access_api_keys (id, tenant, name, service, scopes, role, digest, created, "
         "expires, ranges, used, maker) VALUES (:id, :tenant, :name, :service, :scopes, :role, :digest, "
         ":created, :expires, :ranges, :used, :maker)",
      use(row.id), use(row.tenant), use(row.name), use(row.service), use(row.scopes), use(row.role),
      use(row.digest), use(created), use(expires), use(row.ranges), use(used), use(row.maker);
}

void delete_key(state::Transaction& transaction, const std::string& id) {
  transaction.sql() << "DELETE FROM access_api_keys WHERE id = :id", use(id);
}

void set_used(state::Transaction& transaction, const std::string& id, UnixMs used) {
  const long long value = used.value;
  transaction.sql() << "UPDATE access_api_keys SET used = :used WHERE id = :id", use(value), use(id);
}

}  // namespace vestige::access::store
