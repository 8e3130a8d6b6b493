// Coming in without an API key (docs/decisions/0095). Nobody is known here yet, so what is sent is small, is
// looked at only where it does not come from the page of another site, and is refused in words that tell
// nothing; who is let in gets a new token in a cookie, whatever token the browser brought.
#include "access/single_sign_on.h"
#include "api/internal/cookies.h"
#include "api/internal/impl.h"
#include "http/url.h"

namespace vestige::api {
namespace {

// denied means here that nobody is let in, which HTTP tells apart from somebody who is known and may not.
http::Response not_let_in(const Error& error) {
  if (error.kind != ErrorKind::denied) return http::problem(error);
  auto response = http::problem(401, error.message);
  response.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"vestige\"");
  return response;
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '<' || c == '>' || c == '&' || c == '"' || c == '\'')
      out += fmt::format("&#{};", static_cast<int>(c));
    else
      out.push_back(c);
  }
  return out;
}

// What a browser gets that a provider sent back, or that was to be sent there: a person reads it.
http::Response refusal_page(const Error& error) {
  auto response = not_let_in(error);
  response.content_type = "text/html; charset=utf-8";
  response.body = fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Vestige: not signed in"
      "</title><link rel=\"stylesheet\" href=\"/base.css\"><link rel=\"stylesheet\" href=\"/people.css\">"
      "</head>\n<body><main><h1>Not signed in</h1>"
      "<p role=\"alert\">{}</p><p><a href=\"/sign-in\">Back to signing in</a></p></main></body>\n</html>\n",
      escaped(error.message));
  return response;
}

std::string callback_path(std::string_view provider) {
  return fmt::format("/api/sign-in/{}/callback", provider);
}

std::string query_text(const http::Request& request, std::string_view name) {
  return std::string(request.query_value(name).value_or(""));
}

}  // namespace

bool Api::Impl::comes_from_elsewhere(const http::Request& request) const {
  const auto site = request.header("sec-fetch-site");
  if (site && *site != "same-origin" && *site != "none") return true;
  const auto origin = request.header("origin");
  if (!origin) return false;
  const auto url = http::parse_url(*origin);
  if (!url) return true;  // "null" too
  const auto own = http::parse_url(parts_.public_url);
  return url->authority != request.header("host").value_or("") && !(own && url->origin() == own->origin());
}

// What is of no use is refused like what is wrong, by the same way: that a tenant is there, or is suspended,
// is nobody's business who does not come in.
Result<access::LoginRequest> Api::Impl::login_of(const Body& body) const {
  access::LoginRequest login;
  VESTIGE_TRY(const auto tenant, body.text_if_any("tenant"));
  VESTIGE_TRY(login.login_name, body.text("loginName"));
  VESTIGE_TRY(login.password, body.text("password"));
  VESTIGE_TRY(const auto code, body.text_if_any("code"));
  login.tenant = tenant.value_or(std::string(access::home_tenant_id));
  login.code = code.value_or("");
  if (parts_.tenants.admit(login.tenant, access::Tenants::Use::other)) return login;
  login.login_name = fmt::format("{}/{}", login.tenant, login.login_name);  // no name of anybody has a slash
  login.tenant = access::home_tenant_id;
  return login;
}

Result<Api::Impl::SentLink> Api::Impl::link_of(const Body& body) const {
  SentLink link;
  VESTIGE_TRY(const auto tenant, body.text_if_any("tenant"));
  VESTIGE_TRY(link.token, body.text("token"));
  link.tenant = tenant.value_or(std::string(access::home_tenant_id));
  if (parts_.tenants.admit(link.tenant, access::Tenants::Use::other)) return link;
  return SentLink{.tenant = std::string(access::home_tenant_id), .token = ""};
}

std::optional<http::Response> Api::Impl::refuse_unread(const http::Request& request) const {
  if (request.method != "POST" || !is_sign_in(request.path)) return std::nullopt;
  if (comes_from_elsewhere(request))
    return http::problem(403, "this was sent by a page of another site; sign in on a page of this server");
  if (request.header("content-encoding"))
    return http::problem(415, "signing in takes a body as it is, without Content-Encoding");
  if (!request.header("content-length"))
    return http::problem(411, "signing in takes a header Content-Length");
  return std::nullopt;
}

