// Authorisation: a request's key, what the policy decides, and what the caller may see.
#include "api/internal/impl.h"
#include "base/encoding.h"

namespace vestige::api {
namespace {

constexpr std::string_view bearer_prefix = "Bearer ";
constexpr std::size_t header_text_bytes_max = audit::look_reason_bytes_max;
constexpr std::size_t user_agent_bytes_max = 512;
constexpr std::size_t searched_body_bytes_max = 64 << 10;
constexpr std::string_view public_paths[] = {"/",        "/docs",   "/docs.js", "/favicon.svg",
                                             "/healthz", "/readyz", "/metrics", "/openapi.json"};

bool is_public(std::string_view path) {
  return std::ranges::find(public_paths, path) != std::end(public_paths) || path.starts_with("/tlog/");
}

http::Response unauthorised() {
  auto response = http::problem(401, "this needs an API key: send the header Authorization: Bearer <key>");
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

// What a client says about itself is kept as far as it can be.
std::string user_agent_of(const http::Request& request) {
  const auto text = request.header("user-agent").value_or("");
  if (!is_utf8(text) || text.size() > user_agent_bytes_max) return {};
  return std::string(text);
}

// Whom a request is about, where it names one person: by the header, by its path, or as the one subject of a
// search.
Result<std::optional<std::string>> person_of(const http::Request& request,
                                             const access::Operation& operation) {
  VESTIGE_TRY(auto named, text_header(request, "x-vestige-subject"));
  if (!named.empty()) return named;
  if (operation.name == "getSubjectTimeline") return request.captures.at("id");
  if (operation.look != access::Look::search || request.body.empty() ||
      request.body.size() > searched_body_bytes_max)
    return std::optional<std::string>{};
  json::Parser parser;
  json::Document document;
  // What is wrong with a search its handler says.
  if (!parser.parse(request.body, document)) return std::optional<std::string>{};
  const auto subject = document.root().find("subject");
  if (!subject.is_string()) return std::optional<std::string>{};
  return std::string(subject.string());
}

// What only looks need to know of a request; the many that record events are spared it.
Status tell_of_look(const http::Request& request, Caller& caller) {
  VESTIGE_TRY(caller.person, person_of(request, *caller.operation));
  caller.user_agent = user_agent_of(request);
  const auto access = request.header("x-vestige-access").value_or("view");
  if (access != "view" && access != "print")
    return fail(ErrorKind::invalid, "the header X-Vestige-Access must be view or print");
  caller.prints = access == "print";
  return {};
}

}  // namespace

std::optional<ApiKey> Api::Impl::key_of(const http::Request& request) const {
  const auto header = request.header("authorization");
  if (!header || !header->starts_with(bearer_prefix)) return std::nullopt;
  return parts_.keys.authenticate(header->substr(bearer_prefix.size()));
}

std::optional<http::Response> Api::Impl::gate(const http::Request& request) const {
  if (is_public(request.path) || key_of(request)) return std::nullopt;
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
  const auto key = key_of(request);
  if (!key) return std::unexpected(unauthorised());
  Caller caller{.id = key->id,
                .name = key->name,
                .tenant = key->tenant,
                .operation = &operation,
                .decision = {},
                .ip = request.peer_address};
  auto reason = text_header(request, "x-vestige-reason");
  if (!reason) return std::unexpected(http::problem(reason.error()));
  caller.reason = *std::move(reason);
  if (operation.look != access::Look::none)
    if (auto told = tell_of_look(request, caller); !told) return std::unexpected(http::problem(told.error()));
  if (!operation.scope || !key->scopes.has(*operation.scope)) {
    caller.decision.why = operation.scope ? fmt::format("the key \"{}\" lacks the scope {} that this needs",
                                                        key->name, access::name_of(*operation.scope))
                                          : "this is for people who signed in, not for API keys";
    return caller;
  }
  access::Claim claim;
  claim.operation = operation.name;
  // A key without a role acts as the policy says of keys; one with all scopes is the server's own.
  claim.roles = {std::string(key->scopes == access::Scopes::all() ? access::service_role : access::key_role)};
  claim.wanted_role = request.header("x-vestige-role").value_or("");
  claim.has_reason = !caller.reason.empty();
  claim.names_person = caller.person.has_value();
  caller.decision = parts_.policy->decide(claim);
  return caller;
}

http::Handler Api::Impl::needs(std::string_view operation_name,
                               void (Impl::*handler)(const Caller&, http::Request, http::Responder)) {
  const auto* operation = access::find_operation(operation_name);
  CHECK(operation != nullptr);
  return [self = shared_from_this(), operation, handler](http::Request request, http::Responder responder) {
    // Again, although the gate looked: a key may be revoked while a body is read.
    auto caller = self->admit(request, *operation);
    if (!caller) return responder.respond(std::move(caller).error());
    if (caller->decision.kind != access::Decision::Kind::granted) {
      auto refusal = http::problem(403, caller->decision.why);
      return self->answer_look(*caller, {}, {}, std::move(refusal), std::move(responder));
    }
    (*self.*handler)(*caller, std::move(request), std::move(responder));
  };
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
  // No caller is a customer as long as there are only keys, so the policy grants nobody their own.
  CHECK(decision.grant.rows != access::Rows::own);
  if (decision.grant.rows == access::Rows::person) visibility.person = caller.person;
  if (decision.grant.rows == access::Rows::counted) visibility.small_count = parts_.policy->small_count();
  return visibility;
}

http::Response Api::Impl::refusal(const Caller& caller, Error error) {
  if (error.kind == ErrorKind::denied && caller.reason.empty() &&
      caller.decision.grant.personal == access::Shown::reason)
    error.message += "; your role may for a reason: say it in the header X-Vestige-Reason (--reason)";
  return http::problem(error);
}

}  // namespace vestige::api
