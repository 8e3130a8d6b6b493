#include <set>

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
  record(caller, request, std::move(responder), [&](const audit::RequestContext& context) {
    return caller.trail->ingest().prepare(request.body, *form, context);
  });
}

void Api::Impl::post_import(const Caller& caller, http::Request request, http::Responder responder) {
  const auto type = request.content_type();
  if (form_of(type, "{}\n{}") != audit::BodyForm::ndjson)
    return responder.respond(
        http::problem(415, fmt::format("records come as application/x-ndjson, not as {}", type)));
  const auto format = request.captures.find("format");
  CHECK(format != request.captures.end());
  record(caller, request, std::move(responder), [&](const audit::RequestContext& context) {
    return caller.trail->ingest().prepare_import(request.body, format->second, context);
  });
}

void Api::Impl::record(const Caller& caller, const http::Request& request, http::Responder responder,
                       const std::function<Result<audit::Batch>(const audit::RequestContext&)>& prepare) {
  auto waiting = waiting_events(caller, request);
  if (!waiting) return responder.respond(http::problem(waiting.error()));
  if (*waiting)
    return ask_and_answer(caller, exact(caller, request), (*waiting)->rule, **waiting, std::move(responder));
  auto batch = prepare({.tenant = caller.principal.tenant,
                        .service = caller.principal.name,
                        .received = parts_.clock.now(),
                        .approval = caller.approval_told});
  if (!batch) return responder.respond(http::problem(batch.error()));
  submit(caller.trail->ingest(), *std::move(batch), std::move(responder));
}

namespace {

access::ChangedThing changed_thing(const audit::Event& event) {
  access::ChangedThing thing{.kind = event.kind, .target_type = event.target_type};
  const std::size_t count = event.changes.exists() ? event.changes.size() : 0;
  for (std::size_t i = 0; i < count; ++i) {
    // One without a name may be any.
    const auto field = event.changes.at(i).find("field");
    thing.fields.push_back(field.is_string() ? field.string() : std::string_view(""));
  }
  return thing;
}

// What the policy says of the events of one request.
class Waiting {
 public:
  explicit Waiting(const Caller& caller) : caller_(caller) {}

  Status see(const audit::Event& event) {
    ++events_;
    for (const auto subject : event.subjects) subjects_.emplace(subject);
    const auto* rule = caller_.policy->rule_of_modification(changed_thing(event), caller_.decision.role);
    if (rule == nullptr) return {};
    ++waiting_;
    VESTIGE_CHECKED(audit::check_claims(event));
    if (rule_ == nullptr) rule_ = rule;
    if (*rule_ == *rule) return {};
    return refuse_at("", fmt::format("one request waits for one approval, and its events for several ({}, "
                                     "{}): send them in requests of their own",
                                     *rule_, *rule));
  }

  bool any() const { return rule_ != nullptr; }
  // When a person is erased, what waits about them goes as well.
  bool about_several() const { return subjects_.size() > 1; }
  const std::string& rule() const { return *rule_; }
  std::string about() const { return subjects_.empty() ? std::string() : *subjects_.begin(); }
  std::string words() const {
    return fmt::format("{} of {} {}", waiting_, events_, events_ == 1 ? "event" : "events");
  }

 private:
  const Caller& caller_;
  const std::string* rule_ = nullptr;
  std::set<std::string> subjects_{};
  std::size_t events_ = 0;
  std::size_t waiting_ = 0;
};

}  // namespace

// Reads the events once more than recording them does, so only for those whose policy has such a rule.
Result<std::optional<Api::Impl::WaitingEvents>> Api::Impl::waiting_events(const Caller& caller,
                                                                          const http::Request& request) {
  const bool imports = caller.operation->name == "importRecords";
  const bool records = imports || caller.operation->name == "recordEvents";
  if (!records || caller.policy->modifications().empty()) return std::nullopt;
  Waiting waiting(caller);
  const auto see = [&](const audit::Event& event) { return waiting.see(event); };
  const auto form = form_of(request.content_type(), request.body).value_or(audit::BodyForm::json);
  VESTIGE_CHECKED(
      imports ? caller.trail->ingest().examine_import(request.body, request.captures.at("format"), see)
              : caller.trail->ingest().examine(request.body, form, see));
  if (!waiting.any() || access::covers(caller.decision.grant, caller.approved_by, waiting.rule()))
    return std::nullopt;
  if (waiting.about_several())
    return fail(ErrorKind::invalid,
                "what waits for an approval is about one person at most: send one request for each");
  return WaitingEvents{.rule = waiting.rule(), .words = waiting.words(), .about = waiting.about()};
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
  if (auto refused = wrong_type(request, "a list of fields")) return responder.respond(*std::move(refused));
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
