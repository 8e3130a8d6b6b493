#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/encoding.h"
#include "base/time_text.h"
#include "base/uuid.h"
#include "cli/cli.h"
#include "cli/internal/commands.h"
#include "cli/internal/display.h"
#include "cli/internal/json_text.h"
#include "cli/internal/query.h"

namespace vestige::cli {
namespace {

const std::string search_path = "/auditlog/events/v2";
constexpr std::string_view tally_members[] = {"total", "facets", "histogram"};
constexpr unsigned columns_for_id = 110;  // a terminal that has as many shows the ids as well

std::unexpected<Error> usage(std::string message) { return fail(ErrorKind::invalid, std::move(message)); }

Status check_object(std::string_view option, const std::string& text) {
  if (text.empty()) return {};
  json::Parser parser;
  json::Document document;
  const auto parsed = parser.parse(text, document);
  if (!parsed)
    return usage(fmt::format("{} is not JSON: {} Write an object, such as '{{\"channel\":\"email\"}}'.",
                             option, parsed.error().message));
  if (!document.root().is_object())
    return usage(fmt::format("{} takes a JSON object, such as '{{\"channel\":\"email\"}}'.", option));
  return {};
}

Status check_time(std::string_view option, const std::string& text) {
  if (text.empty() || parse_time(text)) return {};
  return usage(
      fmt::format("{} takes an RFC 3339 time, such as 2026-01-31T00:00:00Z, not \"{}\".", option, text));
}

std::string pair_text(const std::string& type, const std::string& id) {
  if (type.empty()) return id;
  return id.empty() ? type : type + " " + id;
}

std::string canonical_of(const json::Value& object, std::string_view name) {
  const auto member = object.find(name);
  return member.exists() ? json::canonical(member) : "null";
}

// Streams the answer's pages into one JSON object, or into lines with --all.
class JsonOutput {
 public:
  JsonOutput(bool lines, Surroundings& surroundings) : lines_(lines), surroundings_(surroundings) {}

  void add(const json::Value& answer) {
    for (const std::string_view name : tally_members)
      if (const auto member = answer.find(name); member.exists())
        tally_ += fmt::format(",\"{}\":{}", name, json::canonical(member));
    const auto events = answer.find("events");
    for (std::size_t i = 0; i < events.size(); ++i) {
      std::string text;
      if (!lines_) text = began_ ? ",\n" : "{\"events\":[\n";
      began_ = true;
      json::append_canonical(text, events.at(i));
      surroundings_.print(lines_ ? text + "\n" : text);
    }
    cursor_ = canonical_of(answer, "cursor");
    tree_ = canonical_of(answer, "tree");
  }
  void end() {
    if (lines_) return;
    surroundings_.print(fmt::format("{}],\"cursor\":{}{},\"tree\":{}}}\n", began_ ? "\n" : "{\"events\":[",
                                    cursor_, tally_, tree_));
  }

 private:
  const bool lines_;
  Surroundings& surroundings_;
  bool began_ = false;
  std::string cursor_ = "null";
  std::string tally_;
  std::string tree_ = "null";
};

// What a search counted, for people.
std::string tally_in_words(const json::Value& answer, unsigned width) {
  std::string out;
  if (const auto total = answer.find("total"); total.exists())
    out += fmt::format("{} match.\n", json::canonical(total));
  const auto facets = answer.find("facets");
  for (std::size_t i = 0; facets.is_array() && i < facets.size(); ++i) {
    const auto facet = facets.at(i);
    std::vector<std::vector<std::string>> rows;
    const auto values = facet.find("values");
    for (std::size_t j = 0; j < values.size(); ++j)
      rows.push_back({text_of(values.at(j), "value"), text_of(values.at(j), "count")});
    out += "\n" + render_table({{escaped(text_of(facet, "field"))}, {"EVENTS"}}, rows, width);
    out += fmt::format("{} values; {} events without one{}.\n", text_of(facet, "distinct"),
                       text_of(facet, "missing"),
                       text_of(facet, "uncounted") == "0"
                           ? ""
                           : fmt::format("; {} more were not counted singly", text_of(facet, "uncounted")));
  }
  const auto counts = answer.find("histogram").find("counts");
  if (!counts.exists()) return out;
  std::vector<std::vector<std::string>> rows;
  for (std::size_t i = 0; i < counts.size(); ++i)
    rows.push_back({text_of(counts.at(i), "from"), text_of(counts.at(i), "count")});
  return out + "\n" + render_table({{"FROM", false}, {"EVENTS"}}, rows, width);
}

class TableOutput {
 public:
  explicit TableOutput(Surroundings& surroundings) : surroundings_(surroundings) {}

