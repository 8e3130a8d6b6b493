// PostgreSQL's logical replication messages (protocol versions 1 and 2, plugin pgoutput), decoded: sections
// "Logical Replication Message Formats" and "Streaming Replication Protocol" of the manual, 14 to 18.
//
// Pure. Whatever the bytes are, a message is decoded whole or refused as corrupt with the offset; views point
// into the bytes given.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/strong.h"

namespace vestige::sources::postgres {

// A place in PostgreSQL's own write-ahead log: a byte offset since the cluster was made.
using Lsn = Strong<struct LsnTag>;
std::string format_lsn(Lsn lsn);  // "16/B374D848"
std::optional<Lsn> parse_lsn(std::string_view text);

using TransactionId = Strong<struct TransactionIdTag, std::uint32_t>;
// Of a table or a type, in the catalogue of one database.
using ObjectId = Strong<struct ObjectIdTag, std::uint32_t>;

// What the old row of an update or delete is told by.
enum class ReplicaIdentity : char { primary_key = 'd', nothing = 'n', full = 'f', index = 'i' };

struct Column {
  std::string name;
  ObjectId type{};
  std::int32_t modifier = -1;  // length of a varchar, scale of a numeric; -1: none
  bool key = false;            // of the replica identity
  bool operator==(const Column&) const = default;
};

// Precedes the first row of a table in a session, and the first one after its shape changed.
struct Relation {
  ObjectId id{};
  std::string schema;
  std::string name;
  ReplicaIdentity identity = ReplicaIdentity::primary_key;
  std::vector<Column> columns;
  bool operator==(const Relation&) const = default;
};

struct Value {
  enum class State : std::uint8_t {
    null,
    unchanged,  // kept out of line (TOAST) and not touched: the server does not send it
    text,
  };
  State state = State::null;
  std::string_view text{};
  bool operator==(const Value&) const = default;
};
using Row = std::vector<Value>;  // one value a column of its relation

struct Begin {
  Lsn final_lsn{};  // where the transaction's commit is
  UnixMs committed{};
  TransactionId transaction{};
};
struct Commit {
  Lsn lsn{};
  Lsn end{};  // what to confirm once the transaction is durable
  UnixMs committed{};
};
// The transaction came to this server from another one by replication.
struct Origin {
  Lsn lsn{};
  std::string_view name;
};
struct Type {
  ObjectId id{};
  std::string_view schema;
  std::string_view name;
};
struct Insert {
  ObjectId relation{};
  Row row;
};
// Of the old row the whole (`old`), its key where that changed (`key`), or nothing is told.
struct Update {
  ObjectId relation{};
  std::optional<Row> key;
  std::optional<Row> old;
  Row row;
};
struct Delete {
  ObjectId relation{};
  std::optional<Row> key;
  std::optional<Row> old;
};
struct Truncate {
  std::vector<ObjectId> relations;
  bool cascade = false;
  bool restart_identity = false;
};
// pg_logical_emit_message().
struct LogicalMessage {
  bool transactional = false;
  Lsn lsn{};
  std::string_view prefix;
  ByteView content;
};
// Version 2: a large transaction is sent in pieces before it commits; several may be under way.
struct StreamStart {
  TransactionId transaction{};
  bool first = false;
};
struct StreamStop {};
struct StreamCommit {
  TransactionId transaction{};
  Commit commit{};
};
struct StreamAbort {
  TransactionId transaction{};
  TransactionId part{};  // the subtransaction whose rows do not count; `transaction` where it is the whole
};

using Message = std::variant<Begin, Commit, Origin, Relation, Type, Insert, Update, Delete, Truncate,
                             LogicalMessage, StreamStart, StreamStop, StreamCommit, StreamAbort>;

struct Decoded {
  Message message;
  // In a piece of a streamed transaction: whose this is, which may be a subtransaction of the one announced.
  std::optional<TransactionId> part{};
};

// Keeps what a message's form depends on: whether a piece of a streamed transaction is being sent.
class Decoder {
 public:
  // `streaming`: for a message that was kept from inside of such a piece.
  explicit Decoder(bool streaming = false) : streaming_(streaming) {}
  Result<Decoded> decode(ByteView message);
  bool streaming() const { return streaming_; }

 private:
  bool streaming_;
};

// What stands around the messages in the replication stream (CopyData).
struct WalData {
  Lsn start{};
  Lsn server_end{};
  ByteView message;
};
struct Keepalive {
  Lsn server_end{};
  bool reply_wanted = false;
};
Result<std::variant<WalData, Keepalive>> decode_copy_data(ByteView data);
// "Standby status update": what is durable here, so that the server may let go of what is before.
std::string status_update(Lsn durable, UnixMs now, bool reply_wanted);

}  // namespace vestige::sources::postgres
