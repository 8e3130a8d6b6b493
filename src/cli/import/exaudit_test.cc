// Defends: what a version tells changed is what changed. For random rows, whose members Ecto and programs
// write now as atoms, now as texts, the changes that are made of ExAudit's patch turn the row before into the
// row after, finding everywhere what they call old. What ExAudit itself made of rows of Glific reads as it
// should; a row is the same record whatever becomes of its user; what cannot be read is named.
#include "cli/import/internal/exaudit.h"

#include <gtest/gtest.h>

#include <map>

#include "cli/import/internal/elixir_values.h"
#include "cli/import/testing/sources.h"
#include "cli/import/testing/terms.h"

namespace vestige::cli::importing {
namespace {

using testing::at;
using testing::atom;
using testing::binary;
using testing::integer;
using testing::Kind;
using testing::list;
using testing::map;
using testing::TermWriter;
using testing::tuple;

// JSON that can be changed.
struct Node {
  std::map<std::string, Node> members;
  std::vector<Node> items;
  std::string scalar;  // else it is a container
  char form = 's';     // {, [ or s

  static Node of(const json::Value& value) {
    Node node;
    if (value.is_object()) {
      node.form = '{';
      for (std::size_t i = 0; i < value.size(); ++i) node.members.emplace(value.key_at(i), of(value.at(i)));
    } else if (value.is_array()) {
      node.form = '[';
      for (std::size_t i = 0; i < value.size(); ++i) node.items.push_back(of(value.at(i)));
    } else {
      node.scalar = json::canonical(value);
    }
    return node;
  }
  static Node parse(const std::string& text) {
    json::Parser parser;
    json::Document document;
    const auto parsed = parser.parse(text, document);
    EXPECT_TRUE(parsed) << text;
    return of(document.root());
  }
  bool operator==(const Node&) const = default;
};

// ---- what ExAudit does, read from its documentation and done anew

const Term* member(const Term& map, const Term& key) {
  for (std::size_t i = 0; i < map.items.size(); i += 2)
    if (map.items[i] == key) return &map.items[i + 1];
  return nullptr;
}

Term difference(const Term& before, const Term& after);

Term of_maps(const Term& before, const Term& after) {
  std::vector<Term> changes;
  for (std::size_t i = 0; i < before.items.size(); i += 2) {
    const auto* now = member(after, before.items[i]);
    if (now != nullptr && *now == before.items[i + 1]) continue;
    changes.push_back(before.items[i]);
    changes.push_back(now == nullptr ? tuple({atom("removed"), before.items[i + 1]})
                                     : tuple({atom("changed"), difference(before.items[i + 1], *now)}));
  }
  for (std::size_t i = 0; i < after.items.size(); i += 2)
    if (member(before, after.items[i]) == nullptr) {
      changes.push_back(after.items[i]);
      changes.push_back(tuple({atom("added"), after.items[i + 1]}));
    }
  return map(std::move(changes));
}

Term of_lists(const Term& before, const Term& after) {
  std::vector<Term> changes;
  for (std::size_t i = 0; i < std::max(before.items.size(), after.items.size()); ++i) {
    const auto place = integer(static_cast<std::int64_t>(i));
    if (i >= before.items.size())
      changes.push_back(tuple({atom("added_to_list"), place, after.items[i]}));
    else if (i >= after.items.size())
      changes.push_back(tuple({atom("removed_from_list"), place, before.items[i]}));
    else if (before.items[i] != after.items[i])
      changes.push_back(tuple({atom("changed_in_list"), place, difference(before.items[i], after.items[i])}));
  }
  return list(std::move(changes));
}

Term difference(const Term& before, const Term& after) {
  if (before.kind == Kind::map && after.kind == Kind::map) return of_maps(before, after);
  if (before.kind == Kind::list && after.kind == Kind::list) return of_lists(before, after);
  return tuple({atom("primitive_change"), before, after});
}

// ---- rows

class Rows {
 public:
  explicit Rows(unsigned seed) : random_(seed) {}

