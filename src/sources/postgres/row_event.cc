#include "sources/postgres/row_event.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>

#include "base/encoding.h"
#include "base/time_text.h"
#include "json/object_writer.h"

namespace vestige::sources::postgres {
namespace {

// A text of at most so many bytes that an event can hold, or the digest in its place.
std::string bounded(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max && is_plain(text)) return std::string(text);
  return "sha256:" + to_hex(crypto::sha256(view(text)));
}

// A value in the event, and what its digest is of.
struct Placed {
  std::string json;
  std::string_view text;
  bool lossless = false;
};
struct Change {
  std::string_view field;
  std::optional<Placed> now, old;
  bool old_unknown = false;
};

// An event while it is put together.
struct Draft {
  std::string_view action;
  std::string target_type;
  std::optional<std::string> target_id;
  std::vector<std::string> subjects;
  std::vector<Change> changes;
  std::optional<Placed> message;
};

// What is known of one column; nullptr where the row was not there, or the value was not told.
struct Sides {
  const Value* old = nullptr;
  const Value* now = nullptr;
};

const Value* told(const Row* row, std::size_t i) {
  return row != nullptr && (*row)[i].state != Value::State::unchanged ? &(*row)[i] : nullptr;
}

Sides sides_of(const Relation& relation, const RowChange& change, std::size_t i) {
  const bool of_key = relation.columns[i].key && relation.identity != ReplicaIdentity::full;
  Sides sides;
  if (change.action != RowAction::deleted) sides.now = told(change.now, i);
  if (change.action != RowAction::updated && change.action != RowAction::deleted) return sides;
  sides.old = told(change.old, i);
  if (sides.old == nullptr && of_key) sides.old = told(change.key, i);
  if (change.action == RowAction::deleted) return sides;
  // Neither row before nor key is told where the key stayed as it is.
  if (of_key && change.key == nullptr && change.old == nullptr) sides.old = sides.now;
  // What was not touched is what it was.
  if (sides.now == nullptr) sides.now = sides.old;
  return sides;
}

bool fits(const Relation& relation, const RowChange& change) {
  const auto is_whole = [&](const Row* row) {
    return row == nullptr || row->size() == relation.columns.size();
  };
  return is_whole(change.key) && is_whole(change.old) && is_whole(change.now) &&
         (change.now != nullptr || change.action == RowAction::deleted);
}

std::string_view name_of(RowAction action) {
  switch (action) {
    case RowAction::created:
      return "CREATED";
    case RowAction::updated:
      return "UPDATED";
    case RowAction::deleted:
      return "DELETED";
    case RowAction::snapshot:
      return "SNAPSHOT";
  }
  return {};
}

std::string_view name_of(Attribution attribution) {
  switch (attribution) {
    case Attribution::message:
      return "message";
    case Attribution::configured:
      return "configured";
    case Attribution::none:
      return "none";
  }
  return {};
}

std::string target_type_of(const Relation& relation) {
  return bounded(fmt::format("{}.{}", relation.schema, relation.name), word_bytes_max);
}

// One row with what is said of its table.
class RowReader {
 public:
  RowReader(const crypto::HmacKey& hash_key, ValueWriter& values, const Relation& relation,
            const TableRules& rules, const RowChange& change)
      : hash_key_(hash_key), values_(values), relation_(relation), rules_(rules), change_(change) {}

  std::vector<Change> changes() {
    std::vector<Change> changes;
    for (std::size_t i = 0; i < relation_.columns.size(); ++i) {
      if (rules_.excluded.contains(relation_.columns[i].name)) continue;
      const auto sides = sides_of(relation_, change_, i);
      if (!is_listed(sides)) continue;
      const bool had_old = change_.action == RowAction::updated || change_.action == RowAction::deleted;
      changes.push_back({.field = relation_.columns[i].name,
                         .now = placed(i, sides.now),
                         .old = placed(i, sides.old),
                         .old_unknown = had_old && sides.old == nullptr});
    }
    return changes;
  }

  // The key that the row was found by, as far as it is known, which is the one before an update.
  std::optional<std::string> target_id() const {
    std::vector<std::string> texts;
    for (const auto& name : rules_.key_columns) {
      const auto i = shown_column(name);
      if (!i) return std::nullopt;
      const auto sides = sides_of(relation_, change_, *i);
      const auto* value = sides.old != nullptr ? sides.old : sides.now;
      if (value == nullptr || value->state != Value::State::text) return std::nullopt;
      texts.push_back(shown_text(*i, *value));
    }
    if (texts.empty()) return std::nullopt;
    if (texts.size() == 1) return bounded(texts.front(), id_bytes_max);
    for (auto& text : texts)
      if (!is_plain(text)) text = bounded(text, id_bytes_max);
    return bounded(json::quoted_list(texts), id_bytes_max);
  }

