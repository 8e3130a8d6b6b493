#include <charconv>

#include "api/internal/impl.h"
#include "base/encoding.h"

namespace vestige::api {
namespace {

// {"subject": id, "reason": text}, the second one optional.
Result<audit::SubjectRequest> parse_subject_request(const http::Request& request, const Caller& caller) {
  json::Parser parser;
  json::Document document;
  VESTIGE_CHECKED(parser.parse(request.body, document));
  const auto root = document.root();
  VESTIGE_CHECKED(only_members(root, {"subject", "reason"}));
  const auto subject = root.find("subject");
  const auto reason = root.find("reason");
  if (!subject.is_string())
    return refuse_at("/subject", "must be a string: the person's id as it stands in events");
  if (reason.exists() && !reason.is_null() && !reason.is_string())
    return refuse_at("/reason", "must be a string");
  return audit::SubjectRequest{.subject = std::string(subject.string()),
                               .reason = reason.is_string() ? std::string(reason.string()) : "",
                               .actor = format_uuid(caller.principal.id),
                               .actor_type = std::string(access::actor_type(caller.principal))};
}

http::Response keys_response(const Result<audit::SubjectKeys>& keys) {
  if (!keys) return http::problem(keys.error());
  auto body = fmt::format("{{\"state\":\"{}\",\"epoch\":{}", keys->state, keys->epoch);
  if (keys->ref) body += fmt::format(",\"ref\":\"{}\"", to_base64(*keys->ref));
  if (keys->intent) body += fmt::format(",\"intent\":{}", *keys->intent);
  if (keys->outcome) body += fmt::format(",\"erasedBy\":{}", *keys->outcome);
  return json_response(200, body + "}");
}

std::string certificate_path(std::uint64_t intent) {
  return fmt::format("/api/erasures/{}/certificate", intent);
}

}  // namespace

void Api::Impl::post_erase(const Caller& caller, http::Request request, http::Responder responder) {
  if (auto refused = wrong_type(request, "a person")) return responder.respond(*std::move(refused));
  auto wanted = parse_subject_request(request, caller);
  if (!wanted) return responder.respond(http::problem(wanted.error()));
  act(std::move(responder), [self = shared_from_this(), trail = caller.trail, wanted = *std::move(wanted)] {
    const auto done = trail->erasures().erase(wanted);
    if (!done) return http::problem(done.error());
    if (auto forgotten = self->parts_.forget_in_state(trail->tenant(), wanted.subject); !forgotten)
      return http::problem(forgotten.error());
    return json_response(
        200, fmt::format(
                 R"({{"certificate":{},"certificatePath":"{}","erasedBy":{},"intent":{},"state":"erased"}})",
                 quoted(done->certificate), certificate_path(done->intent), done->outcome, done->intent));
  });
}

void Api::Impl::post_reauthorise(const Caller& caller, http::Request request, http::Responder responder) {
  if (auto refused = wrong_type(request, "a person")) return responder.respond(*std::move(refused));
  auto wanted = parse_subject_request(request, caller);
  if (!wanted) return responder.respond(http::problem(wanted.error()));
  act(std::move(responder), [trail = caller.trail, wanted = *std::move(wanted)] {
    return keys_response(trail->erasures().reauthorise(wanted));
  });
}

void Api::Impl::get_subject_keys(const Caller& caller, http::Request request, http::Responder responder) {
  const auto id = request.captures.find("id");
  if (id == request.captures.end() || id->second.empty()) return responder.respond(no_such("person"));
  look(caller, std::move(responder),
       [trail = caller.trail, subject = std::string(id->second)](const audit::Visibility&, LookedAt& at) {
         at = {.target_type = "SUBJECT", .target_id = trail->digests().recorded_id(subject)};
         return keys_response(trail->erasures().keys(subject));
       });
}

void Api::Impl::get_certificate(const Caller& caller, http::Request request, http::Responder responder) {
  const auto found = request.captures.find("index");
  const std::string_view text = found == request.captures.end() ? std::string_view() : found->second;
  std::uint64_t index = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size())
    return responder.respond(no_such("erasure"));
  auto shared = std::make_shared<http::Responder>(std::move(responder));
  parts_.acts.post([self = shared_from_this(), caller, shared, index] {
    auto done = caller.trail->erasures().certificate(index);
    auto response = done ? text_response(std::move(done->certificate), "") : http::problem(done.error());
    const LookedAt at{.query = {}, .target_type = "ERASURE", .target_id = fmt::format("{}", index)};
    self->answer_look(caller, at, {}, std::move(response), std::move(*shared));
  });
}

}  // namespace vestige::api
