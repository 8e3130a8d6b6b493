#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/encoding.h"
#include "cli/cli.h"
#include "cli/internal/commands.h"
#include "cli/internal/display.h"
#include "cli/internal/json_text.h"
#include "cli/internal/local_file.h"
#include "cli/internal/subject.h"

namespace vestige::cli {
namespace {

constexpr std::string_view confirmation = "erase";

Result<json::Document> ask(const SubjectArguments& arguments, const Surroundings& surroundings,
                           const std::string& method, const std::string& path, const std::string& body) {
  if (!is_utf8(arguments.subject) || !is_utf8(arguments.connection.reason))
    return fail(ErrorKind::invalid, "The person's id or the reason is not valid UTF-8.");
  VESTIGE_TRY(auto connection, connect(arguments.connection, surroundings, KeyNeed::required));
  VESTIGE_TRY(const auto response,
              connection.send(method, path, body, body.empty() ? "" : "application/json"));
  json::Document document;
  VESTIGE_CHECKED(parse_answer(response.body, document));
  return document;
}

std::string request_of(const SubjectArguments& arguments) {
  JsonObject request;
  request.text("subject", arguments.subject);
  const auto& reason = arguments.connection.reason;
  if (!reason.empty()) request.text("reason", reason);
  return request.str();
}

// Nobody erases somebody by a slip of the hand.
Status confirm(const SubjectArguments& arguments, Surroundings& surroundings) {
  if (arguments.yes) return {};
  const auto answer = surroundings.ask(fmt::format(
      "This destroys the key of \"{}\": their personal values can never be read again, in no copy.\n"
      "Type \"{}\" to go on: ",
      escaped(arguments.subject), confirmation));
  if (answer == confirmation) return {};
  return fail(ErrorKind::invalid,
              answer ? "Nothing was erased."
                     : "Nothing was erased: there is no terminal to confirm it on. Give --yes where "
                       "it is meant.");
}

std::string state_in_words(const json::Value& keys) {
  const auto state = text_of(keys, "state");
  const auto by = number_of(keys, "erasedBy", 0);
  if (state == "never") return "This person was never seen here.\n";
  if (state == "active")
    return "This person has a key: personal values are sealed under it and can be read.\n";
  if (state == "erased")
    return fmt::format(
        "This person is erased, by entry {}: the key is destroyed, and what comes is recorded without the "
        "personal values.\n",
        by);
  return fmt::format(
      "This person was erased by entry {} and is re-authorised since: there is a new key (epoch {}), and "
      "what was erased stays so.\n",
      by, number_of(keys, "epoch", 0));
}

int show_state(const SubjectArguments& arguments, const Result<json::Document>& answer,
               Surroundings& surroundings) {
  if (!answer) return report(surroundings, answer.error());
  surroundings.print(wants_json(arguments.connection, surroundings) ? json::canonical(answer->root()) + "\n"
                                                                    : state_in_words(answer->root()));
  return exit_ok;
}

}  // namespace

int run_erase(const SubjectArguments& arguments, Surroundings& surroundings) {
  if (auto meant = confirm(arguments, surroundings); !meant) return report(surroundings, meant.error());
  const auto answer = ask(arguments, surroundings, "POST", "/api/subjects/erase", request_of(arguments));
  if (!answer) return report(surroundings, answer.error());
  const auto erased = answer->root();
  const auto certificate = text_of(erased, "certificate");
  if (!arguments.certificate_file.empty())
    if (auto written = write_local(arguments.certificate_file, certificate); !written)
      return report(surroundings, written.error());
  if (wants_json(arguments.connection, surroundings)) {
    surroundings.print(json::canonical(erased) + "\n");
    return exit_ok;
  }
  surroundings.print(fmt::format("Erased, by entry {}.\n", number_of(erased, "erasedBy", 0)));
  if (arguments.certificate_file.empty())
    surroundings.print(certificate);
  else
    surroundings.print(
        fmt::format("The certificate is in {}. Anyone can check it without the server:\n"
                    "  vestige verify --certificate {} --vkey KEY\n",
                    escaped(arguments.certificate_file), escaped(arguments.certificate_file)));
  return exit_ok;
}

int run_subject(const SubjectArguments& arguments, Surroundings& surroundings) {
  return show_state(arguments,
                    ask(arguments, surroundings, "GET",
                        fmt::format("/api/subjects/{}/keys", encoded(arguments.subject)), {}),
                    surroundings);
}

int run_reauthorise(const SubjectArguments& arguments, Surroundings& surroundings) {
  return show_state(arguments,
                    ask(arguments, surroundings, "POST", "/api/subjects/reauthorise", request_of(arguments)),
                    surroundings);
}

void declare_subject(CLI::App& app, Invocation& invocation) {
  auto arguments = std::make_shared<SubjectArguments>();
  const auto declare = [&](const char* name, const char* about,
                           int (*action)(const SubjectArguments&, Surroundings&)) {
    auto* command = app.add_subcommand(name, about);
    command->add_option("subject", arguments->subject, "the person's id, as events have it in \"subject\"")
        ->required()
        ->type_name("SUBJECT");
    add_connection_options(*command, arguments->connection, KeyNeed::required);
    run_with(*command, arguments, invocation, action);
    return command;
  };
  const auto add_reason = [&](CLI::App* command) {
    command->add_option("--reason", arguments->connection.reason, "why; stays readable for ever, so not who")
        ->type_name("TEXT");
    add_approval_option(*command, arguments->connection);
  };
  auto* erase = declare("erase", "Erase a person: destroy the key of their personal values", run_erase);
  add_reason(erase);
  erase->add_option("--certificate", arguments->certificate_file, "where the certificate goes")
      ->type_name("FILE");
  erase->add_flag("--yes", arguments->yes, "do not ask");
  erase->footer(
      "Where your role needs somebody's yes for it, this asks for it; give the same --reason again with "
      "--approval.\n"
      "Cannot be undone. Entries, proofs and checkpoints stay as they are. Again for the same person: the "
      "same\n"
      "certificate. The id is in this machine's process list while the command runs.\n\n"
      "Examples:\n"
      "  vestige erase customer-4711 --reason \"request of 20 November, article 17\" --certificate "
      "4711.certificate\n");
  declare("subject", "Show whether a person has a key, and what erased them", run_subject)
      ->footer("Examples:\n  vestige subject customer-4711\n");
  auto* again = declare("reauthorise", "Record an erased person again, after a new consent", run_reauthorise);
  add_reason(again);
  again->footer(
      "What was erased stays erased.\n\nExamples:\n  vestige reauthorise customer-4711 --reason \"new "
      "contract\"\n");
}

}  // namespace vestige::cli
