// The table access_tenants.
#pragma once

#include <string>
#include <vector>

#include "base/strong.h"
#include "state/database.h"

namespace vestige::access::store {

struct TenantRow {
  std::string id{};
  std::string name{};
  std::string tier{};
  std::string state{};
  UnixMs created{};
  UnixMs changed{};
};

std::vector<TenantRow> all_tenants(state::Transaction& transaction);
void put_tenant(state::Transaction& transaction, const TenantRow& row);

}  // namespace vestige::access::store
