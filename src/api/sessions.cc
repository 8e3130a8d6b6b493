// What people who are signed in do about themselves: see and end their sessions, change how they sign in.
#include "api/internal/cookies.h"
#include "api/internal/impl.h"
#include "base/time_text.h"

namespace vestige::api {
namespace {

using access::PrincipalKind;

http::Response not_by_password() {
  return http::problem(403,
                       "you signed in without a password of this server; what you sign in with is changed "
                       "where you got it");
}

// Whose password and second factor are this server's.
bool has_password_here(const Caller& caller) {
  const auto method = caller.principal.method;
  return caller.principal.kind == PrincipalKind::account &&
         (method == access::Method::password || method == access::Method::mfa);
}

Result<access::Proof> proof_of(const Body& body) {
  VESTIGE_TRY(auto password, body.text("password"));
  VESTIGE_TRY(const auto code, body.text_if_any("code"));
  return access::Proof{.password = std::move(password), .code = code.value_or("")};
}

std::string recovery_codes_json(const std::vector<std::string>& codes) {
  std::string list;
  for (const auto& code : codes) list += fmt::format("{}{}", list.empty() ? "" : ",", quoted(code));
  return fmt::format("[{}]", list);
}

}  // namespace

json::ObjectWriter Api::Impl::session_writer(const access::Session& session) const {
  std::string roles;
  for (const auto& role : session.roles) roles += fmt::format("{}{}", roles.empty() ? "" : ",", quoted(role));
  json::ObjectWriter out;
  out.text("id", format_uuid(session.id));
  out.text("kind", session.kind == PrincipalKind::customer ? "customer" : "account");
  out.text("name", session.name).raw("roles", fmt::format("[{}]", roles));
  out.text("method", access::name_of(session.method))
      .raw("restricted", session.restricted ? "true" : "false");
  out.text("createdAt", format_time(session.created)).text("seenAt", format_time(session.seen));
  out.text("expiresAt", format_time(parts_.identity.sessions().expires(session)));
  if (session.client.address) out.text("ip", access::format_address(*session.client.address));
  out.text_if_any("userAgent", session.client.user_agent);
  if (session.subject)
    out.text("subject", *session.subject);
  else
    out.text("account", format_uuid(session.account));
  return out;
}

http::Response Api::Impl::renewed(const access::Sessions::Opened& opened, std::string_view more) const {
  auto out = session_writer(opened.session);
  out.text("csrf", opened.csrf);
  if (!more.empty()) out.raw("recoveryCodes", more);
  auto response = json_response(200, out.str());
  response.headers.emplace_back("Set-Cookie", session_cookie(parts_.over_tls, opened.token));
  return response;
}

http::Response Api::Impl::opened(const access::Sessions::Opened& opened, const std::string& old,
                                 const access::Client& client) {
  // The browser has one cookie, so what it had before is over.
  if (auto ended = parts_.identity.sessions().log_out(old, client); !ended)
    return http::problem(ended.error());
  return renewed(opened);
}

void Api::Impl::get_session(const Caller& caller, http::Request, http::Responder responder) {
  const auto& sessions = parts_.identity.sessions();
  const auto session = sessions.find(caller.principal.tenant, *caller.principal.session);
  if (!session) return responder.respond(http::problem(401, "the session ended just now; sign in again"));
  auto out = session_writer(*session);
  out.text("csrf", sessions.csrf_token(caller.session_token));
  responder.respond(json_response(200, out.str()));
}

void Api::Impl::delete_own_session(const Caller& caller, http::Request, http::Responder responder) {
  write_state(std::move(responder), [self = shared_from_this(), caller] {
    auto ended = self->parts_.identity.sessions().log_out(caller.session_token, caller.client);
    if (!ended) return http::problem(ended.error());
    auto response = empty_response(204);
    response.headers.emplace_back("Set-Cookie", no_session_cookie(self->parts_.over_tls));
    return response;
  });
}

std::vector<access::Session> Api::Impl::own_sessions(const Caller& caller) const {
  const auto& sessions = parts_.identity.sessions();
  const auto& principal = caller.principal;
  return principal.subject ? sessions.list_of(principal.tenant, *principal.subject)
                           : sessions.list_of(principal.tenant, principal.id);
}

void Api::Impl::get_sessions(const Caller& caller, http::Request, http::Responder responder) {
  std::string list;
  for (const auto& session : own_sessions(caller)) {
    auto out = session_writer(session);
    out.raw("current", session.id == caller.principal.session ? "true" : "false");
    list += fmt::format("{}{}", list.empty() ? "" : ",", out.str());
  }
  responder.respond(json_response(200, fmt::format("{{\"sessions\":[{}]}}", list)));
}

void Api::Impl::delete_session(const Caller& caller, http::Request request, http::Responder responder) {
  const auto id = captured_id(request);
  const auto own = own_sessions(caller);
  // Somebody else's is not there either.
  if (!id || std::ranges::find(own, *id, &access::Session::id) == own.end())
    return responder.respond(no_such("session"));
  write_state(std::move(responder), [self = shared_from_this(), caller, id = *id] {
    const auto ended = self->parts_.identity.sessions().revoke(caller.principal, caller.client, id);
    return ended ? empty_response(204) : http::problem(ended.error());
  });
}

void Api::Impl::post_password(const Caller& caller, http::Request request, http::Responder responder) {
  if (!has_password_here(caller)) return responder.respond(not_by_password());
  const auto body = Body::read(request, {"password", "code", "newPassword"});
  if (!body) return responder.respond(body.error());
  const auto proof = proof_of(*body);
  if (!proof) return responder.respond(http::problem(proof.error()));
  const auto wanted = body->text("newPassword");
  if (!wanted) return responder.respond(http::problem(wanted.error()));
  let_in(std::move(responder), [self = shared_from_this(), caller, proof = *proof, wanted = *wanted] {
    auto changed =
        self->parts_.identity.accounts().change_password(caller.principal, caller.client, proof, wanted);
    if (changed) return self->renewed(*changed);
    // The library knows one password only, this body two.
    if (changed.error().path == "/password") changed.error().path = "/newPassword";
    return http::problem(changed.error());
  });
}

void Api::Impl::post_second_factor(const Caller& caller, http::Request request, http::Responder responder) {
  if (!has_password_here(caller)) return responder.respond(not_by_password());
  const auto body = Body::read(request, {"password", "code"});
  if (!body) return responder.respond(body.error());
  const auto proof = proof_of(*body);
  if (!proof) return responder.respond(http::problem(proof.error()));
  let_in(std::move(responder), [self = shared_from_this(), caller, proof = *proof] {
    const auto offer =
        self->parts_.identity.accounts().offer_second_factor(caller.principal, caller.client, proof);
    if (!offer) return http::problem(offer.error());
    json::ObjectWriter out;
    out.text("secret", offer->secret).text("uri", offer->uri);
    return json_response(200, out.str());
  });
}

void Api::Impl::post_second_factor_confirm(const Caller& caller, http::Request request,
                                           http::Responder responder) {
  if (!has_password_here(caller)) return responder.respond(not_by_password());
  const auto body = Body::read(request, {"code"});
  if (!body) return responder.respond(body.error());
  const auto code = body->text("code");
  if (!code) return responder.respond(http::problem(code.error()));
  let_in(std::move(responder), [self = shared_from_this(), caller, code = *code] {
    const auto set =
        self->parts_.identity.accounts().confirm_second_factor(caller.principal, caller.client, code);
    if (!set) return http::problem(set.error());
    return self->renewed(set->session, recovery_codes_json(set->recovery_codes));
  });
}

void Api::Impl::post_recovery_codes(const Caller& caller, http::Request request, http::Responder responder) {
  if (!has_password_here(caller)) return responder.respond(not_by_password());
  const auto body = Body::read(request, {"password", "code"});
  if (!body) return responder.respond(body.error());
  const auto proof = proof_of(*body);
  if (!proof) return responder.respond(http::problem(proof.error()));
  let_in(std::move(responder), [self = shared_from_this(), caller, proof = *proof] {
    const auto codes =
        self->parts_.identity.accounts().renew_recovery_codes(caller.principal, caller.client, proof);
    if (!codes) return http::problem(codes.error());
    return json_response(200, fmt::format("{{\"recoveryCodes\":{}}}", recovery_codes_json(*codes)));
  });
}

}  // namespace vestige::api
