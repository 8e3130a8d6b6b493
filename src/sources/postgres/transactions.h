// Puts replication messages together to transactions, which are handed on when they have committed: whole, in
// the order of their commits, without what was rolled back.
//
// 1. A transaction that PostgreSQL sends while it runs (protocol 2) waits in a Spool until it commits; of
//    subtransactions that were rolled back nothing is seen. PostgreSQL does not tell in which subtransaction
//    a logical message was sent while its transaction ran, so one that is rolled back takes all messages
//    along that came before.
// 2. Messages and rows come in the order in which they were made. PostgreSQL gives a logical message the
//    position at which its record ends, where the next one begins, and may send the row of that first where
//    another subtransaction made it; the position tells.
// 3. A row is told with the shape that its table had for it, also where the shape changed later in the
//    transaction or in another one under way.
//
// Owner: one connection's session; what it has not handed on is sent again by the next one. Not thread-safe.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sources/postgres/pgoutput.h"
#include "sources/postgres/spool.h"

namespace vestige::sources::postgres {

using SharedRelation = std::shared_ptr<const Relation>;

class Transaction {
 public:
  // A row change, a truncation or a logical message, and the tables that it names in their order.
  using See = std::function<Status(const Message&, const std::vector<SharedRelation>&)>;

  TransactionId id{};
  Commit commit{};
  std::string origin;  // replication origin; empty: it was made on this server

  // What counts, in order. May be called more than once.
  Status read(const See& see);
  // Whether some message is a logical one.
  bool says_something() const { return says_something_; }
  // Whether there were some that do not count, so that the first one here may not be the first.
  bool lost_messages() const { return void_before_ > 0; }

 private:
  friend class Transactions;
  Transaction(TransactionId id, std::unique_ptr<Spool> spool) : id(id), spool_(std::move(spool)) {}
  Status add(const Decoded& decoded, bool streaming, ByteView message,
             const std::vector<SharedRelation>& relations, Lsn at);
  Status roll_back(TransactionId part);
  Status release();

  std::unique_ptr<Spool> spool_;
  std::vector<SharedRelation> relations_;  // that messages name by their place here
  std::set<TransactionId> rolled_back_;
  bool says_something_ = false;
  std::vector<Bytes> held_;  // of one position, in front of which a logical message may still come
  Lsn held_at_{};
  std::uint64_t kept_ = 0;         // of all messages
  std::uint64_t void_before_ = 0;  // logical messages among the first so many do not count
};

class Transactions {
 public:
  // Spools that need a file make one in `files`, with names that begin with `prefix`.
  Transactions(platform::FileSystem& files, platform::Entropy& entropy, std::string prefix);

  // Gives a transaction where this message committed it. corrupt, invalid: what came is not what PostgreSQL
  // sends; exhausted: more transactions are under way than we keep.
  // `at` is the position with which the message came.
  Result<std::unique_ptr<Transaction>> feed(ByteView message, Lsn at);
  // Whether a message may come that belongs to what came before it.
  bool between_transactions() const { return !whole_ && !decoder_.streaming(); }

 private:
  std::unique_ptr<Transaction> make(TransactionId id) const;
  Result<Transaction*> streamed(TransactionId id);
  Result<std::unique_ptr<Transaction>> take(const Decoded& decoded);
  Status keep(const Decoded& decoded, bool streaming, ByteView message, Lsn at);
  Result<std::vector<SharedRelation>> relations_of(const Message& message) const;

  platform::FileSystem& files_;
  platform::Entropy& entropy_;
  const std::string prefix_;
  Decoder decoder_;
  std::map<ObjectId, SharedRelation> relations_;
  std::unique_ptr<Transaction> whole_;  // that is sent between Begin and Commit
  std::map<TransactionId, std::unique_ptr<Transaction>> streamed_;
  Transaction* piece_of_ = nullptr;  // of which one a piece is being sent
};

}  // namespace vestige::sources::postgres
