#include "sources/postgres/internal/session.h"

#include <fmt/format.h>

#include <algorithm>

#include "json/object_writer.h"
#include "sources/postgres/limits.h"

namespace vestige::sources::postgres::internal {
namespace {

constexpr std::string_view attribution_prefix = "vestige";

RowChange change_of(const Message& message) {
  if (const auto* insert = std::get_if<Insert>(&message))
    return {.action = RowAction::created, .now = &insert->row};
  const auto if_any = [](const std::optional<Row>& row) { return row ? &*row : nullptr; };
  if (const auto* update = std::get_if<Update>(&message))
    return {.action = RowAction::updated,
            .key = if_any(update->key),
            .old = if_any(update->old),
            .now = &update->row};
  const auto& removed = std::get<Delete>(message);
  return {.action = RowAction::deleted, .key = if_any(removed.key), .old = if_any(removed.old)};
}

}  // namespace

std::string spool_prefix(std::string_view source) { return fmt::format("capture-{}-", source); }

Session::Session(const Configuration& configuration, CaptureParts& parts, Control& control, Tally& tally)
    : configuration_(configuration),
      parts_(parts),
      control_(control),
      tally_(tally),
      progress_(parts.log, parts.trail, configuration.name),
      transactions_(parts.data, parts.entropy, spool_prefix(configuration.name)),
      hash_key_(parts.hash_key),
      writer_(hash_key_) {}

Status Session::run() {
  VESTIGE_CHECKED(connect());
  VESTIGE_CHECKED(find_place());
  VESTIGE_CHECKED(begin_to_follow());
  auto followed = follow();
  // What was read whole is put on record also where the connection broke.
  auto finished = finish();
  return followed ? finished : followed;
}

Status Session::connect() {
  VESTIGE_TRY(queries_, Connection::open(configuration_.dsn, Connection::Use::queries));
  VESTIGE_TRY(replication_, Connection::open(configuration_.dsn, Connection::Use::replication));
  VESTIGE_TRY(const auto identity, replication_->query("IDENTIFY_SYSTEM"));
  if (identity.empty() || identity[0].size() < 4)
    return fail(ErrorKind::unavailable, "PostgreSQL did not say which cluster it is");
  place_.system = number_in(identity[0][0]);
  written_ = parse_lsn(identity[0][2].value_or("")).value_or(Lsn{});
  database_ = identity[0][3].value_or("");
  return {};
}

// Where PostgreSQL goes on for us, and where we are: what lies between is lost.
Status Session::find_place() {
  VESTIGE_TRY(const auto slot, look_at_slot(*queries_, configuration_.name));
  const auto how = fmt::format("run `vestige capture postgres init --name {} --tables {}`",
                               configuration_.name, fmt::join(configuration_.tables, ","));
  if (!slot)
    return fail(ErrorKind::not_found, fmt::format("the database {} has no replication slot {}: {}", database_,
                                                  slot_of(configuration_.name), how));
  VESTIGE_CHECKED(find_tables(how));
  const auto last = progress_.place();
  if (slot->lost)
    return fail(
        ErrorKind::not_found,
        fmt::format("PostgreSQL has removed log that the slot {} needs; changes after {} are lost, which is "
                    "put on record as soon as there is a slot again: {}",
                    slot_of(configuration_.name), format_lsn(last ? last->lsn : Lsn{}), how));
  const auto system = place_.system;
  if (last) place_ = *last;
  if (last && last->system == system && slot->confirmed <= last->lsn && last->lsn <= written_) {
    covered_ = progress_.covered().value_or(last->lsn);
    read_ = place_;
    if (configuration_.snapshot && progress_.owes_snapshot()) return take_snapshot();
    VESTIGE_TRY(snapshot_, progress_.snapshot());
    return {};
  }
  place_.system = system;
  place_.lsn = covered_ = slot->confirmed;
  if (last) ++place_.gaps;
  read_ = place_;
  if (last) VESTIGE_CHECKED(record_gap(last->system == system ? "slot_moved" : "other_system", *last));
  return configuration_.snapshot ? take_snapshot() : Status{};
}

// A table that is gone keeps the others from nothing.
Status Session::find_tables(const std::string& how) {
  VESTIGE_TRY(const auto published, published_tables(*queries_, configuration_.name));
  tables_.clear();
  for (const auto& table : tables_of(configuration_)) {
    if (std::ranges::find(published, table) != published.end()) {
      tables_.push_back(table);
      continue;
    }
    VESTIGE_TRY(const bool there, has_table(*queries_, table));
    if (there)
      return fail(ErrorKind::not_found, fmt::format("{} is not in the publication {}: {}", table.text(),
                                                    slot_of(configuration_.name), how));
    parts_.warn(fmt::format(
        "capture {}: the database {} has no table {} any more, so nothing of it is captured. Take it out of "
        "`tables`; where it was renamed, put its new name there",
        configuration_.name, database_, table.text()));
  }
  if (tables_.empty()) return fail(ErrorKind::not_found, "none of the tables is there");
  for (const auto& table : published)
    if (std::ranges::find(tables_, table) == tables_.end()) warn_of_passed_over(table);
  return {};
}

void Session::warn_of_passed_over(const TableName& table) {
  if (!passed_over_.insert(table.text()).second) return;
  parts_.warn(
      fmt::format("capture {}: {} is in the publication {} and not among `tables`: its changes are NOT put "
                  "on record. Add it, "
                  "or take it out: ALTER PUBLICATION {} DROP TABLE {}",
                  configuration_.name, table.text(), slot_of(configuration_.name),
                  slot_of(configuration_.name), table.quoted()));
}

std::string Session::tables_member() const {
  std::vector<std::string> names;
  for (const auto& table : tables_) names.push_back(table.text());
  return "\"tables\":" + json::quoted_list(names);
}

Status Session::record_gap(std::string_view cause, const Place& last) {
  // A crash left no time to tell what came before it.
  const auto told = progress_.covered();
  if (told && *told < last.lsn) VESTIGE_CHECKED(record_covered(*told, last));
  ++tally_.gaps;
  parts_.warn(fmt::format("capture {}: changes between {} and {} are not on record ({})", configuration_.name,
                          format_lsn(last.lsn), format_lsn(place_.lsn), cause));
  return insist([&] {
    return progress_.record_gap(
        database_,
        {member("from", format_lsn(last.lsn)), member("to", format_lsn(place_.lsn)), member("cause", cause)},
        place_);
  });
}

// What a crash interrupts is begun again: then some rows are told of twice, as of two moments.
Status Session::take_snapshot() {
  VESTIGE_TRY(auto snapshot, Snapshot::begin(*queries_, tables_));
  for (;;) {
    VESTIGE_TRY(const auto durable, snapshot.is_durable());
    if (durable) break;
    if (control_.wait(limits::receive_patience))
      return fail(ErrorKind::unavailable, "stopped before the rows were read");
  }
  const auto at = format_lsn(snapshot.view().at());
  parts_.say(fmt::format("capture {}: the rows of {} tables are put on record as of {}", configuration_.name,
                         tables_.size(), at));
  auto around = circumstances();
  VESTIGE_TRY(const auto time, queries_->query("SELECT (extract(epoch FROM now()) * 1000)::bigint"));
  around.committed = UnixMs{static_cast<std::int64_t>(number_in(time[0][0]))};
  around.lsn = snapshot.view().at();
  const auto rows = tally_.rows.load();
  for (const auto& table : tables_) {
    std::uint64_t row = 0;
    VESTIGE_CHECKED(snapshot.read(table, [&](const SnapshotRow& found) -> Status {
      const auto rules = rules_for(table, found.key_columns);
      around.row = row;
      const RowChange change{.action = RowAction::snapshot, .now = &found.row};
      VESTIGE_TRY(auto event, writer_.changed(found.relation, rules, change, around));
      return add(found.relation, change,
                 fmt::format("{}/{}/{}/snapshot/{}/{}", place_.origin(), database_, at, table.text(), row++),
                 std::move(event));
    }));
  }
  VESTIGE_CHECKED(snapshot.end());
  VESTIGE_CHECKED(flush());
  VESTIGE_CHECKED(insist([&] {
    return progress_.record_snapshot(database_,
                                     {member("at", at), member("snapshot", snapshot.view().text()),
                                      tables_member(), member("rows", tally_.rows.load() - rows)},
                                     place_);
  }));
  snapshot_ = snapshot.view();
  return {};
}

Status Session::begin_to_follow() {
  const auto name = slot_of(configuration_.name);
  VESTIGE_CHECKED(replication_->start_replication(fmt::format(
      "START_REPLICATION SLOT {} LOGICAL {} (proto_version '2', publication_names {}, messages 'true', "
      "streaming 'on')",
      quoted_name(name), format_lsn(place_.lsn), quoted_literal(quoted_name(name)))));
  VESTIGE_CHECKED(insist([&] {
    return progress_.record("STARTED", database_,
                            {member("from", format_lsn(place_.lsn)), member("slot", name),
                             member("publication", name), tables_member()},
                            place_, covered_);
  }));
  parts_.say(fmt::format("capture {}: following {} from {}", configuration_.name, database_,
                         format_lsn(place_.lsn)));
  told_ = looked_ = parts_.clock.monotonic();
  tally_.lsn = place_.lsn.value;
  tally_.connected = true;
  served_ = true;
  return {};
}

Status Session::follow() {
  while (!control_.stopped()) {
    // While rows wait nothing is waited for: what has come is put together to one group.
    const auto patience = rows_.empty() ? limits::receive_patience : std::chrono::milliseconds(0);
    VESTIGE_TRY(const auto data, replication_->receive(patience));
    if (data) {
      VESTIGE_CHECKED(take(*data));
    } else {
      VESTIGE_CHECKED(flush());
    }
    VESTIGE_CHECKED(look_around());
  }
  return {};
}

Status Session::take(ByteView data) {
  VESTIGE_TRY(const auto decoded, decode_copy_data(data));
  if (const auto* keepalive = std::get_if<Keepalive>(&decoded)) {
    if (transactions_.between_transactions()) idle_ = std::max(idle_, keepalive->server_end);
    if (!keepalive->reply_wanted) return {};
    VESTIGE_CHECKED(flush());
    return say_where_we_are();
  }
  const auto& data_of_log = std::get<WalData>(decoded);
  VESTIGE_TRY(const auto transaction, transactions_.feed(data_of_log.message, data_of_log.start));
  return transaction ? take_transaction(*transaction) : Status{};
}

Status Session::take_transaction(Transaction& transaction) {
  const auto end = transaction.commit.end;
  const bool known =
      end <= place_.lsn || (snapshot_ && snapshot_->has_seen(transaction.id, transaction.commit.lsn));
  if (!known) {
    auto around = circumstances();
    around.transaction = transaction.id;
    around.lsn = transaction.commit.lsn;
    around.committed = transaction.commit.committed;
    around.replication_origin = transaction.origin;
    VESTIGE_CHECKED(find_author(transaction, around));
    const auto unattributed = tally_.unattributed.load();
    VESTIGE_CHECKED(transaction.read([&](const Message& message, const auto& relations) {
      return take_change(message, relations, around);
    }));
    if (around.row > 0) {
      ++tally_.transactions;
      ++read_.transactions;
      read_.rows += around.row;
      read_.unattributed += tally_.unattributed - unattributed;
    }
  }
  read_.lsn = std::max(read_.lsn, end);
  return {};
}

// The first that is said of the author holds for what was done before it as well.
Status Session::find_author(Transaction& transaction, Circumstances& around) {
  if (!transaction.says_something() || transaction.lost_messages()) return {};
  bool found = false;
  return transaction.read([&](const Message& message, const auto&) -> Status {
    const auto* said = std::get_if<LogicalMessage>(&message);
    if (found || said == nullptr || said->prefix != attribution_prefix) return {};
    attribute(around, parse_statement(said->content));
    found = true;
    return {};
  });
}

Status Session::take_change(const Message& message, const std::vector<SharedRelation>& relations,
                            Circumstances& around) {
  if (const auto* said = std::get_if<LogicalMessage>(&message)) {
    if (said->prefix == attribution_prefix) attribute(around, parse_statement(said->content));
    return {};
  }
  const bool truncated = std::holds_alternative<Truncate>(message);
  const auto change = truncated ? RowChange{} : change_of(message);
  for (const auto& relation : relations) {
    VESTIGE_TRY(const auto* const rules, rules_of(relation));
    if (rules == nullptr) continue;
    VESTIGE_TRY(auto event, truncated ? writer_.truncated(*relation, around)
                                      : writer_.changed(*relation, *rules, change, around));
    VESTIGE_CHECKED(
        add(*relation, change,
            fmt::format("{}/{}/{}/{}", place_.origin(), database_, format_lsn(around.lsn), around.row),
            std::move(event)));
    if (around.attribution == Attribution::none) ++tally_.unattributed;
    ++around.row;
  }
  return {};
}

// Nothing where the table is published and not configured.
Result<const TableRules*> Session::rules_of(const SharedRelation& relation) {
  const TableName table{relation->schema, relation->name};
  if (std::ranges::find(configuration_.tables, table.text()) == configuration_.tables.end()) {
    warn_of_passed_over(table);
    return nullptr;
  }
  auto& known = rules_[relation->id];
  // Another shape may have another key.
  if (known.first != relation) {
    VESTIGE_TRY(auto key, key_columns(*queries_, relation->id));
    known = {relation, rules_for(table, std::move(key))};
  }
  return &known.second;
}

TableRules Session::rules_for(const TableName& table, std::vector<std::string> key_columns) const {
  TableRules rules;
  rules.key_columns = std::move(key_columns);
  const auto name = table.text();
  if (const auto place = configuration_.subject.find(name); place != configuration_.subject.end())
    rules.subject_column = place->second;
  if (const auto place = configuration_.exclude.find(name); place != configuration_.exclude.end())
    rules.excluded = {place->second.begin(), place->second.end()};
  if (const auto place = configuration_.hash.find(name); place != configuration_.hash.end())
    rules.hashed = {place->second.begin(), place->second.end()};
  return rules;
}

Circumstances Session::circumstances() const {
  Circumstances around;
  around.capture = configuration_.name;
  around.database = database_;
  attribute(around, {});
  return around;
}

// What the transaction's author says about himself, else what the configuration says of all.
void Session::attribute(Circumstances& around, Statement statement) const {
  around.statement = std::move(statement);
  around.attribution = around.statement.actor ? Attribution::message : Attribution::none;
  const auto& actor = configuration_.actor;
  if (around.statement.actor || !actor) return;
  around.attribution = Attribution::configured;
  around.statement.actor = Actor{actor->type, actor->id, actor->name};
}

Status Session::add(const Relation& relation, const RowChange& change, std::string position,
                    std::string event) {
  bytes_ += event.size();
  ++count_;
  rows_[&trail_of(relation, change)].push_back({std::move(position), std::move(event)});
  ++tally_.rows;
  return count_ < limits::batch_rows_max && bytes_ < limits::batch_bytes_max ? Status{} : flush();
}

// Where the row says whose it is, and there is such a tenant; else the source's own.
audit::TenantTrail& Session::trail_of(const Relation& relation, const RowChange& change) const {
  if (!configuration_.tenant_column) return parts_.trail;
  const auto column = std::ranges::find(relation.columns, *configuration_.tenant_column, &Column::name);
  if (column == relation.columns.end()) return parts_.trail;
  const auto place = static_cast<std::size_t>(column - relation.columns.begin());
  for (const auto* row : {change.now, change.old, change.key}) {
    if (row == nullptr || place >= row->size() || (*row)[place].state != Value::State::text) continue;
    auto* const trail = parts_.trail_of((*row)[place].text);
    return trail == nullptr ? parts_.trail : *trail;
  }
  return parts_.trail;
}

// Rows of a transaction that is not in whole go without a mark: after a crash they come again.
Status Session::flush() {
  const bool moved = read_.lsn > place_.lsn;
  if (rows_.empty() && !moved) return {};
  // A mark alone can wait for the next rows, or for its time.
  if (rows_.empty() && parts_.clock.monotonic() - said_ < limits::status_period) return {};
  VESTIGE_CHECKED(write_rows());
  return moved ? say_where_we_are() : Status{};
}

// Those of other tenants first: the mark that is written with the rest says that they are on record.
Status Session::write_rows() {
  std::optional<Place> upto;
  if (read_.lsn > place_.lsn) upto = read_;
  for (auto& [trail, rows] : rows_)
    if (trail != &parts_.trail) VESTIGE_CHECKED(insist([&] { return progress_.add_rows_of(*trail, rows); }));
  VESTIGE_CHECKED(insist([&] { return progress_.add_rows(rows_[&parts_.trail], upto); }));
  rows_.clear();
  count_ = bytes_ = 0;
  if (upto) place_ = *upto;
  tally_.lsn = place_.lsn.value;
  return {};
}

Status Session::insist(const std::function<Status()>& call) {
  for (bool told = false;; told = true) {
    auto done = call();
    if (done) return done;
    const auto kind = done.error().kind;
    if (kind != ErrorKind::unavailable && kind != ErrorKind::exhausted) return done;
    if (!told)
      parts_.warn(fmt::format("capture {}: the trail takes nothing now, PostgreSQL keeps what comes: {}",
                              configuration_.name, done.error().message));
    if (control_.wait(limits::retry_first)) return done;
    // PostgreSQL ends a connection of which it hears nothing for a minute.
    if (!served_) continue;
    VESTIGE_CHECKED(say_where_we_are());
    VESTIGE_CHECKED(watch());
  }
}

bool Session::is_due(std::chrono::nanoseconds& last, std::chrono::nanoseconds period) {
  const auto now = parts_.clock.monotonic();
  if (now - last < period) return false;
  last = now;
  return true;
}

Status Session::look_around() {
  const auto now = parts_.clock.monotonic();
  if (now - said_ >= limits::status_period) {
    // Where nothing is under way, all that PostgreSQL has is on record: there was nothing for us in it.
    if (rows_.empty() && transactions_.between_transactions()) read_.lsn = std::max(read_.lsn, idle_);
    VESTIGE_CHECKED(flush());
    VESTIGE_CHECKED(say_where_we_are());
  }
  VESTIGE_CHECKED(watch());
  if (snapshot_ && place_.lsn > snapshot_->at()) snapshot_.reset();
  return is_due(told_, limits::covered_period) ? record_covered() : Status{};
}

Status Session::watch() {
  if (!is_due(looked_, limits::look_period)) return {};
  VESTIGE_TRY(const auto slot, look_at_slot(*queries_, configuration_.name));
  if (!slot) return {};
  tally_.lag_bytes = slot->lag_bytes;
  if (slot->lag_bytes > configuration_.lag_bytes_max) return give_up(slot->lag_bytes);
  const auto warned_above = std::min(limits::lag_bytes_warned, configuration_.lag_bytes_max / 2);
  if (slot->lag_bytes > warned_above && is_due(warned_, limits::warn_period))
    parts_.warn(
        fmt::format("capture {}: PostgreSQL keeps {} MiB of log for it; past {} MiB (lag_bytes_max) the slot "
                    "is given up, and changes are lost",
                    configuration_.name, slot->lag_bytes >> 20, configuration_.lag_bytes_max >> 20));
  return {};
}

// What is lost by it is an entry GAP as soon as there is a slot again.
Status Session::give_up(std::uint64_t lag_bytes) {
  replication_.reset();
  const auto until = parts_.clock.monotonic() + limits::drop_patience;
  auto removed = drop_slot(*queries_, configuration_.name);
  while (!removed && removed.error().kind == ErrorKind::conflict && parts_.clock.monotonic() < until &&
         !control_.wait(limits::retry_first))
    removed = drop_slot(*queries_, configuration_.name);
  VESTIGE_CHECKED(removed);
  return fail(
      ErrorKind::exhausted,
      fmt::format("PostgreSQL kept {} MiB of log for it, more than lag_bytes_max: the slot was given up, and "
                  "what changes after {} is lost until there is one again",
                  lag_bytes >> 20, format_lsn(place_.lsn)));
}

Status Session::say_where_we_are() {
  said_ = parts_.clock.monotonic();
  if (!replication_) return {};
  return replication_->send(status_update(place_.lsn, parts_.clock.now(), false));
}

Status Session::record_covered(Lsn from, const Place& upto) {
  return insist([&] {
    return progress_.record("COVERED", database_,
                            {member("from", format_lsn(from)), member("to", format_lsn(upto.lsn)),
                             member("transactions", upto.transactions), member("rows", upto.rows),
                             member("unattributed", upto.unattributed)},
                            upto, upto.lsn);
  });
}

Status Session::record_covered() {
  VESTIGE_CHECKED(record_covered(covered_, place_));
  covered_ = place_.lsn;
  return {};
}

Status Session::finish() {
  if (rows_.empty() && transactions_.between_transactions()) read_.lsn = std::max(read_.lsn, idle_);
  if (!rows_.empty() || read_.lsn > place_.lsn) VESTIGE_CHECKED(write_rows());
  VESTIGE_CHECKED(record_covered());
  return say_where_we_are();
}

}  // namespace vestige::sources::postgres::internal