  // A table a page: its widths are known only when its rows are.
  void add(const json::Value& answer) {
    const bool with_id = surroundings_.columns() >= columns_for_id;
    std::vector<Column> columns = {{"INDEX", false}, {"TIME", false}, {"ACTOR"},
                                   {"ACTION"},       {"TARGET"},      {"KIND"}};
    if (with_id) columns.push_back({"ID", false});
    std::vector<std::vector<std::string>> rows;
    const auto events = answer.find("events");
    for (std::size_t i = 0; i < events.size(); ++i) {
      rows.push_back(event_cells(events.at(i)));
      rows.back().resize(columns.size());
    }
    if (!rows.empty()) surroundings_.print(render_table(columns, rows, surroundings_.columns()));
    shown_ += rows.size();
    more_ = answer.find("cursor").is_string();
    const auto tree = answer.find("tree");
    size_ = text_of(tree, "size");
    tally_ += tally_in_words(answer, surroundings_.columns());
  }
  void end() {
    surroundings_.print(fmt::format("{} event{}{}, out of a trail of {} entries.\n", shown_,
                                    shown_ == 1 ? "" : "s",
                                    more_ ? "; there are more (--limit N, or --all)" : "", escaped(size_)));
    surroundings_.print(tally_);
  }

 private:
  Surroundings& surroundings_;
  std::uint64_t shown_ = 0;
  bool more_ = false;
  std::string size_ = "0";
  std::string tally_;
};

}  // namespace

Status check_query(const QueryArguments& arguments) {
  const std::string* const texts[] = {&arguments.id,          &arguments.source_id, &arguments.source_type,
                                      &arguments.action,      &arguments.target_id, &arguments.source_meta,
                                      &arguments.target_meta, &arguments.detail,    &arguments.kind,
                                      &arguments.text,        &arguments.cursor,    &arguments.query,
                                      &arguments.filter,      &arguments.subject,   &arguments.histogram};
  for (const auto* text : texts)
    if (!is_utf8(*text)) return usage("A filter is not valid UTF-8; check the locale of this terminal.");
  for (const auto& type : arguments.target_types)
    if (!is_utf8(type)) return usage("--target-type is not valid UTF-8; check the locale of this terminal.");
  for (const auto& field : arguments.facets)
    if (!is_utf8(field)) return usage("--facet is not valid UTF-8; check the locale of this terminal.");
  if (!arguments.id.empty() && !parse_uuid(arguments.id))
    return usage(fmt::format("--id takes a UUID, not \"{}\".", escaped(arguments.id)));
  VESTIGE_CHECKED(check_object("--source-meta", arguments.source_meta));
  VESTIGE_CHECKED(check_object("--target-meta", arguments.target_meta));
  VESTIGE_CHECKED(check_object("--detail", arguments.detail));
  VESTIGE_CHECKED(check_object("--filter", arguments.filter));
  VESTIGE_CHECKED(check_time("--from", arguments.from));
  return check_time("--to", arguments.to);
}

std::string query_body(const QueryArguments& arguments, std::uint64_t page_events,
                       const std::string& cursor) {
  JsonObject body;
  const auto text = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) body.text(name, value);
  };
  const auto object = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) body.raw(name, value);
  };
  text("id", arguments.id);
  text("sourceId", arguments.source_id);
  text("sourceType", arguments.source_type);
  object("sourceEntityMeta", arguments.source_meta);
  text("action", arguments.action);
  text("targetId", arguments.target_id);
  if (!arguments.target_types.empty()) {
    std::string types;
    for (const auto& type : arguments.target_types) types += (types.empty() ? "[" : ",") + json_string(type);
    body.raw("targetType", types + "]");
  }
  object("targetEntityMeta", arguments.target_meta);
  text("timeFrom", arguments.from);
  text("timeTo", arguments.to);
  object("detail", arguments.detail);
  text("kind", arguments.kind);
  text("text", arguments.text);
  text("query", arguments.query);
  text("subject", arguments.subject);
  object("filter", arguments.filter);
  // Counted once, with the first page.
  if (cursor.empty()) {
    if (arguments.total) body.boolean("total", true);
    if (!arguments.histogram.empty())
      body.raw("histogram", JsonObject().text("interval", arguments.histogram).str());
    std::string facets;
    for (const auto& field : arguments.facets) facets += (facets.empty() ? "[" : ",") + json_string(field);
    if (!facets.empty()) body.raw("facets", facets + "]");
  }
  text("order", arguments.order);
  body.number("limit", page_events);
  text("cursor", cursor);
  return body.str();
}

