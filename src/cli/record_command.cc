#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/encoding.h"
#include "cli/cli.h"
#include "cli/internal/commands.h"
#include "cli/internal/display.h"
#include "cli/internal/json_text.h"
#include "cli/internal/record.h"

namespace vestige::cli {
namespace {

std::string shown(const json::Value& value) {
  return value.is_string() ? std::string(value.string()) : json::canonical(value);
}

bool is_table(const json::Value& value) {
  if (!value.is_array() || value.size() == 0) return false;
  for (std::size_t i = 0; i < value.size(); ++i)
    if (!value.at(i).is_object()) return false;
  return true;
}

struct Table {
  std::string name;
  json::Value list;
};

// Fields by path; lists of objects go into tables of their own.
void flatten(const json::Value& value, const std::string& path, std::vector<std::vector<std::string>>& fields,
             std::vector<Table>& tables) {
  for (std::size_t i = 0; i < value.size(); ++i) {
    const auto name = path + std::string(value.key_at(i));
    const auto member = value.at(i);
    if (member.is_object() && member.size() > 0) {
      flatten(member, name + ".", fields, tables);
    } else if (is_table(member)) {
      tables.push_back({name, member});
    } else {
      fields.push_back({name, shown(member)});
    }
  }
}

std::string table_text(const Table& table, unsigned width) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < table.list.size(); ++i)
    for (std::size_t j = 0; j < table.list.at(i).size(); ++j)
      if (const auto name = std::string(table.list.at(i).key_at(j));
          std::ranges::find(names, name) == names.end())
        names.push_back(name);
  // When comes first; the rest stands as the server has it.
  if (const auto when = std::ranges::find(names, "timestamp"); when != names.end())
    std::rotate(names.begin(), when, when + 1);
  std::vector<Column> columns;
  for (const auto& name : names) columns.push_back({escaped(name), name != "timestamp"});
  std::vector<std::vector<std::string>> rows;
  for (std::size_t i = 0; i < table.list.size(); ++i) {
    auto& row = rows.emplace_back();
    for (const auto& name : names) {
      const auto cell = table.list.at(i).find(name);
      row.push_back(cell.exists() ? shown(cell) : "");
    }
  }
  return fmt::format("\n{}\n{}", escaped(table.name), render_table(columns, rows, width));
}

}  // namespace

std::string record_text(const json::Value& answer, unsigned columns) {
  std::vector<std::vector<std::string>> fields;
  std::vector<Table> tables;
  if (const auto record = answer.find("record"); record.is_object()) flatten(record, "", fields, tables);
  auto out = render_table({{"FIELD", false}, {"VALUE"}}, fields, columns);
  for (const auto& table : tables) out += table_text(table, columns);
  const auto entries = answer.find("entries");
  std::size_t count = 0;
  std::size_t erased = 0;
  for (; entries.is_array() && count < entries.size(); ++count)
    if (entries.at(count).find("erased").exists()) ++erased;
  out += fmt::format("\nFolded from {} {}", count, count == 1 ? "entry" : "entries");
  if (erased > 0) out += fmt::format(", of {} of which something was erased", erased);
  out += ".\n";
  if (const auto types = answer.find("targetTypes"); types.is_array() && types.size() > 1)
    out += fmt::format("Things of {} target types have this id: {}. Pick one with --target-type.\n",
                       types.size(), escaped(json::canonical(types)));
  if (const auto limit = text_of(answer, "limit"); !limit.empty())
    out += fmt::format("There are more entries; the server folds no more than {}.\n", escaped(limit));
  return out;
}

int run_record(const RecordArguments& arguments, Surroundings& surroundings) {
  for (const auto* text : {&arguments.type, &arguments.id, &arguments.target_type})
    if (!is_utf8(*text))
      return report(surroundings, Error{.kind = ErrorKind::invalid,
                                        .message = "An argument is not valid UTF-8; check the locale of this "
                                                   "terminal."});
  auto connection = connect(arguments.connection, surroundings, KeyNeed::required);
  if (!connection) return report(surroundings, connection.error());
  auto path = fmt::format("/api/records/{}/{}", encoded(arguments.type), encoded(arguments.id));
  if (!arguments.target_type.empty()) path += "?targetType=" + encoded(arguments.target_type);
  const auto response = connection->get(path);
  if (!response) return report(surroundings, response.error());
  json::Document document;
  if (const auto parsed = parse_answer(response->body, document); !parsed)
    return report(surroundings, parsed.error());
  surroundings.print(wants_json(arguments.connection, surroundings)
                         ? response->body + "\n"
                         : record_text(document.root(), surroundings.columns()));
  return exit_ok;
}

void declare_record(CLI::App& app, Invocation& invocation) {
  auto arguments = std::make_shared<RecordArguments>();
  auto* command = app.add_subcommand(
      "record", "Show one email, ticket, order, session, ... with everything that befell it");
  command->add_option("type", arguments->type, "the type of record, such as ticket")
      ->type_name("TYPE")
      ->required();
  command->add_option("id", arguments->id, "its id: the target id of its steps")->type_name("ID")->required();
  command->add_option("--target-type", arguments->target_type, "only steps with this target type")
      ->type_name("TYPE");
  add_connection_options(*command, arguments->connection, KeyNeed::required);
  add_look_options(*command, arguments->connection);
  add_subject_option(*command, arguments->connection);
  command->footer(
      "Types: breach, call, chat, consent, data, email, note, order, push, request, security, session, sms, "
      "template, ticket.\n"
      "On a terminal: fields and tables. Otherwise, or with --json: the server's answer.\n"
      "Exit code 1 where there is no such record.\n\n"
      "Examples:\n"
      "  vestige record ticket T-1\n"
      "  vestige record order O-1 --json\n");
  run_with(*command, arguments, invocation, run_record);
}

}  // namespace vestige::cli
