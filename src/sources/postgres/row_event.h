// What a row that changed becomes in the trail: the JSON text of an event of kind data.change
// (docs/formats/capture.md).
//
// Invariants, whatever was sent:
//   1. The text is canonical JSON that the trail takes: each member within an event's limits, and at most
//      event_bytes_max bytes of it all. In the place of what is too long, or no text, is its digest.
//   2. Of a row whose old values were told, the event and the row after it give the row before it, and the
//      other way round; save for excluded, hashed and digested values.
//   3. An excluded column is nowhere in it, and of a hashed column only nulls and hashes are.
// Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/strong.h"
#include "crypto/digest.h"
#include "sources/postgres/pgoutput.h"
#include "sources/postgres/row_values.h"
#include "sources/postgres/statement.h"

namespace vestige::sources::postgres {

inline constexpr std::size_t event_bytes_max = 1'040'000;  // the trail's 1 MiB, less what the server adds
inline constexpr std::size_t lossless_max = 1'000;         // pointers in one event; the first ones are kept

enum class Attribution : std::uint8_t { message, configured, none };

// What holds for a row because of its transaction.
struct Circumstances {
  std::string capture;   // the source's name in the configuration
  std::string database;  // and its name
  TransactionId transaction{};
  Lsn lsn{};  // of the commit; for a snapshot where that was taken
  UnixMs committed{};
  std::uint64_t row = 0;  // which one of the transaction, from 0
  Attribution attribution = Attribution::none;
  Statement statement;
  std::string replication_origin;
};

// What the configuration and the catalogue say of a table. Names are those of columns.
struct TableRules {
  std::vector<std::string> key_columns;  // of the primary key, in its order
  std::optional<std::string> subject_column;
  std::set<std::string, std::less<>> excluded, hashed;
};

enum class RowAction : std::uint8_t { created, updated, deleted, snapshot };

// As the source told it: of the row before the whole (`old`), its replica identity (`key`), or nothing; `now`
// of all but a deleted row.
struct RowChange {
  RowAction action = RowAction::created;
  const Row* key = nullptr;
  const Row* old = nullptr;
  const Row* now = nullptr;
};

// Reusable; not thread-safe. `hash_key` outlives it.
class RowEventWriter {
 public:
  explicit RowEventWriter(const crypto::HmacKey& hash_key) : hash_key_(hash_key) {}

  // The event without its id, which can be put before its first member. Corrupt where rows do not fit their
  // relation or the time has no text; exhausted where even digests are too much, which no table with
  // PostgreSQL's limits can bring about (1,600 columns, names of 63 bytes).
  Result<std::string> changed(const Relation& relation, const TableRules& rules, const RowChange& change,
                              const Circumstances& circumstances);
  Result<std::string> truncated(const Relation& relation, const Circumstances& circumstances);

 private:
  const crypto::HmacKey& hash_key_;
  ValueWriter values_;
};

// "hmac-sha256:hex" under the key, over the u32 length (little-endian) of "schema.table.column", that name,
// and the text.
std::string hashed_text(const crypto::HmacKey& key, const Relation& relation, const Column& column,
                        std::string_view text);

}  // namespace vestige::sources::postgres
