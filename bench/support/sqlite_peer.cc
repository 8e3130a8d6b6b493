#include "bench/support/sqlite_peer.h"

#include <fmt/format.h>

#include "bench/support/report.h"

namespace vestige::bench {

namespace {

// The members whose values Vestige finds by their words.
constexpr const char* searched[] = {"sourceType", "sourceId", "targetType", "targetId",
                                    "changes",    "detail",   "context"};

void append_values(const json::Value& value, std::string& to) {
  if (value.is_string() || value.is_number()) {
    to += value.is_string() ? value.string() : value.number();
    to += ' ';
    return;
  }
  if (!value.is_object() && !value.is_array()) return;
  for (std::size_t i = 0; i < value.size(); ++i) append_values(value.at(i), to);
}

}  // namespace

Sqlite::Sqlite(const std::string& path) {
  if (sqlite3_open(path.c_str(), &database_) != SQLITE_OK) give_up("cannot open " + path);
  // Durable at every commit, as an acknowledgement of Vestige is.
  execute("PRAGMA journal_mode=WAL");
  execute("PRAGMA synchronous=FULL");
  execute("PRAGMA cache_size=-262144");  // 256 MiB; its own 2 MiB would have it read its indexes all the time
  execute(
      "CREATE TABLE event(position INTEGER PRIMARY KEY, id TEXT, time TEXT, kind TEXT, action TEXT, "
      "source_type TEXT, source_id TEXT, target_type TEXT, target_id TEXT, content TEXT)");
  execute("CREATE UNIQUE INDEX event_id ON event(id)");
  for (const auto* column : {"time", "action", "source_id", "target_id"})
    execute(fmt::format("CREATE INDEX event_{0} ON event({0})", column));
  execute("CREATE VIRTUAL TABLE event_words USING fts5(words, content='')");
  insert_ = prepare(
      "INSERT INTO event(id,time,kind,action,source_type,source_id,target_type,target_id,content) "
      "VALUES(?,?,?,?,?,?,?,?,?)");
  insert_words_ = prepare("INSERT INTO event_words(rowid, words) VALUES(?,?)");
}

Sqlite::~Sqlite() {
  sqlite3_finalize(insert_);
  sqlite3_finalize(insert_words_);
  sqlite3_close(database_);
}

void Sqlite::execute(const std::string& sql) {
  if (sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
    give_up(fmt::format("SQLite: {}: {}", sql, sqlite3_errmsg(database_)));
}

sqlite3_stmt* Sqlite::prepare(const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(database_, sql.c_str(), -1, &statement, nullptr) != SQLITE_OK)
    give_up(fmt::format("SQLite: {}: {}", sql, sqlite3_errmsg(database_)));
  return statement;
}

std::uint64_t Sqlite::rows(const std::string& sql) {
  auto* statement = prepare(sql);
  std::uint64_t count = 0;
  while (sqlite3_step(statement) == SQLITE_ROW) ++count;
  sqlite3_finalize(statement);
  return count;
}

void Sqlite::add_batch(std::string_view lines) {
  execute("BEGIN");
  for (std::size_t at = 0; at < lines.size();) {
    const auto end = lines.find('\n', at);
    add(lines.substr(at, end - at));
    at = end + 1;
  }
  execute("COMMIT");
}

void Sqlite::add(std::string_view line) {
  if (!parser_.parse(line, document_)) give_up("an event does not parse");
  const auto root = document_.root();
  sqlite3_reset(insert_);
  constexpr const char* columns[] = {"id",         "time",     "kind",       "action",
                                     "sourceType", "sourceId", "targetType", "targetId"};
  for (int i = 0; i < 8; ++i) {
    const auto value = root.find(columns[i]).string();
    sqlite3_bind_text(insert_, i + 1, value.data(), static_cast<int>(value.size()), SQLITE_STATIC);
  }
  sqlite3_bind_text(insert_, 9, line.data(), static_cast<int>(line.size()), SQLITE_STATIC);
  if (sqlite3_step(insert_) != SQLITE_DONE) give_up(sqlite3_errmsg(database_));
  words_.clear();
  for (const auto* member : searched) append_values(root.find(member), words_);
  sqlite3_reset(insert_words_);
  sqlite3_bind_int64(insert_words_, 1, sqlite3_last_insert_rowid(database_));
  sqlite3_bind_text(insert_words_, 2, words_.data(), static_cast<int>(words_.size()), SQLITE_STATIC);
  if (sqlite3_step(insert_words_) != SQLITE_DONE) give_up(sqlite3_errmsg(database_));
}

}  // namespace vestige::bench
