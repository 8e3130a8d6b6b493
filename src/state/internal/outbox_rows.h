// The tables of the outbox: rows in and out, encrypted on the way in and decrypted on the way out.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/strong.h"
#include "state/outbox.h"

namespace vestige::state {

struct OutboxRow {
  std::int64_t position = 0;
  OutboxEvent event;
  std::optional<Error> damage{};  // the event could not be read, and is empty
};

// Invariant: outbox_streams.waiting is the number of the stream's rows in outbox, after every transaction.
class OutboxRows {
 public:
  enum class Table { waiting, refused };
  enum class Place { waiting, refused, neither };

  OutboxRows(Database& database, const Fields& fields) : database_(database), fields_(fields) {}

  // exhausted past limits::waiting_max.
  Status add(Transaction& transaction, const OutboxEvent& event, UnixMs now);
  // Those in which something waits.
  Result<std::vector<StreamName>> streams();
  // The first that wait in a stream: at most so many, at most so many bytes but one at least. One that is
  // damaged comes alone.
  Result<std::vector<OutboxRow>> first(const StreamName& stream, std::size_t rows_max, std::size_t bytes_max);
  // The last that wait, one a stream.
  Result<std::vector<Uuid>> newest();
  // Those after `position`, in order.
  Result<std::vector<OutboxRow>> page(Table table, std::int64_t position, std::size_t rows_max);
  // Of `rows` those that were still there, and are not any more.
  Result<std::vector<OutboxRow>> remove(Table table, std::vector<OutboxRow> rows);
  // exhausted past limits::refused_max. Nothing where it is not there any more.
  Status set_aside(const OutboxRow& row, std::string_view reason, UnixMs now);
  Status put_back(const Uuid& id);
  Status put_all_back();
  Result<std::vector<RefusedEvent>> refused(std::optional<Uuid> after, std::size_t rows_max);
  // Where each of `ids` is.
  Result<std::vector<Place>> places(const std::vector<Uuid>& ids);
  Result<Outbox::Figures> figures(UnixMs now);

 private:
  OutboxRow opened(long long position, const std::string& id, std::string tenant, std::string stream,
                   std::string_view sealed) const;

  Database& database_;
  const Fields& fields_;
};

}  // namespace vestige::state
