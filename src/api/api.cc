#include "api/api.h"

#include <generated/api_assets.h>

#include "api/internal/impl.h"

namespace vestige::api {
namespace {

constexpr std::chrono::milliseconds stream_period{100};
constexpr std::chrono::milliseconds export_period{20};
constexpr std::string_view bearer_prefix = "Bearer ";
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

std::string_view type_of(std::string_view name) {
  if (name.ends_with(".html")) return "text/html; charset=utf-8";
  if (name.ends_with(".js")) return "text/javascript; charset=utf-8";
  if (name.ends_with(".svg")) return "image/svg+xml";
  return "application/json";
}

// Where an asset is served.
std::string path_of(std::string_view name) {
  if (name == "index.html") return "/";
  if (name == "docs.html") return "/docs";
  return fmt::format("/{}", name);
}

}  // namespace

http::Response json_response(unsigned status, std::string body) {
  return {.status = status, .content_type = "application/json", .body = std::move(body), .headers = {}};
}

http::Response text_response(std::string body, std::string cache_control) {
  http::Response response{
      .status = 200, .content_type = "text/plain; charset=utf-8", .body = std::move(body), .headers = {}};
  if (!cache_control.empty()) response.headers.emplace_back("Cache-Control", std::move(cache_control));
  return response;
}

std::optional<Uuid> captured_id(const http::Request& request) {
  const auto found = request.captures.find("id");
  return found == request.captures.end() ? std::nullopt : parse_uuid(found->second);
}

http::Response no_such(std::string_view what) {
  return http::problem(
      Error{.kind = ErrorKind::not_found, .message = fmt::format("there is no such {}", what)});
}

std::string quoted(std::string_view text) {
  std::string out;
  json::append_quoted(out, text);
  return out;
}

// --------------------------------------------------------------------------------- authorisation

std::optional<ApiKey> Api::Impl::caller_of(const http::Request& request) const {
  const auto header = request.header("authorization");
  if (!header || !header->starts_with(bearer_prefix)) return std::nullopt;
  return parts_.keys.authenticate(header->substr(bearer_prefix.size()));
}

std::optional<http::Response> Api::Impl::gate(const http::Request& request) const {
  if (is_public(request.path) || caller_of(request)) return std::nullopt;
  return unauthorised();
}

http::Handler Api::Impl::open_to_all(void (Impl::*handler)(http::Request, http::Responder)) {
  return [self = shared_from_this(), handler](http::Request request, http::Responder responder) {
    (*self.*handler)(std::move(request), std::move(responder));
  };
}

http::Handler Api::Impl::needs(Scope scope,
                               void (Impl::*handler)(const ApiKey&, http::Request, http::Responder)) {
  return [self = shared_from_this(), scope, handler](http::Request request, http::Responder responder) {
    // Again, although the gate looked: a key may be revoked while a body is read.
    const auto caller = self->caller_of(request);
    if (!caller) return responder.respond(unauthorised());
    if (!caller->scopes.has(scope)) {
      Scopes wanted;
      wanted.add(scope);
      return responder.respond(
          http::problem(403, fmt::format("the key \"{}\" lacks the scope {} that this needs", caller->name,
                                         wanted.names().front())));
    }
    (*self.*handler)(*caller, std::move(request), std::move(responder));
  };
}

void Api::Impl::query(http::Responder responder, std::function<http::Response()> answer) {
  auto shared = std::make_shared<http::Responder>(std::move(responder));
  parts_.queries.post([shared, answer = std::move(answer)] { shared->respond(answer()); });
}

void Api::Impl::act(http::Responder responder, std::function<http::Response()> answer) {
  auto shared = std::make_shared<http::Responder>(std::move(responder));
  parts_.acts.post([shared, answer = std::move(answer)] { shared->respond(answer()); });
}

// ------------------------------------------------------------------------------------------ routes

void Api::Impl::add_routes(http::Router& router) {
  router.add("POST", "/api/events", needs(Scope::ingest, &Impl::post_events));
  router.add("POST", "/api/imports/{format}", needs(Scope::ingest, &Impl::post_import));
  router.add("GET", "/api/events/stream", needs(Scope::read, &Impl::get_stream));
  router.add("GET", "/api/events/{id}", needs(Scope::read, &Impl::get_event));
  router.add("GET", "/api/events/{id}/sealed", needs(Scope::read, &Impl::get_sealed));
  router.add("GET", "/api/events/{id}/proof", needs(Scope::read, &Impl::get_proof));
  router.add("POST", "/api/events/{id}/disclose", needs(Scope::read, &Impl::post_disclose));
  router.add("GET", "/api/export", needs(Scope::read, &Impl::get_export));
  router.add("POST", "/api/export", needs(Scope::read, &Impl::post_export));
  router.add("POST", "/auditlog/events/v2", needs(Scope::read, &Impl::post_search));
  router.add("GET", "/api/records/{type}/{id}", needs(Scope::read, &Impl::get_record));
  router.add("GET", "/api/entities/{type}/{id}/history", needs(Scope::read, &Impl::get_history));
  router.add("GET", "/api/entities/{type}/{id}/state", needs(Scope::read, &Impl::get_state));
  router.add("GET", "/api/entities/{type}/{id}/diff", needs(Scope::read, &Impl::get_diff));
  router.add("GET", "/api/entities/{type}/{id}/blame", needs(Scope::read, &Impl::get_blame));
  router.add("GET", "/api/subjects/{id}/timeline", needs(Scope::read, &Impl::get_timeline));
  router.add("GET", "/api/cursors", needs(Scope::read, &Impl::get_cursors));
  router.add("GET", "/api/cursors/{name}", needs(Scope::read, &Impl::get_cursor));
  router.add("PUT", "/api/cursors/{name}", needs(Scope::read, &Impl::put_cursor));
  router.add("POST", "/api/keys", needs(Scope::admin, &Impl::post_keys));
  router.add("GET", "/api/keys", needs(Scope::admin, &Impl::get_keys));
  router.add("DELETE", "/api/keys/{id}", needs(Scope::admin, &Impl::delete_key));
  router.add("POST", "/api/subjects/erase", needs(Scope::admin, &Impl::post_erase));
  router.add("POST", "/api/subjects/reauthorise", needs(Scope::admin, &Impl::post_reauthorise));
  router.add("GET", "/api/subjects/{id}/keys", needs(Scope::admin, &Impl::get_subject_keys));
  router.add("GET", "/api/erasures/{index}/certificate", needs(Scope::read, &Impl::get_certificate));
  router.add("GET", "/tlog/{tenant}/{stream}/checkpoint", open_to_all(&Impl::get_checkpoint));
  router.add("GET", "/tlog/{tenant}/{stream}/vkey", open_to_all(&Impl::get_verifier_key));
  router.add("GET", "/tlog/{tenant}/{stream}/tile/{path...}", open_to_all(&Impl::get_tile));
  router.add("GET", "/healthz", open_to_all(&Impl::get_health));
  router.add("GET", "/readyz", open_to_all(&Impl::get_ready));
  router.add("GET", "/metrics", open_to_all(&Impl::get_metrics));
  for (const auto& asset : assets::files)
    router.add("GET", path_of(asset.name), [&asset](const http::Request&, http::Responder responder) {
      responder.respond({.status = 200,
                         .content_type = std::string(type_of(asset.name)),
                         .body = std::string(asset.content),
                         .headers = {{"Cache-Control", "no-cache"}}});
    });
}

Api::Api(ApiParts parts) : impl_(std::make_shared<Impl>(std::move(parts))) {
  // The loop outlives nobody in particular; the timer holds on to what it needs.
  impl_->start_streams(stream_period);
  impl_->start_exports(export_period);
}

Api::~Api() = default;

void Api::add_routes(http::Router& router) { impl_->add_routes(router); }

http::Gate Api::gate() {
  return [impl = impl_](const http::Request& request) { return impl->gate(request); };
}

void Api::close_streams() {
  impl_->close_streams();
  impl_->close_exports();
}

}  // namespace vestige::api
