#include "cli/verify_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <thread>

#include "base/encoding.h"
#include "cli/cli.h"
#include "cli/internal/commands.h"
#include "cli/internal/coverage.h"
#include "cli/internal/disclose.h"
#include "cli/internal/display.h"
#include "cli/internal/json_text.h"
#include "cli/internal/local_file.h"
#include "cli/internal/progress.h"
#include "crypto/digest.h"
#include "verify/certificate_check.h"
#include "verify/inputs.h"
#include "verify/verify.h"

namespace vestige::cli {
namespace {

constexpr std::string_view main_stream = "default/audit";
constexpr unsigned threads_wanted_max = 4;
constexpr std::uint64_t certificate_bytes_max = 1 << 20;

std::string data_directory(const VerifyArguments& arguments, const Surroundings& surroundings) {
  if (!arguments.data.empty()) return arguments.data;
  const auto named = surroundings.environment("VESTIGE_DATA");
  return named && !named->empty() ? *named : "./var";
}

std::string first_bad_json(const verify::Report& report) {
  if (!report.first_bad) return "null";
  const auto& bad = *report.first_bad;
  return JsonObject()
      .raw("index", bad.index ? fmt::format("{}", *bad.index) : "null")
      .text("file", bad.file)
      .number("offset", bad.offset)
      .text("reason", bad.reason)
      .str();
}

std::string erased_by_json(const verify::StreamReport& stream) {
  std::string list;
  for (const auto& erased : stream.erased_by)
    list += fmt::format("{}{{\"entry\":{},\"sections\":{}}}", list.empty() ? "" : ",", erased.entry,
                        erased.sections);
  return "[" + list + "]";
}

std::string stream_json(const verify::StreamReport& stream) {
  const auto& sections = stream.sections;
  return JsonObject()
      .text("name", stream.name)
      .number("size", stream.size)
      .text("root", to_base64(stream.root))
      .raw("signedSize", stream.signed_size ? fmt::format("{}", *stream.signed_size) : "null")
      .number("entriesChecked", stream.entries_checked)
      .raw("sections", JsonObject()
                           .number("matches", sections.matches)
                           .number("present", sections.present)
                           .number("erased", sections.erased)
                           .number("missing", sections.missing)
                           .str())
      .raw("erasedBy", erased_by_json(stream))
      .str();
}

std::string as_json(const verify::Report& report) {
  const auto main = std::ranges::find(report.streams, main_stream, &verify::StreamReport::name);
  const bool has_main = main != report.streams.end();
  std::string streams;
  for (const auto& stream : report.streams) streams += (streams.empty() ? "" : ",") + stream_json(stream);
  return JsonObject()
      .boolean("ok", report.ok)
      .number("size", has_main ? main->size : 0)
      .text("root", to_base64(has_main ? main->root : crypto::sha256(ByteView())))
      .raw("firstBad", first_bad_json(report))
      .raw("streams", "[" + streams + "]")
      .str();
}

std::string bad_in_words(const verify::FirstBad& bad) {
  return fmt::format("{}, byte {}: {}", escaped(bad.file), with_separators(bad.offset), escaped(bad.reason));
}

std::string sections_in_words(const verify::SectionCounts& sections) {
  if (sections.matches + sections.present + sections.erased + sections.missing == 0) return {};
  return fmt::format("  sealed sections: {} match, {} present and unchecked, {} erased, {} missing\n",
                     with_separators(sections.matches), with_separators(sections.present),
                     with_separators(sections.erased), with_separators(sections.missing));
}

std::string in_words(const verify::Report& report, const std::string& data) {
  std::string out;
  for (const auto& stream : report.streams) {
    out += fmt::format("{}: {} entries, {} of them recomputed, {} signed\n  root {}\n", stream.name,
                       with_separators(stream.size), with_separators(stream.entries_checked),
                       stream.signed_size ? with_separators(*stream.signed_size) : "none",
                       to_base64(stream.root));
    out += sections_in_words(stream.sections);
    for (const auto& erased : stream.erased_by)
      out += fmt::format("    {} erased by entry {}\n", with_separators(erased.sections), erased.entry);
  }
  for (const auto& note : report.notes) out += fmt::format("Note: {}\n", escaped(note));
  if (report.ok) return out + fmt::format("OK: {} holds what was written and signed.\n", escaped(data));
  out += fmt::format("WRONG: {}\n", bad_in_words(*report.first_bad));
  if (report.all_bad.size() > 1) out += "What else was found, and may follow from it:\n";
  for (std::size_t i = 1; i < report.all_bad.size(); ++i)
    out += fmt::format("  {}\n", bad_in_words(report.all_bad[i]));
  return out + fmt::format("Keep {} as it is, as evidence, and restore a copy from your backups beside it.\n",
                           escaped(data));
}

int unusable(Surroundings& surroundings, const Error& error) {
  surroundings.say(fmt::format("vestige: {}\n", escaped(error.message)));
  return exit_usage;
}

Result<std::vector<trail::VerifierKey>> verifier_keys(const VerifyArguments& arguments) {
  std::vector<trail::VerifierKey> keys;
  for (const auto& given : arguments.verifier_keys) {
    VESTIGE_TRY(const auto text, read_verifier_key(given));
    auto key = trail::parse_verifier_key(text);
    if (!key)
      return fail(ErrorKind::invalid, fmt::format("--vkey {}: {}", escaped(given), key.error().message));
    keys.push_back(*std::move(key));
  }
  return keys;
}

std::string in_words(const verify::CheckedCertificate& certificate) {
  std::string out = fmt::format("OK: the log {} signed that a key was destroyed on {}.\n",
                                escaped(certificate.origin), certificate.erased_at);
  for (const auto& ref : certificate.refs) out += fmt::format("  ref      {}\n", escaped(ref));
  out += fmt::format("  ordered  by entry {}, done by entry {}\n", certificate.intent, certificate.outcome);
  out += fmt::format("  entries  {} of the first {} have sections under it, which nobody can read any more\n",
                     with_separators(certificate.entries), with_separators(certificate.size));
  out += fmt::format("  copies   of the vault may hold it until {}\n", certificate.backups_expire_at);
  for (const auto& what : certificate.pending) out += fmt::format("  pending  {}\n", escaped(what));
  return out;
}

std::string as_json(const verify::CheckedCertificate& certificate) {
  const auto list = [](const std::vector<std::string>& texts) {
    std::string out;
    for (const auto& text : texts) out += (out.empty() ? "" : ",") + json_string(text);
    return "[" + out + "]";
  };
  return JsonObject()
      .boolean("ok", true)
      .text("origin", certificate.origin)
      .raw("refs", list(certificate.refs))
      .text("erasedAt", certificate.erased_at)
      .number("intent", certificate.intent)
      .number("outcome", certificate.outcome)
      .number("entries", certificate.entries)
      .number("of", certificate.size)
      .text("backupsExpireAt", certificate.backups_expire_at)
      .raw("pending", list(certificate.pending))
      .str();
}

int run_certificate(const VerifyArguments& arguments, Surroundings& surroundings) {
  if (arguments.verifier_keys.size() != 1)
    return unusable(surroundings,
                    {.kind = ErrorKind::invalid,
                     .message = "--certificate needs --vkey, once: the log's verifier key, from somebody "
                                "you trust and not from whoever gave you the certificate."});
  const auto text = named_file(arguments.certificate, certificate_bytes_max);
  if (!text) return unusable(surroundings, text.error());
  const auto key = read_verifier_key(arguments.verifier_keys.front());
  if (!key) return unusable(surroundings, key.error());
  const auto checked = verify::check_certificate(*text, *key);
  const bool json = arguments.json || !surroundings.output_is_terminal();
  if (checked) {
    surroundings.print(json ? as_json(*checked) + "\n" : in_words(*checked));
    return exit_ok;
  }
  if (checked.error().kind == ErrorKind::invalid) return unusable(surroundings, checked.error());
  if (json)
    surroundings.print(JsonObject().boolean("ok", false).text("reason", checked.error().message).str() +
                       "\n");
  surroundings.say(fmt::format("vestige: {}\n", escaped(checked.error().message)));
  return exit_found_wrong;
}

}  // namespace

int run_verify(const VerifyArguments& arguments, Surroundings& surroundings) {
  if (!arguments.certificate.empty()) return run_certificate(arguments, surroundings);
  if (!arguments.disclosure.empty())
    return run_check_disclosure(arguments.disclosure, arguments.verifier_keys, arguments.json, surroundings);
  if (!arguments.coverage.empty())
    return run_check_coverage(arguments.coverage, arguments.verifier_keys, arguments.json, surroundings);
  const auto data = data_directory(arguments, surroundings);
  const auto keys = verifier_keys(arguments);
  if (!keys) return unusable(surroundings, keys.error());
  const auto opened = verify::OpenedInputs::open({.data = data,
                                                  .vault_dir = arguments.vault_dir,
                                                  .signer_dir = arguments.signer_dir,
                                                  .root_key_file = arguments.root_key_file,
                                                  .root_key_command = arguments.root_key_command,
                                                  .root_key_environment = arguments.root_key_environment,
                                                  .use_keys = !arguments.no_keys});
  if (!opened) return unusable(surroundings, opened.error());
  const auto report = [&] {
    Progress progress(surroundings);
    const auto threads = std::clamp(std::thread::hardware_concurrency(), 1U, threads_wanted_max);
    return verify::verify_data((*opened)->inputs(),
                               {.while_running = (*opened)->is_running(),
                                .threads = threads,
                                .verifier_keys = *keys,
                                .progress = [&](double share, std::uint64_t entries, std::string_view what) {
                                  progress.update(what, share, entries);
                                }});
  }();
  if (!report) return unusable(surroundings, report.error());
  const bool json = arguments.json || !surroundings.output_is_terminal();
  surroundings.print(json ? as_json(*report) + "\n" : in_words(*report, data));
  return report->ok ? exit_ok : exit_found_wrong;
}

int run_verify(const VerifyArguments& arguments) { return run_verify(arguments, system_surroundings()); }

void declare_verify(CLI::App& app, Invocation& invocation) {
  auto arguments = std::make_shared<VerifyArguments>();
  auto* command = app.add_subcommand("verify", "Check a whole data directory, without a server");
  command->add_option("--data", arguments->data, "the data directory (VESTIGE_DATA, else ./var)")
      ->type_name("DIR");
  command->add_option("--vault-dir", arguments->vault_dir, "the vault, if it is not in the data directory")
      ->type_name("DIR");
  command->add_option("--signer-dir", arguments->signer_dir, "the signer, if it is not in the data directory")
      ->type_name("DIR");
  auto* file = command->add_option("--root-key", arguments->root_key_file, "a file that holds the root key")
                   ->type_name("FILE");
  auto* program = command
                      ->add_option("--root-key-command", arguments->root_key_command,
                                   "a command that prints the root key")
                      ->type_name("COMMAND")
                      ->excludes(file);
  auto* variable = command
                       ->add_option("--root-key-environment", arguments->root_key_environment,
                                    "the environment variable that holds the root key")
                       ->type_name("NAME")
                       ->excludes(file)
                       ->excludes(program);
  command
      ->add_option(
          "--vkey", arguments->verifier_keys,
          "a verifier key that you kept, or a file that holds it: checkpoints must be signed with it")
      ->type_name("KEY");
  command
      ->add_option("--certificate", arguments->certificate,
                   "check this certificate of an erasure instead; needs --vkey, no server and no data")
      ->type_name("FILE");
  command
      ->add_option("--disclosure", arguments->disclosure,
                   "check these disclosed values instead; needs --vkey, no server and no data")
      ->type_name("FILE");
  command
      ->add_option("--coverage", arguments->coverage,
                   "check this report on captures instead; needs --vkey, no server and no data")
      ->type_name("FILE");
  command->add_flag("--no-keys", arguments->no_keys, "check only what can be checked without the root key")
      ->excludes(file)
      ->excludes(program)
      ->excludes(variable);
  command->add_flag("--json", arguments->json, "one JSON object, also on a terminal");
  command->footer(
      "Writes nothing and takes no lock; beside a running server the newest files are not judged.\n"
      "Exit code 0 where everything holds, 1 where something does not, 2 where a directory or the root key\n"
      "cannot be used.\n\n"
      "Examples:\n"
      "  vestige verify --data /var/lib/vestige\n"
      "  vestige verify --data ./copy --no-keys --json\n"
      "  vestige verify --data ./copy --vkey log.vkey\n"
      "  vestige verify --certificate 4711.certificate --vkey log.vkey\n"
      "  vestige verify --disclosure phone.disclosure --vkey log.vkey\n"
      "  vestige verify --coverage november.coverage --vkey log.vkey\n");
  run_with(*command, arguments, invocation, run_verify);
}

}  // namespace vestige::cli