  // Whose the row is, and whose it was before where that is another: values of both are in it.
  std::vector<std::string> subjects() const {
    std::vector<std::string> found;
    const auto i = rules_.subject_column ? shown_column(*rules_.subject_column) : std::nullopt;
    if (!i) return found;
    const auto sides = sides_of(relation_, change_, *i);
    for (const auto* value : {sides.now, sides.old}) {
      if (value == nullptr || value->state != Value::State::text) continue;
      auto text = bounded(shown_text(*i, *value), id_bytes_max);
      if (!text.empty() && std::ranges::find(found, text) == found.end()) found.push_back(std::move(text));
    }
    return found;
  }

 private:
  bool is_listed(const Sides& sides) const {
    if (change_.action == RowAction::deleted) return true;
    if (sides.now == nullptr) return false;
    // Without a key nothing but its values says which row it was.
    return sides.old == nullptr || *sides.old != *sides.now || rules_.key_columns.empty();
  }

  std::optional<std::size_t> shown_column(std::string_view name) const {
    if (rules_.excluded.contains(name)) return std::nullopt;
    const auto found = std::ranges::find(relation_.columns, name, &Column::name);
    if (found == relation_.columns.end()) return std::nullopt;
    return static_cast<std::size_t>(found - relation_.columns.begin());
  }

  bool is_hashed(std::size_t i) const { return rules_.hashed.contains(relation_.columns[i].name); }

  std::string shown_text(std::size_t i, const Value& value) const {
    return is_hashed(i) ? hashed_text(hash_key_, relation_, relation_.columns[i], value.text)
                        : std::string(value.text);
  }

  std::optional<Placed> placed(std::size_t i, const Value* value) {
    if (value == nullptr) return std::nullopt;
    if (value->state != Value::State::text) return Placed{.json = "null", .text = {}};
    // Shorter than any digest, so that none takes its place.
    if (is_hashed(i)) return Placed{.json = quoted_or_digest(shown_text(i, *value)), .text = {}};
    auto written = values_.write(relation_.columns[i].type, value->text);
    return Placed{.json = std::move(written.json), .text = value->text, .lossless = written.lossless};
  }

