#include "api/internal/impl.h"
#include "audit/disclosure.h"
#include "audit/limits.h"
#include "base/check.h"
#include "base/encoding.h"

namespace vestige::api {
namespace {

std::string outcome_json(const audit::BatchOutcome& outcome) {
  std::string out;
  out.reserve(64 + outcome.events.size() * 128);
  fmt::format_to(std::back_inserter(out), "{{\"accepted\":{},\"duplicates\":{},\"events\":[",
                 outcome.accepted, outcome.duplicates);
  char id[uuid_text_size];
  for (std::size_t i = 0; i < outcome.events.size(); ++i) {
    const auto& event = outcome.events[i];
    if (i > 0) out.push_back(',');
    write_uuid(event.id, id);
    out.append("{\"id\":\"").append(id, sizeof id).append("\",\"index\":");
    fmt::format_to(std::back_inserter(out), "{}", event.index);
    out.append(",\"leaf\":\"");
    append_base64(out, event.leaf);
    out.append(event.duplicate ? "\",\"duplicate\":true" : "\"");
    out.append(event.erased ? ",\"erased\":true}" : "}");
  }
  out.append("]}");
  return out;
}

http::Response outcome_response(const Result<audit::BatchOutcome>& outcome) {
  if (!outcome) return http::problem(outcome.error());
  return json_response(outcome->accepted == 0 ? 200 : 201, outcome_json(*outcome));
}

// Which form the body has; empty for a type that brings no events.
std::optional<audit::BodyForm> form_of(std::string_view type, std::string_view body) {
  if (type == "application/json" || type == "text/json") return audit::BodyForm::json;
  if (type == "application/x-ndjson" || type == "application/ndjson" || type == "application/jsonl" ||
      type == "application/json-lines")
    return audit::BodyForm::ndjson;
  // Types that tools send unasked (curl -d, curl --data-binary) say nothing: several lines that each hold an
  // object are NDJSON, anything else is one JSON text.
  if (!type.empty() && type != "application/x-www-form-urlencoded" && type != "application/octet-stream" &&
      type != "text/plain")
    return std::nullopt;
  const auto line_end = body.find('\n');
  const auto second =
      line_end == std::string_view::npos ? line_end : body.find_first_not_of(" \t\r\n", line_end);
  const auto last = body.substr(0, line_end).find_last_not_of(" \t\r");
  const bool lines = last != std::string_view::npos && body[last] == '}' &&
                     second != std::string_view::npos && body[second] == '{';
  return lines ? audit::BodyForm::ndjson : audit::BodyForm::json;
}

}  // namespace

void Api::Impl::post_events(const Caller& caller, http::Request request, http::Responder responder) {
  const auto type = request.content_type();
  const auto form = form_of(type, request.body);
  if (!form)
    return responder.respond(http::problem(
        415, fmt::format("events come as application/json or application/x-ndjson, not as {}", type)));
  const audit::RequestContext context{caller.principal.tenant, caller.principal.name, parts_.clock.now()};
  auto batch = caller.trail->ingest().prepare(request.body, *form, context);
  if (!batch) return responder.respond(http::problem(batch.error()));
  submit(caller.trail->ingest(), *std::move(batch), std::move(responder));
}

void Api::Impl::post_import(const Caller& caller, http::Request request, http::Responder responder) {
  const auto type = request.content_type();
  if (form_of(type, "{}\n{}") != audit::BodyForm::ndjson)
    return responder.respond(
        http::problem(415, fmt::format("records come as application/x-ndjson, not as {}", type)));
  const auto format = request.captures.find("format");
  CHECK(format != request.captures.end());
  const audit::RequestContext context{caller.principal.tenant, caller.principal.name, parts_.clock.now()};
  auto batch = caller.trail->ingest().prepare_import(request.body, format->second, context);
  if (!batch) return responder.respond(http::problem(batch.error()));
  submit(caller.trail->ingest(), *std::move(batch), std::move(responder));
}

void Api::Impl::submit(audit::Ingest& ingest, audit::Batch batch, http::Responder responder) {
  auto shared = std::make_shared<http::Responder>(std::move(responder));
  ingest.submit(std::move(batch), [self = shared_from_this(), shared](Result<audit::BatchOutcome> outcome) {
    // Off the committer: writing an answer of thousands of lines would hold up the next
    // group.
    auto kept = std::make_shared<Result<audit::BatchOutcome>>(std::move(outcome));
    self->parts_.loop.post([shared, kept] { shared->respond(outcome_response(*kept)); });
  });
}

void Api::Impl::look_at_event(const Caller& caller, const http::Request& request, http::Responder responder,
                              std::function<http::Response(const Uuid&, const audit::Visibility&)> answer) {
  const auto id = captured_id(request);
  if (!id) return responder.respond(no_such("event"));
  look(caller, std::move(responder),
       [id = *id, answer = std::move(answer)](const audit::Visibility& visibility, LookedAt& at) {
         at.target_type = "EVENT";
         at.target_id = format_uuid(id);
         return answer(id, visibility);
       });
}

void Api::Impl::get_event(const Caller& caller, http::Request request, http::Responder responder) {
  look_at_event(caller, request, std::move(responder),
                [trail = caller.trail](const Uuid& id, const audit::Visibility& visibility) {
                  auto event = trail->reader().event(id, visibility);
                  return event ? json_response(200, *std::move(event)) : http::problem(event.error());
                });
}

void Api::Impl::get_sealed(const Caller& caller, http::Request request, http::Responder responder) {
  look_at_event(caller, request, std::move(responder),
                [trail = caller.trail](const Uuid& id, const audit::Visibility& visibility) {
                  auto bytes = trail->reader().sealed_bytes(id, visibility);
                  return bytes ? json_response(200, *std::move(bytes)) : http::problem(bytes.error());
                });
}

void Api::Impl::get_proof(const Caller& caller, http::Request request, http::Responder responder) {
  look_at_event(caller, request, std::move(responder),
                [trail = caller.trail](const Uuid& id, const audit::Visibility& visibility) {
                  auto proof = trail->reader().proof(id, visibility);
                  return proof ? text_response(*std::move(proof), "") : http::problem(proof.error());
                });
}

namespace {

// {"fields": [names]}, as JSON pointers.
Result<std::vector<std::string>> parse_fields(const std::string& body) {
  json::Parser parser;
  json::Document document;
  VESTIGE_CHECKED(parser.parse(body, document));
  const auto refuse = [](std::string path, std::string what, std::string limit = {}) {
    return std::unexpected(Error{.kind = ErrorKind::invalid,
                                 .message = std::move(what),
                                 .path = std::move(path),
                                 .limit = std::move(limit)});
  };
  const auto fields = document.root().find("fields");
  if (!fields.is_array() || fields.size() == 0 || document.root().size() != 1)
    return refuse("", "what is disclosed is named by an object with \"fields\", a list of names");
  if (fields.size() > audit::disclosed_paths_max)
    return refuse("/fields", "names too many fields",
                  fmt::format("disclosed_paths_max = {}", audit::disclosed_paths_max));
  std::vector<std::string> paths;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const auto name = fields.at(i);
    const auto path = name.is_string() ? audit::parse_disclosed_path(name.string()) : std::nullopt;
    if (!path)
      return refuse(fmt::format("/fields/{}", i),
                    "must be the path of a member of an event, such as \"detail.phone\" or, for names with "
                    "dots, \"/detail/app.version\"");
    paths.push_back(*path);
  }
  return paths;
}

}  // namespace