Status for_each_page(Connection& connection, const QueryArguments& arguments, const OnPage& on_page) {
  auto cursor = arguments.cursor;
  std::uint64_t left = arguments.all ? ~std::uint64_t{0} : arguments.limit;
  while (left > 0) {
    const auto body = query_body(arguments, std::min(left, page_events_max), cursor);
    VESTIGE_TRY(const auto response, connection.send("POST", search_path, body, "application/json"));
    json::Document document;
    VESTIGE_CHECKED(parse_answer(response.body, document));
    const auto answer = document.root();
    const auto events = answer.find("events");
    if (!events.is_array() || events.size() > left)
      return fail(ErrorKind::corrupt,
                  "The server's answer holds no list of events, or more than were asked for. Is "
                  "this address a Vestige server of this version?");
    VESTIGE_CHECKED(on_page(answer));
    left -= events.size();
    const auto next = answer.find("cursor");
    if (!next.is_string()) return {};
    if (next.string() == cursor) return fail(ErrorKind::corrupt, "The server gave the same cursor twice.");
    cursor = next.string();
  }
  return {};
}

std::vector<std::string> event_cells(const json::Value& event) {
  return {text_of(event, "index"),
          text_of(event, "time"),
          pair_text(text_of(event, "sourceType"), text_of(event, "sourceId")),
          text_of(event, "action"),
          pair_text(text_of(event, "targetType"), text_of(event, "targetId")),
          text_of(event, "kind"),
          text_of(event, "id")};
}

int run_query(const QueryArguments& arguments, Surroundings& surroundings) {
  if (const auto checked = check_query(arguments); !checked) return report(surroundings, checked.error());
  auto connection = connect(arguments.connection, surroundings, KeyNeed::required);
  if (!connection) return report(surroundings, connection.error());
  const bool as_json = wants_json(arguments.connection, surroundings);
  JsonOutput json_output(arguments.all, surroundings);
  TableOutput table_output(surroundings);
  std::uint64_t found = 0;
  const auto asked = for_each_page(*connection, arguments, [&](const json::Value& answer) -> Status {
    found += answer.find("events").size();
    as_json ? json_output.add(answer) : table_output.add(answer);
    if (!surroundings.flush())
      return fail(ErrorKind::io, "Standard output does not take what is written to it.");
    return {};
  });
  if (!asked) return report(surroundings, asked.error());
  as_json ? json_output.end() : table_output.end();
  if (found > 0 || arguments.id.empty()) return exit_ok;
  surroundings.say(
      fmt::format("vestige: There is no event {} that these filters let through.\n", arguments.id));
  return exit_found_wrong;
}

