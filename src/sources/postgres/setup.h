// What capture needs to find in a database: a publication of the tables and a replication slot, both named
// vestige_NAME, and settings of the server. Made once by `vestige capture postgres init`, looked at by every
// start.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "sources/postgres/connection.h"
#include "sources/postgres/pgoutput.h"

namespace vestige::sources::postgres {

struct TableName {
  std::string schema, table;
  std::string text() const { return schema + "." + table; }
  std::string quoted() const;  // as SQL takes it
  bool operator==(const TableName&) const = default;
};
// "schema.table", or "table" in the schema public. invalid where it is neither.
Result<TableName> parse_table(std::string_view text);

// A source's name is part of the slot's: 1 to 40 lower-case letters, digits and underscores.
Status check_source_name(std::string_view name);
std::string slot_of(std::string_view source);  // the publication has the same name

struct Readiness {
  std::vector<std::string> made;      // by this call
  std::vector<std::string> missing;   // without it nothing is captured; each says what to do
  std::vector<std::string> warnings;  // what will be unknown, and how to change that
  bool ready() const { return missing.empty(); }
};
// Makes what is missing and can be made; called again it changes nothing, or adds tables.
Result<Readiness> prepare(Connection& connection, std::string_view source,
                          const std::vector<TableName>& tables);
// Removes slot and publication. Gives what was removed. conflict while somebody captures from the slot.
Result<std::vector<std::string>> remove_setup(Connection& connection, std::string_view source);

// conflict while somebody captures from it.
Status drop_slot(Connection& connection, std::string_view source);

struct SlotState {
  std::string plugin;
  bool active = false;
  bool lost = false;  // PostgreSQL removed log that it needs
  Lsn confirmed{};
  std::uint64_t lag_bytes = 0;  // of log that is kept for it
};
Result<std::optional<SlotState>> look_at_slot(Connection& connection, std::string_view source);
// Of those in the publication.
Result<std::vector<TableName>> published_tables(Connection& connection, std::string_view source);
Result<bool> has_table(Connection& connection, const TableName& table);
// Names of the primary key's columns in its order; none where there is none.
Result<std::vector<std::string>> key_columns(Connection& connection, ObjectId table);

}  // namespace vestige::sources::postgres
