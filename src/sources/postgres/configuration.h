// What an operator says about one PostgreSQL source: a table [[capture.postgres]] of the configuration file.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "sources/postgres/setup.h"

namespace vestige::sources::postgres {

struct ConfiguredActor {
  std::string type, id, name{};
};

struct Configuration {
  std::string name;
  std::string tenant = "default";
  // Whose value is the tenant of a row, where there is such a tenant; else it is of `tenant`.
  std::optional<std::string> tenant_column{};
  std::string dsn{};
  std::vector<std::string> tables{};  // SCHEMA.TABLE
  // By table.
  std::map<std::string, std::string> subject{};
  std::map<std::string, std::set<std::string>> exclude{}, hash{};
  std::optional<ConfiguredActor> actor{};  // of changes of which nobody says who made them
  bool snapshot = true;
  // Of log that PostgreSQL may keep for this capture: past it the slot is given up, so that the source's disk
  // does not fill.
  std::uint64_t lag_bytes_max = std::uint64_t{64} << 30;
};

// invalid where a member is no such thing, or names a table that is not among `tables`.
Status check(const Configuration& configuration);
std::vector<TableName> tables_of(const Configuration& checked);

}  // namespace vestige::sources::postgres
