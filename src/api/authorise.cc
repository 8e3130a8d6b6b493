// Authorisation: a request's key or session, what the policy decides, and what the caller may see.
#include <charconv>

#include "api/internal/cookies.h"
#include "api/internal/impl.h"
#include "base/encoding.h"

namespace vestige::api {
namespace {

constexpr std::string_view approval_header = "x-vestige-approval";
constexpr std::string_view bearer_prefix = "Bearer ";
constexpr std::size_t header_text_bytes_max = audit::look_reason_bytes_max;
constexpr std::size_t searched_body_bytes_max = 64 << 10;
constexpr std::string_view public_paths[] = {
    "/",        "/docs",         "/docs.js",   "/favicon.svg", "/healthz",  "/readyz",
    "/metrics", "/openapi.json", "/sign-in",   "/sign-in.js",  "/welcome",  "/welcome.js",
    "/mine",    "/mine.js",      "/people.js", "/people.css",  "/base.css", "/text.css"};
// What somebody may do whose password has to be changed first.
constexpr std::string_view restricted_operations[] = {"getSession", "signOut", "changePassword"};

bool is_public(std::string_view path) {
  return std::ranges::find(public_paths, path) != std::end(public_paths) || path.starts_with("/tlog/") ||
         is_sign_in(path);
}

bool changes_something(const http::Request& request) {
  return request.method != "GET" && request.method != "HEAD";
}

http::Response unauthorised() {
  auto response = http::problem(
      401, "this needs an API key (send the header Authorization: Bearer <key>), or that you sign in");
  response.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"vestige\"");
  return response;
}

// A header's text, which goes into the trail: UTF-8 of some length and without controls. Empty where it was
// not sent.
Result<std::string> text_header(const http::Request& request, std::string_view name) {
  const auto text = request.header(name);
  if (!text) return std::string();
  const bool plain = std::ranges::none_of(*text, [](char c) { return static_cast<unsigned char>(c) < 0x20; });
  if (text->empty() || text->size() > header_text_bytes_max || !plain || !is_utf8(*text))
    return fail(ErrorKind::invalid,
                fmt::format("the header {} must be UTF-8 of 1 to {} bytes without control characters", name,
                            header_text_bytes_max));
  return std::string(*text);
}

// Acts about one person, whom the body names.
bool is_act_about_person(const access::Operation& operation) {
  constexpr std::string_view acts[] = {"erasePerson", "reauthorisePerson", "createCustomerLink"};
  return std::ranges::find(acts, operation.name) != std::end(acts);
}

// The one person whom path or body name.
std::optional<std::string> person_in(const http::Request& request, const access::Operation& operation) {
  if (operation.name == "getSubjectTimeline" || operation.name == "getPersonKeys")
    return request.captures.at("id");
  const bool may_name = operation.look == access::Look::search || is_act_about_person(operation);
  if (!may_name || request.body.empty() || request.body.size() > searched_body_bytes_max) return std::nullopt;
  json::Parser parser;
  json::Document document;
  // What is wrong with a search its handler says.
  if (!parser.parse(request.body, document)) return std::nullopt;
  const auto subject = document.root().find("subject");
  return subject.is_string() ? std::optional(std::string(subject.string())) : std::nullopt;
}

// Whom a request is about, where it names one person: by its path, as the one subject of a search or an act,
// or, where it has neither, by the header.
Result<std::optional<std::string>> person_of(const http::Request& request,
                                             const access::Operation& operation) {
  VESTIGE_TRY(const auto header, text_header(request, "x-vestige-subject"));
  auto named = person_in(request, operation);
  if (header.empty()) return named;
  if (named && *named != header)
    return fail(ErrorKind::invalid,
                "the header X-Vestige-Subject names another person than the request itself; leave it out");
  return header;
}

// What only looks and acts about a person need to know of a request; the many that record events are spared
// it.
Status tell_of_look(const http::Request& request, Caller& caller) {
  VESTIGE_TRY(caller.person, person_of(request, *caller.operation));
  const auto access = request.header("x-vestige-access").value_or("view");
  if (access != "view" && access != "print")
    return fail(ErrorKind::invalid, "the header X-Vestige-Access must be view or print");
  caller.prints = access == "print";
  const auto purpose = request.header("x-vestige-purpose");
  if (purpose && *purpose != access::regulatory_rule)
    return fail(ErrorKind::invalid,
                fmt::format("the header X-Vestige-Purpose must be {}", access::regulatory_rule));
  // What holds nothing of an event is nothing that an authority asks for.
  if (caller.operation->reads_events()) caller.purpose = purpose.value_or("");
  return {};
}

}  // namespace

