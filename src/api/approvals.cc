// Approvals: asking for one, by itself or ahead; listing, deciding, withdrawing; and using one up for the
// request that brings it (docs/formats/approvals.md).
#include "access/approvals.h"

#include <generated/operations.h>

#include <charconv>

#include "access/limits.h"
#include "api/internal/impl.h"
#include "base/encoding.h"
#include "base/time_text.h"
#include "json/object_writer.h"

namespace vestige::api {
namespace {

using access::Approval;
using access::Approvals;

std::string party_json(const Approval::Party& party) {
  return json::ObjectWriter()
      .text("type", party.kind == access::PrincipalKind::account ? "ACCOUNT" : "API_KEY")
      .text("id", format_uuid(party.id))
      .text("name", party.name)
      .str();
}

std::string decision_json(const Approval::Decision& decision) {
  return json::ObjectWriter()
      .raw("by", party_json(decision.by))
      .text("role", decision.role)
      .text("at", format_time(decision.at))
      .text_if_any("comment", decision.comment)
      .str();
}

// What an entry says of the approval under which it was recorded; canonical.
std::string told_json(const Approval& used) {
  CHECK(used.decision);
  return json::ObjectWriter()
      .text("approver", format_uuid(used.decision->by.id))
      .text("approverRole", used.decision->role)
      .text("decidedAt", format_time(used.decision->at))
      .text("id", format_uuid(used.id))
      .text("rule", used.rule)
      .str();
}

// `whole`: with the request itself.
std::string approval_json(const Approval& approval, const access::Policy& policy, bool whole) {
  const auto* operation = access::find_operation(approval.operation);
  const auto* rule = policy.find_rule(approval.rule);
  json::ObjectWriter out;
  out.text("id", format_uuid(approval.id))
      .text("state", access::name_of(approval.state))
      .text("rule", approval.rule)
      .text("ruleAbout", rule == nullptr ? "" : std::string_view(rule->about))
      .text("operation", approval.operation)
      .text("about", operation == nullptr ? "" : std::string_view(operation->about))
      .text("role", approval.role)
      .raw("askedBy", party_json(approval.asker))
      .text("askedAt", format_time(approval.asked))
      .text("expiresAt", format_time(approval.expires))
      .text("reason", approval.reason)
      .text_if_any("words", approval.words)
      .text_if_any("person", approval.person.value_or(""));
  if (approval.decision) out.raw("decision", decision_json(*approval.decision));
  if (approval.ended) out.text("endedAt", format_time(*approval.ended));
  if (whole) out.raw_if_any("request", approval.request);
  return out.str();
}

http::Response approval_response(const Result<Approval>& approval, const access::Policy& policy) {
  if (!approval) return http::problem(approval.error());
  return json_response(200, approval_json(*approval, policy, true));
}

http::Response waiting_response(const Approval& approval, const access::Policy& policy) {
  auto response =
      json_response(202, json::ObjectWriter().raw("approval", approval_json(approval, policy, true)).str());
  response.headers.emplace_back("Location", fmt::format("/api/approvals/{}", format_uuid(approval.id)));
  return response;
}

Result<Approvals::Verdict> parse_verdict(const std::string& body) {
  json::Parser parser;
  json::Document document;
  VESTIGE_CHECKED(parser.parse(body, document));
  VESTIGE_CHECKED(only_members(document.root(), {"decision", "comment"}));
  VESTIGE_TRY(const auto decision, text_member(document.root(), "decision"));
  if (decision != "approve" && decision != "refuse")
    return refuse_at("/decision", "must be approve or refuse");
  VESTIGE_TRY(const auto comment, text_member(document.root(), "comment"));
  return Approvals::Verdict{.approve = decision == "approve", .comment = comment.value_or("")};
}

// Which operation a request is for, and its captures.
const DescribedOperation* match(http::Request& request) {
  const auto fits = [&](std::string_view pattern) {
    request.captures.clear();
    std::string_view path = request.path;
    while (!pattern.empty() && !path.empty()) {
      pattern.remove_prefix(1);
      path.remove_prefix(1);
      const auto wanted = pattern.substr(0, pattern.find('/'));
      const auto segment = path.substr(0, path.find('/'));
      pattern.remove_prefix(wanted.size());
      path.remove_prefix(segment.size());
      if (!wanted.starts_with('{')) {
        if (wanted != segment) return false;
        continue;
      }
      if (segment.empty() || segment == "." || segment == "..") return false;
      request.captures.emplace(wanted.substr(1, wanted.size() - 2), segment);
    }
    return pattern.empty() && path.empty();
  };
  for (const auto& operation : described_operations)
    if (operation.needs_caller && operation.method == request.method && fits(operation.path))
      return &operation;
  return nullptr;
}

// What is asked for ahead: the request as it will come.
struct AskedAhead {
  http::Request request;
  std::string rule;  // empty: the first that it needs
  std::string operation;
};

Result<AskedAhead> parse_asked(const http::Request& outer) {
  json::Parser parser;
  json::Document document;
  VESTIGE_CHECKED(parser.parse(outer.body, document));
  const auto root = document.root();
  VESTIGE_CHECKED(only_members(root, {"method", "target", "body", "subject", "purpose", "rule"}));
  AskedAhead asked{.request = outer, .rule = {}, .operation = {}};
  auto& request = asked.request;
  const auto text = [&](std::string_view name) -> Result<std::string> {
    VESTIGE_TRY(const auto found, text_member(root, name));
    return found.value_or("");
  };
  VESTIGE_TRY(request.method, text("method"));
  VESTIGE_TRY(const auto target, text("target"));
  VESTIGE_TRY(const auto subject, text("subject"));
  VESTIGE_TRY(const auto purpose, text("purpose"));
  VESTIGE_TRY(asked.rule, text("rule"));
  if (target.empty() || !target.starts_with('/'))
    return refuse_at("/target", "must be a path of this server, with its query: /api/export?format=csv");
  if (auto taken = http::set_target(request, target); !taken)
    return refuse_at("/target", taken.error().message);
  const auto body = root.find("body");
  request.body = body.exists() && !body.is_null() ? json::canonical(body) : std::string();
  std::erase_if(request.headers, [&](const auto& header) {
    return header.first == "x-vestige-approval" || header.first == "x-vestige-purpose" ||
           (!subject.empty() && header.first == "x-vestige-subject");
  });
  if (!subject.empty()) request.headers.emplace_back("x-vestige-subject", subject);
  if (!purpose.empty()) request.headers.emplace_back("x-vestige-purpose", purpose);
  const auto* operation = match(request);
  if (operation == nullptr)
    return refuse_at("/target", "no operation that takes an approval has this method and path");
  asked.operation = operation->name;
  return asked;
}

// The rules of which a request may need one, the one that it needs first.
std::vector<std::string> rules_for(const Caller& caller) {
  const auto& decision = caller.decision;
  if (decision.kind == access::Decision::Kind::needs_approval) return {decision.rule};
  std::vector<std::string> rules;
  const auto& grant = decision.grant;
  if (caller.operation->look == access::Look::export_ && !grant.bulk)
    rules.emplace_back(access::bulk_export_rule);
  const auto values = access::values_rule(grant);
  if (!values.empty()) rules.emplace_back(values);
  return rules;
}

// Who decides: in the role that the request names, where it names one.
access::Principal decider(const Caller& caller, const http::Request& request) {
  auto principal = caller.principal;
  if (request.header("x-vestige-role")) principal.roles = {caller.decision.role};
  return principal;
}

}  // namespace

access::ExactRequest Api::Impl::exact(const Caller& caller, const http::Request& request) {
  return {.operation = caller.operation->name,
          .method = request.method,
          .path = request.encoded_path.empty() ? request.path : request.encoded_path,
          .query = request.query,
          .body = request.body,
          .role = caller.decision.role,
          .person = caller.person.value_or(""),
          .purpose = caller.purpose};
}

// On a thread that may wait.
http::Response Api::Impl::ask_approval(const Caller& caller, access::ExactRequest request,
                                       std::string_view rule, std::string words, std::string about) {
  if (caller.reason.empty()) {
    const auto* known = caller.policy->find_rule(rule);
    return http::problem(
        403, fmt::format("this waits for an approval ({}): say why in the header X-Vestige-Reason, and it is "
                         "asked for",
                         known == nullptr ? rule : std::string_view(known->about)));
  }
  // A name that the trail does not know is nobody's: no key is made for it.
  const auto& person = about.empty() ? request.person : about;
  const bool knows = !person.empty() && caller.trail->digests().recorded_id(person) != person;
  const auto asked = parts_.identity.approvals().ask(caller.principal, caller.client, *caller.policy,
                                                     {.request = std::move(request),
                                                      .rule = std::string(rule),
                                                      .reason = caller.reason,
                                                      .words = std::move(words),
                                                      .about = std::move(about),
                                                      .knows_person = knows});
  return asked ? waiting_response(*asked, *caller.policy) : http::problem(asked.error());
}

void Api::Impl::ask_and_answer(const Caller& caller, access::ExactRequest request, std::string rule,
                               WaitingEvents waiting, http::Responder responder) {
  write_state(std::move(responder), [self = shared_from_this(), caller, request = std::move(request),
                                     rule = std::move(rule), waiting = std::move(waiting)] {
    return self->ask_approval(caller, request, rule, waiting.words, waiting.about);
  });
}

// Uses up the approval that the request brings; then the caller is as it was decided with it.
Status Api::Impl::use_approval(Caller& caller, const http::Request& request, const Uuid& id) {
  auto used = parts_.identity.approvals().use(caller.principal, caller.client, *caller.policy, id,
                                              exact(caller, request), caller.reason);
  if (!used) {
    // Whose it is, and whether there is one, is nothing that a status should tell apart.
    if (used.error().kind == ErrorKind::not_found) used.error().kind = ErrorKind::denied;
    return std::unexpected(std::move(used).error());
  }
  caller.approval = format_uuid(used->id);
  caller.approved_by = used->rule;
  caller.approval_told = told_json(*used);
  caller.reason = used->reason;
  decide(caller, request);
  return {};
}

// ------------------------------------------------------------------------------------------ handlers

void Api::Impl::post_approvals(const Caller& caller, http::Request request, http::Responder responder) {
  if (auto refused = wrong_type(request, "an approval")) return responder.respond(*std::move(refused));
  auto asked = parse_asked(request);
  if (!asked) return responder.respond(http::problem(asked.error()));
  const auto* operation = access::find_operation(asked->operation);
  CHECK(operation != nullptr);
  auto about = admit(asked->request, *operation);
  if (!about) return responder.respond(std::move(about).error());
  if (about->decision.kind == access::Decision::Kind::refused)
    return responder.respond(http::problem(403, about->decision.why));
  auto rules = rules_for(*about);
  const auto waiting = waiting_events(*about, asked->request);
  if (!waiting) return responder.respond(http::problem(waiting.error()));
  if (*waiting) rules.push_back((*waiting)->rule);
  if (rules.empty())
    return responder.respond(http::problem(400, "this request needs no approval: send it as it is"));
  const auto rule = asked->rule.empty() ? rules.front() : asked->rule;
  if (std::ranges::find(rules, rule) == rules.end())
    return responder.respond(http::problem(
        refuse_at("/rule", fmt::format("this request may need {}", fmt::join(rules, ", "))).error()));
  about->reason = caller.reason;
  auto exact_request = exact(*about, asked->request);
  ask_and_answer(*about, std::move(exact_request), rule, waiting->value_or(WaitingEvents{}),
                 std::move(responder));
}

void Api::Impl::get_approvals(const Caller& caller, http::Request request, http::Responder responder) {
  const auto which = request.query_value("which").value_or("own");
  if (which != "own" && which != "to_decide")
    return responder.respond(http::problem(refuse_at("/which", "must be own or to_decide").error()));
  std::size_t limit = access::limits::approvals_list_max;
  if (const auto text = request.query_value("limit")) {
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), limit);
    if (error != std::errc{} || end != text->data() + text->size() || limit < 1 ||
        limit > access::limits::approvals_list_max)
      return responder.respond(http::problem(
          refuse_at("/limit", fmt::format("must be 1 to {}", access::limits::approvals_list_max)).error()));
  }
  std::optional<Uuid> after;
  if (const auto text = request.query_value("after")) {
    after = parse_uuid(*text);
    if (!after)
      return responder.respond(http::problem(refuse_at("/after", "must be the id of an approval").error()));
  }
  query(std::move(responder), [self = shared_from_this(), by = decider(caller, request),
                               in_force = caller.policy, own = which == "own", after, limit] {
    const auto& policy = *in_force;
    const auto found = self->parts_.identity.approvals().list(
        by, policy, own ? Approvals::Which::own : Approvals::Which::to_decide, after, limit);
    if (!found) return http::problem(found.error());
    std::string out;
    for (const auto& each : *found) out += (out.empty() ? "" : ",") + approval_json(each, policy, false);
    const auto next =
        found->size() < limit ? std::string("null") : fmt::format("\"{}\"", format_uuid(found->back().id));
    return json_response(200, fmt::format(R"({{"approvals":[{}],"after":{}}})", out, next));
  });
}

