// The table access_policies.
#pragma once

#include <string>
#include <vector>

#include "base/strong.h"
#include "state/database.h"

namespace vestige::access::store {

struct PolicyRow {
  std::string tenant{};
  std::uint64_t version = 0;
  UnixMs changed{};
  std::string text{};
};

std::vector<PolicyRow> all_policies(state::Transaction& transaction);
void put_policy(state::Transaction& transaction, const PolicyRow& row);

}  // namespace vestige::access::store
