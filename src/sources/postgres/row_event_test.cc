// Property: rows can be rebuilt. For random tables, rows and rules, told as PostgreSQL tells them under each
// replica identity, an event lists of each column what it was and became, as far as that was told, and what
// it does not list did not change; excluded columns are nowhere, of hashed ones only hashes are. Whatever was
// sent, an event is canonical JSON within its limit, or an error.
#include "sources/postgres/row_event.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>

#include "base/encoding.h"
#include "base/time_text.h"
#include "sources/postgres/testing/way_back.h"

namespace vestige::sources::postgres {
namespace {

using Cell = std::optional<std::string>;
using Cells = std::vector<Cell>;

const crypto::HmacKey hash_key(view("a key of the vault"));

// What happened in PostgreSQL, which the event is compared with.
struct World {
  Relation relation;
  TableRules rules;
  RowAction action = RowAction::created;
  Cells before, after;            // as many as columns, of an update; else what there is of them
  std::vector<bool> out_of_line;  // did not change and is not sent

  bool tells_old(std::size_t i) const {
    return relation.identity == ReplicaIdentity::full || relation.columns[i].key;
  }
};

Value value_of(const Cell& cell) {
  return cell ? Value{.state = Value::State::text, .text = *cell} : Value{};
}

// The rows as PostgreSQL sends them.
struct Told {
  explicit Told(const World& world) {
    const auto columns = world.relation.columns.size();
    const bool has_old = world.action == RowAction::updated || world.action == RowAction::deleted;
    bool key_is_needed = world.action == RowAction::deleted;
    for (std::size_t i = 0; i < columns; ++i) {
      if (has_old) {
        old.push_back(value_of(world.before[i]));
        key.push_back(world.relation.columns[i].key ? value_of(world.before[i]) : Value{});
      }
      if (world.action == RowAction::deleted) continue;
      now.push_back(world.out_of_line[i] ? Value{.state = Value::State::unchanged}
                                         : value_of(world.after[i]));
      const bool key_changed = has_old && (world.out_of_line[i] || world.before[i] != world.after[i]) &&
                               world.relation.columns[i].key;
      key_is_needed = key_is_needed || key_changed;
    }
    change.action = world.action;
    if (world.action != RowAction::deleted) change.now = &now;
    if (!has_old || world.relation.identity == ReplicaIdentity::nothing) return;
    if (world.relation.identity == ReplicaIdentity::full)
      change.old = &old;
    else if (key_is_needed)
      change.key = &key;
  }
  Told(const Told&) = delete;