void Api::Impl::let_in(http::Responder responder, std::function<http::Response()> answer) {
  let_in_on(parts_.signing, letting_in_, std::move(responder), std::move(answer));
}

void Api::Impl::ask_provider(http::Responder responder, std::function<http::Response()> answer) {
  let_in_on(parts_.providers, asking_providers_, std::move(responder), std::move(answer));
}

void Api::Impl::let_in_on(platform::EventLoop& loop, std::atomic<std::size_t>& waiting,
                          http::Responder responder, std::function<http::Response()> answer) {
  // Each waits for tens of milliseconds of hashing or for a provider; a queue without end would keep all
  // waiting.
  if (waiting.fetch_add(1) >= letting_in_max) {
    waiting.fetch_sub(1);
    return responder.respond(
        http::problem(Error{.kind = ErrorKind::unavailable,
                            .message = "too many people sign in at once; try again",
                            .limit = fmt::format("letting_in_max = {}", letting_in_max)}));
  }
  write_state_on(loop, std::move(responder), [&waiting, answer = std::move(answer)] {
    auto response = answer();
    waiting.fetch_sub(1);
    return response;
  });
}

// ----------------------------------------------------------------------------------- with a password

void Api::Impl::post_sign_in(http::Request request, http::Responder responder) {
  const auto body = Body::read(request, {"tenant", "loginName", "password", "code"});
  if (!body) return responder.respond(body.error());
  const auto login = login_of(*body);
  if (!login) return responder.respond(http::problem(login.error()));
  const auto old = cookie_of(request, session_cookie_name(parts_.over_tls));
  let_in(std::move(responder), [self = shared_from_this(), login = *login, client = client_of(request),
                                old = std::string(old.value_or(""))] {
    const auto outcome = self->parts_.identity.accounts().log_in(login, client);
    if (!outcome) return not_let_in(outcome.error());
    if (std::holds_alternative<access::CodeNeeded>(*outcome))
      return json_response(202, "{\"codeNeeded\":true}");
    return self->opened(std::get<access::Sessions::Opened>(*outcome), old, client);
  });
}

void Api::Impl::post_first_administrator(http::Request request, http::Responder responder) {
  const auto body = Body::read(request, {"tenant", "token", "loginName", "password"});
  if (!body) return responder.respond(body.error());
  const auto link = link_of(*body);
  if (!link) return responder.respond(http::problem(link.error()));
  const auto login_name = body->text("loginName");
  const auto password = body->text("password");
  for (const auto* text : {&login_name, &password})
    if (!*text) return responder.respond(http::problem(text->error()));
  let_in(std::move(responder), [self = shared_from_this(), link = *link, login_name = *login_name,
                                password = *password, client = client_of(request)] {
    const auto account = self->parts_.identity.first_administrator().redeem(link.tenant, link.token,
                                                                            login_name, password, client);
    return account ? json_response(201, account_json(*account)) : not_let_in(account.error());
  });
}

void Api::Impl::post_invitation(http::Request request, http::Responder responder) {
  const auto body = Body::read(request, {"tenant", "token", "password"});
  if (!body) return responder.respond(body.error());
  const auto link = link_of(*body);
  if (!link) return responder.respond(http::problem(link.error()));
  const auto password = body->text("password");
  if (!password) return responder.respond(http::problem(password.error()));
  let_in(std::move(responder),
         [self = shared_from_this(), link = *link, password = *password, client = client_of(request)] {
           const auto set =
               self->parts_.identity.accounts().redeem_invitation(link.tenant, link.token, password, client);
           return set ? empty_response(204) : not_let_in(set.error());
         });
}

