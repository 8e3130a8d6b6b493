#include "api/internal/impl.h"
#include "base/time_text.h"

namespace vestige::api {
namespace {

template <typename Texts>
std::string list_json(const Texts& texts) {
  std::string out = "[";
  for (const auto& text : texts) out += fmt::format("{}{}", out.size() > 1 ? "," : "", quoted(text));
  return out + "]";
}

// A key, and the secret where it was just made.
std::string key_json(const access::ApiKey& key, std::string_view secret = {}) {
  json::ObjectWriter out;
  out.text_if_any("id", format_uuid(key.id)).text_if_any("name", key.name);
  out.text_if_any("service", key.service);
  if (key.role) out.text_if_any("role", *key.role);
  out.raw("scopes", list_json(key.scopes.names()));
  std::vector<std::string> ranges;
  for (const auto& range : key.ranges) ranges.push_back(range.text());
  if (!ranges.empty()) out.raw("ranges", list_json(ranges));
  out.text_if_any("createdAt", format_time(key.created));
  if (key.expires) out.text_if_any("expiresAt", format_time(*key.expires));
  if (key.used) out.text_if_any("usedAt", format_time(*key.used));
  out.text_if_any("key", secret);
  return out.str();
}

Status read_scopes(const json::Value& scopes, access::Scopes& to) {
  if (!scopes.is_array()) return refuse_at("/scopes", "must be a list of ingest, read, admin");
  for (std::size_t i = 0; i < scopes.size(); ++i) {
    const auto scope = scopes.at(i).is_string() ? access::parse_scope(scopes.at(i).string()) : std::nullopt;
    if (!scope) return refuse_at(fmt::format("/scopes/{}", i), "must be ingest, read or admin");
    if (to.has(*scope)) return refuse_at(fmt::format("/scopes/{}", i), "this scope is listed twice");
    to.add(*scope);
  }
  return {};
}

Status read_ranges(const json::Value& ranges, std::vector<std::string>& to) {
  if (!ranges.is_array())
    return refuse_at("/ranges", "must be a list of addresses or ranges like 10.0.0.0/8");
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    if (!ranges.at(i).is_string()) return refuse_at(fmt::format("/ranges/{}", i), "must be a string");
    to.emplace_back(ranges.at(i).string());
  }
  return {};
}

Result<access::ApiKeys::Wanted> parse_key_request(std::string_view body, std::string_view tenant) {
  json::Parser parser;
  json::Document document;
  VESTIGE_CHECKED(parser.parse(body, document));
  const auto root = document.root();
  VESTIGE_CHECKED(only_members(root, {"name", "scopes", "role", "service", "expiresAt", "ranges"}));
  access::ApiKeys::Wanted wanted{.name = {}, .tenant = std::string(tenant)};
  VESTIGE_TRY(const auto name, text_member(root, "name"));
  if (!name) return refuse_at("/name", "must be a string");
  wanted.name = *name;
  VESTIGE_TRY(wanted.role, text_member(root, "role"));
  VESTIGE_TRY(const auto service, text_member(root, "service"));
  wanted.service = service.value_or("");
  VESTIGE_TRY(wanted.expires, time_member(root, "expiresAt"));
  if (const auto scopes = root.find("scopes"); scopes.exists() || !wanted.role)
    VESTIGE_CHECKED(read_scopes(scopes, wanted.scopes));
  if (const auto ranges = root.find("ranges"); ranges.exists())
    VESTIGE_CHECKED(read_ranges(ranges, wanted.ranges));
  return wanted;
}

// Nobody makes a key that may more than the policy lets them give.
Status may_give(const Caller& caller, const access::ApiKeys::Wanted& wanted) {
  const auto role = wanted.role.value_or(std::string(access::role_of(wanted.scopes)));
  if (caller.policy->find_role(role) == nullptr || caller.policy->may_give(caller.decision.role, role))
    return {};
  return fail(ErrorKind::denied,
              fmt::format("a {} may not give the role {}; a key with all three scopes has the role {}",
                          caller.decision.role, role, access::service_role));
}

}  // namespace

void Api::Impl::post_keys(const Caller& caller, http::Request request, http::Responder responder) {
  if (auto refused = wrong_type(request, "what a key is asked for with"))
    return responder.respond(*std::move(refused));
  const auto wanted = parse_key_request(request.body, caller.principal.tenant);
  if (!wanted) return responder.respond(http::problem(wanted.error()));
  if (auto allowed = may_give(caller, *wanted); !allowed)
    return responder.respond(http::problem(allowed.error()));
  auto created = parts_.identity.keys().make(*wanted);
  if (!created) return responder.respond(http::problem(created.error()));
  write_state(std::move(responder),
              [self = shared_from_this(), created = *std::move(created), by = caller.principal] {
                if (auto added = self->parts_.identity.keys().add(created, &by); !added)
                  return http::problem(added.error());
                return json_response(201, key_json(created.about, created.key));
              });
}

void Api::Impl::get_keys(const Caller& caller, http::Request, http::Responder responder) {
  std::string out = "{\"keys\":[";
  for (const auto& key : parts_.identity.keys().list())
    if (key.tenant == caller.principal.tenant)
      out += fmt::format("{}{}", out.back() == '[' ? "" : ",", key_json(key));
  responder.respond(json_response(200, out + "]}"));
}

void Api::Impl::delete_key(const Caller& caller, http::Request request, http::Responder responder) {
  const auto id = captured_id(request);
  if (!id) return responder.respond(no_such("API key"));
  write_state(std::move(responder), [self = shared_from_this(), id = *id, by = caller.principal] {
    if (auto revoked = self->parts_.identity.keys().revoke(id, by); !revoked)
      return http::problem(revoked.error());
    return http::Response{.status = 204, .content_type = "", .body = {}, .headers = {}};
  });
}

}  // namespace vestige::api