void declare_query(CLI::App& app, Invocation& invocation) {
  auto arguments = std::make_shared<QueryArguments>();
  auto* command = app.add_subcommand("query", "Find events; the newest come first");
  command->add_option("query", arguments->query, "what to find, in the search language")->type_name("QUERY");
  command->add_option("--id", arguments->id, "the event with this id")->type_name("UUID");
  command->add_option("--source-id", arguments->source_id, "who did it")->type_name("ID");
  command->add_option("--source-type", arguments->source_type, "what kind of actor that is")
      ->type_name("TYPE");
  command->add_option("--action", arguments->action, "what was done")->type_name("ACTION");
  command->add_option("--target-id,--target", arguments->target_id, "what it was done to")->type_name("ID");
  command
      ->add_option("--target-type", arguments->target_types, "any of these kinds of target; may be repeated")
      ->type_name("TYPE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command->add_option("--source-meta", arguments->source_meta, "what is known of the actor holds this object")
      ->type_name("JSON");
  command
      ->add_option("--target-meta", arguments->target_meta, "what is known of the target holds this object")
      ->type_name("JSON");
  command->add_option("--detail", arguments->detail, "the detail holds this object")->type_name("JSON");
  command->add_option("--from", arguments->from, "at this time or later (RFC 3339)")->type_name("TIME");
  command->add_option("--to", arguments->to, "before this time (RFC 3339)")->type_name("TIME");
  command->add_option("--kind", arguments->kind, "of this kind, such as data.change")->type_name("KIND");
  command
      ->add_option("--text", arguments->text,
                   "with all of these words, \"phrases\", pre*, *mid*, and no -word")
      ->type_name("WORDS");
  command->add_option("--subject", arguments->subject, "about this person")->type_name("ID");
  command->add_option("--filter", arguments->filter, "a filter tree (docs/query.md)")->type_name("JSON");
  command->add_flag("--total", arguments->total, "count all that match");
  command->add_option("--facet", arguments->facets, "count by the values of this field; may be repeated")
      ->type_name("FIELD")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command
      ->add_option("--histogram", arguments->histogram, "count by intervals of time, such as 15m, 1h or 1d")
      ->type_name("INTERVAL");
  command->add_option("--order", arguments->order, "desc (newest first, the default) or asc")
      ->check(CLI::IsMember({"desc", "asc"}).description(""))
      ->type_name("ORDER");
  command->add_option("--cursor", arguments->cursor, "go on where an answer with this cursor ended")
      ->type_name("CURSOR");
  auto* limit = command->add_option("--limit", arguments->limit, "at most so many events (50)")
                    ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 40).description(""))
                    ->type_name("N");
  command->add_flag("--all", arguments->all, "all events there are")->excludes(limit);
  add_connection_options(*command, arguments->connection, KeyNeed::required);
  add_look_options(*command, arguments->connection);
  command->footer(
      "On a terminal: a table. Otherwise, or with --json: one object "
      "{\"events\":[...],\"cursor\":...,\"tree\":...},\n"
      "whose cursor is null when there is no more; with --all: one event a line (NDJSON).\n"
      "Exit code 1 where --id finds nothing, 0 where other filters find nothing.\n\n"
      "The search language joins terms with blanks (and), OR, NOT and parentheses; a term is a word, a "
      "\"phrase\", or\n"
      "field:value, where a value may be pre*, >5, 1..9, 10.0.0.0/8 or *. Fields: actor, action, target, "
      "type, kind,\n"
      "subject, ip, since (7d, 2026-11-01), until, detail.x, changes.field, context.x. docs/query.md has all "
      "of it.\n\n"
      "Examples:\n"
      "  vestige query 'actor:u-7 action:UPDATED changes.field:phone since:7d'\n"
      "  vestige query 'kind:data.change -action:CREATED' --total --facet action --histogram 1d --limit 1\n"
      "  vestige query --target-type ACCOUNT --target A-1 --limit 5\n"
      "  vestige query --from 2026-01-01T00:00:00Z --text \"limit raised\" --all > events.ndjson\n");
  run_with(*command, arguments, invocation, run_query);
}

}  // namespace vestige::cli
