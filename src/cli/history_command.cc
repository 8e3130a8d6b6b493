#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/time_text.h"
#include "cli/cli.h"
#include "cli/internal/commands.h"
#include "cli/internal/display.h"
#include "cli/internal/history.h"
#include "cli/internal/json_text.h"

namespace vestige::cli {
namespace {

bool wants_state(const HistoryArguments& arguments) { return arguments.state || !arguments.state_at.empty(); }

// What is known of a field, for a cell.
std::string value_text(const json::Value& field) {
  if (field.find("erased").exists()) return "(erased)";
  if (field.find("hidden").exists()) return "(hidden)";
  if (field.find("removed").exists()) return "(removed)";
  const auto value = field.find("value");
  if (!value.exists()) return "(unknown)";
  return value.is_string() ? std::string(value.string()) : json::canonical(value);
}

// Who, when, and by which entry a field came to what it is.
std::vector<std::string> origin_cells(const json::Value& field) {
  const auto set = field.find("setBy");
  if (!set.exists()) {
    const auto next = field.find("replacedBy");
    return {"", fmt::format("before {}", text_of(next, "time")), text_of(next, "index")};
  }
  auto who = text_of(set, "sourceType");
  if (const auto id = text_of(set, "sourceId"); !id.empty()) who += (who.empty() ? "" : " ") + id;
  return {who, text_of(set, "time"), text_of(set, "index")};
}

std::vector<std::string> row_of(const HistoryArguments& arguments, std::string_view name,
                                const json::Value& field) {
  if (!arguments.diff.empty())
    return {std::string(name), value_text(field.find("from")), value_text(field.find("to"))};
  std::vector<std::string> row = {std::string(name), value_text(field)};
  for (auto& cell : origin_cells(field)) row.push_back(std::move(cell));
  if (!arguments.blame) return row;
  const auto previous = field.find("previous");
  row.push_back(previous.exists() ? value_text(previous) : "(unknown)");
  row.push_back(text_of(field, "changes"));
  return row;
}

}  // namespace

Status check_history(const HistoryArguments& arguments) {
  auto entries = arguments.entries;
  entries.target_types = {arguments.type};
  VESTIGE_CHECKED(check_query(entries));
  const auto chosen = int{wants_state(arguments)} + int{!arguments.diff.empty()} + int{arguments.blame};
  if (chosen > 1)
    return fail(ErrorKind::invalid,
                "Only one of --state (or --state-at), --diff and --blame can be asked for.");
  if (!arguments.state_at.empty() && !parse_time(arguments.state_at))
    return fail(ErrorKind::invalid,
                fmt::format("--state-at takes an RFC 3339 time, such as 2026-01-31T00:00:00Z, not \"{}\".",
                            escaped(arguments.state_at)));
  for (const auto& time : arguments.diff)
    if (!parse_time(time))
      return fail(ErrorKind::invalid,
                  fmt::format("--diff takes two RFC 3339 times, such as 2026-01-31T00:00:00Z, not \"{}\".",
                              escaped(time)));
  return {};
}

std::string history_path(const HistoryArguments& arguments) {
  const auto entity =
      fmt::format("/api/entities/{}/{}", encoded(arguments.type), encoded(arguments.entries.target_id));
  if (arguments.blame) return entity + "/blame";
  if (!arguments.diff.empty())
    return fmt::format("{}/diff?from={}&to={}", entity, encoded(arguments.diff[0]),
                       encoded(arguments.diff[1]));
  if (!wants_state(arguments)) return {};
  return arguments.state_at.empty() ? entity + "/state"
                                    : fmt::format("{}/state?at={}", entity, encoded(arguments.state_at));
}

std::string history_text(const HistoryArguments& arguments, const json::Value& answer, unsigned columns) {
  std::vector<Column> titles = {{"FIELD"}, {"VALUE"}, {"SET BY"}, {"WHEN", false}, {"INDEX", false}};
  if (!arguments.diff.empty()) titles = {{"FIELD"}, {"FROM"}, {"TO"}};
  if (arguments.blame) titles.insert(titles.end(), {{"BEFORE"}, {"CHANGES", false}});
  std::vector<std::vector<std::string>> rows;
  const auto fields = answer.find("fields");
  for (std::size_t i = 0; fields.is_object() && i < fields.size(); ++i)
    rows.push_back(row_of(arguments, fields.key_at(i), fields.at(i)));
  std::string out = rows.empty()
                        ? (arguments.diff.empty() ? "Nothing is known of any field.\n" : "Nothing differs.\n")
                        : render_table(titles, rows, columns);
  if (const auto limit = text_of(answer, "limit"); !limit.empty())
    out += fmt::format("There are more entries; the server reads no more than {}.\n", escaped(limit));
  return out;
}

int run_history(const HistoryArguments& arguments, Surroundings& surroundings) {
  if (const auto checked = check_history(arguments); !checked) return report(surroundings, checked.error());
  const auto path = history_path(arguments);
  if (path.empty()) {
    auto entries = arguments.entries;
    entries.target_types = {arguments.type};
    return run_query(entries, surroundings);
  }
  auto connection = connect(arguments.entries.connection, surroundings, KeyNeed::required);
  if (!connection) return report(surroundings, connection.error());
  const auto response = connection->get(path);
  if (!response) return report(surroundings, response.error());
  json::Document document;
  if (const auto parsed = parse_answer(response->body, document); !parsed)
    return report(surroundings, parsed.error());
  surroundings.print(wants_json(arguments.entries.connection, surroundings)
                         ? response->body + "\n"
                         : history_text(arguments, document.root(), surroundings.columns()));
  return exit_ok;
}

void declare_history(CLI::App& app, Invocation& invocation) {
  auto arguments = std::make_shared<HistoryArguments>();
  auto& entries = arguments->entries;
  entries.order = "asc";
  auto* command = app.add_subcommand("history", "What happened to one entity, and what became of its fields");
  command->add_option("type", arguments->type, "the type of entity: its target type")
      ->type_name("TYPE")
      ->required();
  command->add_option("id", entries.target_id, "its id: its target id")->type_name("ID")->required();
  command->add_flag("--state", arguments->state, "the value of each field, after everything that is known");
  command->add_option("--state-at", arguments->state_at, "the value of each field as of this time (RFC 3339)")
      ->type_name("TIME");
  command->add_option("--diff", arguments->diff, "the fields that differ between two times (RFC 3339)")
      ->type_name("TIME TIME")
      ->expected(2);
  command->add_flag("--blame", arguments->blame, "who set each field, when, and what it was before");
  command->add_option("--order", entries.order, "of the entries: asc (oldest first, the default) or desc")
      ->check(CLI::IsMember({"desc", "asc"}).description(""))
      ->type_name("ORDER");
  command->add_option("--cursor", entries.cursor, "go on where an answer with this cursor ended")
      ->type_name("CURSOR");
  auto* limit = command->add_option("--limit", entries.limit, "at most so many entries (50)")
                    ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 40).description(""))
                    ->type_name("N");
  command->add_flag("--all", entries.all, "all entries there are")->excludes(limit);
  add_connection_options(*command, entries.connection, KeyNeed::required);
  add_look_options(*command, entries.connection);
  add_subject_option(*command, entries.connection);
  command->footer(
      "On a terminal: a table. Otherwise, or with --json: the server's answer; with --all one entry a line.\n"
      "Exit code 1 where --state, --diff or --blame is asked of an entity that no entry is about.\n\n"
      "Examples:\n"
      "  vestige history CONTACT c-1\n"
      "  vestige history CONTACT c-1 --state-at 2026-01-31T00:00:00Z\n"
      "  vestige history CONTACT c-1 --diff 2026-01-01T00:00:00Z 2026-02-01T00:00:00Z\n"
      "  vestige history CONTACT c-1 --blame\n");
  run_with(*command, arguments, invocation, run_history);
}

}  // namespace vestige::cli
