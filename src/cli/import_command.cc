#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>

#include "cli/cli.h"
#include "cli/internal/commands.h"
#include "cli/internal/importer.h"
#include "cli/internal/json_text.h"
#include "cli/internal/own_mapping.h"

namespace vestige::cli {
namespace {

constexpr const char* footer =
    "Formats: auto looks at the content. ndjson is one event object a line, git the commits of a repository, "
    "dpkg the\n"
    "package log of Debian; all others are records of other systems, kept whole under detail.original: json "
    "(a record\n"
    "a line, an array, or an object around an array), csv (with a header), cloudtrail, k8s-audit, o365, gws "
    "and more.\n"
    "A mapping file says which member of a record is the actor, the target and so on; "
    "\"docs/operating/import.md\"\n"
    "describes it. Files may be compressed with gzip or zstd, and may be tar archives.\n"
    "Importing the same again adds nothing, so an import that was cut short is simply repeated; with "
    "--resume it does "
    "not\n"
    "send again what is there.\n"
    "A record that the server refuses ends the import (exit code 1) and is named.\n\n"
    "Examples:\n"
    "  vestige import --format git .\n"
    "  vestige import --format dpkg /var/log/dpkg.log*\n"
    "  vestige import cloudtrail.tar.zst\n"
    "  vestige import --mapping shop.toml --dry-run orders.csv\n"
    "  zcat events.ndjson.gz | vestige import --format ndjson -\n";

}  // namespace

std::string request_line(const importing::ImportedEvent& event, std::uint64_t occurrence) {
  if (event.record.empty()) return event.json;
  auto line = fmt::format("{{\"record\":{},\"occurrence\":{}", event.record, occurrence);
  if (!event.json.empty()) line += ",\"event\":" + event.json;
  if (!event.lossless.empty()) line += ",\"lossless\":" + event.lossless;
  return line + "}";
}

std::optional<std::size_t> event_of_problem(std::string_view problem_json, std::string_view body) {
  json::Parser parser;
  json::Document document;
  if (!parser.parse(problem_json, document)) return std::nullopt;
  const auto path = text_of(document.root(), "path");
  if (path.size() > 1 && path[0] == '/') {
    std::size_t number = 0;
    const auto [end, error] = std::from_chars(path.data() + 1, path.data() + path.size(), number);
    if (error == std::errc{} && (end == path.data() + path.size() || *end == '/')) return number;
  }
  const auto position = number_of(document.root(), "position", UINT64_MAX);
  if (position >= body.size()) return std::nullopt;
  return static_cast<std::size_t>(
      std::ranges::count(body.substr(0, static_cast<std::size_t>(position)), '\n'));
}

Result<char> parse_delimiter(std::string_view text) {
  if (text.empty()) return '\0';
  if (text == "tab" || text == "\\t") return '\t';
  if (text.size() == 1 && text[0] > ' ' && text[0] < 0x7f && text[0] != '"') return text[0];
  if (text == "\t") return '\t';
  return fail(ErrorKind::invalid,
              "The delimiter of --delimiter is one visible ASCII character other than a quote, or \"tab\".");
}

int run_import(const ImportArguments& arguments, Surroundings& surroundings) {
  const auto catalogue = importing::Catalogue::load();
  if (!catalogue) return report(surroundings, catalogue.error());
  std::optional<importing::Mapping> mapping;
  if (!arguments.mapping.empty()) {
    auto own = read_own_mapping(arguments.mapping, *catalogue);
    if (!own) return report(surroundings, own.error());
    mapping = *std::move(own);
  }
  const auto delimiter = parse_delimiter(arguments.delimiter);
  if (!delimiter) return report(surroundings, delimiter.error());
  std::optional<Connection> connection;
  if (!arguments.dry_run) {
    auto connected = connect(arguments.connection, surroundings, KeyNeed::required);
    if (!connected) return report(surroundings, connected.error());
    connection.emplace(*std::move(connected));
  }
  importing::Coverage coverage;
  const importing::ReaderOptions options{.repository = arguments.repository,
                                         .catalogue = &*catalogue,
                                         .mapping = mapping ? &*mapping : nullptr,
                                         .delimiter = *delimiter,
                                         .coverage = &coverage};
  Importer importer(arguments, options, connection ? &*connection : nullptr, surroundings);
  const auto imported = importer.run();
  // Of a path that could not even be opened there is nothing to tell but the error. Where the events are
  // printed the report goes beside them.
  if (arguments.dry_run && !importer.files().empty())
    surroundings.say(import_text(importer.files(), coverage, surroundings.columns()));
  else if (imported || !importer.files().empty())
    surroundings.print(wants_json(arguments.connection, surroundings)
                           ? import_json(importer.files(), coverage, imported.has_value())
                           : import_text(importer.files(), coverage, surroundings.columns()));
  if (!imported) return report(surroundings, imported.error());
  return exit_ok;
}

void declare_import(CLI::App& app, Invocation& invocation) {
  auto arguments = std::make_shared<ImportArguments>();
  auto* command =
      app.add_subcommand("import", "Import an audit trail that exists already, one entry a record");
  command
      ->add_option("paths", arguments->paths,
                   "files (plain, gzip, zstd or tar), repositories, or - for standard input")
      ->required()
      ->type_name("PATH...");
  auto formats = importing::format_names();
  formats.emplace_back(importing::auto_format);
  command
      ->add_option("--format", arguments->format,
                   fmt::format("auto (the default), {}", fmt::join(importing::format_names(), ", ")))
      ->check(CLI::IsMember(formats).description(""))
      ->type_name("FORMAT");
  command
      ->add_option("--mapping", arguments->mapping,
                   "which member of a record gives which of the event (TOML, JSON)")
      ->type_name("FILE");
  command
      ->add_option("--delimiter", arguments->delimiter,
                   "csv: what stands between fields; found out without this")
      ->type_name("CHARACTER");
  command
      ->add_option("--repository", arguments->repository,
                   "git: the repository's name in the entries; its folder's name without this")
      ->type_name("NAME");
  command
      ->add_option("--resume", arguments->resume,
                   "remember in this file how far it came, and go on from there")
      ->type_name("FILE");
  command->add_flag("--dry-run", arguments->dry_run,
                    "print the events, without their records, and send nothing");
  add_connection_options(*command, arguments->connection, KeyNeed::required);
  command
      ->add_option("--reason", arguments->connection.reason,
                   "why, where the policy lets nobody record this alone (VESTIGE_REASON)")
      ->type_name("TEXT");
  add_approval_option(*command, arguments->connection);
  command->footer(footer);
  run_with(*command, arguments, invocation, run_import);
}

}  // namespace vestige::cli
