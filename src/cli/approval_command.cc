#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/encoding.h"
#include "cli/cli.h"
#include "cli/internal/approval.h"
#include "cli/internal/commands.h"
#include "cli/internal/display.h"
#include "cli/internal/json_text.h"

namespace vestige::cli {
namespace {

std::string path_of(const ApprovalArguments& arguments) {
  return fmt::format("/api/approvals/{}", encoded(arguments.id));
}

Result<json::Document> ask(const ApprovalArguments& arguments, const Surroundings& surroundings,
                           const std::string& method, const std::string& path, const std::string& body = {}) {
  VESTIGE_TRY(auto connection, connect(arguments.connection, surroundings, KeyNeed::required));
  VESTIGE_TRY(const auto response,
              connection.send(method, path, body, body.empty() ? "" : "application/json"));
  json::Document document;
  VESTIGE_CHECKED(parse_answer(response.body, document));
  return document;
}

// One approval, line by line.
std::string in_words(const json::Value& approval) {
  std::string out;
  const auto line = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) out += fmt::format("  {:<10} {}\n", name, escaped(value));
  };
  line("id", text_of(approval, "id"));
  line("state", text_of(approval, "state"));
  line("for", fmt::format("{} ({})", text_of(approval, "about"), text_of(approval, "ruleAbout")));
  line("", text_of(approval, "words"));
  line("about", text_of(approval, "person"));
  line("asked by", fmt::format("{} as {}, {}", text_of(approval.find("askedBy"), "name"),
                               text_of(approval, "role"), text_of(approval, "askedAt")));
  line("because", text_of(approval, "reason"));
  line("until", text_of(approval, "expiresAt"));
  if (const auto request = approval.find("request"); request.exists())
    line("request", json::canonical(request));
  if (const auto decision = approval.find("decision"); decision.exists()) {
    line("decided by", fmt::format("{} as {}, {}", text_of(decision.find("by"), "name"),
                                   text_of(decision, "role"), text_of(decision, "at")));
    line("comment", text_of(decision, "comment"));
  }
  return out;
}

int show(const ApprovalArguments& arguments, const Result<json::Document>& answer,
         Surroundings& surroundings) {
  if (!answer) return report(surroundings, answer.error());
  if (wants_json(arguments.connection, surroundings))
    surroundings.print(json::canonical(answer->root()) + "\n");
  else
    surroundings.print(in_words(answer->root()));
  return exit_ok;
}

}  // namespace

int run_approval_list(const ApprovalArguments& arguments, Surroundings& surroundings) {
  const auto answer = ask(arguments, surroundings, "GET",
                          fmt::format("/api/approvals?which={}", arguments.to_decide ? "to_decide" : "own"));
  if (!answer) return report(surroundings, answer.error());
  if (wants_json(arguments.connection, surroundings)) {
    surroundings.print(json::canonical(answer->root()) + "\n");
    return exit_ok;
  }
  std::vector<std::vector<std::string>> rows;
  const auto approvals = answer->root().find("approvals");
  for (std::size_t i = 0; i < approvals.size(); ++i) {
    const auto approval = approvals.at(i);
    rows.push_back({text_of(approval, "id"), text_of(approval, "state"), text_of(approval, "rule"),
                    text_of(approval.find("askedBy"), "name"), text_of(approval, "about"),
                    text_of(approval, "reason"), text_of(approval, "expiresAt")});
  }
  if (rows.empty()) {
    surroundings.print(arguments.to_decide ? "Nothing waits for your decision.\n"
                                           : "You asked for no approval.\n");
    return exit_ok;
  }
  surroundings.print(render_table(
      {{"ID", false}, {"STATE", false}, {"RULE", false}, {"ASKED BY"}, {"TO"}, {"WHY"}, {"UNTIL", false}},
      rows, surroundings.columns()));
  if (answer->root().find("after").is_string())
    surroundings.print("There are more: GET /api/approvals?after=ID gives those behind the last one.\n");
  return exit_ok;
}

int run_approval_show(const ApprovalArguments& arguments, Surroundings& surroundings) {
  return show(arguments, ask(arguments, surroundings, "GET", path_of(arguments)), surroundings);
}

int run_approval_decide(const ApprovalArguments& arguments, Surroundings& surroundings) {
  if (!is_utf8(arguments.comment))
    return report(surroundings, {.kind = ErrorKind::invalid, .message = "The comment is not valid UTF-8."});
  JsonObject body;
  body.text("decision", arguments.verdict);
  if (!arguments.comment.empty()) body.text("comment", arguments.comment);
  return show(arguments, ask(arguments, surroundings, "POST", path_of(arguments) + "/decide", body.str()),
              surroundings);
}

int run_approval_withdraw(const ApprovalArguments& arguments, Surroundings& surroundings) {
  return show(arguments, ask(arguments, surroundings, "DELETE", path_of(arguments)), surroundings);
}

void declare_approval(CLI::App& app, Invocation& invocation) {
  auto arguments = std::make_shared<ApprovalArguments>();
  auto* command = app.add_subcommand("approval", "What waits for a second person's yes");
  command->require_subcommand(1);
  command->footer(
      "What needs an approval asks for it by itself: run the command, pass the id on, and run it again with "
      "--approval.\n\n"
      "Examples:\n"
      "  vestige approval list --to-decide\n"
      "  vestige approval show ID\n"
      "  vestige approval decide ID approve --comment 'as agreed'\n"
      "  vestige approval withdraw ID\n");
  const auto declare = [&](CLI::App* sub, int (*action)(const ApprovalArguments&, Surroundings&)) {
    add_connection_options(*sub, arguments->connection, KeyNeed::required);
    run_with(*sub, arguments, invocation, action);
  };
  const auto add_id = [&](CLI::App* sub) {
    sub->add_option("id", arguments->id, "the approval")->required()->type_name("ID");
  };
  auto* list = command->add_subcommand("list", "Those that you asked for; the newest first");
  list->add_flag("--to-decide", arguments->to_decide, "those that wait and that you may decide about");
  declare(list, run_approval_list);
  auto* shown = command->add_subcommand("show", "One of them, with the request that it is for");
  add_id(shown);
  declare(shown, run_approval_show);
  auto* decide = command->add_subcommand("decide", "Say yes or no, once");
  add_id(decide);
  decide->add_option("decision", arguments->verdict, "approve or refuse")
      ->required()
      ->check(CLI::IsMember({"approve", "refuse"}).description(""))
      ->type_name("DECISION");
  decide->add_option("--comment", arguments->comment, "goes on record, and to the asker")->type_name("TEXT");
  declare(decide, run_approval_decide);
  auto* withdraw = command->add_subcommand("withdraw", "Take back what you asked for");
  add_id(withdraw);
  declare(withdraw, run_approval_withdraw);
}

}  // namespace vestige::cli
