#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/cli.h"
#include "cli/internal/capture.h"
#include "cli/internal/commands.h"
#include "cli/internal/display.h"
#include "cli/internal/json_text.h"
#include "cli/internal/surroundings.h"
#include "sources/postgres/setup.h"

namespace vestige::cli {
namespace {

namespace postgres = sources::postgres;

Result<std::unique_ptr<postgres::Connection>> open(const CaptureArguments& arguments) {
  VESTIGE_CHECKED(postgres::check_source_name(arguments.name));
  return postgres::Connection::open(arguments.dsn, postgres::Connection::Use::queries);
}

Result<std::vector<postgres::TableName>> tables_in(std::string_view list) {
  std::vector<postgres::TableName> tables;
  for (;;) {
    const auto comma = std::min(list.find(','), list.size());
    VESTIGE_TRY(auto table, postgres::parse_table(list.substr(0, comma)));
    tables.push_back(std::move(table));
    if (comma == list.size()) return tables;
    list.remove_prefix(comma + 1);
  }
}

Result<postgres::Readiness> prepare(const CaptureArguments& arguments) {
  VESTIGE_TRY(const auto tables, tables_in(arguments.tables));
  VESTIGE_TRY(const auto connection, open(arguments));
  return postgres::prepare(*connection, arguments.name, tables);
}

Result<std::vector<std::string>> remove(const CaptureArguments& arguments) {
  VESTIGE_TRY(const auto connection, open(arguments));
  return postgres::remove_setup(*connection, arguments.name);
}

bool json_wanted(const CaptureArguments& arguments, const Surroundings& surroundings) {
  ConnectionArguments connection;
  connection.json = arguments.json;
  return wants_json(connection, surroundings);
}

}  // namespace

int run_capture_init(const CaptureArguments& arguments, Surroundings& surroundings) {
  const auto readiness = prepare(arguments);
  if (!readiness) return report(surroundings, readiness.error());
  const auto code = readiness->ready() ? exit_ok : exit_found_wrong;
  if (json_wanted(arguments, surroundings)) {
    JsonObject object;
    object.raw("made", json_list(readiness->made)).raw("missing", json_list(readiness->missing));
    object.boolean("ready", readiness->ready()).raw("warnings", json_list(readiness->warnings));
    surroundings.print(object.str() + "\n");
    return code;
  }
  for (const auto& made : readiness->made) surroundings.print(fmt::format("made: {}\n", escaped(made)));
  for (const auto& warning : readiness->warnings)
    surroundings.print(fmt::format("note: {}.\n", escaped(warning)));
  for (const auto& missing : readiness->missing)
    surroundings.print(fmt::format("missing: {}.\n", escaped(missing)));
  surroundings.print(readiness->ready()
                         ? fmt::format("Ready. PostgreSQL keeps its log for {} from now on: name it under "
                                       "[[capture.postgres]] and start the server.\n",
                                       postgres::slot_of(arguments.name))
                         : "Not ready: nothing was made. Do what is missing, and run this again.\n");
  return code;
}

int run_capture_drop(const CaptureArguments& arguments, Surroundings& surroundings) {
  const auto removed = remove(arguments);
  if (!removed) return report(surroundings, removed.error());
  if (json_wanted(arguments, surroundings)) {
    JsonObject object;
    surroundings.print(object.raw("removed", json_list(*removed)).str() + "\n");
    return exit_ok;
  }
  for (const auto& each : *removed) surroundings.print(fmt::format("removed: {}\n", escaped(each)));
  if (removed->empty())
    surroundings.print(
        fmt::format("There was no slot and no publication {}.\n", postgres::slot_of(arguments.name)));
  return exit_ok;
}

void declare_capture(CLI::App& app, Invocation& invocation) {
  auto* command = app.add_subcommand("capture", "Make a source of changes ready for capturing");
  command->require_subcommand(1);
  auto* source = command->add_subcommand("postgres", "Row changes of a PostgreSQL database");
  source->require_subcommand(1);
  source->footer(
      "The server captures what its configuration names under [[capture.postgres]]. PostgreSQL keeps its log "
      "for a "
      "capture\nfrom init until drop, also while nobody reads it: drop what you no longer capture.\n\n"
      "Examples:\n"
      "  vestige capture postgres init --dsn postgresql://vestige@db/crm --name crm --tables "
      "public.contacts\n"
      "  vestige capture postgres drop --dsn postgresql://vestige@db/crm --name crm\n");
  auto arguments = std::make_shared<CaptureArguments>();
  const auto declare = [&](const char* name, const char* about,
                           int (*action)(const CaptureArguments&, Surroundings&)) {
    auto* sub = source->add_subcommand(name, about);
    sub->add_option(
           "--dsn", arguments->dsn,
           "how the database is reached: postgresql://... or \"host=... dbname=...\"; a password is better "
           "kept in ~/.pgpass")
        ->required()
        ->type_name("DSN");
    sub->add_option("--name", arguments->name, "the source's name, as under [[capture.postgres]]")
        ->required()
        ->type_name("NAME");
    sub->add_flag("--json", arguments->json, "print JSON");
    run_with(*sub, arguments, invocation, action);
    return sub;
  };
  declare("init", "Make publication and slot, and say what is missing", run_capture_init)
      ->add_option("--tables", arguments->tables, "SCHEMA.TABLE, between commas")
      ->required()
      ->type_name("TABLES");
  declare("drop", "Remove publication and slot: PostgreSQL keeps nothing for the capture any more",
          run_capture_drop);
}

}  // namespace vestige::cli
