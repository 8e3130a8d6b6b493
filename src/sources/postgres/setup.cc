#include "sources/postgres/setup.h"

#include <fmt/format.h>

#include <algorithm>

namespace vestige::sources::postgres {
namespace {

constexpr std::size_t source_name_bytes_max = 40;
constexpr std::string_view slot_prefix = "vestige_";

std::string text_of(const std::optional<std::string>& value) { return value.value_or(""); }

// Of a query that gives one value, or nothing.
Result<std::string> ask(Connection& connection, const std::string& sql) {
  VESTIGE_TRY(const auto table, connection.query(sql));
  return table.empty() || table[0].empty() ? std::string() : text_of(table[0][0]);
}

Status look_at_server(Connection& connection, Readiness& readiness) {
  VESTIGE_TRY(const auto version, ask(connection, "SHOW server_version_num"));
  if (number_in(version) < 140'000)
    readiness.missing.push_back("PostgreSQL 14 or later: older ones do not send who made a change");
  VESTIGE_TRY(const auto level, ask(connection, "SHOW wal_level"));
  if (level != "logical")
    readiness.missing.push_back(fmt::format(
        "wal_level is {}: run ALTER SYSTEM SET wal_level = logical, and restart PostgreSQL", level));
  VESTIGE_TRY(
      const auto may,
      ask(connection, "SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user"));
  VESTIGE_TRY(const auto who, ask(connection, "SELECT current_user"));
  if (may != "t")
    readiness.missing.push_back(
        fmt::format("the role {} may not replicate: run ALTER ROLE {} REPLICATION", who, quoted_name(who)));
  VESTIGE_TRY(const auto encoding, ask(connection, "SHOW server_encoding"));
  if (encoding == "SQL_ASCII")
    readiness.warnings.push_back(
        "the database's encoding is SQL_ASCII: text that is no UTF-8 is recorded as its digest alone");
  return {};
}

Status look_at_table(Connection& connection, const TableName& table, Readiness& readiness) {
  VESTIGE_TRY(const auto rows, connection.query(fmt::format(
                                   "SELECT c.relreplident, EXISTS (SELECT FROM pg_index i WHERE i.indrelid = "
                                   "c.oid AND i.indisprimary), "
                                   "c.relkind, c.relpersistence, has_table_privilege(c.oid, 'SELECT') "
                                   "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE "
                                   "n.nspname = {} AND c.relname = {}",
                                   quoted_literal(table.schema), quoted_literal(table.table))));
  const auto name = table.text();
  if (rows.empty()) {
    readiness.missing.push_back(fmt::format("the table {}: there is none of this name", name));
    return {};
  }
  const auto& row = rows[0];
  const auto kind = text_of(row[2]);
  if ((kind != "r" && kind != "p") || text_of(row[3]) != "p")
    readiness.missing.push_back(fmt::format(
        "{} is no ordinary table: views, temporary and unlogged tables are not replicated", name));
  if (text_of(row[4]) != "t")
    readiness.missing.push_back(
        fmt::format("{} may not be read: run GRANT SELECT ON {} TO CURRENT_USER", name, table.quoted()));
  const bool has_key = text_of(row[1]) == "t";
  const auto identity = text_of(row[0]);
  const auto full = fmt::format("ALTER TABLE {} REPLICA IDENTITY FULL", table.quoted());
  if (identity == "n" || (identity == "d" && !has_key))
    readiness.missing.push_back(
        fmt::format("a replica identity of {}: without one PostgreSQL refuses every update and delete of a "
                    "published table. Run {}",
                    name, full));
  else if (identity != "f")
    readiness.warnings.push_back(fmt::format(
        "{} has not REPLICA IDENTITY FULL: PostgreSQL sends old values of its key alone, the others are "
        "recorded as unknown. To change that: {}",
        name, full));
  if (!has_key)
    readiness.warnings.push_back(
        fmt::format("{} has no primary key: its changes are on record without targetId", name));
  return {};
}

Status make_publication(Connection& connection, const std::string& name, const std::vector<TableName>& tables,
                        Readiness& readiness) {
  VESTIGE_TRY(const auto there, ask(connection, fmt::format("SELECT 1 FROM pg_publication WHERE pubname = {}",
                                                            quoted_literal(name))));
  if (there.empty()) {
    std::string list;
    for (const auto& table : tables) list += (list.empty() ? "" : ", ") + table.quoted();
    // Rows of a partitioned table under that table's own name, as whoever configured it knows it.
    VESTIGE_CHECKED(connection.query(
        fmt::format("CREATE PUBLICATION {} FOR TABLE {} WITH (publish_via_partition_root = true)",
                    quoted_name(name), list)));
    readiness.made.push_back(fmt::format("publication {} of {}", name, list));
    return {};
  }
  VESTIGE_TRY(const auto published, published_tables(connection, name.substr(slot_prefix.size())));
  for (const auto& table : tables) {
    if (std::ranges::find(published, table) != published.end()) continue;
    VESTIGE_CHECKED(connection.query(
        fmt::format("ALTER PUBLICATION {} ADD TABLE {}", quoted_name(name), table.quoted())));
    readiness.made.push_back(fmt::format("{} in publication {}", table.text(), name));
  }
  return {};
}

Status make_slot(Connection& connection, std::string_view source, Readiness& readiness) {
  const auto name = slot_of(source);
  VESTIGE_TRY(const auto slot, look_at_slot(connection, source));
  if (slot && slot->plugin != "pgoutput") {
    readiness.missing.push_back(fmt::format(
        "the slot {} is one of the plugin {}: drop it, or choose another --name", name, slot->plugin));
    return {};
  }
  if (slot && !slot->lost) return {};
  if (slot) VESTIGE_CHECKED(drop_slot(connection, source));
  const auto made = connection.query(
      fmt::format("SELECT pg_create_logical_replication_slot({}, 'pgoutput')", quoted_literal(name)));
  if (!made) {
    readiness.missing.push_back(fmt::format("the slot {} could not be made: {}", name, made.error().message));
    return {};
  }
  readiness.made.push_back(fmt::format("{}slot {}", slot ? "anew, since it was lost, " : "", name));
  return {};
}

}  // namespace

std::string TableName::quoted() const { return quoted_name(schema) + "." + quoted_name(table); }

Result<TableName> parse_table(std::string_view text) {
  const auto dot = text.find('.');
  TableName name{.schema = dot == std::string_view::npos ? "public" : std::string(text.substr(0, dot)),
                 .table = std::string(dot == std::string_view::npos ? text : text.substr(dot + 1))};
  constexpr std::size_t name_bytes_max = 63;  // NAMEDATALEN - 1
  for (const auto& part : {name.schema, name.table})
    if (part.empty() || part.size() > name_bytes_max || part.find('\0') != std::string::npos)
      return fail(
          ErrorKind::invalid,
          fmt::format("\"{}\" is no table: write SCHEMA.TABLE as PostgreSQL has the names, without quotes",
                      text));
  return name;
}

Status check_source_name(std::string_view name) {
  const bool plain = std::ranges::all_of(
      name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
  if (plain && !name.empty() && name.size() <= source_name_bytes_max) return {};
  return fail(
      ErrorKind::invalid,
      fmt::format("\"{}\" is no name of a source: 1 to {} lower-case letters, digits and underscores, since "
                  "slot and publication are called vestige_NAME",
                  name, source_name_bytes_max));
}

std::string slot_of(std::string_view source) { return std::string(slot_prefix) + std::string(source); }

Result<Readiness> prepare(Connection& connection, std::string_view source,
                          const std::vector<TableName>& tables) {
  Readiness readiness;
  VESTIGE_CHECKED(look_at_server(connection, readiness));
  for (const auto& table : tables) VESTIGE_CHECKED(look_at_table(connection, table, readiness));
  // A slot keeps log from the moment that it is there, so it comes last and only where all else is well.
  if (!readiness.ready()) return readiness;
  VESTIGE_CHECKED(make_publication(connection, slot_of(source), tables, readiness));
  VESTIGE_CHECKED(make_slot(connection, source, readiness));
  return readiness;
}

Result<std::vector<std::string>> remove_setup(Connection& connection, std::string_view source) {
  const auto name = slot_of(source);
  std::vector<std::string> removed;
  VESTIGE_TRY(const auto slot, look_at_slot(connection, source));
  if (slot) {
    VESTIGE_CHECKED(drop_slot(connection, source));
    removed.push_back("slot " + name);
  }
  VESTIGE_TRY(const auto there, ask(connection, fmt::format("SELECT 1 FROM pg_publication WHERE pubname = {}",
                                                            quoted_literal(name))));
  if (!there.empty()) {
    VESTIGE_CHECKED(connection.query(fmt::format("DROP PUBLICATION {}", quoted_name(name))));
    removed.push_back("publication " + name);
  }
  return removed;
}

Status drop_slot(Connection& connection, std::string_view source) {
  VESTIGE_CHECKED(
      connection.query(fmt::format("SELECT pg_drop_replication_slot({})", quoted_literal(slot_of(source)))));
  return {};
}

Result<std::optional<SlotState>> look_at_slot(Connection& connection, std::string_view source) {
  VESTIGE_TRY(const auto rows,
              connection.query(fmt::format(
                  "SELECT plugin, active, coalesce(wal_status, 'lost') = 'lost', confirmed_flush_lsn, "
                  "greatest(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint "
                  "FROM pg_replication_slots WHERE slot_name = {} AND slot_type = 'logical' "
                  "AND database = current_database()",
                  quoted_literal(slot_of(source)))));
  if (rows.empty()) return std::optional<SlotState>{};
  const auto& row = rows[0];
  return SlotState{.plugin = text_of(row[0]),
                   .active = text_of(row[1]) == "t",
                   .lost = text_of(row[2]) == "t",
                   .confirmed = parse_lsn(text_of(row[3])).value_or(Lsn{}),
                   .lag_bytes = number_in(row[4])};
}

Result<std::vector<TableName>> published_tables(Connection& connection, std::string_view source) {
  VESTIGE_TRY(const auto rows,
              connection.query(
                  fmt::format("SELECT schemaname, tablename FROM pg_publication_tables WHERE pubname = {}",
                              quoted_literal(slot_of(source)))));
  std::vector<TableName> tables;
  for (const auto& row : rows) tables.push_back({text_of(row[0]), text_of(row[1])});
  return tables;
}

Result<bool> has_table(Connection& connection, const TableName& table) {
  VESTIGE_TRY(const auto rows, connection.query(fmt::format(
                                   "SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                                   "WHERE n.nspname = {} AND c.relname = {} AND c.relkind IN ('r', 'p')",
                                   quoted_literal(table.schema), quoted_literal(table.table))));
  return !rows.empty();
}

Result<std::vector<std::string>> key_columns(Connection& connection, ObjectId table) {
  VESTIGE_TRY(
      const auto rows,
      connection.query(fmt::format(
          "SELECT a.attname FROM pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY AS k (number, place) "
          "JOIN pg_attribute a ON a.attnum = k.number WHERE i.indrelid = {0} AND a.attrelid = {0} "
          "AND i.indisprimary AND k.place <= i.indnkeyatts ORDER BY k.place",
          table.value)));
  std::vector<std::string> names;
  for (const auto& row : rows) names.push_back(text_of(row[0]));
  return names;
}

}  // namespace vestige::sources::postgres
