#include "api/api.h"

#include <generated/api_assets.h>
#include <generated/operations.h>

#include "api/internal/impl.h"
#include "base/time_text.h"

namespace vestige::api {
namespace {

constexpr std::chrono::milliseconds stream_period{50};
constexpr std::chrono::milliseconds export_period{20};
constexpr std::chrono::milliseconds on_record_wait{2'000};
// The row of openapi.json; one that is not there does not compile.
consteval const DescribedOperation& described(std::string_view name) {
  for (const auto& operation : described_operations)
    if (operation.name == name) return operation;
  throw "openapi.json describes no such operation";
}

std::string_view type_of(std::string_view name) {
  if (name.ends_with(".html")) return "text/html; charset=utf-8";
  if (name.ends_with(".js")) return "text/javascript; charset=utf-8";
  if (name.ends_with(".css")) return "text/css; charset=utf-8";
  if (name.ends_with(".svg")) return "image/svg+xml";
  return "application/json";
}

// Where an asset is served.
std::string path_of(std::string_view name) {
  if (name == "index.html") return "/";
  constexpr std::string_view page = ".html";
  if (name.ends_with(page)) name.remove_suffix(page.size());
  return fmt::format("/{}", name);
}

// A tile's path has slashes in it.
std::string route_of(std::string_view path) {
  constexpr std::string_view last = "{path}";
  if (!path.ends_with(last)) return std::string(path);
  return fmt::format("{}{{path...}}", path.substr(0, path.size() - last.size()));
}

}  // namespace

http::Response json_response(unsigned status, std::string body) {
  return {.status = status, .content_type = "application/json", .body = std::move(body), .headers = {}};
}

http::Response empty_response(unsigned status) {
  return {.status = status, .content_type = "", .body = {}, .headers = {}};
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

std::unexpected<Error> refuse_at(std::string path, std::string what) {
  return std::unexpected(
      Error{.kind = ErrorKind::invalid, .message = std::move(what), .path = std::move(path)});
}

Status only_members(const json::Value& object, std::initializer_list<std::string_view> known) {
  if (!object.is_object())
    return refuse_at("", fmt::format("must be an object with {}", fmt::join(known, ", ")));
  for (std::size_t i = 0; i < object.size(); ++i) {
    if (std::ranges::find(known, object.key_at(i)) != known.end()) continue;
    std::string path;
    json::append_pointer(path, object.key_at(i));
    return refuse_at(std::move(path), fmt::format("only {} are known here", fmt::join(known, ", ")));
  }
  return {};
}

Result<std::optional<std::string>> text_member(const json::Value& object, std::string_view name) {
  const auto value = object.find(name);
  if (!value.exists() || value.is_null()) return std::nullopt;
  if (value.is_string()) return std::string(value.string());
  std::string path;
  json::append_pointer(path, name);
  return refuse_at(std::move(path), "must be a string");
}

Result<std::optional<UnixMs>> time_member(const json::Value& object, std::string_view name) {
  VESTIGE_TRY(const auto text, text_member(object, name));
  if (!text) return std::nullopt;
  const auto time = parse_time(*text);
  if (time) return time;
  std::string path;
  json::append_pointer(path, name);
  return refuse_at(std::move(path), "must be a time like 2026-11-30T00:00:00Z");
}

std::optional<http::Response> wrong_type(const http::Request& request, std::string_view what) {
  const auto type = request.content_type();
  if (type.empty() || type == "application/json" || type == "application/x-www-form-urlencoded")
    return std::nullopt;
  return http::problem(415, fmt::format("{} comes as application/json, not as {}", what, type));
}

std::string quoted(std::string_view text) {
  std::string out;
  json::append_quoted(out, text);
  return out;
}

void Api::Impl::query(http::Responder responder, std::function<http::Response()> answer) {
  auto shared = std::make_shared<http::Responder>(std::move(responder));
  parts_.queries.post([shared, answer = std::move(answer)] { shared->respond(answer()); });
}

void Api::Impl::write_state(http::Responder responder, std::function<http::Response()> answer) {
  write_state_on(parts_.signing, std::move(responder), std::move(answer));
}

void Api::Impl::write_state_on(platform::EventLoop& loop, http::Responder responder,
                               std::function<http::Response()> answer) {
  auto shared = std::make_shared<http::Responder>(std::move(responder));
  loop.post([self = shared_from_this(), shared, answer = std::move(answer)] {
    auto response = answer();
    // What was asked for is done and durable either way.
    static_cast<void>(self->parts_.outbox.wait_for_all(on_record_wait));
    shared->respond(std::move(response));
  });
}

void Api::Impl::act(http::Responder responder, std::function<http::Response()> answer) {
  auto shared = std::make_shared<http::Responder>(std::move(responder));
  parts_.acts.post([shared, answer = std::move(answer)] { shared->respond(answer()); });
}

// ------------------------------------------------------------------------------------------ routes

// Which handler serves which operation of openapi.json.
class Api::Impl::Routes {
 public:
  Routes(Impl& impl, http::Router& router) : impl_(impl), router_(router) {}
  void add_trail();
  void add_people();
  void add_open();
  void add_assets();

 private:
  using Closed = void (Impl::*)(const Caller&, http::Request, http::Responder);
  using Open = void (Impl::*)(http::Request, http::Responder);
  void closed(const DescribedOperation& operation, Closed handler) {
    CHECK(operation.needs_caller);
    add(operation, impl_.needs(operation.name, handler));
  }
  void open(const DescribedOperation& operation, Open handler) {
    CHECK(!operation.needs_caller);
    add(operation, impl_.open_to_all(handler));
  }
  void add(const DescribedOperation& operation, http::Handler handler) {
    router_.add(std::string(operation.method), route_of(operation.path), std::move(handler));
  }

  Impl& impl_;
  http::Router& router_;
};

void Api::Impl::Routes::add_trail() {
  closed(described("recordEvents"), &Impl::post_events);
  closed(described("importRecords"), &Impl::post_import);
  closed(described("streamEvents"), &Impl::get_stream);
  closed(described("getEvent"), &Impl::get_event);
  closed(described("getSealedEvent"), &Impl::get_sealed);
  closed(described("getProof"), &Impl::get_proof);
  closed(described("discloseFields"), &Impl::post_disclose);
  closed(described("exportEvents"), &Impl::get_export);
  closed(described("exportSearch"), &Impl::post_export);
  closed(described("searchEvents"), &Impl::post_search);
  closed(described("getRecord"), &Impl::get_record);
  closed(described("getEntityHistory"), &Impl::get_history);
  closed(described("getEntityState"), &Impl::get_state);
  closed(described("getEntityDiff"), &Impl::get_diff);
  closed(described("getEntityBlame"), &Impl::get_blame);
  closed(described("getSubjectTimeline"), &Impl::get_timeline);
  closed(described("listCursors"), &Impl::get_cursors);
  closed(described("readCursor"), &Impl::get_cursor);
  closed(described("saveCursor"), &Impl::put_cursor);
  closed(described("askApproval"), &Impl::post_approvals);
  closed(described("listApprovals"), &Impl::get_approvals);
  closed(described("getApproval"), &Impl::get_approval);
  closed(described("decideApproval"), &Impl::post_decision);
  closed(described("withdrawApproval"), &Impl::delete_approval);
  closed(described("createKey"), &Impl::post_keys);
  closed(described("listKeys"), &Impl::get_keys);
  closed(described("revokeKey"), &Impl::delete_key);
  closed(described("erasePerson"), &Impl::post_erase);
  closed(described("reauthorisePerson"), &Impl::post_reauthorise);
  closed(described("getPersonKeys"), &Impl::get_subject_keys);
  closed(described("getCertificate"), &Impl::get_certificate);
  closed(described("searchLooks"), &Impl::post_search_looks);
  closed(described("getMatrix"), &Impl::get_matrix);
  closed(described("getSessionRecord"), &Impl::get_session_record);
  closed(described("reviewAccess"), &Impl::get_review);
  closed(described("signReview"), &Impl::post_review);
  closed(described("getCoverage"), &Impl::get_coverage);
  closed(described("getPolicy"), &Impl::get_policy);
  closed(described("changePolicy"), &Impl::put_policy);
}

void Api::Impl::Routes::add_people() {
  closed(described("getSession"), &Impl::get_session);
  closed(described("signOut"), &Impl::delete_own_session);
  closed(described("listSessions"), &Impl::get_sessions);
  closed(described("endSession"), &Impl::delete_session);
  closed(described("changePassword"), &Impl::post_password);
  closed(described("offerSecondFactor"), &Impl::post_second_factor);
  closed(described("confirmSecondFactor"), &Impl::post_second_factor_confirm);
  closed(described("renewRecoveryCodes"), &Impl::post_recovery_codes);
  closed(described("createAccount"), &Impl::post_accounts);
  closed(described("listAccounts"), &Impl::get_accounts);
  closed(described("getAccount"), &Impl::get_account);
  closed(described("setRoles"), &Impl::put_roles);
  closed(described("setAccountEnd"), &Impl::put_end);
  closed(described("disableAccount"), &Impl::post_disable);
  closed(described("enableAccount"), &Impl::post_enable);
  closed(described("unlockAccount"), &Impl::post_unlock);
  closed(described("resetPassword"), &Impl::post_reset_password);
  closed(described("requirePasswordChange"), &Impl::post_require_password_change);
  closed(described("removeSecondFactor"), &Impl::post_remove_second_factor);
  closed(described("endSessionsOfAccount"), &Impl::delete_account_sessions);
  closed(described("createCustomerLink"), &Impl::post_customer_links);
  closed(described("createTenant"), &Impl::post_tenants);
  closed(described("listTenants"), &Impl::get_tenants);
  closed(described("setTenantTier"), &Impl::put_tenant_tier);
  closed(described("suspendTenant"), &Impl::post_suspend);
  closed(described("resumeTenant"), &Impl::post_resume);
  closed(described("inviteTenantAdministrator"), &Impl::post_tenant_administrator);
}

void Api::Impl::Routes::add_open() {
  open(described("signIn"), &Impl::post_sign_in);
  open(described("makeFirstAdministrator"), &Impl::post_first_administrator);
  open(described("acceptInvitation"), &Impl::post_invitation);
  open(described("openCustomerLink"), &Impl::post_customer_sign_in);
  open(described("listProviders"), &Impl::get_providers);
  open(described("beginSignIn"), &Impl::get_provider_begin);
  open(described("completeSignIn"), &Impl::get_provider_callback);
  open(described("getCheckpoint"), &Impl::get_checkpoint);
  open(described("getVerifierKey"), &Impl::get_verifier_key);
  open(described("getTile"), &Impl::get_tile);
  open(described("health"), &Impl::get_health);
  open(described("ready"), &Impl::get_ready);
  open(described("metrics"), &Impl::get_metrics);
}

void Api::Impl::Routes::add_assets() {
  for (const auto& asset : assets::files)
    router_.add("GET", path_of(asset.name), [&asset](const http::Request&, http::Responder responder) {
      responder.respond({.status = 200,
                         .content_type = std::string(type_of(asset.name)),
                         .body = std::string(asset.content),
                         .headers = {{"Cache-Control", "no-cache"}}});
    });
}

void Api::Impl::add_routes(http::Router& router) {
  Routes routes(*this, router);
  routes.add_trail();
  routes.add_people();
  routes.add_open();
  routes.add_assets();
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
