#include <fmt/format.h>
#include <soci/soci.h>

#include "state/internal/outbox_rows.h"
#include "state/limits.h"
#include "state/sequence.h"

namespace vestige::state {
namespace {

constexpr std::string_view event_purpose = "outbox.event";
constexpr std::string_view reason_purpose = "outbox.reason";

// Names hold no line ends, so no two rows have one owner.
std::string owner_of(std::string_view id, std::string_view tenant, std::string_view stream) {
  return fmt::format("{}\n{}\n{}", id, tenant, stream);
}
std::string owner_of(const OutboxEvent& event) {
  return owner_of(format_uuid(event.id), event.tenant, event.stream);
}

const char* name_of(OutboxRows::Table table) {
  return table == OutboxRows::Table::waiting ? "outbox" : "outbox_refused";
}

// Adds to the number of events that wait in a stream; gives the new one.
long long count(soci::session& sql, const std::string& tenant, const std::string& stream, long long change) {
  long long waiting = 0;
  sql << "INSERT INTO outbox_streams (tenant, stream, waiting) VALUES (:tenant, :stream, :change) "
         "ON CONFLICT (tenant, stream) DO UPDATE SET waiting = outbox_streams.waiting + excluded.waiting "
         "RETURNING waiting",
      soci::use(tenant), soci::use(stream), soci::use(change), soci::into(waiting);
  return waiting;
}

// Whether the row was there.
bool delete_row(soci::session& sql, OutboxRows::Table table, long long position) {
  soci::statement deletion =
      (sql.prepare << fmt::format("DELETE FROM {} WHERE position = :position", name_of(table)),
       soci::use(position));
  deletion.execute(true);
  return deletion.get_affected_rows() == 1;
}

bool is_in(soci::session& sql, OutboxRows::Table table, const std::string& id) {
  int one = 0;
  sql << fmt::format("SELECT 1 FROM {} WHERE id = :id", name_of(table)), soci::use(id), soci::into(one);
  return sql.got_data();
}

}  // namespace

Status OutboxRows::add(Transaction& transaction, const OutboxEvent& event, UnixMs now) {
  auto& sql = transaction.sql();
  if (count(sql, event.tenant, event.stream, 1) > static_cast<long long>(limits::waiting_max))
    return std::unexpected(Error{
        .kind = ErrorKind::exhausted,
        .message =
            fmt::format("{} events wait to be put into stream {} of tenant {}: until they are, nothing "
                        "is changed that has to be on record there. Find out why the trail does not take "
                        "them; the server's log says it.",
                        limits::waiting_max, event.stream, event.tenant),
        .limit = fmt::format("waiting_max {}", limits::waiting_max)});
  const long long position = next_in_sequence(transaction, "outbox");
  const auto id = format_uuid(event.id);
  const long long at = now.value;
  const auto sealed = fields_.seal(event_purpose, owner_of(event), event.event);
  sql << "INSERT INTO outbox (position, id, tenant, stream, added_at, event) "
         "VALUES (:position, :id, :tenant, :stream, :at, :event)",
      soci::use(position), soci::use(id), soci::use(event.tenant), soci::use(event.stream), soci::use(at),
      soci::use(sealed);
  return {};
}

Result<std::vector<StreamName>> OutboxRows::streams() {
  return database_.read([](Transaction& transaction) -> Result<std::vector<StreamName>> {
    std::vector<StreamName> found;
    StreamName one;
    soci::statement rows = (transaction.sql().prepare << "SELECT tenant, stream FROM outbox_streams "
                                                         "WHERE waiting > 0 ORDER BY tenant, stream",
                            soci::into(one.tenant), soci::into(one.stream));
    rows.execute();
    while (rows.fetch()) found.push_back(one);
    return found;
  });
}

Result<std::vector<Uuid>> OutboxRows::newest() {
  return database_.read([](Transaction& transaction) -> Result<std::vector<Uuid>> {
    std::vector<Uuid> found;
    std::string id;
    soci::statement rows = (transaction.sql().prepare << "SELECT id FROM outbox WHERE position IN (SELECT "
                                                         "MAX(position) FROM outbox GROUP BY tenant, stream)",
                            soci::into(id));
    rows.execute();
    while (rows.fetch())
      if (const auto parsed = parse_uuid(id)) found.push_back(*parsed);
    return found;
  });
}

OutboxRow OutboxRows::opened(long long position, const std::string& id, std::string tenant,
                             std::string stream, std::string_view sealed) const {
  auto event = fields_.open(event_purpose, owner_of(id, tenant, stream), sealed);
  const auto parsed = parse_uuid(id);
  OutboxRow row{.position = position,
                .event = {parsed.value_or(Uuid{}), std::move(tenant), std::move(stream), {}}};
  if (event) {
    row.event.event = *std::move(event);
  } else {
    row.damage = std::move(event).error();
  }
  return row;
}

Result<std::vector<OutboxRow>> OutboxRows::first(const StreamName& stream, std::size_t rows_max,
                                                 std::size_t bytes_max) {
  return database_.read([&](Transaction& transaction) -> Result<std::vector<OutboxRow>> {
    std::vector<OutboxRow> found;
    long long position = 0;
    std::string id;
    std::string sealed;
    const auto limit = static_cast<long long>(rows_max);
    soci::statement rows =
        (transaction.sql().prepare << "SELECT position, id, event FROM outbox WHERE tenant = :tenant AND "
                                      "stream = :stream ORDER BY position LIMIT :limit",
         soci::use(stream.tenant), soci::use(stream.stream), soci::use(limit), soci::into(position),
         soci::into(id), soci::into(sealed));
    rows.execute();
    std::size_t bytes = 0;
    while (rows.fetch()) {
      auto row = opened(position, id, stream.tenant, stream.stream, sealed);
      bytes += row.event.event.size();
      if (!found.empty() && (row.damage || bytes > bytes_max)) break;
      const bool damaged = row.damage.has_value();
      found.push_back(std::move(row));
      if (damaged) break;
    }
    return found;
  });
}

Result<std::vector<OutboxRow>> OutboxRows::page(Table table, std::int64_t after, std::size_t rows_max) {
  return database_.read([&](Transaction& transaction) -> Result<std::vector<OutboxRow>> {
    std::vector<OutboxRow> found;
    long long position = after;
    std::string id, tenant, stream, sealed;
    const auto limit = static_cast<long long>(rows_max);
    const long long from = after;
    soci::statement rows =
        (transaction.sql().prepare << fmt::format("SELECT position, id, tenant, stream, event FROM {} "
                                                  "WHERE position > :after ORDER BY position LIMIT :limit",
                                                  name_of(table)),
         soci::use(from), soci::use(limit), soci::into(position), soci::into(id), soci::into(tenant),
         soci::into(stream), soci::into(sealed));
    rows.execute();
    while (rows.fetch()) found.push_back(opened(position, id, tenant, stream, sealed));
    return found;
  });
}

Result<std::vector<OutboxRow>> OutboxRows::remove(Table table, std::vector<OutboxRow> rows) {
  return database_.write([&](Transaction& transaction) -> Result<std::vector<OutboxRow>> {
    auto& sql = transaction.sql();
    std::vector<OutboxRow> removed;
    std::map<StreamName, long long> fewer;
    for (auto& row : rows) {
      if (!delete_row(sql, table, row.position)) continue;
      if (table == Table::waiting) --fewer[{row.event.tenant, row.event.stream}];
      removed.push_back(std::move(row));
    }
    for (const auto& [stream, change] : fewer) count(sql, stream.tenant, stream.stream, change);
    return removed;
  });
}

Status OutboxRows::set_aside(const OutboxRow& row, std::string_view reason, UnixMs now) {
  return database_.write([&](Transaction& transaction) -> Status {
    auto& sql = transaction.sql();
    long long refused = 0;
    sql << "SELECT COUNT(*) FROM outbox_refused", soci::into(refused);
    if (refused >= static_cast<long long>(limits::refused_max))
      return std::unexpected(
          Error{.kind = ErrorKind::exhausted,
                .message = fmt::format("{} events are set aside already, so no more are: their "
                                       "streams wait. Look at them and offer them again.",
                                       refused),
                .limit = fmt::format("refused_max {}", limits::refused_max)});
    const long long position = row.position;
    const long long at = now.value;
    const auto sealed = fields_.seal(reason_purpose, owner_of(row.event), reason);
    sql << "INSERT INTO outbox_refused (position, id, tenant, stream, added_at, refused_at, reason, event) "
           "SELECT position, id, tenant, stream, added_at, :at, :reason, event FROM outbox "
           "WHERE position = :position",
        soci::use(at), soci::use(sealed), soci::use(position);
    if (delete_row(sql, Table::waiting, position)) count(sql, row.event.tenant, row.event.stream, -1);
    return {};
  });
}

Status OutboxRows::put_back(const Uuid& id) {
  return database_.write([&](Transaction& transaction) -> Status {
    auto& sql = transaction.sql();
    const auto named = format_uuid(id);
    long long position = 0;
    std::string tenant, stream;
    sql << "SELECT position, tenant, stream FROM outbox_refused WHERE id = :id", soci::use(named),
        soci::into(position), soci::into(tenant), soci::into(stream);
    if (!sql.got_data())
      return fail(ErrorKind::not_found, fmt::format("No event {} is set aside in the outbox.", named));
    sql << "INSERT INTO outbox (position, id, tenant, stream, added_at, event) "
           "SELECT position, id, tenant, stream, added_at, event FROM outbox_refused WHERE position = "
           ":position",
        soci::use(position);
    delete_row(sql, Table::refused, position);
    count(sql, tenant, stream, 1);
    return {};
  });
}

// Opens none of them, so that one which is damaged keeps the others from nothing.
Status OutboxRows::put_all_back() {
  VESTIGE_TRY(const auto ids, database_.read([&](Transaction& transaction) -> Result<std::vector<Uuid>> {
    std::vector<Uuid> found;
    std::string id;
    soci::statement rows =
        (transaction.sql().prepare << "SELECT id FROM outbox_refused ORDER BY position", soci::into(id));
    rows.execute();
    while (rows.fetch())
      if (const auto parsed = parse_uuid(id)) found.push_back(*parsed);
    return found;
  }));
  for (const auto& id : ids) VESTIGE_CHECKED(put_back(id));
  return {};
}

Result<std::vector<RefusedEvent>> OutboxRows::refused(std::optional<Uuid> after, std::size_t rows_max) {
  return database_.read([&](Transaction& transaction) -> Result<std::vector<RefusedEvent>> {
    auto& sql = transaction.sql();
    long long from = 0;
    if (after) {
      const auto named = format_uuid(*after);
      sql << "SELECT position FROM outbox_refused WHERE id = :id", soci::use(named), soci::into(from);
      if (!sql.got_data())
        return fail(ErrorKind::not_found, fmt::format("No event {} is set aside in the outbox.", named));
    }
    std::vector<RefusedEvent> found;
    long long at = 0;
    std::string id, tenant, stream, reason;
    const auto limit = static_cast<long long>(rows_max);
    soci::statement rows =
        (sql.prepare << "SELECT id, tenant, stream, refused_at, reason FROM outbox_refused "
                        "WHERE position > :after ORDER BY position LIMIT :limit",
         soci::use(from), soci::use(limit), soci::into(id), soci::into(tenant), soci::into(stream),
         soci::into(at), soci::into(reason));
    rows.execute();
    while (rows.fetch()) {
      VESTIGE_TRY(auto opened_reason, fields_.open(reason_purpose, owner_of(id, tenant, stream), reason));
      found.push_back(
          {parse_uuid(id).value_or(Uuid{}), tenant, stream, UnixMs{at}, std::move(opened_reason)});
    }
    return found;
  });
}

Result<std::vector<OutboxRows::Place>> OutboxRows::places(const std::vector<Uuid>& ids) {
  return database_.read([&](Transaction& transaction) -> Result<std::vector<Place>> {
    std::vector<Place> places;
    for (const auto& id : ids) {
      const auto named = format_uuid(id);
      if (is_in(transaction.sql(), Table::waiting, named)) {
        places.push_back(Place::waiting);
      } else {
        places.push_back(is_in(transaction.sql(), Table::refused, named) ? Place::refused : Place::neither);
      }
    }
    return places;
  });
}

Result<Outbox::Figures> OutboxRows::figures(UnixMs now) {
  return database_.read([&](Transaction& transaction) -> Result<Outbox::Figures> {
    auto& sql = transaction.sql();
    long long waiting = 0;
    long long refused = 0;
    long long oldest = 0;
    sql << "SELECT CAST(COALESCE(SUM(waiting), 0) AS BIGINT) FROM outbox_streams", soci::into(waiting);
    sql << "SELECT COUNT(*) FROM outbox_refused", soci::into(refused);
    sql << "SELECT added_at FROM outbox ORDER BY position LIMIT 1", soci::into(oldest);
    const bool any = sql.got_data();
    return Outbox::Figures{
        .waiting = static_cast<std::uint64_t>(waiting),
        .refused = static_cast<std::uint64_t>(refused),
        .oldest = std::chrono::milliseconds{any ? std::max<std::int64_t>(now.value - oldest, 0) : 0}};
  });
}

}  // namespace vestige::state