  const crypto::HmacKey& hash_key_;
  ValueWriter& values_;
  const Relation& relation_;
  const TableRules& rules_;
  const RowChange& change_;
};

std::string context_of(const Circumstances& circumstances) {
  const auto& statement = circumstances.statement;
  json::ObjectWriter context;
  return context.text("attribution", name_of(circumstances.attribution))
      .text("capture", bounded(circumstances.capture, id_bytes_max))
      .text("database", bounded(circumstances.database, id_bytes_max))
      .text("lsn", format_lsn(circumstances.lsn))
      .text_if_any("organization", bounded(statement.organization, id_bytes_max))
      .text_if_any("reason", bounded(statement.reason, id_bytes_max))
      .text_if_any("replicationOrigin", bounded(circumstances.replication_origin, id_bytes_max))
      .text_if_any("requestId", bounded(statement.request_id, id_bytes_max))
      .raw("row", fmt::format("{}", circumstances.row))
      .raw("transaction", fmt::format("{}", circumstances.transaction.value))
      .str();
}

std::string changes_of(const Draft& draft) {
  if (draft.changes.empty()) return {};
  std::string list;
  for (const auto& change : draft.changes) {
    json::ObjectWriter element;
    element.text("field", bounded(change.field, id_bytes_max));
    if (change.now) element.raw("new", change.now->json);
    if (change.old) element.raw("old", change.old->json);
    if (change.old_unknown) element.raw("oldUnknown", "true");
    list.append(list.empty() ? "[" : ",").append(element.str());
  }
  return list + "]";
}

std::string lossless_of(const Draft& draft) {
  std::string list;
  for (std::size_t i = 0; i < draft.changes.size(); ++i) {
    const auto add = [&](std::string_view side, const std::optional<Placed>& value) {
      if (value && value->lossless)
        list += fmt::format("{}\"/changes/{}/{}\"", list.empty() ? '[' : ',', i, side);
    };
    add("new", draft.changes[i].now);
    add("old", draft.changes[i].old);
  }
  return list.empty() ? list : list + "]";
}

// A text, or a list where there are two.
std::string subjects_of(const Draft& draft) {
  if (draft.subjects.size() > 1) return json::quoted_list(draft.subjects);
  std::string text;
  if (!draft.subjects.empty()) json::append_quoted(text, draft.subjects.front());
  return text;
}

std::string text_of(const Draft& draft, const Circumstances& circumstances) {
  json::ObjectWriter detail, source_meta;
  if (draft.message) detail.raw("message", draft.message->json);
  const auto actor = circumstances.statement.actor.value_or(Actor());
  source_meta.text_if_any("name", bounded(actor.name, word_bytes_max));
  json::ObjectWriter event;
  event.text("action", draft.action)
      .raw_if_any("changes", changes_of(draft))
      .raw("context", context_of(circumstances))
      .raw_if_any("detail", detail.empty() ? "" : detail.str())
      .text("kind", "data.change")
      .raw_if_any("lossless", lossless_of(draft))
      .raw_if_any("sourceEntityMeta", source_meta.empty() ? "" : source_meta.str())
      .text_if_any("sourceId", bounded(actor.id, id_bytes_max))
      .text_if_any("sourceType", bounded(actor.type, word_bytes_max))
      .raw_if_any("subject", subjects_of(draft));
  if (draft.target_id) event.text("targetId", *draft.target_id);
  event.text("targetType", draft.target_type).text("time", format_time(circumstances.committed));
  return event.str();
}

std::vector<Placed*> values_of(Draft& draft) {
  std::vector<Placed*> values;
  for (auto& change : draft.changes)
    for (auto* side : {&change.now, &change.old})
      if (*side) values.push_back(&**side);
  if (draft.message) values.push_back(&*draft.message);
  return values;
}

// Later pointers are left out rather than the event: the values stand there as text all the same.
void bound_lossless(Draft& draft) {
  std::size_t count = 0;
  for (auto* value : values_of(draft))
    if (value->lossless && ++count > lossless_max) value->lossless = false;
}

// Puts digests in the place of the longest values until the event has so many bytes less, or none is longer
// than a digest.
void shorten(Draft& draft, std::size_t excess) {
  std::multimap<std::size_t, Placed*, std::greater<>> longest_first;
  for (auto* value : values_of(draft)) longest_first.emplace(value->json.size(), value);
  for (const auto& [bytes, value] : longest_first) {
    if (bytes <= digest_bytes_max) return;
    *value = {.json = digest_of(value->text), .text = value->text};
    const auto saved = bytes - value->json.size();
    if (saved >= excess) return;
    excess -= saved;
  }
}

Result<std::string> finished(Draft draft, const Circumstances& circumstances) {
  if (circumstances.committed < time_min || circumstances.committed > time_max)
    return corrupt("", 0,
                   fmt::format("the transaction that ends at {} was committed in no year from 0 to 9999",
                               format_lsn(circumstances.lsn)));
  const auto& more = circumstances.statement.more;
  if (!more.text.empty())
    draft.message = Placed{.json = more.json ? more.text : quoted_or_digest(more.text), .text = more.text};
  bound_lossless(draft);
  auto text = text_of(draft, circumstances);
  if (text.size() <= event_bytes_max) return text;
  shorten(draft, text.size() - event_bytes_max);
  text = text_of(draft, circumstances);
  if (text.size() <= event_bytes_max) return text;
  return std::unexpected(
      Error{.kind = ErrorKind::exhausted,
            .message = fmt::format("a row of {} has {} bytes with digests in the place of its values",
                                   draft.target_type, text.size()),
            .limit = fmt::format("event_bytes_max = {}", event_bytes_max)});
}

}  // namespace

std::string hashed_text(const crypto::HmacKey& key, const Relation& relation, const Column& column,
                        std::string_view text) {
  const auto name = fmt::format("{}.{}.{}", relation.schema, relation.name, column.name);
  std::uint8_t size[sizeof(std::uint32_t)];
  store_le(size, static_cast<std::uint32_t>(name.size()));
  return "hmac-sha256:" + to_hex(key.mac({size, view(name), view(text)}));
}

Result<std::string> RowEventWriter::changed(const Relation& relation, const TableRules& rules,
                                            const RowChange& change, const Circumstances& circumstances) {
  if (!fits(relation, change))
    return corrupt(
        "", 0,
        fmt::format("a row of {} in the transaction that ends at {} has other columns than the table as "
                    "it was told before",
                    target_type_of(relation), format_lsn(circumstances.lsn)));
  RowReader row(hash_key_, values_, relation, rules, change);
  return finished({.action = name_of(change.action),
                   .target_type = target_type_of(relation),
                   .target_id = row.target_id(),
                   .subjects = row.subjects(),
                   .changes = row.changes(),
                   .message = {}},
                  circumstances);
}

Result<std::string> RowEventWriter::truncated(const Relation& relation, const Circumstances& circumstances) {
  return finished({.action = "TRUNCATED",
                   .target_type = target_type_of(relation),
                   .target_id = {},
                   .subjects = {},
                   .changes = {},
                   .message = {}},
                  circumstances);
}

}  // namespace vestige::sources::postgres
