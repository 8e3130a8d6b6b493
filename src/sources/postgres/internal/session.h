// One connection's life of a capture: find where to go on, take a snapshot where there is nothing to go on
// from, then follow. Part of Capture.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sources/control.h"
#include "sources/postgres/capture.h"
#include "sources/postgres/connection.h"
#include "sources/postgres/progress.h"
#include "sources/postgres/row_event.h"
#include "sources/postgres/snapshot.h"
#include "sources/postgres/transactions.h"

namespace vestige::sources::postgres::internal {

std::string spool_prefix(std::string_view source);

// For figures; written by the capture's thread.
struct Tally {
  std::atomic<bool> connected{false};
  std::atomic<std::uint64_t> lag_bytes{0}, lsn{0}, transactions{0}, rows{0}, unattributed{0}, gaps{0};
};

class Session {
 public:
  Session(const Configuration& configuration, CaptureParts& parts, Control& control, Tally& tally);

  // Until stopped (success), or something fails.
  Status run();
  // Whether it got as far as following.
  bool served() const { return served_; }

 private:
  Status connect();
  Status find_place();
  Status find_tables(const std::string& how);
  void warn_of_passed_over(const TableName& table);
  std::string tables_member() const;
  Status record_gap(std::string_view cause, const Place& last);
  Status take_snapshot();
  Status begin_to_follow();
  Status follow();
  Status take(ByteView message);
  Status take_transaction(Transaction& transaction);
  Status find_author(Transaction& transaction, Circumstances& around);
  Status take_change(const Message& message, const std::vector<SharedRelation>& relations,
                     Circumstances& around);
  Status look_around();
  // How much PostgreSQL keeps for us; gives the slot up where that is too much.
  Status watch();
  Status give_up(std::uint64_t lag_bytes);
  Status flush();
  Status finish();
  Status record_covered();
  Status record_covered(Lsn from, const Place& upto);
  Status say_where_we_are();
  // Until the trail takes it. unavailable where it was stopped meanwhile.
  Status insist(const std::function<Status()>& call);

  Status add(const Relation& relation, const RowChange& change, std::string position, std::string event);
  audit::TenantTrail& trail_of(const Relation& relation, const RowChange& change) const;
  Status write_rows();
  Result<const TableRules*> rules_of(const SharedRelation& relation);
  TableRules rules_for(const TableName& table, std::vector<std::string> key_columns) const;
  Circumstances circumstances() const;
  void attribute(Circumstances& around, Statement statement) const;
  bool is_due(std::chrono::nanoseconds& last, std::chrono::nanoseconds period);

  const Configuration& configuration_;
  CaptureParts& parts_;
  Control& control_;
  Tally& tally_;
  Progress progress_;
  Transactions transactions_;
  const crypto::HmacKey hash_key_;
  RowEventWriter writer_;

  std::unique_ptr<Connection> queries_;  // beside the one that replicates
  std::unique_ptr<Connection> replication_;
  Lsn written_{};  // how far the cluster's log went when the session began
  std::string database_;
  Place place_;                           // on record, durable
  std::optional<SnapshotView> snapshot_;  // while transactions may come that it has seen
  bool served_ = false;

  // That are not on record yet, by the tenant whose they are.
  std::map<audit::TenantTrail*, std::vector<audit::CapturedEvent>> rows_;
  std::size_t count_ = 0, bytes_ = 0;
  Place read_;                         // where we are with the last transaction that is in rows_ whole
  Lsn idle_{};                         // up to here PostgreSQL has nothing more for us
  std::vector<TableName> tables_;      // that are configured, there, and published
  std::set<std::string> passed_over_;  // published and not configured, which was told
  std::map<ObjectId, std::pair<SharedRelation, TableRules>> rules_;

  Lsn covered_{};  // the last entry COVERED told up to here
  std::chrono::nanoseconds said_{}, looked_{}, told_{}, warned_{};
};

}  // namespace vestige::sources::postgres::internal
