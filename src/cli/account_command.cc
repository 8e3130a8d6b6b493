#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/encoding.h"
#include "base/uuid.h"
#include "cli/cli.h"
#include "cli/internal/account.h"
#include "cli/internal/commands.h"
#include "cli/internal/display.h"
#include "cli/internal/json_text.h"

namespace vestige::cli {
namespace {

constexpr std::size_t page_accounts_max = 1'000;

class Asking {
 public:
  static Result<Asking> connect(const AccountArguments& arguments, const Surroundings& surroundings) {
    for (const auto* text :
         {&arguments.account, &arguments.display_name, &arguments.email, &arguments.phone, &arguments.until})
      if (!is_utf8(*text)) return fail(ErrorKind::invalid, "What was given about the account is not UTF-8.");
    VESTIGE_TRY(auto connection, cli::connect(arguments.connection, surroundings, KeyNeed::required));
    return Asking(std::move(connection));
  }

  Result<json::Document> ask(const std::string& method, const std::string& path,
                             const std::string& body = {}) {
    VESTIGE_TRY(const auto response,
                connection_.send(method, path, body, body.empty() ? "" : "application/json"));
    json::Document document;
    VESTIGE_CHECKED(parse_answer(response.body, document));
    return document;
  }

  // The id of an account that was named by it or by its login name.
  Result<std::string> id_of(const std::string& account) {
    if (parse_uuid(account)) return account;
    std::string after;
    do {
      VESTIGE_TRY(const auto page, ask("GET", fmt::format("/api/accounts?limit={}&after={}",
                                                          page_accounts_max, encoded(after))));
      const auto accounts = page.root().find("accounts");
      for (std::size_t i = 0; i < accounts.size(); ++i)
        if (text_of(accounts.at(i), "loginName") == account) return text_of(accounts.at(i), "id");
      after = text_of(page.root(), "after");
    } while (!after.empty());
    return fail(
        ErrorKind::not_found,
        fmt::format("There is no account with the login name \"{}\"; `vestige account list` shows all.",
                    escaped(account)));
  }

  const Target& target() const { return connection_.target(); }

