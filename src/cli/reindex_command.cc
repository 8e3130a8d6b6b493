#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/internal/commands.h"
#include "cli/internal/display.h"
#include "cli/internal/json_text.h"
#include "cli/internal/progress.h"

namespace vestige::cli {
namespace {

std::string in_words(const ReindexSummary& summary, const std::string& data) {
  if (summary.segments == 0)
    return fmt::format(
        "{} has no closed segment, so there is nothing to index: entries that are in the write-ahead log "
        "are\n"
        "found without sidecars.\n",
        escaped(data));
  return fmt::format(
      "Built the sidecars of {} segments anew: {} entries in {} pages, {} of them with sealed values.\n",
      with_separators(summary.segments), with_separators(summary.entries), with_separators(summary.pages),
      with_separators(summary.with_sealed_values));
}

int run_reindex(ReindexArguments arguments, const Invocation& invocation) {
  auto& surroundings = invocation.surroundings;
  if (arguments.data.empty()) arguments.data = surroundings.environment("VESTIGE_DATA").value_or("./var");
  const auto done = [&] {
    Progress progress(surroundings);
    return invocation.programs.reindex(
        arguments, [&](std::uint64_t pages, std::uint64_t of, const std::string& file) {
          constexpr std::uint64_t page_entries = 256;
          progress.update(file, static_cast<double>(pages) / static_cast<double>(of), pages * page_entries);
        });
  }();
  if (!done) {
    const auto& error = done.error();
    const auto place = error.where && !error.where->file.empty()
                           ? fmt::format(" ({}, byte {})", error.where->file, error.where->offset)
                           : std::string();
    surroundings.say(fmt::format("vestige: {}{}\n", escaped(error.message), escaped(place)));
    return error.kind == ErrorKind::corrupt || error.kind == ErrorKind::io ? exit_found_wrong : exit_usage;
  }
  const bool json = arguments.json || !surroundings.output_is_terminal();
  surroundings.print(json ? JsonObject()
                                    .number("segments", done->segments)
                                    .number("entries", done->entries)
                                    .number("pages", done->pages)
                                    .number("pagesWithSealedValues", done->with_sealed_values)
                                    .str() +
                                "\n"
                          : in_words(*done, arguments.data));
  return exit_ok;
}

}  // namespace

void declare_reindex(CLI::App& app, Invocation& invocation) {
  auto arguments = std::make_shared<ReindexArguments>();
  auto* command = app.add_subcommand("reindex", "Build what searches go by anew, while no server runs");
  command->add_option("--data", arguments->data, "the data directory (VESTIGE_DATA, else ./var)")
      ->type_name("DIR");
  command->add_option("--vault-dir", arguments->vault_dir, "the vault, if it is not in the data directory")
      ->type_name("DIR");
  auto* program = command
                      ->add_option("--root-key-command", arguments->root_key_command,
                                   "a command that prints the root key")
                      ->type_name("COMMAND");
  command
      ->add_option("--root-key-environment", arguments->root_key_environment,
                   "the environment variable that holds the root key")
      ->type_name("NAME")
      ->excludes(program);
  command->add_flag("--json", arguments->json, "one JSON object, also on a terminal");
  command->footer(
      "Each segment has a public sidecar (.pub) and, where values are sealed, a personal one (.per): "
      "filters\n"
      "that let searches pass over pages. They are derived from the entries. A server that finds one missing "
      "or\n"
      "damaged builds it anew by itself, in the background, so this command is needed only where you do not\n"
      "trust them any more, or do not want to wait. Entries, proofs and checkpoints are not touched, and it "
      "may\n"
      "be interrupted and run again. What an erased person left is in no new sidecar; old ones lose their "
      "keys.\n"
      "Exit code 0 where all was built, 1 where a segment is damaged, 2 where the directory cannot be "
      "used.\n\n"
      "Examples:\n"
      "  vestige reindex --data /var/lib/vestige\n"
      "  vestige reindex --data ./copy --vault-dir ./vault --root-key-command 'pass vestige'\n");
  command->callback([arguments, &invocation] {
    invocation.action = [arguments, &invocation] { return run_reindex(*arguments, invocation); };
  });
}

}  // namespace vestige::cli
