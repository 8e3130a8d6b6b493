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

std::string joined_scopes(const json::Value& key) {
  std::string text;
  const auto scopes = key.find("scopes");
  for (std::size_t i = 0; i < scopes.size(); ++i) {
    const auto scope = scopes.at(i);
    if (scope.is_string()) text += (text.empty() ? "" : ",") + std::string(scope.string());
  }
  return text;
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
  std::string scopes;
  for (const auto& scope : arguments.scopes) scopes += (scopes.empty() ? "[" : ",") + json_string(scope);
  const auto body = JsonObject().text("name", arguments.name).raw("scopes", scopes + "]").str();
  const auto answer = ask(arguments.connection, surroundings, "POST", body);
  if (!answer) return report(surroundings, answer.error());
  const auto key = answer->root();
  if (wants_json(arguments.connection, surroundings)) {
    surroundings.print(json::canonical(key) + "\n");
  } else {
    surroundings.print(fmt::format("{}\n", escaped(text_of(key, "key"))));
    surroundings.say(
        fmt::format("This is the key \"{}\" with the scopes {}. It is shown this once: the server keeps only "
                    "its hash. Its id, to revoke it, is {}.\n",
                    escaped(text_of(key, "name")), escaped(joined_scopes(key)), escaped(text_of(key, "id"))));
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
    rows.push_back({text_of(key, "id"), text_of(key, "name"), joined_scopes(key), text_of(key, "createdAt")});
  }
  surroundings.print(render_table({{"ID", false}, {"NAME"}, {"SCOPES", false}, {"CREATED", false}}, rows,
                                  surroundings.columns()));
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
      "Scopes: ingest (record events), read (find and prove them), admin (keys). Give each program a key of "
      "its own\n"
      "with no more than it needs.\n\n"
      "Examples:\n"
      "  vestige key create billing --scopes ingest\n"
      "  vestige key list\n"
      "  vestige key revoke ID\n");
  const auto declare = [&](CLI::App* sub, int (*action)(const KeyArguments&, Surroundings&)) {
    add_connection_options(*sub, arguments->connection, KeyNeed::required);
    sub->callback([arguments, action, &invocation] {
      invocation.action = [arguments, action, &invocation] {
        return action(*arguments, invocation.surroundings);
      };
    });
  };
  auto* create = command->add_subcommand("create", "Make a key; it is shown once");
  create->add_option("name", arguments->name, "what it is for, in a few words")
      ->required()
      ->type_name("NAME");
  create
      ->add_option("--scopes", arguments->scopes, "what it may do: ingest, read, admin, separated by commas")
      ->required()
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"ingest", "read", "admin"}).description(""))
      ->type_name("SCOPES");
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