void Api::Impl::post_disclose(const Caller& caller, http::Request request, http::Responder responder) {
  const auto type = request.content_type();
  // curl -d names a form unless told otherwise; what follows is read as JSON all the same.
  if (!type.empty() && type != "application/json" && type != "application/x-www-form-urlencoded")
    return responder.respond(
        http::problem(415, fmt::format("fields come as application/json, not as {}", type)));
  auto paths = parse_fields(request.body);
  if (!paths) return responder.respond(http::problem(paths.error()));
  look_at_event(caller, request, std::move(responder),
                [self = shared_from_this(), caller, asked = exact(caller, request),
                 paths = *std::move(paths)](const Uuid& id, audit::Visibility visibility) mutable {
                  visibility.masks = false;
                  auto disclosure = audit::disclose(caller.trail->reader(), id, paths, visibility);
                  if (disclosure) return json_response(200, *std::move(disclosure));
                  // What is closed to the caller opens with a second person's yes, where the grant says so.
                  const auto rule = access::values_rule(caller.decision.grant);
                  const bool waits = disclosure.error().kind == ErrorKind::denied && !rule.empty() &&
                                     caller.approved_by != rule;
                  if (!waits) return http::problem(disclosure.error());
                  return self->ask_approval(caller, std::move(asked), rule, "");
                });
}

}  // namespace vestige::api