  Term row() {
    std::vector<Term> columns;
    for (const auto* name : {"fields", "name", "days", "settings"})
      if (random_() % 4 != 0) {
        columns.push_back(atom(name));
        columns.push_back(value(3));
      }
    return map(std::move(columns));
  }

 private:
  Term value(int depth) {
    switch (random_() % (depth > 0 ? 9 : 4)) {
      case 0:
        return atom("nil");
      case 1:
        return integer(static_cast<std::int64_t>(random_() % 4));
      case 2:
        return binary(random_() % 2 == 0 ? "Wai" : "Satara");
      case 3:
        return {.kind = Kind::real, .real = 0.5 * static_cast<double>(random_() % 3)};
      case 4:
      case 5: {
        std::vector<Term> items;
        for (auto left = random_() % 4; left > 0; --left) items.push_back(value(depth - 1));
        return list(std::move(items));
      }
      default:
        break;
    }
    std::vector<Term> members;
    for (const auto* name : {"value", "a/b", "~", ""})
      if (random_() % 2 == 0) {
        members.push_back(random_() % 2 == 0 ? atom(name) : binary(name));
        members.push_back(value(depth - 1));
      }
    return map(std::move(members));
  }
  std::mt19937 random_;
};

// Does what one change says, to the one place that it names. Gives what is wrong.
std::string apply(Node& row, const json::Value& change) {
  auto place = change.find("field").string();
  const auto hash = std::min(place.find('#'), place.size());
  std::vector<std::string> steps = {std::string(place.substr(0, hash))};
  place.remove_prefix(std::min(hash + 1, place.size()));
  while (!place.empty()) {
    const auto end = std::min(place.find('/', 1), place.size());
    steps.push_back(json::unescaped_token(place.substr(1, end - 1)));
    place.remove_prefix(end);
  }
  auto* inside = &row;
  for (std::size_t i = 0; i + 1 < steps.size(); ++i) {
    if (inside->form == '[')
      inside = &inside->items.at(std::stoul(steps[i]));
    else if (inside->form == '{')
      inside = &inside->members.at(steps[i]);
    else
      return "nothing is inside of a scalar";
  }
  const auto before = change.find("old");
  const auto after = change.find("new");
  if (inside->form == '[') {
    const auto number = std::stoul(steps.back());
    if (before.exists() != (number < inside->items.size())) return "the list has another length";
    if (before.exists() && inside->items[number] != Node::of(before)) return "another element was there";
    if (!after.exists() && number + 1 != inside->items.size()) return "elements go from within";
    if (!after.exists())
      inside->items.pop_back();
    else if (before.exists())
      inside->items[number] = Node::of(after);
    else if (number == inside->items.size())
      inside->items.push_back(Node::of(after));
    else
      return "elements come behind a hole";
    return "";
  }
  const auto there = inside->members.find(steps.back());
  if (before.exists() != (there != inside->members.end()))
    return "it is said to be there, and is not, or the other way";
  if (before.exists() && there->second != Node::of(before)) return "another value was there";
  if (after.exists())
    inside->members[steps.back()] = Node::of(after);
  else
    inside->members.erase(there);
  return "";
}

TEST(ExAudit, ChangesTurnTheRowBeforeIntoTheRowAfter) {
  int inside = 0, merged = 0;
  for (unsigned seed = 1; seed <= 3'000U * static_cast<unsigned>(testing::test_scale()); ++seed) {
    Rows rows(seed);
    const auto before = rows.row();
    const auto after = rows.row();
    if (before == after) continue;
    const auto patch = decode_term(view(TermWriter::write(difference(before, after))));
    ASSERT_TRUE(patch) << patch.error().message;
    const auto changes = changes_of_patch(*patch);
    ASSERT_TRUE(changes) << changes.error().message;
    ASSERT_EQ(changes->left_out, 0U);
    json::Parser parser;
    json::Document document;
    ASSERT_TRUE(parser.parse(changes->json, document)) << changes->json;
    auto row = Node::parse(json_of_elixir(before, Place::column));
    for (std::size_t i = 0; i < document.root().size(); ++i) {
      const auto change = document.root().at(i);
      ASSERT_EQ(apply(row, change), "") << "seed " << seed << " " << testing::printed(before) << "\n"
                                        << testing::printed(after) << "\n"
                                        << changes->json;
      inside += change.find("field").string().contains('#');
      merged += change.find("field").string().contains('#') && change.find("old").exists() &&
                change.find("new").exists();
    }
    ASSERT_EQ(row, Node::parse(json_of_elixir(after, Place::column))) << "seed " << seed << "\n"
                                                                      << changes->json;
  }
  EXPECT_GT(inside, 1'000);
  EXPECT_GT(merged, 100);
}

std::string changes_of(std::string_view name) {
  const auto vectors = testing::vectors();
  const auto patches = vectors.root().find("patches");
  for (std::size_t i = 0; i < patches.size(); ++i) {
    if (patches.at(i).find("name").string() != name) continue;
    const auto term = decode_term(from_hex(patches.at(i).find("patch").string()).value_or(Bytes()));
    const auto changes = term ? changes_of_patch(*term) : Result<PatchChanges>();
    return changes ? changes->json : changes.error().message;
  }
  return "there is no such vector";
}

TEST(ExAudit, WhatExAuditMadeOfRowsOfGlific) {
  EXPECT_EQ(
      changes_of("contact created"),
      R"([{"field":"bsp_status","new":"session"},{"field":"contact_type","new":"WABA"},{"field":"fields","new":{}},)"
      R"({"field":"first_message_number","new":1},{"field":"id","new":4},)"
      R"({"field":"inserted_at","new":"2025-10-20 05:30:00.25"},{"field":"is_org_read","new":true},)"
      R"({"field":"language_id","new":1},{"field":"last_message_number","new":0},{"field":"masked_phone","new":null},)"
      R"({"field":"name","new":"Deepak Shah"},{"field":"optin_time","new":"2025-10-20 05:30:00"},)"
      R"({"field":"optout_time","new":null},{"field":"organization_id","new":7},{"field":"phone","new":"919876500004"},)"
      R"({"field":"settings","new":{}},{"field":"status","new":"valid"},{"field":"updated_at","new":"2025-10-20 05:30:00"}])");
  EXPECT_EQ(
      changes_of("first value of a field"),
      R"([{"field":"fields#/village","new":{"inserted_at":"2025-11-01T08:00:00.123456Z","label":"Village",)"
      R"("type":"string","value":"Satara"}},{"field":"updated_at","old":"2025-10-20 05:30:00","new":"2025-11-01 08:00:00.13"}])");
  // Ecto read the members as texts and Glific put atoms: only one of them is another value.
  EXPECT_EQ(changes_of("a field's value again"),
            R"([{"field":"fields#/village/value","old":"Satara","new":"Wai"},)"
            R"({"field":"updated_at","old":"2025-11-01 08:00:00.13","new":"2025-11-02 09:00:00"}])");
  EXPECT_EQ(
      changes_of("contact blocked"),
      R"([{"field":"optout_time","old":null,"new":"2025-11-03 10:00:00"},{"field":"status","old":"valid","new":"blocked"},)"
      R"({"field":"updated_at","old":"2025-11-02 09:00:00","new":"2025-11-03 10:00:00"}])");
  EXPECT_TRUE(
      changes_of("contact deleted")
          .contains(
              R"({"field":"fields","old":{"village":{"inserted_at":"2025-11-01T08:00:00.123456Z","label":"Village","type":"string","value":"Wai"}}})"));
  EXPECT_EQ(
      changes_of("trigger created"),
      R"([{"field":"days","new":[1,3]},{"field":"end_date","new":"2025-12-01"},{"field":"frequency","new":["weekly"]},)"
      R"({"field":"hours","new":[]},{"field":"id","new":9},{"field":"rate","new":"1.50"}])");
  EXPECT_EQ(
      changes_of("lists grow"),
      R"([{"field":"days#/1","old":3,"new":4},{"field":"days#/2","new":5},{"field":"days#/3","new":6},)"
      R"({"field":"frequency#/0","old":"weekly","new":"daily"},{"field":"frequency#/1","new":"weekly"},{"field":"hours#/0","new":300}])");
  EXPECT_EQ(
      changes_of("lists shrink"),
      R"([{"field":"days#/0","old":1,"new":2},{"field":"days#/3","old":6},{"field":"days#/2","old":5},{"field":"days#/1","old":4}])");
  EXPECT_EQ(
      changes_of("a struct that is not primitive"),
      R"([{"field":"end_date#/day","old":1,"new":15},{"field":"end_date#/month","old":12,"new":1},)"
      R"({"field":"end_date#/year","old":2025,"new":2026},{"field":"rate#/coef","old":150,"new":175}])");
  EXPECT_EQ(changes_of("deep inside"),
            R"([{"field":"definition#/nodes/0/actions/0/text","old":"Namaste","new":"नमस्ते"}])");
  EXPECT_EQ(changes_of("a member goes"), R"([{"field":"settings#/a","old":1}])");
  EXPECT_EQ(changes_of("numbers"),
            R"([{"field":"m","old":1.5,"new":-0.25},{"field":"n","old":1,"new":"9007199254740993"},)"
            R"({"field":"o","old":null,"new":"12345678901234567890"}])");
}

Term decimal(std::string_view digits, std::int64_t exponent, std::int64_t sign = 1) {
  return map({atom("__struct__"),
              atom("Elixir.Decimal"),
              atom("coef"),
              {.kind = Kind::integer, .text = std::string(digits)},
              atom("exp"),
              integer(exponent),
              atom("sign"),
              integer(sign)});
}
Term moment(std::int64_t offset, std::int64_t microseconds, std::int64_t digits) {
  return map({atom("__struct__"),  atom("Elixir.DateTime"),
              atom("year"),        integer(2025),
              atom("month"),       integer(11),
              atom("day"),         integer(1),
              atom("hour"),        integer(8),
              atom("minute"),      integer(0),
              atom("second"),      integer(9),
              atom("microsecond"), tuple({integer(microseconds), integer(digits)}),
              atom("utc_offset"),  integer(offset),
              atom("std_offset"),  integer(0)});
}

TEST(ElixirValues, AsPostgresqlAndElixirWriteThem) {
  const auto both = [](const Term& value) {
    return json_of_elixir(value, Place::column) + " " + json_of_elixir(value, Place::inside);
  };
  EXPECT_EQ(both(decimal("15", -1)), R"(1.5 "1.5")");
  EXPECT_EQ(both(decimal("150", -2)), R"("1.50" "1.50")");
  EXPECT_EQ(both(decimal("5", -3, -1)), R"(-0.005 "-0.005")");
  EXPECT_EQ(both(decimal("12", 2)), R"(1200 "1200")");
  EXPECT_EQ(both(decimal("0", 2)), R"(0 "0")");
  EXPECT_EQ(both(decimal("1", 2'000)), R"({"coef":1,"exp":2000,"sign":1} {"coef":1,"exp":2000,"sign":1})");
  EXPECT_EQ(both(decimal("1", INT64_MIN)).substr(0, 10), R"({"coef":1,)");
  EXPECT_EQ(both(moment(0, 120'000, 6)), R"("2025-11-01 08:00:09.12" "2025-11-01T08:00:09.120000Z")");
  EXPECT_EQ(both(moment(0, 0, 0)), R"("2025-11-01 08:00:09" "2025-11-01T08:00:09Z")");
  EXPECT_EQ(both(moment(0, 100'000, 1)), R"("2025-11-01 08:00:09.1" "2025-11-01T08:00:09.1Z")");
  EXPECT_EQ(both(moment(19'800, 0, 0)), R"("2025-11-01 08:00:09+05:30" "2025-11-01T08:00:09+05:30")");
  EXPECT_EQ(both(moment(-12'600, 0, 0)), R"("2025-11-01 08:00:09-03:30" "2025-11-01T08:00:09-03:30")");
  EXPECT_TRUE(both(moment(0, 1'000'000, 6)).starts_with(R"({"day":1,)"))
      << "a struct that is none is shown as it is";
  EXPECT_EQ(both(binary(std::string("\0\xff", 2))), R"("\\x00ff" "\\x00ff")");
  EXPECT_EQ(both(map({atom("a"), integer(1), binary("a"), integer(2)})), R"({"a":1,"a'":2} {"a":1,"a'":2})");
  EXPECT_EQ(both(map({integer(7), atom("nil"), tuple({integer(1)}), atom("x")})),
            R"({"7":null,"[1]":"x"} {"7":null,"[1]":"x"})");
  EXPECT_EQ(both(map({atom("__struct__"), atom("Elixir.Thing"), atom("__meta__"), atom("x"), atom("a"),
                      integer(1)})),
            R"({"a":1} {"a":1})");
}

TEST(ElixirValues, WhatIsTooMuchIsADigestOrText) {
  const std::string most(elixir_value_bytes_max, 'x');
  EXPECT_EQ(json_of_elixir(binary(most), Place::column), '"' + most + '"');
  EXPECT_EQ(json_of_elixir(binary(most + "x"), Place::column), digest_json(most + "x"));
  EXPECT_EQ(at(digest_json("abc"), "sha256"),
            R"("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")");
  EXPECT_EQ(at(json_of_elixir(list({binary(most)}), Place::column), "bytes"), "65540");
  Term deep = list({});
  for (std::uint32_t i = 1; i < elixir_value_depth_max; ++i) deep = list({deep});
  EXPECT_EQ(json_of_elixir(deep, Place::column)[0], '[');
  EXPECT_EQ(json_of_elixir(list({deep}), Place::column).substr(0, 3), "\"[[");
}

TEST(ExAudit, AnEventHasRoomForWhatItTellsAndSaysWhatItLeavesOut) {
  std::vector<Term> members;
  for (int i = 0; i < 20; ++i) {
    members.push_back(binary(fmt::format("m{:02}", i)));
    members.push_back(tuple({atom("added"), binary(std::string(60'000, 'x'))}));
  }
  const auto long_values = changes_of_patch(map({atom("fields"), tuple({atom("changed"), map(members)})}));
  ASSERT_TRUE(long_values);
  EXPECT_EQ(long_values->left_out, 0U);
  EXPECT_LE(long_values->json.size(), changes_bytes_max);
  EXPECT_TRUE(long_values->json.contains(R"({"field":"fields#/m19","new":")"));
  EXPECT_TRUE(long_values->json.contains(R"({"field":"fields#/m00","new":{"bytes":60002,)"));

  members.clear();
  for (int i = 0; i < 20'000; ++i) {
    members.push_back(binary(fmt::format("m{:05}", i)));
    members.push_back(tuple({atom("added"), integer(i)}));
  }
  members.push_back(binary(std::string(place_bytes_max, 'x')));
  members.push_back(tuple({atom("added"), integer(1)}));
  const auto many = changes_of_patch(map({atom("fields"), tuple({atom("changed"), map(members)})}));
  ASSERT_TRUE(many);
  json::Parser parser;
  json::Document document;
  ASSERT_TRUE(parser.parse(many->json, document));
  EXPECT_LE(many->json.size(), changes_bytes_max);
  EXPECT_GT(document.root().size(), 8'000U);
  EXPECT_EQ(document.root().size() + many->left_out, 20'001U);
}

std::string refusal_of(const Term& patch) {
  const auto changes = changes_of_patch(patch);
  return changes ? changes->json : changes.error().message;
}

TEST(ExAudit, AChangeOfAnotherFormIsNamed) {
  EXPECT_EQ(refusal_of(list({})), "the patch is no map of changes");
  EXPECT_EQ(refusal_of(map({atom("a"), integer(1)})),
            R"(the patch has a change that ExAudit does not write, at "a")");
  EXPECT_EQ(
      refusal_of(map({atom("a"), tuple({atom("changed"),
                                        list({tuple({atom("added_to_list"), atom("x"), integer(1)})})})})),
      R"(the patch has a change that ExAudit does not write, at "a")");
  EXPECT_EQ(refusal_of(map({atom(""), tuple({atom("added"), integer(1)})})),
            "the patch has a column without a name");
  EXPECT_EQ(refusal_of(map({atom("a"), tuple({atom("changed"), atom("not_changed")})})), "[]");
}

// ---- rows and files

std::string hex_of(const Term& patch) { return "\\x" + to_hex(view(TermWriter::write(patch))); }
const Term renamed =
    map({atom("name"),
         tuple({atom("changed"), tuple({atom("primitive_change"), binary("Asha"), binary("Asha Rao")})})});
constexpr std::string_view header =
    "id,patch,entity_id,entity_schema,action,recorded_at,rollback,user_id,organization_id\n";

std::string row(std::string_view ends = "f,42,7", std::string_view schema = "contacts") {
  return fmt::format("12,{},4,{},updated,2025-11-01 08:00:09,{}\n", hex_of(renamed), schema, ends);
}

testing::Reading imported(std::string_view content, std::string_view format = "exaudit",
                          const Mapping* mapping = nullptr) {
  const testing::TemporaryDirectory directory;
  return testing::read_all(format, directory.put("versions.csv", content), {.mapping = mapping});
}

TEST(ExAuditRows, BecomeEventsLikeThoseOfCapturedRows) {
  const auto reading = imported(std::string(header) + row() + row("t,,"));
  ASSERT_EQ(reading.error, "");
  ASSERT_EQ(reading.events.size(), 2U);
  EXPECT_EQ(
      reading.events[0].json,
      R"({"kind":"data.change","action":"UPDATED","time":"2025-11-01T08:00:09.000Z","sourceType":"STAFF","sourceId":"42",)"
      R"("targetType":"public.contacts","targetId":"4","detail":{"columns":{"organization_id":"7","user_id":"42"},"version":"12"},)"
      R"("context":{"organization":"7"},"changes":[{"field":"name","old":"Asha","new":"Asha Rao"}]})");
  EXPECT_EQ(reading.events[0].record,
            fmt::format(
                R"({{"action":"updated","entity_id":"4","entity_schema":"contacts","id":"12","patch":"\{}",)"
                R"("recorded_at":"2025-11-01 08:00:09","rollback":"f"}})",
                hex_of(renamed)));
  EXPECT_EQ(at(reading.events[1].json, "sourceId"), "absent");
  EXPECT_EQ(at(reading.events[1].json, "context"), R"({"attribution":"none","rollback":true})");
}

TEST(ExAuditRows, AreTheSameRecordWhateverBecomesOfTheUserAndHoweverTheyAreExported) {
  const auto whole = imported(std::string(header) + row());
  const auto without_user = imported(std::string(header) + row("f,,7"));
  const auto narrow =
      imported(fmt::format("recorded_at,id,patch,action,entity_id,entity_schema,rollback\n"
                           "2025-11-01 08:00:09,12,{},updated,4,contacts,f\n",
                           hex_of(renamed)));
  ASSERT_EQ(whole.error + without_user.error + narrow.error, "");
  EXPECT_EQ(whole.events[0].record, without_user.events[0].record);
  EXPECT_EQ(whole.events[0].record, narrow.events[0].record);
}

TEST(ExAuditRows, AreKnownByWhatTheyHold) {
  EXPECT_EQ(imported(std::string(header) + row(), "auto").format, "exaudit");
  const auto json = imported(
      fmt::format(
          R"({{"id":12,"patch":"\{}","entity_id":4,"entity_schema":"crm.contacts","action":"updated",)"
          R"("recorded_at":"2025-11-01T08:00:09","rollback":true,"user_id":null,"table":"x"}})",
          hex_of(renamed)),
      "auto");
  ASSERT_EQ(json.error, "");
  EXPECT_EQ(json.format, "exaudit");
  EXPECT_EQ(at(json.events.at(0).json, "targetType"), R"("crm.contacts")");
  EXPECT_EQ(at(json.events.at(0).json, "context"), R"({"attribution":"none","rollback":true})");
  EXPECT_EQ(at(json.events.at(0).json, "detail/columns/table"), R"("x")");
}

TEST(ExAuditRows, AMappingSaysMore) {
  const auto catalogue = Catalogue::load();
  ASSERT_TRUE(catalogue);
  const auto find = [](const void* from, std::string_view name) {
    return static_cast<const Catalogue*>(from)->find(name);
  };
  const auto mapping = Mapping::read(R"(
extends = "exaudit"
subject = "/entity/contacts"
target = { id = "/entity_id", type = { from = "/table", values = { "public.providers" = "global.providers" } } }
changes = { field = "/id", new = "/id" }
)",
                                     "own", &*catalogue, find);
  ASSERT_TRUE(mapping) << mapping.error().message;
  const auto reading =
      imported(std::string(header) + row() + row("f,42,7", "providers"), "exaudit", &*mapping);
  ASSERT_EQ(reading.error, "");
  EXPECT_EQ(at(reading.events[0].json, "subject"), R"(["4"])");
  EXPECT_EQ(at(reading.events[0].json, "targetType"), R"("public.contacts")");
  EXPECT_EQ(at(reading.events[1].json, "subject"), "absent");
  EXPECT_EQ(at(reading.events[1].json, "targetType"), R"("global.providers")");
  EXPECT_EQ(at(reading.events[0].json, "changes/0/field"), R"("name")") << "changes are those of the patch";
}

TEST(ExAuditRows, ALongPatchIsKeptAsItsDigest) {
  const auto patch = [](std::size_t bytes) {
    return map({atom("note"), tuple({atom("added"), binary(std::string(bytes, 'x'))})});
  };
  const auto written = TermWriter::write(patch(0)).size();
  for (const std::size_t over : {0U, 1U}) {
    const auto hex = hex_of(patch(patch_kept_bytes_max - written + over));
    const auto reading =
        imported(fmt::format("{}1,{},4,contacts,updated,2025-11-01 08:00:09,f,,\n", header, hex));
    ASSERT_EQ(reading.error, "");
    EXPECT_EQ(at(reading.events.at(0).record, "patch"), over == 1 ? digest_json(hex) : "\"\\" + hex + "\"");
  }
  // Longer than any other record may be.
  const auto longest = imported(
      fmt::format("{}1,{},4,contacts,updated,2025-11-01 08:00:09,f,,\n", header, hex_of(patch(3 << 20))));
  ASSERT_EQ(longest.error, "");
  EXPECT_EQ(at(longest.events.at(0).json, "changes/0/new/bytes"), "3145728");
}

TEST(ExAuditRows, WhatCannotBeReadIsNamed) {
  const auto error_of = [](std::string_view rows) {
    const auto reading = imported(std::string(header) + std::string(rows));
    return reading.error.substr(reading.error.find("versions.csv"));
  };
  EXPECT_EQ(error_of("1,\\x83,4,contacts,updated,2025-11-01 08:00:09,f,,\n"),
            "versions.csv cannot be read: its patch cannot be read: it ends in the middle of the term (byte "
            "0 of 0)");
  EXPECT_EQ(error_of("1,\\203t,4,contacts,updated,2025-11-01 08:00:09,f,,\n"),
            "versions.csv cannot be read: its patch is no bytea in hex, which begins with \\x. Export it "
            "again after SET "
            "bytea_output = 'hex'");
  EXPECT_EQ(error_of("1,\\x83t0,4,contacts,updated,2025-11-01 08:00:09,f,,\n"),
            "versions.csv cannot be read: its patch is no bytea in hex: there are other characters in it");
  EXPECT_EQ(error_of("1,\\x83,4,,updated,2025-11-01 08:00:09,f,,\n"),
            "versions.csv cannot be read: it has no entity_schema, so it is no row of ExAudit's table "
            "versions, which has the "
            "columns action, entity_id, entity_schema, id, patch, recorded_at, rollback");
}

}  // namespace
}  // namespace vestige::cli::importing
