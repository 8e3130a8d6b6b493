// Accounts of people of the organisation, for whoever administers them. What lets somebody in as an account
// needs the right to give all of that account's roles, and nobody changes their own
// (docs/decisions/0096).
#include <charconv>

#include "api/internal/impl.h"
#include "base/time_text.h"

namespace vestige::api {
namespace {

constexpr std::uint64_t list_default = 100;

Result<access::NewAccount> parse_account(const Body& body) {
  access::NewAccount wanted;
  VESTIGE_TRY(wanted.login_name, body.text("loginName"));
  VESTIGE_TRY(const auto display_name, body.text_if_any("displayName"));
  wanted.display_name = display_name.value_or(wanted.login_name);
  VESTIGE_TRY(wanted.email, body.text_if_any("email"));
  VESTIGE_TRY(wanted.phone, body.text_if_any("phone"));
  if (body.has("roles")) {
    VESTIGE_TRY(wanted.roles, body.texts("roles"));
  }
  VESTIGE_TRY(wanted.expires, body.time_if_any("expiresAt"));
  return wanted;
}

// What the library would say of a role that there is not, it says; this is about those that there are.
Status may_give(const Caller& caller, const std::vector<std::string>& roles) {
  for (std::size_t i = 0; i < roles.size(); ++i) {
    if (caller.policy->find_role(roles[i]) == nullptr) continue;
    if (!access::is_for_people(roles[i]))
      return refuse_at(fmt::format("/roles/{}", i),
                       fmt::format("the role {} is not for accounts of people", roles[i]));
    if (!caller.policy->may_give(caller.decision.role, roles[i]))
      return fail(ErrorKind::denied,
                  fmt::format("a {} may not give the role {}, nor let anybody in as an account that has it; "
                              "the policy says who may",
                              caller.decision.role, roles[i]));
  }
  return {};
}

// Also by a key that leads back to them.
bool is_own(const Caller& caller, const Uuid& id) { return access::person_of(caller.principal) == id; }

http::Response account_response(const Result<access::Account>& account) {
  return account ? json_response(200, account_json(*account)) : http::problem(account.error());
}

}  // namespace

std::string account_json(const access::Account& account) {
  const auto flag = [](bool value) { return value ? "true" : "false"; };
  std::string roles;
  for (const auto& role : account.roles) roles += fmt::format("{}{}", roles.empty() ? "" : ",", quoted(role));
  json::ObjectWriter out;
  out.text("id", format_uuid(account.id)).text("loginName", account.login_name);
  out.text("displayName", account.display_name);
  if (account.email) out.text("email", *account.email);
  if (account.phone) out.text("phone", *account.phone);
  out.raw("roles", fmt::format("[{}]", roles)).text("state", access::name_of(account.state));
  out.text("createdAt", format_time(account.created));
  if (account.expires) out.text("expiresAt", format_time(*account.expires));
  out.raw("hasPassword", flag(account.has_password));
  out.raw("mustChangePassword", flag(account.must_change_password));
  out.raw("hasSecondFactor", flag(account.has_second_factor));
  if (account.locked_until) out.text("lockedUntil", format_time(*account.locked_until));
  return out.str();
}

http::Response Api::Impl::invitation_response(const Result<access::Invitation>& invitation) const {
  if (!invitation) return http::problem(invitation.error());
  json::ObjectWriter out;
  out.raw("account", account_json(invitation->account)).text("token", invitation->token);
  out.text("link",
           link_to(fmt::format("welcome#invitation={}", invitation->token), invitation->account.tenant));
  out.text("expiresAt", format_time(invitation->expires));
  return json_response(201, out.str());
}

void Api::Impl::post_accounts(const Caller& caller, http::Request request, http::Responder responder) {
  const auto body = Body::read(request, {"loginName", "displayName", "email", "phone", "roles", "expiresAt"});
  if (!body) return responder.respond(body.error());
  const auto wanted = parse_account(*body);
  if (!wanted) return responder.respond(http::problem(wanted.error()));
  if (auto allowed = may_give(caller, wanted->roles); !allowed)
    return responder.respond(http::problem(allowed.error()));
  write_state(std::move(responder), [self = shared_from_this(), caller, wanted = *wanted] {
    return self->invitation_response(
        self->parts_.identity.accounts().create(caller.principal, caller.client, wanted));
  });
}

void Api::Impl::get_accounts(const Caller& caller, http::Request request, http::Responder responder) {
  std::uint64_t limit = list_default;
  if (const auto text = request.query_value("limit")) {
    const auto [end, failed] = std::from_chars(text->data(), text->data() + text->size(), limit);
    if (failed != std::errc{} || end != text->data() + text->size() || limit == 0 ||
        limit > access::limits::list_max)
      return responder.respond(http::problem(
          400,
          fmt::format("the parameter limit must be a whole number from 1 to {}", access::limits::list_max)));
  }
  const auto after = std::string(request.query_value("after").value_or(""));
  look(caller, std::move(responder),
       [self = shared_from_this(), by = caller.principal, after, limit](const audit::Visibility&,
                                                                        LookedAt& at) -> http::Response {
         at.target_type = "ACCOUNTS";
         const auto accounts = self->parts_.identity.accounts().list(by, after, limit);
         if (!accounts) return http::problem(accounts.error());
         std::string list;
         for (const auto& account : *accounts)
           list += fmt::format("{}{}", list.empty() ? "" : ",", account_json(account));
         // A full page may have been the last one too; the next is empty then.
         const auto next =
             accounts->size() == limit ? quoted(accounts->back().login_name) : std::string("null");
         return json_response(200, fmt::format("{{\"accounts\":[{}],\"after\":{}}}", list, next));
       });
}

void Api::Impl::act_on_account(const http::Request& request, http::Responder responder,
                               std::function<http::Response(const Uuid&)> act) {
  const auto id = captured_id(request);
  if (!id) return responder.respond(no_such("account"));
  write_state(std::move(responder), [act = std::move(act), id = *id] { return act(id); });
}

void Api::Impl::get_account(const Caller& caller, http::Request request, http::Responder responder) {
  const auto id = captured_id(request);
  if (!id) return responder.respond(no_such("account"));
  look(caller, std::move(responder),
       [self = shared_from_this(), by = caller.principal, id = *id](const audit::Visibility&, LookedAt& at) {
         at = {.target_type = "ACCOUNT", .target_id = format_uuid(id)};
         return account_response(self->parts_.identity.accounts().find(by, id));
       });
}

void Api::Impl::put_roles(const Caller& caller, http::Request request, http::Responder responder) {
  const auto body = Body::read(request, {"roles"});
  if (!body) return responder.respond(body.error());
  const auto roles = body->texts("roles");
  if (!roles) return responder.respond(http::problem(roles.error()));
  if (auto allowed = may_give(caller, *roles); !allowed)
    return responder.respond(http::problem(allowed.error()));
  act_on_account(
      request, std::move(responder), [self = shared_from_this(), caller, roles = *roles](const Uuid& id) {
        if (is_own(caller, id))
          return http::problem(403, "nobody changes their own roles; ask another administrator");
        return account_response(
            self->parts_.identity.accounts().set_roles(caller.principal, caller.client, id, roles));
      });
}

// A later end lets somebody in for longer.
void Api::Impl::put_end(const Caller& caller, http::Request request, http::Responder responder) {
  const auto body = Body::read(request, {"expiresAt"});
  if (!body) return responder.respond(body.error());
  const auto end = body->time_if_any("expiresAt");
  if (!end) return responder.respond(http::problem(end.error()));
  if (!body->has("expiresAt"))
    return responder.respond(
        http::problem(refuse_at("/expiresAt", "must be a time, or null for no end").error()));
  act_on_account(
      request, std::move(responder), [self = shared_from_this(), caller, end = *end](const Uuid& id) {
        auto& accounts = self->parts_.identity.accounts();
        if (is_own(caller, id))
          return http::problem(403, "nobody changes the end of their own account; ask another administrator");
        const auto account = accounts.find(caller.principal, id);
        if (!account) return http::problem(account.error());
        if (auto allowed = may_give(caller, account->roles); !allowed) return http::problem(allowed.error());
        return account_response(accounts.set_end(caller.principal, caller.client, id, end));
      });
}

void Api::Impl::post_disable(const Caller& caller, http::Request request, http::Responder responder) {
  act_on_account(request, std::move(responder), [self = shared_from_this(), caller](const Uuid& id) {
    return account_response(self->parts_.identity.accounts().disable(caller.principal, caller.client, id));
  });
}

// It lets somebody in with all that the account had.
void Api::Impl::post_enable(const Caller& caller, http::Request request, http::Responder responder) {
  act_on_account(request, std::move(responder), [self = shared_from_this(), caller](const Uuid& id) {
    auto& accounts = self->parts_.identity.accounts();
    const auto account = accounts.find(caller.principal, id);
    if (!account) return http::problem(account.error());
    if (auto allowed = may_give(caller, account->roles); !allowed) return http::problem(allowed.error());
    return account_response(accounts.enable(caller.principal, caller.client, id));
  });
}

void Api::Impl::post_unlock(const Caller& caller, http::Request request, http::Responder responder) {
  act_on_account(request, std::move(responder), [self = shared_from_this(), caller](const Uuid& id) {
    return account_response(self->parts_.identity.accounts().unlock(caller.principal, caller.client, id));
  });
}

void Api::Impl::post_require_password_change(const Caller& caller, http::Request request,
                                             http::Responder responder) {
  act_on_account(request, std::move(responder), [self = shared_from_this(), caller](const Uuid& id) {
    return account_response(
        self->parts_.identity.accounts().require_password_change(caller.principal, caller.client, id));
  });
}

// Whoever has the link is in as that account.
void Api::Impl::post_reset_password(const Caller& caller, http::Request request, http::Responder responder) {
  act_on_account(request, std::move(responder), [self = shared_from_this(), caller](const Uuid& id) {
    auto& accounts = self->parts_.identity.accounts();
    const auto account = accounts.find(caller.principal, id);
    if (!account) return http::problem(account.error());
    if (auto allowed = may_give(caller, account->roles); !allowed) return http::problem(allowed.error());
    return self->invitation_response(accounts.reset_password(caller.principal, caller.client, id));
  });
}

void Api::Impl::post_remove_second_factor(const Caller& caller, http::Request request,
                                          http::Responder responder) {
  act_on_account(request, std::move(responder), [self = shared_from_this(), caller](const Uuid& id) {
    auto& accounts = self->parts_.identity.accounts();
    const auto account = accounts.find(caller.principal, id);
    if (!account) return http::problem(account.error());
    if (auto allowed = may_give(caller, account->roles); !allowed) return http::problem(allowed.error());
    return account_response(accounts.remove_second_factor(caller.principal, caller.client, id));
  });
}

void Api::Impl::delete_account_sessions(const Caller& caller, http::Request request,
                                        http::Responder responder) {
  act_on_account(request, std::move(responder), [self = shared_from_this(), caller](const Uuid& id) {
    const auto ended = self->parts_.identity.sessions().revoke_all(caller.principal, caller.client, id);
    if (!ended) return http::problem(ended.error());
    return json_response(200, fmt::format("{{\"ended\":{}}}", *ended));
  });
}

}  // namespace vestige::api
