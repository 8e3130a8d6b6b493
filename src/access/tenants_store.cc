#include "access/internal/tenants_store.h"

#include <soci/soci.h>

namespace vestige::access::store {

using soci::into;
using soci::use;

std::vector<TenantRow> all_tenants(state::Transaction& transaction) {
  TenantRow row;
  long long created = 0, changed = 0;
  soci::statement statement =
      (transaction.sql().prepare << "SELECT id, name, tier, state, created, changed FROM access_tenants",
       into(row.id), into(row.name), into(row.tier), into(row.state), into(created), into(changed));
  statement.execute();
  std::vector<TenantRow> rows;
  while (statement.fetch()) {
    row.created = UnixMs{created};
    row.changed = UnixMs{changed};
    rows.push_back(row);
  }
  return rows;
}

void put_tenant(state::Transaction& transaction, const TenantRow& row) {
  const long long created = row.created.value, changed = row.changed.value;
  transaction.sql() << "INSERT INTO access_tenants (id, name, tier, state, created, changed) VALUES (:id, "
                       ":name, :tier, :state, :created, :changed) ON CONFLICT (id) DO UPDATE SET tier = "
                       "excluded.tier, state = excluded.state, changed = excluded.changed",
      use(row.id), use(row.name), use(row.tier), use(row.state), use(created), use(changed);
}

}  // namespace vestige::access::store
