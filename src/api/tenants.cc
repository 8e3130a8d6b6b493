// Tenants, for those of the home tenant whom the policy allows it: to anybody else there are none
// (docs/formats/tenants.md).
#include "api/internal/impl.h"
#include "base/time_text.h"

namespace vestige::api {
namespace {

json::ObjectWriter tenant_writer(const access::Tenant& tenant) {
  json::ObjectWriter out;
  out.text("id", tenant.id).text("name", tenant.name).text("tier", access::name_of(tenant.tier));
  out.text("state", access::name_of(tenant.state)).text("createdAt", format_time(tenant.created));
  out.text("changedAt", format_time(tenant.changed));
  return out;
}

http::Response tenant_response(const Result<access::Tenant>& tenant) {
  return tenant ? json_response(200, tenant_writer(*tenant).str()) : http::problem(tenant.error());
}

Result<access::Tier> tier_in(const Body& body) {
  VESTIGE_TRY(const auto name, body.text("tier"));
  const auto tier = access::parse_tier(name);
  if (!tier) return refuse_at("/tier", "must be standard, premium or enterprise");
  return *tier;
}

Result<access::Tenants::Wanted> parse_tenant(const Body& body) {
  access::Tenants::Wanted wanted;
  VESTIGE_TRY(wanted.id, body.text("id"));
  VESTIGE_TRY(const auto name, body.text_if_any("name"));
  wanted.name = name.value_or(wanted.id);
  if (body.has("tier")) {
    VESTIGE_TRY(wanted.tier, tier_in(body));
  }
  return wanted;
}

}  // namespace

std::string Api::Impl::link_to(std::string_view page_and_token, std::string_view tenant) const {
  auto link = fmt::format("{}/{}", parts_.public_url, page_and_token);
  if (tenant != access::home_tenant_id) link += fmt::format("&tenant={}", tenant);
  return link;
}

http::Response Api::Impl::offered(unsigned status, const access::Tenant& tenant,
                                  const std::string& token) const {
  auto out = tenant_writer(tenant);
  out.text("token", token).text("link", link_to(fmt::format("welcome#administrator={}", token), tenant.id));
  out.text("expiresAt", format_time(parts_.clock.now() + access::limits::one_time_link_valid.count()));
  return json_response(status, out.str());
}

void Api::Impl::post_tenants(const Caller& caller, http::Request request, http::Responder responder) {
  const auto body = Body::read(request, {"id", "name", "tier"});
  if (!body) return responder.respond(body.error());
  const auto wanted = parse_tenant(*body);
  if (!wanted) return responder.respond(http::problem(wanted.error()));
  write_state(std::move(responder), [self = shared_from_this(), caller, wanted = *wanted] {
    const auto made = self->parts_.tenants.create(caller.principal, caller.client, wanted);
    if (!made) return http::problem(made.error());
    const auto token = self->parts_.identity.first_administrator().offer(made->id);
    // Just made, so nobody administers it.
    return token && *token ? self->offered(201, *made, **token) : http::problem(token.error());
  });
}

void Api::Impl::get_tenants(const Caller& caller, http::Request, http::Responder responder) {
  if (auto manages = access::Tenants::check_manages(caller.principal); !manages)
    return responder.respond(http::problem(manages.error()));
  std::string list;
  for (const auto& tenant : parts_.tenants.list())
    list += fmt::format("{}{}", list.empty() ? "" : ",", tenant_writer(tenant).str());
  responder.respond(json_response(200, fmt::format("{{\"tenants\":[{}]}}", list)));
}

void Api::Impl::put_tenant_tier(const Caller& caller, http::Request request, http::Responder responder) {
  const auto body = Body::read(request, {"tier"});
  if (!body) return responder.respond(body.error());
  const auto tier = tier_in(*body);
  if (!tier) return responder.respond(http::problem(tier.error()));
  write_state(std::move(responder), [self = shared_from_this(), caller, id = request.captures.at("id"),
                                     tier = *tier] {
    return tenant_response(self->parts_.tenants.set_tier(caller.principal, caller.client, id, tier));
  });
}

void Api::Impl::post_suspend(const Caller& caller, http::Request request, http::Responder responder) {
  write_state(std::move(responder), [self = shared_from_this(), caller, id = request.captures.at("id")] {
    return tenant_response(self->parts_.tenants.suspend(caller.principal, caller.client, id));
  });
}

void Api::Impl::post_resume(const Caller& caller, http::Request request, http::Responder responder) {
  write_state(std::move(responder), [self = shared_from_this(), caller, id = request.captures.at("id")] {
    return tenant_response(self->parts_.tenants.resume(caller.principal, caller.client, id));
  });
}

void Api::Impl::post_tenant_administrator(const Caller& caller, http::Request request,
                                          http::Responder responder) {
  write_state(std::move(responder),
              [self = shared_from_this(), caller, id = request.captures.at("id")]() -> http::Response {
                auto& tenants = self->parts_.tenants;
                if (auto manages = access::Tenants::check_manages(caller.principal); !manages)
                  return http::problem(manages.error());
                const auto tenant = tenants.find(id);
                if (!tenant) return no_such("tenant");
                const auto token = self->parts_.identity.first_administrator().offer(id);
                if (!token) return http::problem(token.error());
                if (!*token)
                  return http::problem(
                      Error{.kind = ErrorKind::conflict,
                            .message = "somebody administers this tenant already; who comes after is "
                                       "invited by them"});
                // A link that is not on record is shown to nobody.
                if (auto told = tenants.record_offer(caller.principal, caller.client, *tenant); !told)
                  return http::problem(told.error());
                return self->offered(201, *tenant, **token);
              });
}

}  // namespace vestige::api
