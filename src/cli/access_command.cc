#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/encoding.h"
#include "cli/cli.h"
#include "cli/internal/access.h"
#include "cli/internal/commands.h"
#include "cli/internal/display.h"
#include "cli/internal/json_text.h"
#include "cli/internal/local_file.h"

namespace vestige::cli {
namespace {

constexpr std::string_view value_classes[] = {"clear", "personal", "sensitive"};

// What a role may, of one operation, in the order of value_classes; empty where it has no such cell.
std::vector<std::string> cells_of(const json::Value& operation, std::string_view role) {
  std::vector<std::string> values(std::size(value_classes));
  const auto cells = operation.find("cells");
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const auto cell = cells.at(i);
    if (text_of(cell, "role") != role) continue;
    for (std::size_t j = 0; j < values.size(); ++j)
      if (text_of(cell, "class") == value_classes[j]) values[j] = text_of(cell, "value");
  }
  return values;
}

void print_role(const json::Value& matrix, const json::Value& role, Surroundings& surroundings) {
  surroundings.print(fmt::format("{} ({}): {}\n", escaped(text_of(role, "title")),
                                 escaped(text_of(role, "name")), escaped(text_of(role, "about"))));
  if (const auto days = role.find("endsWithinDays"); days.is_number())
    surroundings.print(
        fmt::format("Accounts and keys that have it end within {} days.\n", days.number_value()));
  std::vector<std::vector<std::string>> rows;
  const auto operations = matrix.find("operations");
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const auto operation = operations.at(i);
    auto cells = cells_of(operation, text_of(role, "name"));
    if (cells.front() == "-") continue;
    rows.push_back(
        {text_of(operation, "operation"), cells[0], cells[1], cells[2], text_of(operation, "about")});
  }
  surroundings.print(
      render_table(
          {{"OPERATION", false}, {"ENTRIES"}, {"PERSONAL", false}, {"SENSITIVE", false}, {"WHAT IT DOES"}},
          rows, surroundings.columns()) +
      "\n");
}

std::vector<std::string> look_cells(const json::Value& look) {
  const auto detail = look.find("detail");
  auto who = text_of(look.find("sourceEntityMeta"), "name");
  if (who.empty()) who = text_of(look, "sourceId");
  auto what = text_of(look, "targetId").empty()
                  ? text_of(detail, "operation")
                  : fmt::format("{} {}", text_of(look, "targetType"), text_of(look, "targetId"));
  return {text_of(look, "time"),           who,
          text_of(look, "action"),         what,
          text_of(detail, "count"),        text_of(detail, "outcome"),
          text_of(detail, "access_reason")};
}

}  // namespace

int run_access_matrix(const AccessArguments& arguments, Surroundings& surroundings) {
  auto connection = connect(arguments.connection, surroundings, KeyNeed::required);
  if (!connection) return report(surroundings, connection.error());
  const auto answer = connection->get("/api/access/matrix");
  if (!answer) return report(surroundings, answer.error());
  json::Document document;
  if (const auto parsed = parse_answer(answer->body, document); !parsed)
    return report(surroundings, parsed.error());
  const auto matrix = document.root();
  if (wants_json(arguments.connection, surroundings)) {
    surroundings.print(json::canonical(matrix) + "\n");
    return exit_ok;
  }
  const auto roles = matrix.find("roles");
  bool known = false;
  for (std::size_t i = 0; i < roles.size(); ++i) {
    if (!arguments.role.empty() && text_of(roles.at(i), "name") != arguments.role) continue;
    known = true;
    print_role(matrix, roles.at(i), surroundings);
  }
  if (!known)
    return report(surroundings,
                  {.kind = ErrorKind::not_found,
                   .message = fmt::format("The policy has no role \"{}\"; without --role all are "
                                          "shown.",
                                          escaped(arguments.role))});
  surroundings.print("What is not listed is denied.\n");
  return exit_ok;
}