access::Client Api::Impl::client_of(const http::Request& request) const {
  std::string forwarded;
  if (!parts_.trusted_proxies.empty())
    for (const auto& [name, value] : request.headers)
      if (name == "x-forwarded-for") forwarded += fmt::format("{}{}", forwarded.empty() ? "" : ",", value);
  return access::Client::of(access::client_address(request.peer_address, forwarded, parts_.trusted_proxies),
                            request.header("user-agent").value_or(""));
}

// A header that is wrong is not made good by a cookie beside it.
std::optional<Api::Impl::SignedIn> Api::Impl::signed_in(const http::Request& request,
                                                        const access::Client& client) const {
  if (const auto header = request.header("authorization")) {
    // Said twice, a proxy may have read the other one.
    if (std::ranges::count(request.headers, "authorization", [](const auto& pair) { return pair.first; }) > 1)
      return std::nullopt;
    if (!header->starts_with(bearer_prefix)) return std::nullopt;
    const auto key = parts_.identity.keys().authenticate(header->substr(bearer_prefix.size()), client);
    if (!key) return std::nullopt;
    SignedIn caller{.principal = key->principal(), .scopes = key->scopes};
    // A key without a role acts as the policy says of keys; one with all scopes is the server's own.
    if (!key->role) caller.principal.roles = {std::string(access::role_of(key->scopes))};
    return caller;
  }
  const auto token = cookie_of(request, session_cookie_name(parts_.over_tls));
  const auto session = token ? parts_.identity.sessions().authenticate(*token) : std::nullopt;
  if (!session) return std::nullopt;
  SignedIn caller{
      .principal = session->principal(), .token = std::string(*token), .restricted = session->restricted};
  // A browser sends its cookies along with requests that another site made it send.
  if (changes_something(request))
    caller.changes_safely =
        parts_.identity.sessions().csrf_matches(*token, request.header("x-vestige-csrf").value_or(""));
  return caller;
}

access::Tenants::Use Api::Impl::use_of(const SignedIn& caller) {
  access::Scopes recording;
  recording.add(access::Scope::ingest);
  return caller.scopes == recording ? access::Tenants::Use::record : access::Tenants::Use::other;
}

// What anybody may send who is not known is small, or a few of them would fill the room for all bodies.
std::optional<http::Response> Api::Impl::refuse_body(const http::Request& request) {
  const auto length = request.header("content-length");
  if (request.header("transfer-encoding"))
    return http::problem(411, "here a body is sent with a header Content-Length, and not in chunks");
  std::uint64_t bytes = 0;
  if (length) {
    const auto [end, failed] = std::from_chars(length->data(), length->data() + length->size(), bytes);
    if (failed != std::errc{} || end != length->data() + length->size()) bytes = act_body_bytes_max + 1;
  }
  if (bytes <= act_body_bytes_max) return std::nullopt;
  return http::problem(
      Error{.kind = ErrorKind::exhausted,
            .message = "the body is larger than what is taken from somebody who is not known",
            .limit = fmt::format("act_body_bytes_max = {}", act_body_bytes_max)});
}

bool Api::Impl::still_holds(const Caller& caller) const {
  const auto& who = caller.principal;
  if (!parts_.tenants.admit(who.tenant, access::Tenants::Use::other)) return false;
  if (parts_.policies.of(who.tenant).policy != caller.policy) return false;
  return who.session ? parts_.identity.sessions().find(who.tenant, *who.session).has_value()
                     : parts_.identity.keys().is_in_force(who.id);
}

std::optional<http::Response> Api::Impl::gate(const http::Request& request) const {
  if (auto refused = refuse_unread(request)) return refused;
  if (is_public(request.path)) return refuse_body(request);
  if (signed_in(request, client_of(request))) return std::nullopt;
  return unauthorised();
}

