// Declares each command to the command line parser. A declaration binds its options to a struct of arguments
// and stores what is to be run; nothing runs while the line is being parsed.
#pragma once

#include <functional>
#include <memory>

#include "cli/cli.h"
#include "cli/internal/connection.h"
#include "cli/serve_arguments.h"

namespace CLI {
class App;
}

namespace vestige::cli {

struct Invocation {
  Surroundings& surroundings;
  const ServerPrograms& programs;
  std::function<int()> action{};
};

void declare_serve(CLI::App& app, Invocation& invocation);
void declare_import(CLI::App& app, Invocation& invocation);
void declare_query(CLI::App& app, Invocation& invocation);
void declare_record(CLI::App& app, Invocation& invocation);
void declare_history(CLI::App& app, Invocation& invocation);
void declare_tail(CLI::App& app, Invocation& invocation);
void declare_forward(CLI::App& app, Invocation& invocation);
void declare_verify(CLI::App& app, Invocation& invocation);
void declare_reindex(CLI::App& app, Invocation& invocation);
void declare_prove(CLI::App& app, Invocation& invocation);
void declare_checkpoint(CLI::App& app, Invocation& invocation);
void declare_export(CLI::App& app, Invocation& invocation);
void declare_verify_export(CLI::App& app, Invocation& invocation);
void declare_disclose(CLI::App& app, Invocation& invocation);
void declare_key(CLI::App& app, Invocation& invocation);
void declare_access(CLI::App& app, Invocation& invocation);
void declare_account(CLI::App& app, Invocation& invocation);
void declare_customer_link(CLI::App& app, Invocation& invocation);
void declare_tenant(CLI::App& app, Invocation& invocation);
void declare_approval(CLI::App& app, Invocation& invocation);
void declare_subject(CLI::App& app, Invocation& invocation);  // erase, subject, reauthorise
void declare_capture(CLI::App& app, Invocation& invocation);
void declare_coverage(CLI::App& app, Invocation& invocation);
void declare_bench(CLI::App& app, Invocation& invocation);

// --url, --data, --ca-file, --json, and --key where the command needs one.
void add_connection_options(CLI::App& command, ConnectionArguments& arguments, KeyNeed need);

// --approval, of commands whose request may wait for somebody's yes.
void add_approval_option(CLI::App& command, ConnectionArguments& arguments);
// --reason, --approval and --purpose, of commands that look at the trail.
void add_look_options(CLI::App& command, ConnectionArguments& arguments);
// --tenant, of commands that hold something against the log of the key's tenant.
void add_tenant_option(CLI::App& command, ConnectionArguments& arguments);
// --subject, of those whose request names the person in no other way.
void add_subject_option(CLI::App& command, ConnectionArguments& arguments);

// What is to be run where the line names this command.
void run_with(CLI::App& command, Invocation& invocation, std::function<int(Surroundings&)> action);
template <typename Arguments>
void run_with(CLI::App& command, std::shared_ptr<Arguments> arguments, Invocation& invocation,
              int (*action)(const Arguments&, Surroundings&)) {
  run_with(command, invocation, [arguments = std::move(arguments), action](Surroundings& surroundings) {
    return action(*arguments, surroundings);
  });
}

}  // namespace vestige::cli