void Api::Impl::get_approval(const Caller& caller, http::Request request, http::Responder responder) {
  const auto id = captured_id(request);
  if (!id) return responder.respond(no_such("approval"));
  look(caller, std::move(responder),
       [self = shared_from_this(), by = decider(caller, request), in_force = caller.policy, id = *id](
           const audit::Visibility&, LookedAt& at) {
         at = {.target_type = "APPROVAL", .target_id = format_uuid(id)};
         return approval_response(self->parts_.identity.approvals().find(by, *in_force, id), *in_force);
       });
}

void Api::Impl::post_decision(const Caller& caller, http::Request request, http::Responder responder) {
  if (auto refused = wrong_type(request, "an approval")) return responder.respond(*std::move(refused));
  const auto id = captured_id(request);
  if (!id) return responder.respond(no_such("approval"));
  const auto verdict = parse_verdict(request.body);
  if (!verdict) return responder.respond(http::problem(verdict.error()));
  write_state(std::move(responder),
              [self = shared_from_this(), by = decider(caller, request), in_force = caller.policy,
               client = caller.client, id = *id, verdict = *verdict] {
                const auto& policy = *in_force;
                return approval_response(
                    self->parts_.identity.approvals().decide(by, client, policy, id, verdict), policy);
              });
}

void Api::Impl::delete_approval(const Caller& caller, http::Request request, http::Responder responder) {
  const auto id = captured_id(request);
  if (!id) return responder.respond(no_such("approval"));
  write_state(std::move(responder), [self = shared_from_this(), caller, id = *id] {
    return approval_response(self->parts_.identity.approvals().withdraw(caller.principal, caller.client, id),
                             *caller.policy);
  });
}

}  // namespace vestige::api