void Api::Impl::post_customer_sign_in(http::Request request, http::Responder responder) {
  const auto body = Body::read(request, {"tenant", "token"});
  if (!body) return responder.respond(body.error());
  const auto link = link_of(*body);
  if (!link) return responder.respond(http::problem(link.error()));
  const auto old = cookie_of(request, session_cookie_name(parts_.over_tls));
  let_in(std::move(responder), [self = shared_from_this(), link = *link, client = client_of(request),
                                old = std::string(old.value_or(""))] {
    const auto opened = self->parts_.identity.customer_links().redeem(link.tenant, link.token, client);
    return opened ? self->opened(*opened, old, client) : not_let_in(opened.error());
  });
}

// ------------------------------------------------------------------------------------- at a provider

void Api::Impl::get_providers(http::Request request, http::Responder responder) {
  const auto tenant = request.query_value("tenant").value_or(access::home_tenant_id);
  std::string list;
  for (const auto* provider : parts_.identity.sign_on().providers()) {
    if (provider->tenant != tenant) continue;
    json::ObjectWriter out;
    out.text("name", provider->name)
        .text("label", provider->label.empty() ? provider->name : provider->label);
    out.text("audience", provider->audience == access::oidc::Audience::staff ? "staff" : "customers");
    list += fmt::format("{}{}", list.empty() ? "" : ",", out.str());
  }
  responder.respond(json_response(200, fmt::format("{{\"providers\":[{}]}}", list)));
}

void Api::Impl::get_provider_begin(http::Request request, http::Responder responder) {
  ask_provider(std::move(responder), [self = shared_from_this(), provider = request.captures.at("provider"),
                                      return_to = query_text(request, "return_to")] {
    const auto begun = self->parts_.identity.sign_on().begin(provider, return_to);
    if (!begun) return refusal_page(begun.error());
    auto response = empty_response(302);
    response.headers.emplace_back("Location", begun->location);
    response.headers.emplace_back("Set-Cookie",
                                  login_cookie(self->parts_.over_tls, begun->cookie_name, begun->cookie_value,
                                               callback_path(provider), begun->lifetime));
    return response;
  });
}

void Api::Impl::get_provider_callback(http::Request request, http::Responder responder) {
  access::oidc::Callback callback{.state = query_text(request, "state"),
                                  .code = query_text(request, "code"),
                                  .error = query_text(request, "error"),
                                  .error_description = query_text(request, "error_description"),
                                  .issuer = query_text(request, "iss")};
  const auto cookie_name = access::oidc::cookie_name_of(callback.state);
  callback.cookie_value = std::string(cookie_of(request, cookie_name).value_or(""));
  ask_provider(std::move(responder), [self = shared_from_this(), provider = request.captures.at("provider"),
                                      callback, cookie_name, client = client_of(request)] {
    auto response = self->come_back(provider, callback, client);
    // Of a login that is over.
    if (!callback.cookie_value.empty())
      response.headers.emplace_back(
          "Set-Cookie", login_cookie(self->parts_.over_tls, cookie_name, "", callback_path(provider),
                                     std::chrono::seconds(0)));
    return response;
  });
}

http::Response Api::Impl::come_back(const std::string& provider, const access::oidc::Callback& callback,
                                    const access::Client& client) {
  auto& identity = parts_.identity;
  const auto person = identity.sign_on().complete(provider, callback);
  if (!person) {
    if (person.error().kind == ErrorKind::denied)
      if (auto told = access::tell_refused(identity.failures(), identity.sign_on(), provider, client); !told)
        return refusal_page(told.error());
    return refusal_page(person.error());
  }
  if (!parts_.tenants.admit(person->tenant, access::Tenants::Use::other)) {
    if (auto told = access::tell_refused(identity.failures(), identity.sign_on(), provider, client); !told)
      return refusal_page(told.error());
    return refusal_page(Error{.kind = ErrorKind::denied, .message = "nobody can sign in here now"});
  }
  const auto opened = access::open_session_of(identity.sessions(), *person, client);
  if (!opened) return refusal_page(opened.error());
  auto response = empty_response(303);
  response.headers.emplace_back("Location", person->return_to);
  response.headers.emplace_back("Set-Cookie", session_cookie(parts_.over_tls, opened->token));
  return response;
}

}  // namespace vestige::api
