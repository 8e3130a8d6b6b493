#include "sources/postgres/transactions.h"

#include <fmt/format.h>

#include <algorithm>

#include "sources/postgres/limits.h"

namespace vestige::sources::postgres {
namespace {

std::unexpected<Error> out_of_turn(std::string_view what) {
  return fail(
      ErrorKind::invalid,
      fmt::format("PostgreSQL sent {} where none can be: it speaks another protocol than was asked for",
                  what));
}

std::vector<ObjectId> tables_of(const Message& message) {
  if (const auto* insert = std::get_if<Insert>(&message)) return {insert->relation};
  if (const auto* update = std::get_if<Update>(&message)) return {update->relation};
  if (const auto* removed = std::get_if<Delete>(&message)) return {removed->relation};
  if (const auto* truncate = std::get_if<Truncate>(&message)) return truncate->relations;
  return {};
}

}  // namespace

// Kept as: whether in a piece, which subtransaction, places of the relations, the message's own bytes.
Status Transaction::add(const Decoded& decoded, bool streaming, ByteView message,
                        const std::vector<SharedRelation>& relations, Lsn at) {
  const bool said = std::holds_alternative<LogicalMessage>(decoded.message);
  says_something_ = says_something_ || said;
  Bytes kept;
  ByteWriter out(kept);
  out.u8(streaming ? 1 : 0);
  out.u32(decoded.part.value_or(id).value);
  out.varint(relations.size());
  for (const auto& relation : relations) {
    auto place = std::ranges::find(relations_, relation);
    if (place == relations_.end()) place = relations_.insert(place, relation);
    out.varint(static_cast<std::uint64_t>(place - relations_.begin()));
  }
  out.bytes(message);
  ++kept_;
  if (said && at == held_at_) return spool_->add(kept);
  if (at != held_at_) VESTIGE_CHECKED(release());
  held_at_ = at;
  held_.push_back(std::move(kept));
  return {};
}

Status Transaction::release() {
  for (const auto& held : held_) VESTIGE_CHECKED(spool_->add(held));
  held_.clear();
  return {};
}

Status Transaction::roll_back(TransactionId part) {
  VESTIGE_CHECKED(release());
  rolled_back_.insert(part);
  void_before_ = kept_;
  says_something_ = false;
  return {};
}

Status Transaction::read(const See& see) {
  VESTIGE_CHECKED(release());
  std::uint64_t number = 0;
  return spool_->read([&](ByteView kept) -> Status {
    const bool messages_count = number++ >= void_before_;
    ByteReader in(kept);
    Decoder decoder(in.u8() != 0);
    if (rolled_back_.contains(TransactionId{in.u32()})) return {};
    std::vector<SharedRelation> relations(in.varint());
    for (auto& relation : relations) relation = relations_[in.varint()];
    VESTIGE_TRY(const auto decoded, decoder.decode(in.bytes(in.left())));
    if (!messages_count && std::holds_alternative<LogicalMessage>(decoded.message)) return {};
    return see(decoded.message, relations);
  });
}

Transactions::Transactions(platform::FileSystem& files, platform::Entropy& entropy, std::string prefix)
    : files_(files), entropy_(entropy), prefix_(std::move(prefix)) {}

std::unique_ptr<Transaction> Transactions::make(TransactionId id) const {
  return std::unique_ptr<Transaction>(new Transaction(
      id, std::make_unique<Spool>(files_, entropy_, fmt::format("{}{}.tmp", prefix_, id.value))));
}

Result<Transaction*> Transactions::streamed(TransactionId id) {
  const auto place = streamed_.find(id);
  if (place == streamed_.end()) return out_of_turn("more of a transaction that it did not begin");
  return place->second.get();
}

Result<std::unique_ptr<Transaction>> Transactions::feed(ByteView message, Lsn at) {
  const bool streaming = decoder_.streaming();
  VESTIGE_TRY(const auto decoded, decoder_.decode(message));
  if (std::holds_alternative<Insert>(decoded.message) || std::holds_alternative<Update>(decoded.message) ||
      std::holds_alternative<Delete>(decoded.message) || std::holds_alternative<Truncate>(decoded.message) ||
      std::holds_alternative<LogicalMessage>(decoded.message)) {
    VESTIGE_CHECKED(keep(decoded, streaming, message, at));
    return std::unique_ptr<Transaction>{};
  }
  return take(decoded);
}

Status Transactions::keep(const Decoded& decoded, bool streaming, ByteView message, Lsn at) {
  if (const auto* said = std::get_if<LogicalMessage>(&decoded.message);
      said != nullptr && !said->transactional)
    return {};  // belongs to no transaction, so it says nothing about rows
  auto* const transaction = streaming ? piece_of_ : whole_.get();
  if (transaction == nullptr) return out_of_turn("a row outside of a transaction");
  VESTIGE_TRY(const auto relations, relations_of(decoded.message));
  return transaction->add(decoded, streaming, message, relations, at);
}

Result<std::vector<SharedRelation>> Transactions::relations_of(const Message& message) const {
  std::vector<SharedRelation> found;
  for (const auto id : tables_of(message)) {
    const auto place = relations_.find(id);
    if (place == relations_.end()) return out_of_turn("a row of a table that it did not describe");
    found.push_back(place->second);
  }
  return found;
}

// Everything that is no row.
Result<std::unique_ptr<Transaction>> Transactions::take(const Decoded& decoded) {
  const auto& message = decoded.message;
  if (const auto* relation = std::get_if<Relation>(&message)) {
    relations_[relation->id] = std::make_shared<const Relation>(*relation);
  } else if (const auto* begin = std::get_if<Begin>(&message)) {
    if (whole_) return out_of_turn("a transaction inside of another one");
    whole_ = make(begin->transaction);
  } else if (const auto* commit = std::get_if<Commit>(&message)) {
    if (!whole_) return out_of_turn("the end of a transaction that it did not begin");
    whole_->commit = *commit;
    return std::move(whole_);
  } else if (const auto* origin = std::get_if<Origin>(&message)) {
    if (auto* const current = piece_of_ != nullptr ? piece_of_ : whole_.get(); current != nullptr)
      current->origin = std::string(origin->name);
  } else if (const auto* start = std::get_if<StreamStart>(&message)) {
    if (start->first) {
      if (streamed_.size() >= limits::transactions_open_max)
        return std::unexpected(
            Error{.kind = ErrorKind::exhausted,
                  .message = "more large transactions run at once than can be kept",
                  .limit = fmt::format("transactions_open_max = {}", limits::transactions_open_max)});
      streamed_[start->transaction] = make(start->transaction);
    }
    VESTIGE_TRY(piece_of_, streamed(start->transaction));
  } else if (std::holds_alternative<StreamStop>(message)) {
    piece_of_ = nullptr;
  } else if (const auto* committed = std::get_if<StreamCommit>(&message)) {
    VESTIGE_TRY(auto* const transaction, streamed(committed->transaction));
    transaction->commit = committed->commit;
    auto done = std::move(streamed_.extract(committed->transaction).mapped());
    return done;
  } else if (const auto* aborted = std::get_if<StreamAbort>(&message)) {
    VESTIGE_TRY(auto* const transaction, streamed(aborted->transaction));
    if (aborted->part == aborted->transaction)
      streamed_.erase(aborted->transaction);
    else
      VESTIGE_CHECKED(transaction->roll_back(aborted->part));
  }
  return std::unique_ptr<Transaction>{};
}

}  // namespace vestige::sources::postgres