  Row key, old, now;
  RowChange change;
};

Cell random_cell(ObjectId type) {
  static const std::vector<std::string> numbers = {"0",         "-7", "1.50", "NaN", "12345678901234567890",
                                                   "2147483647"};
  static const std::vector<std::string> documents = {"null", R"({"a": [1.5, null]})", R"({"a": 1e400})",
                                                     "\"null\"", R"({"bytes": 1, "sha256": ""})"};
  static const std::vector<std::string> texts = {"",
                                                 "a",
                                                 "b",
                                                 "two\nlines \"\\",
                                                 "\xc3\xa9",
                                                 "null",
                                                 "\xff",
                                                 std::string("a\0b", 3),
                                                 std::string(1'024, 'i'),
                                                 std::string(1'025, 'i'),
                                                 std::string(70'000, 'v')};
  if (*rc::gen::inRange(0, 4) == 0) return std::nullopt;
  if (type == type_ids::boolean) return *rc::gen::arbitrary<bool>() ? "t" : "f";
  if (type == type_ids::jsonb) return *rc::gen::elementOf(documents);
  return *rc::gen::elementOf(type == type_ids::text ? texts : numbers);
}

World random_world() {
  World world;
  world.relation.schema = *rc::gen::elementOf(std::vector<std::string>{"public", "a b", "\xc3\xa9", "\xff"});
  world.relation.name = "t";
  world.relation.identity = *rc::gen::elementOf(std::vector{
      ReplicaIdentity::primary_key, ReplicaIdentity::nothing, ReplicaIdentity::full, ReplicaIdentity::index});
  world.action = *rc::gen::elementOf(
      std::vector{RowAction::created, RowAction::updated, RowAction::deleted, RowAction::snapshot});
  const auto one_in = [](int count) { return *rc::gen::inRange(0, count) == 0; };
  for (int i = *rc::gen::inRange(0, 7); i > 0; --i) {
    Column column;
    column.name =
        fmt::format("{}{}", *rc::gen::elementOf(std::vector<std::string>{"c", "\"", "\xc3\xa9", "\x01"}), i);
    column.type = *rc::gen::elementOf(
        std::vector{type_ids::text, type_ids::boolean, type_ids::numeric, type_ids::int4, type_ids::jsonb});
    column.key = world.relation.identity == ReplicaIdentity::full ||
                 (world.relation.identity != ReplicaIdentity::nothing && one_in(2));
    if (one_in(3)) world.rules.key_columns.push_back(column.name);
    if (one_in(4)) world.rules.excluded.insert(column.name);
    if (one_in(4)) world.rules.hashed.insert(column.name);
    if (one_in(3)) world.rules.subject_column = column.name;
    world.before.push_back(random_cell(column.type));
    world.after.push_back(one_in(2) ? world.before.back() : random_cell(column.type));
    world.out_of_line.push_back(world.action == RowAction::updated && world.after.back() &&
                                world.before.back() == world.after.back() && one_in(2));
    world.relation.columns.push_back(std::move(column));
  }
  return world;
}

std::string naive_hash(const World& world, std::size_t i, const std::string& text) {
  const auto name = world.relation.schema + "." + world.relation.name + "." + world.relation.columns[i].name;
  Bytes message;
  ByteWriter writer(message);
  writer.u32(static_cast<std::uint32_t>(name.size()));
  writer.bytes(view(name + text));
  return "hmac-sha256:" + to_hex(hash_key.mac(message));
}

// An event that was read, and who asked for which of its `lossless` pointers.
struct Read {
  explicit Read(const std::string& text) {
    json::Parser parser;
    const auto status = parser.parse(text, document);
    RC_ASSERT(status.has_value());
    RC_ASSERT(json::canonical(document.root()) == text);
    RC_ASSERT(text.size() <= event_bytes_max);
    const auto list = document.root().find("lossless");
    for (std::size_t i = 0; list.exists() && i < list.size(); ++i)
      RC_ASSERT(lossless.emplace(list.at(i).string()).second);
    changes = document.root().find("changes");
  }

  std::optional<std::size_t> index_of(const std::string& field) const {
    for (std::size_t i = 0; changes.exists() && i < changes.size(); ++i)
      if (changes.at(i).find("field").string() == field) return i;
    return std::nullopt;
  }

  bool has(const World& world, std::size_t column, std::size_t at, const char* side, const Cell& cell) {
    const auto value = changes.at(at).find(side);
    const bool is_lossless = lossless.erase(fmt::format("/changes/{}/{}", at, side)) == 1;
    if (!value.exists()) return false;
    if (!cell) return value.is_null() && !is_lossless;
    if (world.rules.hashed.contains(world.relation.columns[column].name))
      return value.is_string() && value.string() == naive_hash(world, column, *cell) && !is_lossless;
    return testing::is_same_value(value, is_lossless, world.relation.columns[column].type, *cell);
  }

  json::Document document;
  json::Value changes;
  std::set<std::string> lossless;  // that were not asked for yet
};

// The cell that a text about the whole row is made of: nullopt where it is null, hidden or not known.
Cell shown_cell(const World& world, std::string_view name, bool before_first) {
  for (std::size_t i = 0; i < world.relation.columns.size(); ++i) {
    if (world.relation.columns[i].name != name || world.rules.excluded.contains(name)) continue;
    const bool old_known =
        (world.action == RowAction::updated || world.action == RowAction::deleted) && world.tells_old(i);
    const bool now_known = world.action != RowAction::deleted && (!world.out_of_line[i] || old_known);
    const auto& cell = old_known && (before_first || !now_known) ? world.before[i] : world.after[i];
    if (!cell || (!old_known && !now_known)) return std::nullopt;
    return world.rules.hashed.contains(name) ? naive_hash(world, i, *cell) : *cell;
  }
  return std::nullopt;
}

Cell expected_target(const World& world) {
  const auto digest = [](const std::string& text) { return "sha256:" + to_hex(crypto::sha256(view(text))); };
  std::vector<std::string> quoted;
  for (const auto& name : world.rules.key_columns) {
    auto cell = shown_cell(world, name, true);
    if (!cell) return std::nullopt;
    if (!is_plain(*cell)) cell = digest(*cell);
    if (world.rules.key_columns.size() == 1) return cell->size() > 1'024 ? digest(*cell) : *cell;
    json::append_quoted(quoted.emplace_back(), *cell);
  }
  if (quoted.empty()) return std::nullopt;
  const auto list = fmt::format("[{}]", fmt::join(quoted, ","));
  return list.size() > 1'024 ? digest(list) : list;
}

std::vector<std::string> expected_subjects(const World& world) {
  std::vector<std::string> found;
  if (!world.rules.subject_column) return found;
  for (const bool before_first : {false, true}) {
    auto cell = shown_cell(world, *world.rules.subject_column, before_first);
    if (!cell || cell->empty()) continue;
    if (cell->size() > 1'024 || !is_plain(*cell)) cell = "sha256:" + to_hex(crypto::sha256(view(*cell)));
    if (found.empty() || found.front() != *cell) found.push_back(*cell);
  }
  return found;
}

std::vector<std::string> subjects_in(const Read& event) {
  const auto value = event.document.root().find("subject");
  if (value.is_string()) return {std::string(value.string())};
  std::vector<std::string> found;
  for (std::size_t i = 0; value.is_array() && i < value.size(); ++i) found.emplace_back(value.at(i).string());
  return found;
}

Cell text_member(const Read& event, std::string_view name) {
  const auto value = event.document.root().find(name);
  return value.exists() ? Cell(value.string()) : std::nullopt;
}

void check_column(const World& world, Read& event, std::size_t i) {
  const auto& name = world.relation.columns[i].name;
  const auto at = event.index_of(name);
  if (world.rules.excluded.contains(name)) {
    RC_ASSERT(!at);
    return;
  }
  const bool updated = world.action == RowAction::updated, deleted = world.action == RowAction::deleted;
  const bool unchanged = updated && world.before[i] == world.after[i];
  if (!at) {
    RC_ASSERT(unchanged);
    if (world.tells_old(i))
      RC_ASSERT(!world.rules.key_columns.empty());
    else
      RC_ASSERT(world.out_of_line[i]);
    return;
  }
  const auto element = event.changes.at(*at);
  const bool has_old = (updated || deleted) && world.tells_old(i);
  RC_ASSERT(!has_old || !unchanged || world.rules.key_columns.empty());
  RC_ASSERT(element.find("old").exists() == has_old);
  RC_ASSERT(element.find("new").exists() == !deleted);
  RC_ASSERT(element.find("oldUnknown").exists() == ((updated || deleted) && !has_old));
  if (has_old) RC_ASSERT(event.has(world, i, *at, "old", world.before[i]));
  if (!deleted) RC_ASSERT(event.has(world, i, *at, "new", world.after[i]));
}

TEST(RowEvent, RowsCanBeRebuilt) {
  RowEventWriter writer(hash_key);
  EXPECT_TRUE(rc::check([&] {
    const auto world = random_world();
    const Told told(world);
    const auto text = writer.changed(world.relation, world.rules, told.change, {});
    RC_ASSERT(text.has_value());
    Read event(*text);
    for (std::size_t i = 0; i < world.relation.columns.size(); ++i) check_column(world, event, i);
    RC_ASSERT(event.lossless.empty());
    RC_ASSERT(text_member(event, "targetId") == expected_target(world));
    RC_ASSERT(subjects_in(event) == expected_subjects(world));
    if (event.changes.exists()) RC_ASSERT(event.changes.size() > 0);
  }));
}

// A table of texts without a key.
World table_of(std::size_t columns, ReplicaIdentity identity = ReplicaIdentity::full) {
  World world;
  world.relation.schema = "public";
  world.relation.name = "t";
  world.relation.identity = identity;
  for (std::size_t i = 0; i < columns; ++i)
    world.relation.columns.push_back({.name = fmt::format("c{}", i), .type = type_ids::text});
  world.out_of_line.resize(columns);
  return world;
}

TEST(RowEvent, OfTheLongestValuesAreDigestsAsFarAsNeeded) {
  RowEventWriter writer(hash_key);
  EXPECT_TRUE(rc::check([&] {
    const auto columns = *rc::gen::inRange<std::size_t>(1, 50);
    auto world = table_of(columns);
    std::vector<std::size_t> sizes;  // of the JSON
    for (std::size_t i = 0; i < columns; ++i) {
      const auto bytes = *rc::gen::inRange<std::size_t>(0, value_bytes_max + 1);
      const bool is_control = *rc::gen::arbitrary<bool>();
      world.after.emplace_back(std::string(bytes, is_control ? '\x01' : 'x'));
      sizes.push_back(bytes * (is_control ? 6 : 1) + 2);
    }
    const Told told(world);
    const auto text = writer.changed(world.relation, world.rules, told.change, {});
    RC_ASSERT(text.has_value());
    Read event(*text);
    RC_ASSERT(event.changes.size() == columns);
    std::size_t kept_max = 0, gone_min = SIZE_MAX, digest = 0;
    for (std::size_t i = 0; i < columns; ++i) {
      RC_ASSERT(event.has(world, i, i, "new", world.after[i]));
      if (event.changes.at(i).find("new").is_string()) {
        kept_max = std::max(kept_max, sizes[i]);
      } else if (sizes[i] < gone_min) {
        gone_min = sizes[i];
        digest = digest_of(*world.after[i]).size();
      }
    }
    RC_ASSERT(kept_max <= gone_min);
    // With the shortest of those that are gone it would have been too much.
    if (gone_min != SIZE_MAX) RC_ASSERT(text->size() - digest + gone_min > event_bytes_max);
  }));
}

Circumstances longest_circumstances() {
  const std::string id(id_bytes_max, '\x01'), word(word_bytes_max, '\x01'), name(63, '\x01');
  return {.capture = name,
          .database = name,
          .transaction = TransactionId{0xffff'ffff},
          .lsn = Lsn{~std::uint64_t{0}},
          .committed = UnixMs{1},
          .row = 1ull << 52,
          .attribution = Attribution::configured,
          .statement = {.actor = Actor{.type = word, .id = id, .name = word},
                        .organization = id,
                        .request_id = id,
                        .reason = id,
                        .more = {.text = std::string(value_bytes_max, '\x01')}},
          .replication_origin = std::string(512, '\x01')};
}

TEST(RowEvent, TheWidestTableOfPostgresHasAnEvent) {
  constexpr std::size_t columns_max = 1'600;
  // Kept as they are and named in `lossless`; kept as they are; replaced.
  for (const auto& [type, size] :
       {std::pair(type_ids::numeric, 94), {type_ids::text, 15}, {type_ids::text, 500}}) {
    auto world = table_of(columns_max);
    world.relation.schema = world.relation.name = std::string(63, '\x01');
    world.action = RowAction::updated;
    for (std::size_t i = 0; i < columns_max; ++i) {
      auto& column = world.relation.columns[i];
      // Different, and as long in JSON as a name can be.
      column.name = std::string(63, '\x01');
      for (std::size_t bit = 0; bit < 11; ++bit)
        if ((i >> bit & 1) != 0) column.name[bit] = '\x02';
      column.type = type;
      world.before.emplace_back(
          std::string(static_cast<std::size_t>(size), type == type_ids::text ? '\x01' : '7'));
      world.after.emplace_back(
          std::string(static_cast<std::size_t>(size), type == type_ids::text ? '\x02' : '8'));
    }
    auto key = world.relation.columns.front();
    key.name = "key";
    world.relation.columns.front() = key;
    world.rules.key_columns = {"key"};
    world.before.front() = world.after.front() = std::string(id_bytes_max, '\x01');
    world.rules.subject_column = "key";
    const Told told(world);
    RowEventWriter writer(hash_key);
    const auto text = writer.changed(world.relation, world.rules, told.change, longest_circumstances());
    ASSERT_TRUE(text) << text.error().message;
    EXPECT_LE(text->size(), event_bytes_max);
    json::Parser parser;
    json::Document document;
    ASSERT_TRUE(parser.parse(*text, document));
    EXPECT_EQ(document.root().find("changes").size(), columns_max - 1);
    EXPECT_TRUE(document.root().find("detail").find("message").is_object());
    EXPECT_EQ(document.root().find("subject").string().size(), id_bytes_max);
    const auto lossless = document.root().find("lossless");
    EXPECT_EQ(lossless.exists() ? lossless.size() : 0, type == type_ids::text ? 0 : lossless_max);
  }
}

TEST(RowEvent, AWiderTableThanPostgresHasIsAnError) {
  auto world = table_of(20'000);
  for (auto& column : world.relation.columns) {
    column.name += std::string(100, 'n');
    world.after.emplace_back();
  }
  const Told told(world);
  RowEventWriter writer(hash_key);
  const auto refused = writer.changed(world.relation, world.rules, told.change, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::exhausted);
}

TEST(RowEvent, ThePointersAreTheFirstThousand) {
  auto world = table_of(1'100);
  for (auto& column : world.relation.columns) {
    column.type = type_ids::numeric;
    world.after.emplace_back("1.50");
  }
  const Told told(world);
  RowEventWriter writer(hash_key);
  const auto text = writer.changed(world.relation, world.rules, told.change, {});
  ASSERT_TRUE(text);
  json::Parser parser;
  json::Document document;
  ASSERT_TRUE(parser.parse(*text, document));
  const auto pointers = document.root().find("lossless");
  ASSERT_EQ(pointers.size(), lossless_max);
  EXPECT_EQ(pointers.at(0).string(), "/changes/0/new");
  EXPECT_EQ(pointers.at(999).string(), "/changes/999/new");
  EXPECT_EQ(document.root().find("changes").at(1'099).find("new").string(), "1.50");
}

TEST(RowEvent, RowsOfAnotherShapeAreCorrupt) {
  const auto world = table_of(2);
  const Row two(2), one(1), three(3);
  RowEventWriter writer(hash_key);
  for (const auto& change : {RowChange{.action = RowAction::created},
                             {.action = RowAction::updated, .old = &two},
                             {.action = RowAction::created, .now = &one},
                             {.action = RowAction::snapshot, .now = &three},
                             {.action = RowAction::updated, .key = &one, .now = &two},
                             {.action = RowAction::updated, .old = &three, .now = &two},
                             {.action = RowAction::deleted, .key = &three}}) {
    const auto refused = writer.changed(world.relation, {}, change, {});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::corrupt);
  }
  for (const auto committed : {time_max + 1, UnixMs{time_min.value - 1}}) {
    Circumstances out_of_time;
    out_of_time.committed = committed;
    const auto refused = writer.truncated(world.relation, out_of_time);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::corrupt);
  }
}

TEST(RowEvent, AnUpdateThatChangedNothingIsAnEventAllTheSame) {
  auto world = table_of(1);
  world.rules.key_columns = {"c0"};
  world.action = RowAction::updated;
  world.before = world.after = {"a"};
  const Told told(world);
  RowEventWriter writer(hash_key);
  EXPECT_EQ(
      writer.changed(world.relation, world.rules, told.change, {}).value(),
      R"({"action":"UPDATED","context":{"attribution":"none","capture":"","database":"","lsn":"0/0","row":0,)"
      R"("transaction":0},"kind":"data.change","targetId":"a","targetType":"public.t",)"
      R"("time":"1970-01-01T00:00:00.000Z"})");
}

Circumstances circumstances() {
  return {.capture = "crm",
          .database = "shop",
          .transaction = TransactionId{731},
          .lsn = Lsn{0x16B3748},
          .committed = parse_time("2026-11-25T14:40:11.213Z").value(),
          .row = 3,
          .attribution = Attribution::message,
          .statement = {.actor = Actor{.type = "STAFF", .id = "42", .name = "Asha"},
                        .organization = "7",
                        .request_id = "r-1",
                        .reason = "asked by phone",
                        .more = {.text = R"({"ticket":9})", .json = true}},
          .replication_origin = "berlin"};
}

TEST(RowEvent, AllMembersOfAnUpdate) {
  auto world = table_of(4, ReplicaIdentity::primary_key);
  world.relation.name = "customers";
  auto& columns = world.relation.columns;
  columns[0] = {.name = "id", .type = type_ids::int4, .key = true};
  columns[1] = {.name = "phone", .type = type_ids::text};
  columns[2] = {.name = "discount", .type = type_ids::numeric};
  columns[3] = {.name = "password", .type = type_ids::text};
  world.rules = {
      .key_columns = {"id"}, .subject_column = "id", .excluded = {"password"}, .hashed = {"phone"}};
  world.action = RowAction::updated;
  world.before = {"1", "555-1", "0", "secret"};
  world.after = {"2", "555-2", "1.50", "hidden"};
  const Told told(world);
  RowEventWriter writer(hash_key);
  EXPECT_EQ(
      writer.changed(world.relation, world.rules, told.change, circumstances()).value(),
      R"({"action":"UPDATED","changes":[{"field":"id","new":2,"old":1},{"field":"phone","new":")" +
          naive_hash(world, 1, "555-2") +
          R"(","oldUnknown":true},{"field":"discount","new":"1.50","oldUnknown":true}],)"
          R"("context":{"attribution":"message","capture":"crm","database":"shop","lsn":"0/16B3748",)"
          R"("organization":"7","reason":"asked by phone","replicationOrigin":"berlin","requestId":"r-1","row":3,)"
          R"("transaction":731},"detail":{"message":{"ticket":9}},"kind":"data.change",)"
          R"("lossless":["/changes/2/new"],"sourceEntityMeta":{"name":"Asha"},"sourceId":"42",)"
          R"("sourceType":"STAFF","subject":["2","1"],"targetId":"1","targetType":"public.customers",)"
          R"("time":"2026-11-25T14:40:11.213Z"})");
}

TEST(RowEvent, ATruncatedTable) {
  auto world = table_of(1);
  auto plain = circumstances();
  plain.attribution = Attribution::configured;
  plain.statement = {.actor = Actor{.type = "SYSTEM", .id = "etl", .name = ""},
                     .more = {.text = "a \"note\""}};
  plain.replication_origin.clear();
  RowEventWriter writer(hash_key);
  EXPECT_EQ(
      writer.truncated(world.relation, plain).value(),
      R"({"action":"TRUNCATED","context":{"attribution":"configured","capture":"crm","database":"shop",)"
      R"("lsn":"0/16B3748","row":3,"transaction":731},"detail":{"message":"a \"note\""},"kind":"data.change",)"
      R"("sourceId":"etl","sourceType":"SYSTEM","targetType":"public.t","time":"2026-11-25T14:40:11.213Z"})");
}

}  // namespace
}  // namespace vestige::sources::postgres
