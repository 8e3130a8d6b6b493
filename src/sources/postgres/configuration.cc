#include "sources/postgres/configuration.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "sources/postgres/limits.h"

namespace vestige::sources::postgres {
namespace {

template <typename ByTable>
Status check_tables(const Configuration& configuration, std::string_view member, const ByTable& by_table) {
  for (const auto& [table, ignored] : by_table)
    if (std::ranges::find(configuration.tables, table) == configuration.tables.end())
      return fail(ErrorKind::invalid,
                  fmt::format("source \"{}\": {} names the table {}, which is not among its tables",
                              configuration.name, member, table));
  return {};
}

}  // namespace

Status check(const Configuration& configuration) {
  VESTIGE_CHECKED(check_source_name(configuration.name));
  const auto wrong = [&](std::string_view what) {
    return fail(ErrorKind::invalid, fmt::format("source \"{}\": {}", configuration.name, what));
  };
  if (configuration.dsn.empty()) return wrong("dsn says how the database is reached, and is missing");
  if (configuration.tables.empty() || configuration.tables.size() > limits::tables_max)
    return wrong(fmt::format("tables has 1 to {} names", limits::tables_max));
  for (const auto& table : configuration.tables) {
    VESTIGE_TRY(const auto name, parse_table(table));
    if (name.text() != table) return wrong(fmt::format("write {} with its schema: {}", table, name.text()));
  }
  VESTIGE_CHECKED(check_tables(configuration, "subject", configuration.subject));
  VESTIGE_CHECKED(check_tables(configuration, "exclude", configuration.exclude));
  VESTIGE_CHECKED(check_tables(configuration, "hash", configuration.hash));
  for (const auto& [table, column] : configuration.subject)
    if (const auto excluded = configuration.exclude.find(table);
        excluded != configuration.exclude.end() && excluded->second.contains(column))
      return wrong(fmt::format("the subject of {} is its column {}, which is excluded", table, column));
  if (configuration.actor && (configuration.actor->id.empty() || configuration.actor->type.empty()))
    return wrong("actor has a type and an id");
  return {};
}

std::vector<TableName> tables_of(const Configuration& checked) {
  std::vector<TableName> names;
  for (const auto& table : checked.tables) {
    const auto name = parse_table(table);
    CHECK(name.has_value());
    names.push_back(*name);
  }
  return names;
}

}  // namespace vestige::sources::postgres
