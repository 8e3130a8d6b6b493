// SQLite as a peer: the same fields indexed, FTS5 over the same values as Vestige searches as text (names of
// JSON members are none), durable at every commit.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "json/json.h"

namespace vestige::bench {

class Sqlite {
 public:
  explicit Sqlite(const std::string& path);
  ~Sqlite();
  Sqlite(const Sqlite&) = delete;
  Sqlite& operator=(const Sqlite&) = delete;

  // How many rows a query gives.
  std::uint64_t rows(const std::string& sql);
  // One transaction.
  void add_batch(std::string_view lines);
  // Moves what is in the write-ahead log into the database.
  void checkpoint() { execute("PRAGMA wal_checkpoint(TRUNCATE)"); }

 private:
  void execute(const std::string& sql);
  sqlite3_stmt* prepare(const std::string& sql);
  void add(std::string_view line);

  sqlite3* database_ = nullptr;
  sqlite3_stmt* insert_ = nullptr;
  sqlite3_stmt* insert_words_ = nullptr;
  json::Parser parser_;
  json::Document document_;
  std::string words_;
};

}  // namespace vestige::bench