 private:
  explicit Asking(Connection connection) : connection_(std::move(connection)) {}
  Connection connection_;
};

std::string roles_json(const std::vector<std::string>& roles) {
  std::string list;
  for (const auto& role : roles) list += (list.empty() ? "" : ",") + json_string(role);
  return fmt::format("[{}]", list);
}

std::string joined_roles(const json::Value& account) {
  std::string text;
  const auto roles = account.find("roles");
  for (std::size_t i = 0; i < roles.size(); ++i)
    if (roles.at(i).is_string()) text += (text.empty() ? "" : ",") + std::string(roles.at(i).string());
  return text;
}

std::vector<std::string> cells_of(const json::Value& account) {
  const auto is = [&](std::string_view name) {
    const auto value = account.find(name);
    return value.is_boolean() && value.boolean();
  };
  std::string notes;
  const auto note = [&](std::string_view text) {
    notes += fmt::format("{}{}", notes.empty() ? "" : ", ", text);
  };
  if (!is("hasPassword")) note("no password yet");
  if (is("mustChangePassword")) note("must change the password");
  if (is("hasSecondFactor")) note("second factor");
  if (const auto until = text_of(account, "lockedUntil"); !until.empty()) note("locked until " + until);
  if (const auto end = text_of(account, "expiresAt"); !end.empty()) note("ends " + end);
  return {text_of(account, "loginName"),
          text_of(account, "displayName"),
          joined_roles(account),
          text_of(account, "state"),
          notes,
          text_of(account, "id")};
}

void print_accounts(const std::vector<std::vector<std::string>>& rows, Surroundings& surroundings) {
  surroundings.print(
      render_table({{"LOGIN NAME", false}, {"NAME"}, {"ROLES"}, {"STATE", false}, {"NOTES"}, {"ID", false}},
                   rows, surroundings.columns()));
}

int show_account(const AccountArguments& arguments, const Result<json::Document>& answer,
                 Surroundings& surroundings) {
  if (!answer) return report(surroundings, answer.error());
  if (wants_json(arguments.connection, surroundings))
    surroundings.print(json::canonical(answer->root()) + "\n");
  else
    print_accounts({cells_of(answer->root())}, surroundings);
  return exit_ok;
}

int show_invitation(const AccountArguments& arguments, const Asking& asking,
                    const Result<json::Document>& answer, Surroundings& surroundings) {
  if (!answer) return report(surroundings, answer.error());
  if (wants_json(arguments.connection, surroundings)) {
    surroundings.print(json::canonical(answer->root()) + "\n");
    return exit_ok;
  }
  const auto account = answer->root().find("account");
  surroundings.print(
      fmt::format("{}\n", escaped(asking.target().whole_link(text_of(answer->root(), "link")))));
  surroundings.say(fmt::format(
      "With this link {} sets a password. It is good once, until {}, and is shown this once: send it to them "
      "and nobody else.\n",
      escaped(text_of(account, "displayName")), escaped(text_of(answer->root(), "expiresAt"))));
  return exit_ok;
}

// POST to one account; gives the answer and leaves the connection for links.
Result<json::Document> act(Asking& asking, const AccountArguments& arguments, const std::string& method,
                           std::string_view what, const std::string& body = {}) {
  VESTIGE_TRY(const auto id, asking.id_of(arguments.account));
  return asking.ask(method, fmt::format("/api/accounts/{}{}", encoded(id), what), body);
}

int act_and_show(const AccountArguments& arguments, Surroundings& surroundings, const std::string& method,
                 std::string_view what, const std::string& body = {}) {
  auto asking = Asking::connect(arguments, surroundings);
  if (!asking) return report(surroundings, asking.error());
  return show_account(arguments, act(*asking, arguments, method, what, body), surroundings);
}

}  // namespace

int run_account_create(const AccountArguments& arguments, Surroundings& surroundings) {
  auto asking = Asking::connect(arguments, surroundings);
  if (!asking) return report(surroundings, asking.error());
  JsonObject body;
  body.text("loginName", arguments.account);
  if (!arguments.display_name.empty()) body.text("displayName", arguments.display_name);
  if (!arguments.email.empty()) body.text("email", arguments.email);
  if (!arguments.phone.empty()) body.text("phone", arguments.phone);
  body.raw("roles", roles_json(arguments.roles));
  if (!arguments.until.empty()) body.text("expiresAt", arguments.until);
  return show_invitation(arguments, *asking, asking->ask("POST", "/api/accounts", body.str()), surroundings);
}

int run_account_list(const AccountArguments& arguments, Surroundings& surroundings) {
  auto asking = Asking::connect(arguments, surroundings);
  if (!asking) return report(surroundings, asking.error());
  std::vector<std::vector<std::string>> rows;
  std::string accounts_json, after;
  do {
    const auto page =
        asking->ask("GET", fmt::format("/api/accounts?limit={}&after={}", page_accounts_max, encoded(after)));
    if (!page) return report(surroundings, page.error());
    const auto accounts = page->root().find("accounts");
    for (std::size_t i = 0; i < accounts.size(); ++i) {
      rows.push_back(cells_of(accounts.at(i)));
      accounts_json += (accounts_json.empty() ? "" : ",") + json::canonical(accounts.at(i));
    }
    after = text_of(page->root(), "after");
  } while (!after.empty());
  if (wants_json(arguments.connection, surroundings))
    surroundings.print(fmt::format("{{\"accounts\":[{}]}}\n", accounts_json));
  else
    print_accounts(rows, surroundings);
  return exit_ok;
}

int run_account_show(const AccountArguments& arguments, Surroundings& surroundings) {
  return act_and_show(arguments, surroundings, "GET", "");
}

int run_account_roles(const AccountArguments& arguments, Surroundings& surroundings) {
  const auto body = JsonObject().raw("roles", roles_json(arguments.roles)).str();
  return act_and_show(arguments, surroundings, "PUT", "/roles", body);
}

int run_account_end(const AccountArguments& arguments, Surroundings& surroundings) {
  JsonObject body;
  if (arguments.never)
    body.raw("expiresAt", "null");
  else
    body.text("expiresAt", arguments.until);
  return act_and_show(arguments, surroundings, "PUT", "/end", body.str());
}

int run_account_disable(const AccountArguments& arguments, Surroundings& surroundings) {
  return act_and_show(arguments, surroundings, "POST", "/disable");
}

int run_account_enable(const AccountArguments& arguments, Surroundings& surroundings) {
  return act_and_show(arguments, surroundings, "POST", "/enable");
}

int run_account_unlock(const AccountArguments& arguments, Surroundings& surroundings) {
  return act_and_show(arguments, surroundings, "POST", "/unlock");
}

int run_account_reset_password(const AccountArguments& arguments, Surroundings& surroundings) {
  auto asking = Asking::connect(arguments, surroundings);
  if (!asking) return report(surroundings, asking.error());
  const auto answer = act(*asking, arguments, "POST", "/reset-password");
  return show_invitation(arguments, *asking, answer, surroundings);
}

int run_customer_link(const CustomerLinkArguments& arguments, Surroundings& surroundings) {
  if (!is_utf8(arguments.subject))
    return report(surroundings,
                  {.kind = ErrorKind::invalid, .message = "The customer's id is not valid UTF-8."});
  auto connection = connect(arguments.connection, surroundings, KeyNeed::required);
  if (!connection) return report(surroundings, connection.error());
  const auto body = JsonObject()
                        .text("subject", arguments.subject)
                        .number("validSeconds", arguments.hours * 3'600)
                        .boolean("reusable", arguments.reusable)
                        .str();
  const auto answer = connection->send("POST", "/api/customer-links", body, "application/json");
  if (!answer) return report(surroundings, answer.error());
  json::Document document;
  if (const auto parsed = parse_answer(answer->body, document); !parsed)
    return report(surroundings, parsed.error());
  if (wants_json(arguments.connection, surroundings)) {
    surroundings.print(json::canonical(document.root()) + "\n");
    return exit_ok;
  }
  surroundings.print(
      fmt::format("{}\n", escaped(connection->target().whole_link(text_of(document.root(), "link")))));
  surroundings.say(fmt::format(
      "Whoever opens this link sees everything about this customer, unmasked. It is good {}, until {}: send "
      "it to them and nobody else.\n",
      arguments.reusable ? "again and again" : "once", escaped(text_of(document.root(), "expiresAt"))));
  return exit_ok;
}

// ------------------------------------------------------------------------------------------ declaring

namespace {

void add_roles(CLI::App& command, AccountArguments& arguments, bool required) {
  command
      .add_option("--roles", arguments.roles,
                  "what they may do: roles of the policy, separated by commas; `vestige access matrix` shows "
                  "them")
      ->required(required)
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("ROLES");
}

}  // namespace

void declare_account(CLI::App& app, Invocation& invocation) {
  auto arguments = std::make_shared<AccountArguments>();
  auto* command = app.add_subcommand("account", "People who sign in: make, change and lock out accounts");
  command->require_subcommand(1);
  command->footer(
      "Examples:\n"
      "  vestige account create ada --name \"Ada Archer\" --roles auditor --until 2026-12-31T00:00:00Z\n"
      "  vestige account list\n"
      "  vestige account roles ada --roles auditor,operator\n"
      "  vestige account end ada --until 2027-01-31T00:00:00Z\n"
      "  vestige account reset-password ada\n"
      "  vestige account disable ada\n");
  const auto declare = [&](const char* name, const char* about, const char* of,
                           int (*action)(const AccountArguments&, Surroundings&)) {
    auto* sub = command->add_subcommand(name, about);
    if (of != nullptr) sub->add_option("account", arguments->account, of)->required()->type_name("ACCOUNT");
    add_connection_options(*sub, arguments->connection, KeyNeed::required);
    run_with(*sub, arguments, invocation, action);
    return sub;
  };
  const char* which = "its login name, or its id";
  auto* create = declare("create", "Make an account; prints the link by which the person sets a password",
                         "the login name: letters, digits and . _ - @ +", run_account_create);
  create
      ->add_option("--name", arguments->display_name,
                   "the person's name; the login name where it is not given")
      ->type_name("NAME");
  create->add_option("--email", arguments->email, "their email address")->type_name("ADDRESS");
  create->add_option("--phone", arguments->phone, "their telephone number, with country code")
      ->type_name("NUMBER");
  add_roles(*create, *arguments, false);
  const auto add_until = [&](CLI::App& sub) {
    sub.add_option("--until", arguments->until,
                   "from then on nobody is let in, like 2026-12-31T00:00:00Z; some roles take an end")
        ->type_name("TIME");
  };
  add_until(*create);
  declare("list", "Show the accounts there are", nullptr, run_account_list);
  declare("show", "Show one account", which, run_account_show);
  auto* roles =
      declare("roles", "Give an account these roles, in place of those it has", which, run_account_roles);
  add_roles(*roles, *arguments, true);
  auto* end =
      declare("end", "Say when an account ends, in place of what was said before", which, run_account_end);
  auto* when = end->add_option_group("when");
  when->require_option(1);
  add_until(*when);
  when->add_flag("--never", arguments->never, "it has no end");
  declare("disable", "Lock an account out, at once", which, run_account_disable);
  declare("enable", "Let it in again", which, run_account_enable);
  declare("unlock", "Forget its failed logins", which, run_account_unlock);
  declare("reset-password", "Print a link by which the person sets another password", which,
          run_account_reset_password);
}

void declare_customer_link(CLI::App& app, Invocation& invocation) {
  auto arguments = std::make_shared<CustomerLinkArguments>();
  auto* command =
      app.add_subcommand("customer-link", "Print a link by which a customer sees what is about them");
  command->add_option("subject", arguments->subject, "the customer's id, as events have it in \"subject\"")
      ->required()
      ->type_name("SUBJECT");
  command->add_option("--hours", arguments->hours, "for how long; at most 12 where it is reusable")
      ->check(CLI::Range(std::uint64_t{1}, link_hours_max))
      ->capture_default_str()
      ->type_name("N");
  command->add_flag("--reusable", arguments->reusable, "good again and again until then, not once");
  add_connection_options(*command, arguments->connection, KeyNeed::required);
  add_look_options(*command, arguments->connection);
  command->footer("Examples:\n  vestige customer-link customer-4711 --hours 48\n");
  run_with(*command, arguments, invocation, run_customer_link);
}

}  // namespace vestige::cli
