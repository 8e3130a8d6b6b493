// The peer of the benchmarks: SQLite with the same fields indexed and FTS5 over the content, durable at every
// commit.
#pragma once

#include <fmt/format.h>
#include <sqlite3.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "json/json.h"

namespace vestige::bench {

[[noreturn]] inline void give_up(const std::string& what) {
  fmt::print(stderr, "bench: {}\n", what);
  std::exit(1);
}

class Sqlite {
 public:
  explicit Sqlite(const std::string& path) {
    if (sqlite3_open(path.c_str(), &database_) != SQLITE_OK) give_up("cannot open " + path);
    // Durable at every commit, as an acknowledgement of Vestige is.
    execute("PRAGMA journal_mode=WAL");
    execute("PRAGMA synchronous=FULL");
    execute(
        "CREATE TABLE event(position INTEGER PRIMARY KEY, id BLOB, time INTEGER, kind TEXT, action TEXT, "
        "source_type TEXT, source_id TEXT, target_type TEXT, target_id TEXT, content TEXT)");
    execute("CREATE UNIQUE INDEX event_id ON event(id)");
    for (const auto* column : {"time", "action", "source_id", "target_id"})
      execute(fmt::format("CREATE INDEX event_{0} ON event({0})", column));
    execute(
        "CREATE VIRTUAL TABLE event_words USING fts5(content, content='event', content_rowid='position')");
    insert_ = prepare(
        "INSERT INTO event(id,time,kind,action,source_type,source_id,target_type,target_id,content) "
        "VALUES(?,?,?,?,?,?,?,?,?)");
    insert_words_ = prepare("INSERT INTO event_words(rowid, content) VALUES(?,?)");
  }
  ~Sqlite() {
    sqlite3_finalize(insert_);
    sqlite3_finalize(insert_words_);
    sqlite3_close(database_);
  }
  Sqlite(const Sqlite&) = delete;
  Sqlite& operator=(const Sqlite&) = delete;

  void execute(const std::string& sql) {
    if (sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
      give_up(fmt::format("SQLite: {}: {}", sql, sqlite3_errmsg(database_)));
  }

  sqlite3_stmt* prepare(const std::string& sql) {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(database_, sql.c_str(), -1, &statement, nullptr) != SQLITE_OK)
      give_up(sqlite3_errmsg(database_));
    return statement;
  }

  // How many rows a query gives.
  std::uint64_t rows(const std::string& sql) {
    auto* statement = prepare(sql);
    std::uint64_t count = 0;
    while (sqlite3_step(statement) == SQLITE_ROW) ++count;
    sqlite3_finalize(statement);
    return count;
  }

  void add_batch(std::string_view batch) {
    execute("BEGIN");
    for (std::size_t at = 0; at < batch.size();) {
      const auto end = batch.find('\n', at);
      add(batch.substr(at, end - at));
      at = end + 1;
    }
    execute("COMMIT");
  }

  void add(std::string_view line) {
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
    sqlite3_reset(insert_words_);
    sqlite3_bind_int64(insert_words_, 1, sqlite3_last_insert_rowid(database_));
    sqlite3_bind_text(insert_words_, 2, line.data(), static_cast<int>(line.size()), SQLITE_STATIC);
    if (sqlite3_step(insert_words_) != SQLITE_DONE) give_up(sqlite3_errmsg(database_));
  }

 private:
  sqlite3* database_ = nullptr;
  sqlite3_stmt* insert_ = nullptr;
  sqlite3_stmt* insert_words_ = nullptr;
  json::Parser parser_;
  json::Document document_;
};

}  // namespace vestige::bench