http::Handler Api::Impl::open_to_all(void (Impl::*handler)(http::Request, http::Responder)) {
  return [self = shared_from_this(), handler](http::Request request, http::Responder responder) {
    (*self.*handler)(std::move(request), std::move(responder));
  };
}

// The caller, or why there is none.
std::expected<Caller, http::Response> Api::Impl::admit(const http::Request& request,
                                                       const access::Operation& operation) const {
  auto client = client_of(request);
  auto known = signed_in(request, client);
  if (!known) return std::unexpected(unauthorised());
  if (!known->changes_safely)
    return std::unexpected(http::problem(
        403, "a session changes something only with the header X-Vestige-CSRF; GET /api/session gives it"));
  auto policy = parts_.policies.of(known->principal.tenant).policy;
  auto* const trail = parts_.trail_of(known->principal.tenant);
  if (trail == nullptr)
    return std::unexpected(http::problem(
        Error{.kind = ErrorKind::unavailable, .message = "this tenant is being set up; try again"}));
  Caller caller{.principal = std::move(known->principal),
                .client = std::move(client),
                .trail = trail,
                .session_token = std::move(known->token),
                .operation = &operation,
                .policy = std::move(policy),
                .decision = {}};
  const auto& principal = caller.principal;
  auto reason = text_header(request, "x-vestige-reason");
  if (!reason) return std::unexpected(http::problem(reason.error()));
  caller.reason = *std::move(reason);
  if (operation.look != access::Look::none || is_act_about_person(operation))
    if (auto told = tell_of_look(request, caller); !told) return std::unexpected(http::problem(told.error()));
  if (auto admitted = parts_.tenants.admit(principal.tenant, use_of(*known)); !admitted) {
    caller.decision.why = admitted.error().message;
    return caller;
  }
  if (known->restricted &&
      std::ranges::find(restricted_operations, operation.name) == std::end(restricted_operations)) {
    caller.decision.why = "change your password first (POST /api/account/password): you may do nothing else";
    return caller;
  }
  if (!operation.scope) {
    if (principal.session)
      caller.decision.kind = access::Decision::Kind::granted;
    else
      caller.decision.why = "this is for people who signed in, not for API keys";
    return caller;
  }
  if (!known->scopes.empty() && !known->scopes.has(*operation.scope)) {
    caller.decision.why = fmt::format("the key \"{}\" lacks the scope {} that this needs", principal.name,
                                      access::name_of(*operation.scope));
    return caller;
  }
  decide(caller, request);
  return caller;
}

void Api::Impl::decide(Caller& caller, const http::Request& request) {
  const auto& principal = caller.principal;
  access::Claim claim;
  claim.operation = caller.operation->name;
  claim.roles = principal.roles;
  claim.is_customer = principal.kind == access::PrincipalKind::customer && principal.subject;
  claim.wanted_role = request.header("x-vestige-role").value_or("");
  // An approval that is still to be looked at brings the reason that it was asked for with.
  claim.has_reason = !caller.reason.empty() || (caller.approval.empty() && request.header(approval_header));
  claim.approved_by = caller.approved_by;
  claim.names_person = caller.person.has_value();
  claim.regulatory = !caller.purpose.empty();
  caller.decision = caller.policy->decide(claim);
}

http::Handler Api::Impl::needs(std::string_view operation_name,
                               void (Impl::*handler)(const Caller&, http::Request, http::Responder)) {
  const auto* operation = access::find_operation(operation_name);
  CHECK(operation != nullptr);
  return [self = shared_from_this(), operation, handler](http::Request request, http::Responder responder) {
    // Again, although the gate looked: a key may be revoked while a body is read.
    auto caller = self->admit(request, *operation);
    if (!caller) return responder.respond(std::move(caller).error());
    const bool approved = request.header(approval_header).has_value();
    if (!approved || caller->decision.kind == access::Decision::Kind::refused)
      return self->go_on(*caller, handler, std::move(request), std::move(responder));
    self->go_on_approved(*std::move(caller), handler, std::move(request), std::move(responder));
  };
}

