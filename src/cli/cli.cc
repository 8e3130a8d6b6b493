#include "cli/cli.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <exception>

#include "cli/internal/commands.h"
#include "cli/internal/surroundings.h"

namespace vestige::cli {
namespace {

constexpr const char* description =
    "Vestige keeps an audit trail that can be trusted: who did what to which entity. Every entry can be "
    "proven to\n"
    "somebody who has no access to the server.\n";

constexpr const char* footer =
    "Finding the server and the key (all commands but serve and verify): the address is --url, else "
    "VESTIGE_URL, else\n"
    "what the running server wrote into the file LOCK of its data directory; the key is --key, else "
    "VESTIGE_KEY, else\n"
    "the file admin.key there. The data directory is --data, else VESTIGE_DATA, else ./var.\n\n"
    "Exit codes: 0 done; 1 refused, in conflict, not proven, or not there; 2 the command line or a setting "
    "is wrong;\n"
    "3 no server answers, or it stays busy.\n\n"
    "Examples, one a command (\"vestige COMMAND --help\" says more):\n"
    "  vestige serve --data ./var\n"
    "  vestige import --format dpkg /var/log/dpkg.log*\n"
    "  vestige query --target-type ACCOUNT --target A-1\n"
    "  vestige record ticket T-1\n"
    "  vestige history CONTACT c-1 --blame\n"
    "  vestige tail -n 20\n"
    "  vestige forward kafka --brokers kafka:9092 --topic audit.entries\n"
    "  vestige prove ID\n"
    "  vestige disclose ID --field detail.phone\n"
    "  vestige export 'since:30d' --out october.ndjson\n"
    "  vestige verify-export october.ndjson\n"
    "  vestige checkpoint\n"
    "  vestige verify --data ./var\n"
    "  vestige reindex --data ./var\n"
    "  vestige key create billing --scopes ingest\n"
    "  vestige access looks since:7d\n"
    "  vestige account create ada --roles legal\n"
    "  vestige customer-link customer-4711\n"
    "  vestige approval list --to-decide\n"
    "  vestige tenant create acme\n"
    "  vestige erase customer-4711 --certificate 4711.certificate\n"
    "  vestige subject customer-4711\n"
    "  vestige reauthorise customer-4711\n"
    "  vestige capture postgres init --dsn postgresql://vestige@db/crm --name crm --tables public.contacts\n"
    "  vestige coverage --out november.coverage\n"
    "  vestige bench http --yes\n";

void declare_all(CLI::App& app, Invocation& invocation) {
  app.description(description);
  app.footer(footer);
  app.set_version_flag("--version", fmt::format("vestige {}", version));
  app.require_subcommand(1);
  app.fallthrough(false);
  declare_serve(app, invocation);
  declare_import(app, invocation);
  declare_query(app, invocation);
  declare_record(app, invocation);
  declare_history(app, invocation);
  declare_tail(app, invocation);
  declare_forward(app, invocation);
  declare_verify(app, invocation);
  declare_reindex(app, invocation);
  declare_prove(app, invocation);
  declare_checkpoint(app, invocation);
  declare_export(app, invocation);
  declare_verify_export(app, invocation);
  declare_disclose(app, invocation);
  declare_key(app, invocation);
  declare_access(app, invocation);
  declare_account(app, invocation);
  declare_customer_link(app, invocation);
  declare_approval(app, invocation);
  declare_tenant(app, invocation);
  declare_subject(app, invocation);
  declare_capture(app, invocation);
  declare_coverage(app, invocation);
  declare_bench(app, invocation);
}

int usage_failed(const CLI::App& app, const CLI::ParseError& error, Surroundings& surroundings) {
  const auto* deepest = &app;
  while (!deepest->get_subcommands().empty()) deepest = deepest->get_subcommands().front();
  std::string name = deepest->get_name();
  for (const auto* above = deepest->get_parent(); above && deepest != &app; above = above->get_parent())
    name = above->get_name() + " " + name;
  surroundings.say(fmt::format("vestige: {}\nRun \"{} --help\" to see what it takes.\n", error.what(), name));
  return exit_usage;
}

}  // namespace

int run(int argc, char** argv, const ServerPrograms& programs) {
  auto& surroundings = system_surroundings();
  Invocation invocation{.surroundings = surroundings, .programs = programs};
  try {
    CLI::App app{"", "vestige"};
    declare_all(app, invocation);
    try {
      app.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
      surroundings.print(app.help());  // of the command that stood before --help
      return surroundings.flush() ? exit_ok : exit_found_wrong;
    } catch (const CLI::CallForVersion& call) {
      surroundings.print(fmt::format("{}\n", call.what()));
      return surroundings.flush() ? exit_ok : exit_found_wrong;
    } catch (const CLI::ParseError& error) {
      return usage_failed(app, error, surroundings);
    }
    int code = invocation.action();
    if (!surroundings.flush() && code == exit_ok) {
      surroundings.say("vestige: Standard output did not take all that was written to it (a full disk?).\n");
      code = exit_found_wrong;
    }
    return code;
  } catch (const std::exception& failure) {
    surroundings.say(
        fmt::format("vestige: {} This is a fault of Vestige; please report it.\n", failure.what()));
    return exit_found_wrong;
  }
}

void run_with(CLI::App& command, Invocation& invocation, std::function<int(Surroundings&)> action) {
  command.callback([action = std::move(action), &invocation] {
    invocation.action = [action, &invocation] { return action(invocation.surroundings); };
  });
}

void add_look_options(CLI::App& command, ConnectionArguments& arguments) {
  command
      .add_option("--reason", arguments.reason,
                  "why you look: it goes on record, and shows personal values where your key's role shows "
                  "them for a reason (VESTIGE_REASON)")
      ->type_name("TEXT");
  add_approval_option(command, arguments);
  command
      .add_option("--purpose", arguments.purpose,
                  "regulatory where an authority asks for it: then it waits for legal's yes")
      ->type_name("PURPOSE");
}

void add_tenant_option(CLI::App& command, ConnectionArguments& arguments) {
  command
      .add_option("--tenant", arguments.tenant,
                  "whose log it is, where the key is of another tenant than \"default\"")
      ->type_name("ID");
}

void add_subject_option(CLI::App& command, ConnectionArguments& arguments) {
  command
      .add_option("--subject", arguments.subject,
                  "the person whom it is about, for roles that see one person at a time")
      ->type_name("SUBJECT");
}

void add_approval_option(CLI::App& command, ConnectionArguments& arguments) {
  arguments.takes_approval = true;
  command
      .add_option("--approval", arguments.approval,
                  "the approval that was given for this very command; it is used up by it (VESTIGE_APPROVAL)")
      ->type_name("ID");
}

void add_connection_options(CLI::App& command, ConnectionArguments& arguments, KeyNeed need) {
  const std::string group = "Server";
  command.add_option("--url", arguments.url, "the server's address (VESTIGE_URL)")
      ->type_name("URL")
      ->group(group);
  if (need == KeyNeed::required)
    command.add_option("--key", arguments.key, "the API key (VESTIGE_KEY, which no process list shows)")
        ->type_name("KEY")
        ->group(group);
  command
      .add_option("--data", arguments.data,
                  "the server's data directory, to find both in (VESTIGE_DATA, ./var)")
      ->type_name("DIR")
      ->group(group);
  command
      .add_option("--ca-file", arguments.ca_file, "trust this certificate (PEM) for https (VESTIGE_CA_FILE)")
      ->type_name("FILE")
      ->group(group);
  command.add_flag("--json", arguments.json, "write JSON, also on a terminal");
}

}  // namespace vestige::cli
