#include "access/internal/policies_store.h"

#include <soci/soci.h>

namespace vestige::access::store {

using soci::into;
using soci::use;

std::vector<PolicyRow> all_policies(state::Transaction& transaction) {
  PolicyRow row;
  long long version = 0, changed = 0;
  soci::statement statement =
      (transaction.sql().prepare << "SELECT tenant, version, changed, policy FROM access_policies",
       into(row.tenant), into(version), into(changed), into(row.text));
  statement.execute();
  std::vector<PolicyRow> rows;
  while (statement.fetch()) {
    row.version = static_cast<std::uint64_t>(version);
    row.changed = UnixMs{changed};
    rows.push_back(row);
  }
  return rows;
}

void put_policy(state::Transaction& transaction, const PolicyRow& row) {
  const auto version = static_cast<long long>(row.version);
  const long long changed = row.changed.value;
  transaction.sql() << "INSERT INTO access_policies (tenant, version, changed, policy) VALUES (:tenant, "
                       ":version, :changed, :policy) ON CONFLICT (tenant) DO UPDATE SET version = "
                       "excluded.version, changed = excluded.changed, policy = excluded.policy",
      use(row.tenant), use(version), use(changed), use(row.text);
}

}  // namespace vestige::access::store