// With the approval that the request brings, which is used up before anything else is done.
void Api::Impl::go_on_approved(Caller caller, Act handler, http::Request request, http::Responder responder) {
  const auto id = parse_uuid(request.header(approval_header).value_or(""));
  if (!id)
    return responder.respond(
        http::problem(400, "the header X-Vestige-Approval must be the id of an approval"));
  auto shared =
      std::make_shared<std::pair<http::Request, http::Responder>>(std::move(request), std::move(responder));
  parts_.signing.post(
      [self = shared_from_this(), caller = std::move(caller), shared, id = *id, handler]() mutable {
        auto& [given, answer] = *shared;
        if (auto used = self->use_approval(caller, given, id); !used)
          return self->answer_look(caller, {}, {}, http::problem(used.error()), std::move(answer));
        self->go_on(caller, handler, std::move(given), std::move(answer));
      });
}

void Api::Impl::go_on(const Caller& caller, Act handler, http::Request request, http::Responder responder) {
  switch (caller.decision.kind) {
    case access::Decision::Kind::granted:
      return (this->*handler)(caller, std::move(request), std::move(responder));
    case access::Decision::Kind::refused:
      if (caller.operation->look == access::Look::none) record_refusal(caller);
      return answer_look(caller, {}, {}, http::problem(403, caller.decision.why), std::move(responder));
    case access::Decision::Kind::needs_approval:
      break;
  }
  auto shared = std::make_shared<http::Responder>(std::move(responder));
  parts_.signing.post([self = shared_from_this(), caller, asked = exact(caller, request), shared]() mutable {
    auto response = self->ask_approval(caller, std::move(asked), caller.decision.rule, "");
    self->answer_look(caller, {}, {}, std::move(response), std::move(*shared));
  });
}

void Api::Impl::record_refusal(const Caller& caller) {
  parts_.signing.post([self = shared_from_this(), caller] {
    // It was refused either way; what could not be written is counted by what failed.
    static_cast<void>(
        self->parts_.identity.failures().tell({.tenant = caller.principal.tenant,
                                               .event_type = "refused_act",
                                               .why = caller.operation->name,
                                               .target_id = access::actor_id(caller.principal),
                                               .target_type = access::actor_type(caller.principal),
                                               .subject = caller.principal.subject.value_or(""),
                                               .client = &caller.client}));
  });
}

// ---------------------------------------------------------------------------------------- visibility

namespace {

// Entries of these kinds; empty for all.
std::optional<audit::Condition> of_kinds(const std::vector<std::string>& kinds) {
  if (kinds.empty()) return std::nullopt;
  audit::Condition any;
  any.kind = audit::Condition::Kind::any;
  for (const auto& kind : kinds) {
    audit::Condition one;
    one.kind = audit::Condition::Kind::field;
    one.field.keys = {"kind"};
    const bool several = kind.ends_with(".*");
    one.test = several ? audit::Condition::Test::prefix : audit::Condition::Test::in;
    one.operands = {{json::Type::string, several ? kind.substr(0, kind.size() - 1) : kind}};
    any.parts.push_back(std::move(one));
  }
  return any;
}

}  // namespace

audit::Visibility Api::Impl::visibility_of(const Caller& caller) const {
  const auto& decision = caller.decision;
  audit::Visibility visibility;
  visibility.rows = of_kinds(decision.grant.kinds);
  visibility.personal = decision.personal;
  visibility.sensitive = decision.sensitive;
  visibility.masks = true;
  visibility.kinds = &parts_.kinds;
  visibility.given_out = std::make_shared<audit::GivenOut>();
  if (decision.grant.rows == access::Rows::own) {
    // Granted to customers alone, who have one.
    visibility.person = caller.principal.subject.value();
    visibility.own = true;
  }
  if (decision.grant.rows == access::Rows::person) visibility.person = caller.person;
  if (decision.grant.rows == access::Rows::counted) visibility.small_count = caller.policy->small_count();
  return visibility;
}

http::Response Api::Impl::refusal(const Caller& caller, Error error) {
  if (error.kind == ErrorKind::denied && caller.reason.empty() &&
      caller.decision.grant.personal == access::Shown::reason)
    error.message += "; your role may for a reason: say it in the header X-Vestige-Reason (--reason)";
  return http::problem(error);
}

}  // namespace vestige::api
