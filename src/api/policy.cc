#include "api/internal/impl.h"
#include "base/time_text.h"

namespace vestige::api {
namespace {

std::string policy_json(const access::Policies::InForce& in_force) {
  json::ObjectWriter out;
  out.raw("version", fmt::format("{}", in_force.version));
  if (in_force.version != 0) out.text("changedAt", format_time(in_force.changed));
  return out.raw("policy", in_force.policy->text()).str();
}

struct PolicyChange {
  std::uint64_t version = 0;
  std::string policy;
};

Result<PolicyChange> parse_policy_change(std::string_view body) {
  json::Parser parser;
  json::Document document;
  VESTIGE_CHECKED(parser.parse(body, document));
  const auto root = document.root();
  // "changedAt" as well: what was read may be sent back.
  VESTIGE_CHECKED(only_members(root, {"version", "policy", "changedAt"}));
  const auto version = root.find("version");
  const auto number = version.is_number() ? version.number_value() : -1;
  if (number < 0 || number > 1e15 || number != static_cast<double>(static_cast<std::uint64_t>(number)))
    return refuse_at("/version", "must be the version that the change was made from");
  const auto policy = root.find("policy");
  if (!policy.is_object()) return refuse_at("/policy", "must be the whole policy, an object");
  return PolicyChange{.version = static_cast<std::uint64_t>(number), .policy = json::canonical(policy)};
}

}  // namespace

void Api::Impl::get_policy(const Caller& caller, http::Request, http::Responder responder) {
  responder.respond(json_response(200, policy_json(parts_.policies.of(caller.principal.tenant))));
}

void Api::Impl::put_policy(const Caller& caller, http::Request request, http::Responder responder) {
  if (auto refused = wrong_type(request, "a policy")) return responder.respond(*std::move(refused));
  auto change = parse_policy_change(request.body);
  if (!change) return responder.respond(http::problem(change.error()));
  write_state(std::move(responder), [self = shared_from_this(), change = *std::move(change),
                                     by = caller.principal, client = caller.client] {
    auto changed = self->parts_.policies.change(by, client, change.policy, change.version);
    if (changed) return json_response(200, policy_json(*changed));
    auto error = std::move(changed).error();
    // The path of a policy's error is one in the request.
    if (error.kind == ErrorKind::invalid) error.path = "/policy" + error.path;
    return http::problem(error);
  });
}

}  // namespace vestige::api
