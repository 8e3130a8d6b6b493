// The table access_api_keys.
#pragma once

#include <string>
#include <vector>

#include "base/strong.h"
#include "state/database.h"

namespace vestige::access::store {

struct KeyRow {
  std::string id{}, tenant{}, name{}, service{}, scopes{}, role{}, digest{};
  UnixMs created{};
  UnixMs expires{};  // 0: never
  std::string ranges{};
  UnixMs used{};        // 0: never
  std::string maker{};  // empty: nobody is known
};

std::vector<KeyRow> all_keys(state::Transaction& transaction);
std::size_t count_keys(state::Transaction& transaction, const std::string& tenant);
bool has_key(state::Transaction& transaction, const std::string& id);
void insert_key(state::Transaction& transaction, const KeyRow& row);
void delete_key(state::Transaction& transaction, const std::string& id);
void set_used(state::Transaction& transaction, const std::string& id, UnixMs used);

}  // namespace vestige::access::store
