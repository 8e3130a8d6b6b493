#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/encoding.h"
#include "base/uuid.h"
#include "cli/cli.h"
#include "cli/internal/commands.h"
#include "cli/internal/display.h"
#include "cli/internal/json_text.h"
#include "cli/internal/local_file.h"
#include "cli/internal/prove.h"
#include "cli/internal/query.h"
#include "verify/proof_check.h"

namespace vestige::cli {
namespace {

constexpr std::uint64_t artefact_bytes_max = 16 << 20;

// What the entry itself says, as far as it can be read without keys.
std::string entry_in_words(std::string_view entry) {
  json::Parser parser;
  json::Document document;
  if (!parser.parse(entry, document) || !document.root().is_object())
    return "an entry that is no JSON object";
  const auto root = document.root();
  auto cells = event_cells(root);
  for (auto& cell : cells) cell = cell.empty() ? "(sealed or absent)" : escaped(cell);
  return fmt::format("{}: actor {}, action {}, target {}, kind {}; received {}", cells[1], cells[2], cells[3],
                     cells[4], cells[5], escaped(text_of(root, "receivedAt")));
}

std::string in_words(const verify::CheckedProof& proof, std::string_view entry) {
  return fmt::format(
      "Proven: these {} bytes are entry {} of the log \"{}\".\n"
      "  entry   {}\n"
      "  leaf    {}\n"
      "  signed  by the log's key, when the log had {} entries with the root\n"
      "          {}\n"
      "Whoever holds this proof can show that the log contained exactly this entry at this place. Changing, "
      "removing or\n"
      "inserting an entry before would give another root.\n",
      entry.size(), proof.index, escaped(proof.checkpoint.origin), entry_in_words(entry),
      to_base64(proof.leaf), proof.checkpoint.size, to_base64(proof.checkpoint.root));
}

JsonObject as_json(const verify::CheckedProof& proof) {
  JsonObject object;
  object.boolean("ok", true)
      .text("origin", proof.checkpoint.origin)
      .number("index", proof.index)
      .text("leaf", to_base64(proof.leaf))
      .number("size", proof.checkpoint.size)
      .text("root", to_base64(proof.checkpoint.root));
  return object;
}

int check_offline(const ProveArguments& arguments, Surroundings& surroundings) {
  const auto checked = [&]() -> Result<std::pair<verify::CheckedProof, std::string>> {
    if (arguments.verifier_key.empty())
      return fail(ErrorKind::invalid,
                  "--check needs --vkey: the log's verifier key, or a file that holds it. It has to "
                  "come from somebody you trust, not from whoever gave you the proof.");
    VESTIGE_TRY(const auto proof, named_file(arguments.check[0], artefact_bytes_max));
    VESTIGE_TRY(auto entry, named_file(arguments.check[1], artefact_bytes_max));
    VESTIGE_TRY(const auto key, read_verifier_key(arguments.verifier_key));
    auto outcome = verify::check_proof(proof, entry, key);
    // The files are there; that they are no proof is a finding.
    if (!outcome) return fail(ErrorKind::corrupt, outcome.error().message);
    return std::pair(*std::move(outcome), std::move(entry));
  }();
  if (!checked) {
    if (wants_json(arguments.connection, surroundings) && checked.error().kind == ErrorKind::corrupt)
      surroundings.print(JsonObject().boolean("ok", false).text("reason", checked.error().message).str() +
                         "\n");
    return report(surroundings, checked.error());
  }
  const auto& [proof, entry] = *checked;
  surroundings.print(wants_json(arguments.connection, surroundings) ? as_json(proof).str() + "\n"
                                                                    : in_words(proof, entry));
  return exit_ok;
}

struct Fetched {
  std::string id;
  std::string proof;
  std::string entry;
  std::string verifier_key;
};

Result<Fetched> fetch(const ProveArguments& arguments, Surroundings& surroundings) {
  const auto id = parse_uuid(arguments.id);
  if (!id)
    return fail(
        ErrorKind::invalid,
        fmt::format("\"{}\" is no event id: an id is a UUID, such as the ones that \"vestige query\" shows.",
                    escaped(arguments.id)));
  VESTIGE_TRY(auto connection, connect(arguments.connection, surroundings, KeyNeed::required));
  Fetched fetched{.id = format_uuid(*id), .proof = {}, .entry = {}, .verifier_key = {}};
  const auto path = fmt::format("/api/events/{}", fetched.id);
  VESTIGE_TRY(auto entry, connection.get(path + "/sealed"));
  VESTIGE_TRY(auto proof, connection.get(path + "/proof"));
  fetched.entry = std::move(entry.body);
  fetched.proof = std::move(proof.body);
  VESTIGE_TRY(fetched.verifier_key, verifier_key_of(connection, arguments.verifier_key));
  return fetched;
}

Result<verify::CheckedProof> check_and_write(const Fetched& fetched, const std::string& proof_file,
                                             const std::string& entry_file) {
  auto checked = verify::check_proof(fetched.proof, fetched.entry, fetched.verifier_key);
  if (!checked)
    return fail(ErrorKind::corrupt,
                fmt::format("The proof of event {} does not hold, and nothing was written. {}", fetched.id,
                            checked.error().message));
  VESTIGE_CHECKED(write_local(proof_file, fetched.proof));
  VESTIGE_CHECKED(write_local(entry_file, fetched.entry));
  return checked;
}

int prove_online(const ProveArguments& arguments, Surroundings& surroundings) {
  const auto fetched = fetch(arguments, surroundings);
  if (!fetched) return report(surroundings, fetched.error());
  const auto proof_file = arguments.proof_file.empty() ? fetched->id + ".tlog-proof" : arguments.proof_file;
  const auto slash = proof_file.rfind('/');
  const auto directory = slash == std::string::npos ? std::string() : proof_file.substr(0, slash + 1);
  const auto entry_file =
      arguments.entry_file.empty() ? directory + fetched->id + ".json" : arguments.entry_file;
  if (proof_file == entry_file)
    return report(surroundings,
                  Error{.kind = ErrorKind::invalid,
                        .message = fmt::format("{} cannot hold both the proof and the entry.", proof_file)});
  const auto checked = check_and_write(*fetched, proof_file, entry_file);
  if (!checked) return report(surroundings, checked.error());
  if (wants_json(arguments.connection, surroundings)) {
    auto object = as_json(*checked);
    object.text("id", fetched->id)
        .text("proofFile", proof_file)
        .text("entryFile", entry_file)
        .text("verifierKey", fetched->verifier_key);
    surroundings.print(object.str() + "\n");
    return exit_ok;
  }
  surroundings.print(in_words(*checked, fetched->entry));
  surroundings.print(
      fmt::format("Written: {} (the proof) and {} (the entry). Anyone can check them without the server:\n"
                  "  vestige prove --check {} {} --vkey '{}'\n",
                  escaped(proof_file), escaped(entry_file), escaped(proof_file), escaped(entry_file),
                  escaped(fetched->verifier_key)));
  if (arguments.verifier_key.empty())
    surroundings.print(
        "The key came from the same server. An auditor should have it from you, once, beforehand.\n");
  return exit_ok;
}

}  // namespace

int run_prove(const ProveArguments& arguments, Surroundings& surroundings) {
  return arguments.check.empty() ? prove_online(arguments, surroundings)
                                 : check_offline(arguments, surroundings);
}

int run_checkpoint(const CheckpointArguments& arguments, Surroundings& surroundings) {
  // The log of the first tenant is everybody's.
  const auto need = arguments.connection.tenant == "default" ? KeyNeed::none : KeyNeed::required;
  auto connection = connect(arguments.connection, surroundings, need);
  if (!connection) return report(surroundings, connection.error());
  const auto key = verifier_key_of(*connection, {});
  if (!key) return report(surroundings, key.error());
  const auto& key_text = *key;
  if (arguments.verifier_key) {
    surroundings.print(arguments.connection.json ? JsonObject().text("verifierKey", key_text).str() + "\n"
                                                 : key_text + "\n");
    return exit_ok;
  }
  const auto note = connection->get(log_path(connection->target(), "checkpoint"));
  if (!note) return report(surroundings, note.error());
  const auto checked = verify::check_checkpoint(note->body, key_text);
  if (!checked)
    return report(surroundings, Error{.kind = ErrorKind::corrupt, .message = checked.error().message});
  if (arguments.connection.json)
    surroundings.print(JsonObject()
                           .text("origin", checked->origin)
                           .number("size", checked->size)
                           .text("root", to_base64(checked->root))
                           .text("note", note->body)
                           .text("verifierKey", key_text)
                           .str() +
                       "\n");
  else
    surroundings.print(note->body);
  return exit_ok;
}

void declare_prove(CLI::App& app, Invocation& invocation) {
  auto arguments = std::make_shared<ProveArguments>();
  auto* command =
      app.add_subcommand("prove", "Prove an entry to somebody who has no access, or check such a proof");
  auto* id = command->add_option("id", arguments->id, "the event to prove")->type_name("ID");
  auto* check =
      command->add_option("--check", arguments->check, "check these two files instead; needs no server")
          ->expected(2)
          ->type_name("PROOF ENTRY")
          ->excludes(id);
  command->add_option("--out", arguments->proof_file, "where the proof goes (<ID>.tlog-proof)")
      ->type_name("FILE")
      ->excludes(check);
  command->add_option("--entry", arguments->entry_file, "where the entry goes (<ID>.json, beside the proof)")
      ->type_name("FILE")
      ->excludes(check);
  command->add_option("--vkey", arguments->verifier_key, "the log's verifier key, or a file that holds it")
      ->type_name("KEY");
  add_connection_options(*command, arguments->connection, KeyNeed::required);
  add_tenant_option(*command, arguments->connection);
  add_look_options(*command, arguments->connection);
  add_subject_option(*command, arguments->connection);
  command->footer(
      "The proof (C2SP tlog-proof) is checked before it is written; one that does not hold is not handed on. "
      "The entry\n"
      "file holds the exact bytes that were hashed, with personal values left out. Exit code 1 where a proof "
      "does not\n"
      "hold or there is no such event.\n\n"
      "Examples:\n"
      "  vestige prove 0193f0a4-7b1e-7c3e-8c53-2b3a6f1d9e10\n"
      "  vestige prove --check ID.tlog-proof ID.json --vkey log.vkey\n");
  command->callback([arguments, &invocation] {
    if (arguments->id.empty() && arguments->check.empty())
      throw CLI::RequiredError("an event's ID, or --check PROOF ENTRY,");
    invocation.action = [arguments, &invocation] { return run_prove(*arguments, invocation.surroundings); };
  });
}

void declare_checkpoint(CLI::App& app, Invocation& invocation) {
  auto arguments = std::make_shared<CheckpointArguments>();
  auto* command = app.add_subcommand("checkpoint", "Print the newest signed checkpoint of the trail");
  command->add_flag("--vkey", arguments->verifier_key, "print the log's verifier key instead");
  add_connection_options(*command, arguments->connection, KeyNeed::required);
  add_tenant_option(*command, arguments->connection);
  command->footer(
      "Prints the checkpoint as it was signed (a C2SP note), also into a file or a pipe; --json gives an "
      "object. Its\n"
      "signature is checked first. Keep one now and then, away from the server: a later trail that does not "
      "extend it\n"
      "was tampered with. No API key is needed.\n\n"
      "Examples:\n"
      "  vestige checkpoint > checkpoint-$(date +%F).txt\n"
      "  vestige checkpoint --vkey > log.vkey\n");
  run_with(*command, arguments, invocation, run_checkpoint);
}

}  // namespace vestige::cli