int run_access_looks(const AccessArguments& arguments, Surroundings& surroundings) {
  if (!is_utf8(arguments.query))
    return report(surroundings, {.kind = ErrorKind::invalid, .message = "The query is not valid UTF-8."});
  auto connection = connect(arguments.connection, surroundings, KeyNeed::required);
  if (!connection) return report(surroundings, connection.error());
  JsonObject body;
  if (!arguments.query.empty()) body.text("query", arguments.query);
  body.raw("limit", fmt::format("{}", arguments.limit));
  const auto answer = connection->send("POST", "/api/access/search", body.str(), "application/json");
  if (!answer) return report(surroundings, answer.error());
  json::Document document;
  if (const auto parsed = parse_answer(answer->body, document); !parsed)
    return report(surroundings, parsed.error());
  if (wants_json(arguments.connection, surroundings)) {
    surroundings.print(json::canonical(document.root()) + "\n");
    return exit_ok;
  }
  std::vector<std::vector<std::string>> rows;
  const auto looks = document.root().find("events");
  for (std::size_t i = 0; i < looks.size(); ++i) rows.push_back(look_cells(looks.at(i)));
  if (!rows.empty())
    surroundings.print(render_table(
        {{"TIME", false}, {"WHO"}, {"DID", false}, {"WHAT"}, {"ENTRIES"}, {"OUTCOME", false}, {"WHY"}}, rows,
        surroundings.columns()));
  surroundings.print(
      fmt::format("{} look{}{}.\n", rows.size(), rows.size() == 1 ? "" : "s",
                  document.root().find("cursor").is_string() ? "; there are more (--limit N)" : ""));
  return exit_ok;
}

int run_access_policy(const AccessArguments& arguments, Surroundings& surroundings) {
  std::string change;
  if (!arguments.change.empty()) {
    auto file = named_file(arguments.change, policy_file_bytes_max);
    if (!file) return report(surroundings, file.error());
    change = *std::move(file);
  }
  auto connection = connect(arguments.connection, surroundings, KeyNeed::required);
  if (!connection) return report(surroundings, connection.error());
  const std::string path = "/api/access/policy";
  const auto answer =
      change.empty() ? connection->get(path) : connection->send("PUT", path, change, "application/json");
  if (!answer) return report(surroundings, answer.error());
  json::Document document;
  if (const auto parsed = parse_answer(answer->body, document); !parsed)
    return report(surroundings, parsed.error());
  if (change.empty() || wants_json(arguments.connection, surroundings))
    surroundings.print(json::canonical(document.root()) + "\n");
  else
    surroundings.print(fmt::format("Version {} of the policy is in force from now on, and on record.\n",
                                   text_of(document.root(), "version")));
  return exit_ok;
}

void declare_access(CLI::App& app, Invocation& invocation) {
  auto arguments = std::make_shared<AccessArguments>();
  auto* command = app.add_subcommand("access", "Who may look at the trail, and who did");
  command->require_subcommand(1);
  command->footer(
      "Examples:\n"
      "  vestige access matrix\n"
      "  vestige access matrix --role auditor\n"
      "  vestige access looks\n"
      "  vestige access looks 'action:EXPORTED since:7d'\n"
      "  vestige access looks 'detail.outcome:unauthorized'\n"
      "  vestige access review 2026-11\n"
      "  vestige access policy | jq . >policy.json    (edit it, then)\n"
      "  vestige access policy --change policy.json\n");
  const auto declare = [&](CLI::App* sub, int (*action)(const AccessArguments&, Surroundings&)) {
    add_connection_options(*sub, arguments->connection, KeyNeed::required);
    run_with(*sub, arguments, invocation, action);
  };
  auto* matrix = command->add_subcommand("matrix", "What each role may do, and what it is shown");
  matrix->add_option("--role", arguments->role, "only this one")->type_name("ROLE");
  declare(matrix, run_access_matrix);
  auto* review = command->add_subcommand(
      "review", "A month of looks: who looked how often at how much, and what of it was unusual");
  review->add_option("month", arguments->month, "the month, like 2026-11")->required()->type_name("MONTH");
  review
      ->add_option("--sign-off", arguments->comment,
                   "put on record that you read it, with a comment that names no customer")
      ->type_name("COMMENT");
  declare(review, run_access_review);
  auto* policy = command->add_subcommand("policy", "The policy as JSON, with its version, or another one");
  policy
      ->add_option("--change", arguments->change,
                   "put the policy of this file in force; it has the version that it was made from, as this "
                   "command prints it")
      ->type_name("FILE");
  declare(policy, run_access_policy);
  auto* looks =
      command->add_subcommand("looks", "Who read, searched, exported or proved what; the newest first");
  looks->add_option("query", arguments->query, "which, in the language of `vestige query`")
      ->type_name("QUERY");
  looks->add_option("--limit", arguments->limit, "how many")
      ->check(CLI::Range(1U, looks_shown_max))
      ->capture_default_str()
      ->type_name("N");
  add_look_options(*looks, arguments->connection);
  declare(looks, run_access_looks);
}

}  // namespace vestige::cli
