#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>

#include "cli/cli.h"
#include "cli/configuration.h"
#include "cli/internal/commands.h"
#include "cli/internal/local_file.h"

namespace vestige::cli {
namespace {

struct ServeOptions {
  std::string file;
  std::vector<std::pair<const ConfigurationKey*, std::string>> values;  // of every key, given or not
  std::vector<CLI::Option*> options;                                    // as many
};

Result<ServeArguments> configuration_of(const ServeOptions& given, const Surroundings& surroundings) {
  ConfigurationSources sources;
  sources.environment = [&](const std::string& name) { return surroundings.environment(name); };
  auto file = given.file;
  if (file.empty()) file = surroundings.environment("VESTIGE_CONFIG").value_or("");
  if (!file.empty()) {
    auto text = read_local(file, configuration_bytes_max);
    if (!text)
      return fail(ErrorKind::invalid,
                  fmt::format("The configuration cannot be read: {}", text.error().message));
    sources.file = ConfigurationFile{.name = file, .text = *std::move(text)};
  }
  for (std::size_t i = 0; i < given.options.size(); ++i)
    if (given.options[i]->count() > 0)
      sources.command_line.emplace_back(given.values[i].first->name, given.values[i].second);
  return configure(sources);
}

std::string help_of(const ConfigurationKey& key) {
  const auto preset = value_text(key, ServeArguments{});
  return preset.empty() ? std::string(key.help) : fmt::format("{} ({})", key.help, preset);
}

}  // namespace

void declare_serve(CLI::App& app, Invocation& invocation) {
  auto given = std::make_shared<ServeOptions>();
  auto* command = app.add_subcommand("serve", "Run the server, in the foreground, until Ctrl-C or SIGTERM");
  command->add_option("--config", given->file, "a TOML file with any of the settings below")
      ->type_name("FILE");
  const auto keys = configuration_keys();
  // Options keep references to their values, so all of these have their place before the first is declared.
  for (const auto& key : keys) given->values.emplace_back(&key, std::string());
  for (auto& [key, value] : given->values)
    given->options.push_back(command->add_option(option_name(*key), value, help_of(*key))
                                 ->type_name(std::string(key->placeholder)));
  command->footer(
      "Every setting is also a key of the TOML file (wal-bytes-max is wal_bytes_max there) and an "
      "environment variable\n"
      "(VESTIGE_WAL_BYTES_MAX). The command line outranks the environment, and that the file. Sizes take "
      "KiB, MiB, GiB.\n"
      "The first start writes an API key to DIR/admin.key and a root key to DIR/vault/root.key. Back up the "
      "root key,\n"
      "apart from the data: without it every entry is lost.\n\n"
      "Examples:\n"
      "  vestige serve --data /var/lib/vestige --port 8080\n"
      "  vestige serve --config /etc/vestige.toml\n");
  command->callback([given, &invocation] {
    invocation.action = [given, &invocation] {
      const auto arguments = configuration_of(*given, invocation.surroundings);
      if (!arguments) return report(invocation.surroundings, arguments.error());
      return invocation.programs.serve(*arguments);
    };
  });
}

}  // namespace vestige::cli
