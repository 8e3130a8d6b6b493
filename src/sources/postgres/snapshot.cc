#include "sources/postgres/snapshot.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "sources/postgres/limits.h"

namespace vestige::sources::postgres {
namespace {

constexpr std::uint64_t block_header_bytes_max = 40;  // of PostgreSQL's log

// "8 bytes with an epoch" where PostgreSQL prints them, of which replication sends the lower half.
std::optional<std::uint32_t> parse_id(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return static_cast<std::uint32_t>(number);
}

// Numbers come round: one is before another where the way to it is shorter than half the circle.
bool is_before(std::uint32_t one, std::uint32_t other) { return one != other && other - one < 0x8000'0000U; }

ObjectId object_of(const std::optional<std::string>& text) {
  return ObjectId{parse_id(text.value_or("")).value_or(0)};
}

}  // namespace

Result<SnapshotView> SnapshotView::parse(std::string_view text, Lsn at) {
  const auto wrong = fail(ErrorKind::invalid, fmt::format("\"{}\" is no snapshot of PostgreSQL", text));
  const auto first = text.find(':');
  const auto second = first == std::string_view::npos ? first : text.find(':', first + 1);
  if (second == std::string_view::npos) return wrong;
  SnapshotView view;
  view.text_ = std::string(text);
  view.at_ = at;
  const auto first_running = parse_id(text.substr(0, first));
  const auto next = parse_id(text.substr(first + 1, second - first - 1));
  if (!first_running || !next) return wrong;
  view.first_running_ = *first_running;
  view.next_ = *next;
  auto rest = text.substr(second + 1);
  while (!rest.empty()) {
    const auto comma = rest.find(',');
    const auto running = parse_id(rest.substr(0, comma));
    if (!running || comma == rest.size() - 1) return wrong;
    view.running_.insert(*running);
    rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
  }
  return view;
}

bool SnapshotView::has_seen(TransactionId id, Lsn committed) const {
  if (committed >= at_) return false;
  if (is_before(id.value, first_running_)) return true;
  return is_before(id.value, next_) && !running_.contains(id.value);
}

// The snapshot itself is taken with the first query behind the locks.
Result<Snapshot> Snapshot::begin(Connection& connection, const std::vector<TableName>& tables) {
  VESTIGE_CHECKED(connection.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"));
  for (const auto& table : tables)
    VESTIGE_CHECKED(connection.query(fmt::format("LOCK TABLE {}.{} IN ACCESS SHARE MODE",
                                                 quoted_name(table.schema), quoted_name(table.table))));
  VESTIGE_TRY(const auto rows,
              connection.query("SELECT pg_current_snapshot()::text, pg_current_wal_insert_lsn()"));
  if (rows.empty()) return fail(ErrorKind::unavailable, "PostgreSQL gave no snapshot");
  VESTIGE_TRY(auto view, SnapshotView::parse(rows[0][0].value_or(""),
                                             parse_lsn(rows[0][1].value_or("")).value_or(Lsn{})));
  return Snapshot(connection, std::move(view));
}

Result<bool> Snapshot::is_durable() {
  VESTIGE_TRY(const auto rows,
              connection_->query("SELECT pg_current_wal_flush_lsn(), current_setting('wal_block_size')"));
  if (rows.empty()) return false;
  const auto at = view_.at().value;
  const auto flushed = parse_lsn(rows[0][0].value_or("")).value_or(Lsn{}).value;
  // Where nothing stands in a block yet, what is inserted next comes behind its header, which is not there
  // yet.
  const auto in_block = at % std::max<std::uint64_t>(number_in(rows[0][1]), 1);
  return flushed >= at || (in_block <= block_header_bytes_max && flushed >= at - in_block);
}

// As replication describes it: without generated columns, which it does not send.
Result<Relation> Snapshot::describe(const TableName& table) {
  VESTIGE_TRY(const auto rows,
              connection_->query(fmt::format(
                  "SELECT c.oid, a.attname, a.atttypid, a.atttypmod FROM pg_class c "
                  "JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid "
                  "WHERE n.nspname = {} AND c.relname = {} AND a.attnum > 0 AND NOT a.attisdropped "
                  "AND a.attgenerated = '' ORDER BY a.attnum",
                  quoted_literal(table.schema), quoted_literal(table.table))));
  if (rows.empty()) return fail(ErrorKind::not_found, fmt::format("there is no table {}", table.text()));
  Relation relation{.id = object_of(rows[0][0]),
                    .schema = table.schema,
                    .name = table.table,
                    .identity = ReplicaIdentity::full,
                    .columns = {}};
  for (const auto& row : rows)
    relation.columns.push_back({.name = row[1].value_or(""), .type = object_of(row[2])});
  return relation;
}

Status Snapshot::read(const TableName& table, const std::function<Status(const SnapshotRow&)>& see) {
  VESTIGE_TRY(const auto relation, describe(table));
  VESTIGE_TRY(const auto keys, key_columns(*connection_, relation.id));
  // Rows of tables that inherit from it are sent as theirs; those of its partitions as its own.
  VESTIGE_TRY(const auto parts,
              connection_->query(
                  fmt::format("SELECT FROM pg_class WHERE oid = {} AND relkind = 'p'", relation.id.value)));
  std::string columns;
  for (const auto& column : relation.columns)
    columns += (columns.empty() ? "" : ", ") + quoted_name(column.name);
  VESTIGE_CHECKED(connection_->query(
      fmt::format("DECLARE vestige NO SCROLL CURSOR FOR SELECT {} FROM {}{}.{}", columns,
                  parts.empty() ? "ONLY " : "", quoted_name(table.schema), quoted_name(table.table))));
  for (;;) {
    VESTIGE_TRY(const auto rows,
                connection_->query(fmt::format("FETCH {} FROM vestige", limits::snapshot_rows_at_once)));
    for (const auto& values : rows) {
      Row row;
      for (const auto& value : values)
        row.push_back(value ? Value{Value::State::text, *value} : Value{Value::State::null, {}});
      VESTIGE_CHECKED(see({relation, keys, row}));
    }
    if (rows.size() < limits::snapshot_rows_at_once) break;
  }
  VESTIGE_CHECKED(connection_->query("CLOSE vestige"));
  return {};
}

Status Snapshot::end() {
  VESTIGE_CHECKED(connection_->query("COMMIT"));
  return {};
}

}  // namespace vestige::sources::postgres
