#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/encoding.h"
#include "base/uuid.h"
#include "cli/cli.h"
#include "cli/internal/commands.h"
#include "cli/internal/disclose.h"
#include "cli/internal/display.h"
#include "cli/internal/json_text.h"
#include "cli/internal/local_file.h"
#include "cli/internal/progress.h"
#include "verify/disclosure_check.h"
#include "verify/limits.h"

namespace vestige::cli {
namespace {

std::string as_json(const verify::CheckedDisclosure& checked) {
  std::string values;
  for (const auto& value : checked.disclosed)
    values +=
        (values.empty() ? "" : ",") + JsonObject().text("path", value.path).raw("value", value.value).str();
  return JsonObject()
      .boolean("ok", true)
      .text("origin", checked.proof.checkpoint.origin)
      .number("index", checked.proof.index)
      .number("size", checked.proof.checkpoint.size)
      .raw("disclosed", "[" + values + "]")
      .raw("entry", checked.entry)
      .str();
}

// Members of the entry as everybody sees them who gets it.
std::string clear_members(const std::string& entry) {
  json::Parser parser;
  json::Document document;
  std::string out;
  if (!parser.parse(entry, document, {.depth_max = verify::limits::export_depth_max, .bytes_max = 64 << 20}))
    return out;
  const auto root = document.root();
  for (std::size_t i = 0; i < root.size(); ++i)
    out += fmt::format("  {:<12} {}\n", escaped(root.key_at(i)), escaped(json::canonical(root.at(i))));
  return out;
}

std::string in_words(const verify::CheckedDisclosure& checked) {
  auto out =
      fmt::format("OK: of entry {}, which the log {} signed with {} entries, these values were sealed:\n",
                  checked.proof.index, escaped(checked.proof.checkpoint.origin),
                  with_separators(checked.proof.checkpoint.size));
  for (const auto& value : checked.disclosed)
    out += fmt::format("  {}  {}\n", escaped(value.path), escaped(value.value));
  if (checked.disclosed.empty()) out += "  (none)\n";
  return out + "What the entry has in the clear:\n" + clear_members(checked.entry);
}

struct Disclosed {
  std::string text;
  verify::CheckedDisclosure checked;
};

Result<Disclosed> fetch(const DiscloseArguments& arguments, Surroundings& surroundings) {
  const auto id = parse_uuid(arguments.id);
  if (!id)
    return fail(
        ErrorKind::invalid,
        fmt::format("\"{}\" is no event id: an id is a UUID, such as the ones that \"vestige query\" shows.",
                    escaped(arguments.id)));
  std::string fields;
  for (const auto& field : arguments.fields) {
    if (!is_utf8(field)) return fail(ErrorKind::invalid, "--field is not valid UTF-8.");
    fields += (fields.empty() ? "[" : ",") + json_string(field);
  }
  VESTIGE_TRY(auto connection, connect(arguments.connection, surroundings, KeyNeed::required));
  VESTIGE_TRY(auto response,
              connection.send("POST", fmt::format("/api/events/{}/disclose", format_uuid(*id)),
                              JsonObject().raw("fields", fields + "]").str(), "application/json"));
  VESTIGE_TRY(const auto key, verifier_key_of(connection, arguments.verifier_key));
  auto checked = verify::check_disclosure(response.body, key);
  if (!checked)
    return fail(ErrorKind::corrupt, fmt::format("Nothing was handed on. {}", checked.error().message));
  return Disclosed{std::move(response.body), *std::move(checked)};
}

}  // namespace

int run_disclose(const DiscloseArguments& arguments, Surroundings& surroundings) {
  const auto disclosed = fetch(arguments, surroundings);
  if (!disclosed) return report(surroundings, disclosed.error());
  if (arguments.out.empty()) {
    surroundings.print(disclosed->text + "\n");
    return exit_ok;
  }
  if (const auto written = write_local(arguments.out, disclosed->text + "\n"); !written)
    return report(surroundings, written.error());
  if (wants_json(arguments.connection, surroundings)) {
    surroundings.print(as_json(disclosed->checked) + "\n");
    return exit_ok;
  }
  surroundings.print(in_words(disclosed->checked));
  surroundings.print(
      fmt::format("Written: {}. Whoever gets it sees all of the above, and can check it without the server:\n"
                  "  vestige verify --disclosure {} --vkey KEY\n",
                  escaped(arguments.out), escaped(arguments.out)));
  return exit_ok;
}

int run_check_disclosure(const std::string& file, const std::vector<std::string>& verifier_keys, bool json,
                         Surroundings& surroundings) {
  const auto checked = [&]() -> Result<verify::CheckedDisclosure> {
    if (verifier_keys.size() != 1)
      return fail(ErrorKind::invalid,
                  "--disclosure needs --vkey, once: the log's verifier key, from somebody you trust and not "
                  "from whoever gave you the disclosure.");
    VESTIGE_TRY(const auto text, named_file(file, verify::limits::disclosure_bytes_max));
    VESTIGE_TRY(const auto key, read_verifier_key(verifier_keys.front()));
    return verify::check_disclosure(text, key);
  }();
  json = json || !surroundings.output_is_terminal();
  if (checked) {
    surroundings.print(json ? as_json(*checked) + "\n" : in_words(*checked));
    return exit_ok;
  }
  if (json && checked.error().kind == ErrorKind::corrupt)
    surroundings.print(JsonObject().boolean("ok", false).text("reason", checked.error().message).str() +
                       "\n");
  return report(surroundings, checked.error());
}

void declare_disclose(CLI::App& app, Invocation& invocation) {
  auto arguments = std::make_shared<DiscloseArguments>();
  auto* command =
      app.add_subcommand("disclose", "Hand out chosen personal values of one entry, to be checked by anyone");
  command->add_option("id", arguments->id, "the event")->type_name("ID")->required();
  command
      ->add_option("--field", arguments->fields,
                   "a value, or all below a name, such as detail.phone; may be repeated")
      ->type_name("PATH")
      ->required()
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command->add_option("--out", arguments->out, "the file (standard output)")->type_name("FILE");
  command->add_option("--vkey", arguments->verifier_key, "the log's verifier key, or a file that holds it")
      ->type_name("KEY");
  add_connection_options(*command, arguments->connection, KeyNeed::required);
  add_tenant_option(*command, arguments->connection);
  add_look_options(*command, arguments->connection);
  add_subject_option(*command, arguments->connection);
  command->footer(
      "The receiver sees the chosen values and everything that the entry has in the clear, and nothing else "
      "of "
      "it.\n"
      "Exit code 1 where the event has no such value, or where it is erased.\n\n"
      "Examples:\n"
      "  vestige disclose 0193f0a4-7b1e-7c3e-8c53-2b3a6f1d9e10 --field detail.phone --out phone.disclosure\n"
      "  vestige verify --disclosure phone.disclosure --vkey log.vkey\n");
  run_with(*command, arguments, invocation, run_disclose);
}

}  // namespace vestige::cli
