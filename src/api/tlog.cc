// The audit logs as files, for witnesses and verifiers. The home tenant's is everybody's to check; another
// tenant's is shown to those of the tenant only, since its size alone tells how much goes on there
// (docs/decisions/0107).
#include "api/internal/impl.h"
#include "trail/format/note.h"

namespace vestige::api {
namespace {

constexpr std::string_view checkpoint_cache = "max-age=1";
constexpr std::string_view key_cache = "max-age=3600";
constexpr std::string_view tile_cache = "max-age=31536000, immutable";

std::string cache_control(audit::TenantTrail& trail, std::string_view how) {
  return fmt::format("{}, {}", trail.tenant() == access::home_tenant_id ? "public" : "private", how);
}

}  // namespace

// How often somebody looked at a log is nobody's business, so `access` is not among them.
audit::TenantTrail* Api::Impl::log_of(const http::Request& request) const {
  const auto& tenant = request.captures.at("tenant");
  if (request.captures.at("stream") != audit::audit_stream_name) return nullptr;
  if (tenant != access::home_tenant_id) {
    const auto caller = signed_in(request, client_of(request));
    if (!caller || caller->restricted || caller->principal.tenant != tenant ||
        !parts_.tenants.admit(tenant, use_of(*caller)))
      return nullptr;
  }
  return parts_.trail_of(tenant);
}

void Api::Impl::get_checkpoint(http::Request request, http::Responder responder) {
  auto* const trail = log_of(request);
  if (trail == nullptr) return responder.respond(no_such("log"));
  query(std::move(responder), [trail] {
    auto note = trail->reader().checkpoint();
    return note ? text_response(*std::move(note), cache_control(*trail, checkpoint_cache))
                : http::problem(note.error());
  });
}

void Api::Impl::get_verifier_key(http::Request request, http::Responder responder) {
  auto* const trail = log_of(request);
  if (trail == nullptr) return responder.respond(no_such("log"));
  responder.respond(
      text_response(trail->signer().verifier_key().text() + "\n", cache_control(*trail, key_cache)));
}

void Api::Impl::get_tile(http::Request request, http::Responder responder) {
  auto* const trail = log_of(request);
  const auto name = trail::parse_tile_path(request.captures["path"]);
  if (trail == nullptr || !name) return responder.respond(no_such("tile"));
  query(std::move(responder), [trail, name = *name] {
    // Nothing is shown that no checkpoint commits to yet.
    const auto size = trail->signer().signed_size();
    const auto shift = name.level * trail::tile_height;
    const auto nodes = shift >= 64 ? 0 : size >> shift;
    if (name.number > nodes / trail::tile_leaves || name.number * trail::tile_leaves + name.width > nodes)
      return no_such("tile");
    const auto hashes = trail->stream().snapshot().tile(name.level, name.number, name.width);
    if (!hashes) return http::problem(hashes.error());
    http::Response response{
        .status = 200, .content_type = "application/octet-stream", .body = {}, .headers = {}};
    for (const auto& hash : *hashes) response.body.append(text(hash));
    response.headers.emplace_back("Cache-Control", cache_control(*trail, tile_cache));
    return response;
  });
}

}  // namespace vestige::api
