// The rows that are there when a capture begins, as of one moment: what was committed before it is in the
// snapshot, what is committed after it comes by replication, and nothing is in both.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sources/postgres/connection.h"
#include "sources/postgres/pgoutput.h"
#include "sources/postgres/setup.h"

namespace vestige::sources::postgres {

// Which transactions a snapshot has seen.
class SnapshotView {
 public:
  // `text` as pg_current_snapshot() gives it, `at` the end of the write-ahead log right after. invalid where
  // it is none.
  static Result<SnapshotView> parse(std::string_view text, Lsn at);
  // Whether the effect of a transaction that committed at `committed` is in it. Transaction numbers come
  // round after 2^32, so they say something about transactions of that time only: before `at`.
  bool has_seen(TransactionId id, Lsn committed) const;

  const std::string& text() const { return text_; }
  Lsn at() const { return at_; }

 private:
  std::string text_;
  Lsn at_{};
  std::uint32_t first_running_ = 0;  // all before it had ended
  std::uint32_t next_ = 0;           // from it on none had begun
  std::set<std::uint32_t> running_;
};

struct SnapshotRow {
  const Relation& relation;
  const std::vector<std::string>& key_columns;
  const Row& row;
};

// A transaction that reads. Ends with its connection.
class Snapshot {
 public:
  // Of these tables: they are locked first, against TRUNCATE and all else that a snapshot does not keep away.
  static Result<Snapshot> begin(Connection& connection, const std::vector<TableName>& tables);
  // Whether all that it has seen is on PostgreSQL's disk. Until then a crash may take it back, and give the
  // same positions and transaction numbers to something else.
  Result<bool> is_durable();
  const SnapshotView& view() const { return view_; }
  // Every row of the table. not_found where it is gone.
  Status read(const TableName& table, const std::function<Status(const SnapshotRow&)>& see);
  Status end();

 private:
  Snapshot(Connection& connection, SnapshotView view) : connection_(&connection), view_(std::move(view)) {}
  Result<Relation> describe(const TableName& table);

  Connection* connection_;
  SnapshotView view_;
};

}  // namespace vestige::sources::postgres
