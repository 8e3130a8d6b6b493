#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/encoding.h"
#include "cli/cli.h"
#include "cli/internal/commands.h"
#include "cli/internal/display.h"
#include "cli/internal/json_text.h"
#include "cli/internal/keys.h"

namespace vestige::cli {
namespace {

const std::string keys_path = "/api/keys";

std::string joined(const json::Value& list) {
  std::string text;
  for (std::size_t i = 0; list.is_array() && i < list.size(); ++i) {
    const auto one = list.at(i);
    if (one.is_string()) text += (text.empty() ? "" : ",") + std::string(one.string());
  }
  return text;
}

std::string rights_of(const json::Value& key) {
  const auto role = text_of(key, "role");
  return role.empty() ? "scopes " + joined(key.find("scopes")) : "role " + role;
}

// What the server is asked for.
std::string wanted(const KeyArguments& arguments) {
  JsonObject body;
  body.text("name", arguments.name);
  if (arguments.role.empty())
    body.raw("scopes", json_list(arguments.scopes));
  else
    body.text("role", arguments.role);
  if (!arguments.service.empty()) body.text("service", arguments.service);
  if (!arguments.expires.empty()) body.text("expiresAt", arguments.expires);
  if (!arguments.ranges.empty()) body.raw("ranges", json_list(arguments.ranges));
  return body.str();
}

Result<json::Document> ask(const ConnectionArguments& arguments, const Surroundings& surroundings,
                           const std::string& method, const std::string& body) {
  VESTIGE_TRY(auto connection, connect(arguments, surroundings, KeyNeed::required));
  VESTIGE_TRY(const auto response,
              connection.send(method, keys_path, body, body.empty() ? "" : "application/json"));
  json::Document document;
  VESTIGE_CHECKED(parse_answer(response.body, document));
  return document;
}

}  // namespace

int run_key_create(const KeyArguments& arguments, Surroundings& surroundings) {
  if (!is_utf8(arguments.name))
    return report(surroundings,
                  {.kind = ErrorKind::invalid, .message = "The key's name is not valid UTF-8."});
  const auto answer = ask(arguments.connection, surroundings, "POST", wanted(arguments));
  if (!answer) return report(surroundings, answer.error());
  const auto key = answer->root();
  if (wants_json(arguments.connection, surroundings)) {
    surroundings.print(json::canonical(key) + "\n");
  } else {
    surroundings.print(fmt::format("{}\n", escaped(text_of(key, "key"))));
    surroundings.say(
        fmt::format("This is the key \"{}\" with the {}. It is shown this once: the server keeps only "
                    "its hash. Its id, to revoke it, is {}.\n",
                    escaped(text_of(key, "name")), escaped(rights_of(key)), escaped(text_of(key, "id"))));
  }
  return exit_ok;
}

int run_key_list(const KeyArguments& arguments, Surroundings& surroundings) {
  const auto answer = ask(arguments.connection, surroundings, "GET", {});
  if (!answer) return report(surroundings, answer.error());
  if (wants_json(arguments.connection, surroundings)) {
    surroundings.print(json::canonical(answer->root()) + "\n");
    return exit_ok;
  }
  std::vector<std::vector<std::string>> rows;
  const auto keys = answer->root().find("keys");
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto key = keys.at(i);
    rows.push_back({text_of(key, "id"), text_of(key, "name"), rights_of(key), text_of(key, "createdAt"),
                    text_of(key, "usedAt"), text_of(key, "expiresAt"), joined(key.find("ranges"))});
  }
  surroundings.print(render_table({{"ID", false},
                                   {"NAME"},
                                   {"MAY", false},
                                   {"CREATED", false},
                                   {"LAST USED", false},
                                   {"EXPIRES", false},
                                   {"FROM"}},
                                  rows, surroundings.columns()));
  return exit_ok;
}

int run_key_revoke(const KeyArguments& arguments, Surroundings& surroundings) {
  auto connection = connect(arguments.connection, surroundings, KeyNeed::required);
  if (!connection) return report(surroundings, connection.error());
  const auto response =
      connection->send("DELETE", fmt::format("{}/{}", keys_path, encoded(arguments.id)), {}, {});
  if (!response) return report(surroundings, response.error());
  if (wants_json(arguments.connection, surroundings))
    surroundings.print(JsonObject().text("revoked", arguments.id).str() + "\n");
  else
    surroundings.print(
        fmt::format("The key {} is revoked; the server refuses it from now on.\n", escaped(arguments.id)));
  return exit_ok;
}

void declare_key(CLI::App& app, Invocation& invocation) {
  auto arguments = std::make_shared<KeyArguments>();
  auto* command = app.add_subcommand("key", "Create, list and revoke API keys");
  command->require_subcommand(1);
  command->footer(
      "Scopes: ingest (record events), read (find and prove them), admin (keys). A role of the policy says "
      "more exactly\n"
      "what a key may (vestige access matrix). Give each program a key of its own with no more than it "
      "needs.\n\n"
      "Examples:\n"
      "  vestige key create billing --scopes ingest\n"
      "  vestige key create 'audit 2026' --role auditor --expires 2027-01-31T00:00:00Z --from "
      "203.0.113.0/24\n"
      "  vestige key list\n"
      "  vestige key revoke ID\n");
  const auto declare = [&](CLI::App* sub, int (*action)(const KeyArguments&, Surroundings&)) {
    add_connection_options(*sub, arguments->connection, KeyNeed::required);
    run_with(*sub, arguments, invocation, action);
  };
  auto* create = command->add_subcommand("create", "Make a key; it is shown once");
  create->add_option("name", arguments->name, "what it is for, in a few words")
      ->required()
      ->type_name("NAME");
  auto* rights = create->add_option_group("rights");
  rights->require_option(1);
  rights
      ->add_option("--scopes", arguments->scopes, "what it may do: ingest, read, admin, separated by commas")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"ingest", "read", "admin"}).description(""))
      ->type_name("SCOPES");
  rights->add_option("--role", arguments->role, "or the role of the policy that it acts in")
      ->type_name("ROLE");
  create->add_option("--service", arguments->service, "the program that uses it, as the record is to name it")
      ->type_name("NAME");
  create
      ->add_option("--expires", arguments->expires,
                   "from then on it opens nothing; never if left out, but some roles take one")
      ->type_name("TIME");
  create
      ->add_option("--from", arguments->ranges,
                   "an address or range from which it may be used, like 10.0.0.0/8; may be given again")
      ->allow_extra_args(false)
      ->type_name("RANGE");
  declare(create, run_key_create);
  declare(command->add_subcommand("list", "Show the keys there are, without what opens the door"),
          run_key_list);
  auto* revoke = command->add_subcommand("revoke", "Make a key useless, at once");
  revoke->add_option("id", arguments->id, "the key's id, as \"vestige key list\" shows it")
      ->required()
      ->type_name("ID");
  declare(revoke, run_key_revoke);
}

}  // namespace vestige::cli
