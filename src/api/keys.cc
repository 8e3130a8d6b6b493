#include "api/internal/impl.h"
#include "base/time_text.h"

namespace vestige::api {
namespace {

std::string scopes_json(const Scopes& scopes) {
  std::string out = "[";
  for (const auto name : scopes.names()) out += fmt::format("{}\"{}\"", out.size() > 1 ? "," : "", name);
  return out + "]";
}

// The members that describe a key, without braces.
std::string key_json(const ApiKey& key) {
  return fmt::format("\"id\":\"{}\",\"name\":{},\"scopes\":{},\"createdAt\":\"{}\"", format_uuid(key.id),
                     quoted(key.name), scopes_json(key.scopes), format_time(key.created));
}

std::unexpected<Error> refuse(std::string path, std::string what) {
  Error error{.kind = ErrorKind::invalid, .message = std::move(what)};
  error.path = std::move(path);
  return std::unexpected(std::move(error));
}

struct KeyRequest {
  std::string name;
  Scopes scopes;
};

Result<KeyRequest> parse_key_request(std::string_view body) {
  json::Parser parser;
  json::Document document;
  VESTIGE_CHECKED(parser.parse(body, document));
  const auto root = document.root();
  if (!root.is_object()) return refuse("", "a key is asked for by an object with \"name\" and \"scopes\"");
  for (std::size_t i = 0; i < root.size(); ++i)
    if (root.key_at(i) != "name" && root.key_at(i) != "scopes") {
      std::string path;
      json::append_pointer(path, root.key_at(i));
      return refuse(std::move(path), "only \"name\" and \"scopes\" are known here");
    }
  KeyRequest request;
  const auto name = root.find("name");
  const auto scopes = root.find("scopes");
  if (!name.is_string()) return refuse("/name", "must be a string");
  if (!scopes.is_array()) return refuse("/scopes", "must be a list of ingest, read, admin");
  request.name = name.string();
  for (std::size_t i = 0; i < scopes.size(); ++i) {
    const auto scope = scopes.at(i).is_string() ? access::parse_scope(scopes.at(i).string()) : std::nullopt;
    if (!scope) return refuse(fmt::format("/scopes/{}", i), "must be ingest, read or admin");
    if (request.scopes.has(*scope)) return refuse(fmt::format("/scopes/{}", i), "this scope is listed twice");
    request.scopes.add(*scope);
  }
  return request;
}

}  // namespace

std::string key_event(std::string_view action, const ApiKey& about, const Uuid& actor) {
  return fmt::format(
      R"({{"action":"{}","detail":{{"keyId":"{}","name":{},"scopes":{}}},"kind":"system.key","sourceId":"{}",)"
      R"("sourceType":"API_KEY","targetId":"{}","targetType":"API_KEY"}})",
      action, format_uuid(about.id), quoted(about.name), scopes_json(about.scopes), format_uuid(actor),
      format_uuid(about.id));
}

void Api::Impl::record_then(std::string event, http::Responder responder,
                            std::function<http::Response()> act) {
  auto batch = parts_.ingest.prepare_system(event);
  if (!batch) return responder.respond(http::problem(batch.error()));
  auto shared = std::make_shared<http::Responder>(std::move(responder));
  parts_.ingest.submit(*std::move(batch),
                       [self = shared_from_this(), shared, act = std::move(act)](auto outcome) {
                         if (!outcome) return shared->respond(http::problem(outcome.error()));
                         self->parts_.queries.post([shared, act] { shared->respond(act()); });
                       });
}

void Api::Impl::post_keys(const Caller& caller, http::Request request, http::Responder responder) {
  const auto type = request.content_type();
  // curl -d names a form unless told otherwise; what follows is read as JSON all the same.
  if (!type.empty() && type != "application/json" && type != "application/x-www-form-urlencoded")
    return responder.respond(http::problem(
        415, fmt::format("what a key is asked for with comes as application/json, not as {}", type)));
  const auto wanted = parse_key_request(request.body);
  if (!wanted) return responder.respond(http::problem(wanted.error()));
  auto created = parts_.keys.make(wanted->name, wanted->scopes, caller.tenant, parts_.clock.now());
  if (!created) return responder.respond(http::problem(created.error()));
  auto event = key_event("CREATED", created->about, caller.id);
  record_then(
      std::move(event), std::move(responder), [self = shared_from_this(), created = *std::move(created)] {
        if (auto added = self->parts_.keys.add(created); !added) return http::problem(added.error());
        return json_response(201, fmt::format("{{{},\"key\":\"{}\"}}", key_json(created.about), created.key));
      });
}

void Api::Impl::get_keys(const Caller&, http::Request, http::Responder responder) {
  std::string out = "{\"keys\":[";
  for (const auto& key : parts_.keys.list())
    out += fmt::format("{}{{{}}}", out.back() == '[' ? "" : ",", key_json(key));
  responder.respond(json_response(200, out + "]}"));
}

void Api::Impl::delete_key(const Caller& caller, http::Request request, http::Responder responder) {
  const auto id = captured_id(request);
  const auto key = id ? parts_.keys.find(*id) : std::nullopt;
  if (!key || key->tenant != caller.tenant) return responder.respond(no_such("API key"));
  record_then(key_event("REVOKED", *key, caller.id), std::move(responder),
              [self = shared_from_this(), id = key->id] {
                if (auto revoked = self->parts_.keys.revoke(id); !revoked)
                  return http::problem(revoked.error());
                return http::Response{.status = 204, .content_type = "", .body = {}, .headers = {}};
              });
}

}  // namespace vestige::api
