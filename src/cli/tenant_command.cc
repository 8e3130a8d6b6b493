#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/encoding.h"
#include "cli/cli.h"
#include "cli/internal/commands.h"
#include "cli/internal/display.h"
#include "cli/internal/json_text.h"
#include "cli/internal/tenant.h"

namespace vestige::cli {
namespace {

const std::string tenants_path = "/api/tenants";

struct Asked {
  json::Document answer;
  Target target;
};

Result<Asked> ask(const TenantArguments& arguments, const Surroundings& surroundings,
                  const std::string& method, std::string_view what, const std::string& body = {}) {
  for (const auto* text : {&arguments.id, &arguments.name})
    if (!is_utf8(*text)) return fail(ErrorKind::invalid, "What was given about the tenant is not UTF-8.");
  VESTIGE_TRY(auto connection, connect(arguments.connection, surroundings, KeyNeed::required));
  const auto path =
      what.empty() ? tenants_path : fmt::format("{}/{}/{}", tenants_path, encoded(arguments.id), what);
  VESTIGE_TRY(const auto response,
              connection.send(method, path, body, body.empty() ? "" : "application/json"));
  Asked asked{.answer = {}, .target = connection.target()};
  VESTIGE_CHECKED(parse_answer(response.body, asked.answer));
  return asked;
}

void print_tenants(const std::vector<json::Value>& tenants, Surroundings& surroundings) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& tenant : tenants)
    rows.push_back({text_of(tenant, "id"), text_of(tenant, "name"), text_of(tenant, "tier"),
                    text_of(tenant, "state"), text_of(tenant, "createdAt")});
  surroundings.print(
      render_table({{"ID", false}, {"NAME"}, {"TIER", false}, {"STATE", false}, {"CREATED", false}}, rows,
                   surroundings.columns()));
}

int show(const TenantArguments& arguments, const Result<Asked>& asked, Surroundings& surroundings) {
  if (!asked) return report(surroundings, asked.error());
  if (wants_json(arguments.connection, surroundings))
    surroundings.print(json::canonical(asked->answer.root()) + "\n");
  else
    print_tenants({asked->answer.root()}, surroundings);
  return exit_ok;
}

int show_offer(const TenantArguments& arguments, const Result<Asked>& asked, Surroundings& surroundings) {
  if (!asked) return report(surroundings, asked.error());
  const auto offer = asked->answer.root();
  if (wants_json(arguments.connection, surroundings)) {
    surroundings.print(json::canonical(offer) + "\n");
    return exit_ok;
  }
  surroundings.print(fmt::format("{}\n", escaped(asked->target.whole_link(text_of(offer, "link")))));
  surroundings.say(fmt::format(
      "Whoever opens this link first becomes the administrator of the tenant {}. It is good once, until {}, "
      "and "
      "is shown this once: send it to them and nobody else. They sign in at {}.\n",
      escaped(text_of(offer, "id")), escaped(text_of(offer, "expiresAt")),
      escaped(asked->target.whole_link(fmt::format("/sign-in?tenant={}", text_of(offer, "id"))))));
  return exit_ok;
}

}  // namespace

int run_tenant_create(const TenantArguments& arguments, Surroundings& surroundings) {
  JsonObject body;
  body.text("id", arguments.id);
  if (!arguments.name.empty()) body.text("name", arguments.name);
  if (!arguments.tier.empty()) body.text("tier", arguments.tier);
  return show_offer(arguments, ask(arguments, surroundings, "POST", "", body.str()), surroundings);
}

int run_tenant_list(const TenantArguments& arguments, Surroundings& surroundings) {
  const auto asked = ask(arguments, surroundings, "GET", "");
  if (!asked || wants_json(arguments.connection, surroundings)) return show(arguments, asked, surroundings);
  std::vector<json::Value> tenants;
  const auto list = asked->answer.root().find("tenants");
  for (std::size_t i = 0; list.is_array() && i < list.size(); ++i) tenants.push_back(list.at(i));
  print_tenants(tenants, surroundings);
  return exit_ok;
}

int run_tenant_tier(const TenantArguments& arguments, Surroundings& surroundings) {
  const auto body = JsonObject().text("tier", arguments.tier).str();
  return show(arguments, ask(arguments, surroundings, "PUT", "tier", body), surroundings);
}

int run_tenant_suspend(const TenantArguments& arguments, Surroundings& surroundings) {
  return show(arguments, ask(arguments, surroundings, "POST", "suspend"), surroundings);
}

int run_tenant_resume(const TenantArguments& arguments, Surroundings& surroundings) {
  return show(arguments, ask(arguments, surroundings, "POST", "resume"), surroundings);
}

int run_tenant_invite(const TenantArguments& arguments, Surroundings& surroundings) {
  return show_offer(arguments, ask(arguments, surroundings, "POST", "administrator"), surroundings);
}

void declare_tenant(CLI::App& app, Invocation& invocation) {
  auto arguments = std::make_shared<TenantArguments>();
  auto* command = app.add_subcommand("tenant", "Keep several organisations on one server");
  command->require_subcommand(1);
  command->footer(
      "A tenant has a trail, accounts, keys and a policy of its own, and sees nothing of any other. Tenants "
      "are "
      "managed\n"
      "from the tenant \"default\", whose key this takes.\n\n"
      "Examples:\n"
      "  vestige tenant create acme --name 'Acme Ltd' --tier premium\n"
      "  vestige tenant list\n"
      "  vestige tenant suspend acme\n");
  const auto declare = [&](const char* name, const char* about,
                           int (*action)(const TenantArguments&, Surroundings&)) {
    auto* sub = command->add_subcommand(name, about);
    add_connection_options(*sub, arguments->connection, KeyNeed::required);
    run_with(*sub, arguments, invocation, action);
    return sub;
  };
  const auto takes_id = [&](CLI::App* sub) {
    sub->add_option("id", arguments->id, "the tenant's id: a-z, 0-9 and -, for good")
        ->required()
        ->type_name("ID");
    return sub;
  };
  const auto takes_tier = [&](CLI::Option* option) {
    option->check(CLI::IsMember({"standard", "premium", "enterprise"}).description(""))->type_name("TIER");
    return option;
  };
  const char* const about_tier = "how long what is sealed will be kept: standard, premium or enterprise";
  auto* create =
      takes_id(declare("create", "Make a tenant; prints its first administrator's link", run_tenant_create));
  create->add_option("--name", arguments->name, "for people; the id where it is left out")->type_name("NAME");
  takes_tier(create->add_option("--tier", arguments->tier, about_tier));
  declare("list", "Show the tenants there are", run_tenant_list);
  takes_tier(takes_id(declare("tier", "Give a tenant another tier", run_tenant_tier))
                 ->add_option("tier", arguments->tier, about_tier))
      ->required();
  takes_id(
      declare("suspend", "Let nobody of a tenant in; its events are still recorded", run_tenant_suspend));
  takes_id(declare("resume", "Let a suspended tenant's people in again", run_tenant_resume));
  takes_id(declare("invite", "Give out the first administrator's link again, while nobody administers",
                   run_tenant_invite));
}

}  // namespace vestige::cli
