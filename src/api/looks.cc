// Every look is an entry of the stream `access` before the first byte of the answer: without the entry there
// is no answer.
#include "api/internal/impl.h"

namespace vestige::api {
namespace {

struct Words {
  std::string_view action;
  std::string_view access_type;
};

Words words_of(access::Look look) {
  switch (look) {
    case access::Look::search:
      return {"SEARCHED", "view"};
    case access::Look::view:
      return {"VIEWED", "view"};
    case access::Look::export_:
      return {"EXPORTED", "export"};
    case access::Look::prove:
      return {"PROVED", "view"};
    case access::Look::reveal:
      return {"REVEALED", "export"};
    case access::Look::watch:
      return {"WATCHED", "view"};
    case access::Look::none:
      break;
  }
  return {};
}

std::string_view outcome_of(unsigned status) {
  if (status == 202) return "unauthorized";  // without the yes that it waits for
  if (status < 400) return "success";
  return status == 401 || status == 403 ? "unauthorized" : "failure";
}

// Of a refusal too it is of interest in which role it was tried, where there is no doubt.
std::string role_of(const Caller& caller) {
  const auto& roles = caller.principal.roles;
  return caller.decision.role.empty() && roles.size() == 1 ? roles.front() : caller.decision.role;
}

// Whose the entry is. A customer's looks are theirs. Of others it is the person whom the request names, where
// it gave out something of that one or nothing at all: nobody gets a key by being asked for, and whoever
// names one person to look at another is on record as who looked at the other. Who was erased can take
// nothing along.
std::optional<std::string> subject_of_look(const Caller& caller, const audit::GivenOut& given_out) {
  if (caller.principal.subject) return caller.principal.subject;
  if (!caller.person) return std::nullopt;
  const auto ref = caller.trail->digests().ref_of(*caller.person);
  const bool theirs = ref && (given_out.entries == 0 || given_out.more_refs || given_out.refs.contains(*ref));
  return theirs ? caller.person : std::nullopt;
}

}  // namespace

audit::Look Api::Impl::look_of(const Caller& caller, const LookedAt& at, const audit::GivenOut& given_out,
                               unsigned status) const {
  const auto words = words_of(caller.operation->look);
  audit::Look look{.action = std::string(words.action),
                   .access_type = std::string(caller.prints ? "print" : words.access_type),
                   .operation = caller.operation->name,
                   .source_type = std::string(access::actor_type(caller.principal)),
                   .source_id = access::actor_id(caller.principal),
                   .source_name = caller.principal.name,
                   .role = role_of(caller),
                   .ip = caller.client.address ? access::format_address(*caller.client.address) : "",
                   .user_agent = caller.client.user_agent,
                   .session = caller.principal.session ? format_uuid(*caller.principal.session) : "",
                   .target_type = at.target_type,
                   .target_id = at.target_id,
                   .query = at.query,
                   .counted = at.counted,
                   .reason = caller.reason,
                   .purpose = caller.purpose,
                   .approval = caller.approval,
                   .personal = caller.decision.personal,
                   .sensitive = caller.decision.sensitive,
                   .outcome = std::string(outcome_of(status)),
                   .status = status,
                   .given_out = given_out};
  look.person = subject_of_look(caller, given_out);
  return look;
}

void Api::Impl::record_look(const Caller& caller, const audit::Look& look, std::function<void(Status)> then) {
  auto batch = caller.trail->looks().prepare_system(audit::look_event(look));
  if (!batch) return then(std::unexpected(std::move(batch).error()));
  caller.trail->looks().submit(*std::move(batch),
                               [self = shared_from_this(), then = std::move(then)](auto outcome) {
                                 auto status = std::make_shared<Status>();
                                 if (!outcome) *status = std::unexpected(std::move(outcome).error());
                                 // Off the committer.
                                 self->parts_.loop.post([status, then] { then(std::move(*status)); });
                               });
}

void Api::Impl::note_look(const Caller& caller, const audit::Look& look) {
  auto batch = caller.trail->looks().prepare_system(audit::look_event(look));
  if (batch) caller.trail->looks().submit(*std::move(batch), [](const Result<audit::BatchOutcome>&) {});
}

void Api::Impl::answer_look(const Caller& caller, const LookedAt& at, const audit::GivenOut& given_out,
                            http::Response response, http::Responder responder) {
  if (caller.operation->look == access::Look::none) return responder.respond(std::move(response));
  auto answer =
      std::make_shared<std::pair<http::Responder, http::Response>>(std::move(responder), std::move(response));
  record_look(caller, look_of(caller, at, given_out, answer->second.status), [answer](Status recorded) {
    answer->first.respond(recorded ? std::move(answer->second) : http::problem(recorded.error()));
  });
}

void Api::Impl::look(const Caller& caller, http::Responder responder, Looking looking) {
  auto shared = std::make_shared<http::Responder>(std::move(responder));
  parts_.queries.post([self = shared_from_this(), caller, shared, looking = std::move(looking)] {
    const auto visibility = self->visibility_of(caller);
    LookedAt at;
    auto response = looking(visibility, at);
    self->answer_look(caller, at, *visibility.given_out, std::move(response), std::move(*shared));
  });
}

}  // namespace vestige::api
