#include "access/approvals.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>

#include "access/internal/accounts_store.h"
#include "access/internal/approvals_store.h"
#include "access/internal/errors.h"
#include "access/internal/facts.h"
#include "access/internal/keys_store.h"
#include "access/limits.h"
#include "base/encoding.h"
#include "base/time_text.h"
#include "json/json.h"
#include "json/object_writer.h"
#include "state/sequence.h"

namespace vestige::access {
namespace {

constexpr std::size_t told_digest_digits = 16;

constexpr std::pair<Approval::State, std::string_view> states[] = {
    {Approval::State::asked, "asked"},     {Approval::State::approved, "approved"},
    {Approval::State::refused, "refused"}, {Approval::State::used, "used"},
    {Approval::State::expired, "expired"}, {Approval::State::withdrawn, "withdrawn"}};

std::optional<Approval::State> state_of(std::string_view name) {
  const auto* found = std::ranges::find(states, name, &std::pair<Approval::State, std::string_view>::second);
  if (found == std::end(states)) return std::nullopt;
  return found->first;
}

std::string_view kind_of(const Principal& principal) {
  return principal.kind == PrincipalKind::account ? "account" : "service";
}

std::optional<Approval::Party> party_of(std::string_view kind, const std::string& id,
                                        const std::string& name) {
  const auto parsed = parse_uuid(id);
  if (!parsed || (kind != "account" && kind != "service")) return std::nullopt;
  return Approval::Party{.kind = kind == "account" ? PrincipalKind::account : PrincipalKind::service,
                         .id = *parsed,
                         .name = name};
}

bool is_asker(const store::ApprovalRow& row, const Principal& principal) {
  return principal.kind != PrincipalKind::customer && row.asker_kind == kind_of(principal) &&
         row.asker_id == format_uuid(principal.id);
}

// In which of their roles somebody may decide; nothing where in none.
const std::string* deciding_role(const Principal& by, const Policy& policy, std::string_view rule_name) {
  const auto* rule = policy.find_rule(rule_name);
  if (rule == nullptr || by.kind == PrincipalKind::customer) return nullptr;
  const auto found = std::ranges::find_if(by.roles, [&](const std::string& role) {
    return std::ranges::find(rule->deciders, role) != rule->deciders.end();
  });
  return found == by.roles.end() ? nullptr : &*found;
}

std::unexpected<Error> no_such_approval(const Uuid& id) {
  return fail(ErrorKind::not_found,
              fmt::format("there is no approval {} of yours, nor one that you may decide", format_uuid(id)));
}

std::unexpected<Error> not_now(std::string what, std::string limit) {
  return std::unexpected(
      Error{.kind = ErrorKind::unavailable, .message = std::move(what), .limit = std::move(limit)});
}

// Why an approval in this state cannot do what is wanted of it.
std::string why_not(Approval::State state) {
  switch (state) {
    case Approval::State::asked:
      return "nobody has decided about this approval yet";
    case Approval::State::approved:
      return "this approval was given already";
    case Approval::State::refused:
      return "this approval was refused";
    case Approval::State::used:
      return "this approval was used: each is good once";
    case Approval::State::expired:
      return "this approval is past its time; ask for another one";
    case Approval::State::withdrawn:
      return "this approval was withdrawn";
  }
  return {};
}

Status check_text(std::string_view text, std::size_t bytes_min, const char* path, const char* what) {
  const bool plain = std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20; });
  if (text.size() >= bytes_min && text.size() <= limits::approval_reason_bytes_max && plain && is_utf8(text))
    return {};
  return invalid_at(path,
                    fmt::format("{} must be UTF-8 of {} to {} bytes without control characters", what,
                                bytes_min, limits::approval_reason_bytes_max),
                    fmt::format("approval_reason_bytes_max = {}", limits::approval_reason_bytes_max));
}

// The member that holds it: "body" where it is JSON, else "text", or "bytes" where it is none.
struct BodyMember {
  std::string_view name;
  std::string json;
};
BodyMember body_member(const std::string& body) {
  if (body.empty()) return {};
  json::Parser parser;
  json::Document document;
  if (parser.parse(body, document, {.depth_max = 64, .bytes_max = limits::approval_request_bytes_max}))
    return {"body", json::canonical(document.root())};
  BodyMember member{.name = is_utf8(body) ? "text" : "bytes", .json = {}};
  json::append_quoted(member.json, is_utf8(body) ? body : to_base64(view(body)));
  return member;
}

}  // namespace

std::string_view name_of(Approval::State state) {
  return std::ranges::find(states, state, &std::pair<Approval::State, std::string_view>::first)->second;
}

Result<std::string> canonical_text(const ExactRequest& request) {
  const auto too_long = [] {
    return exhausted("the request is too long to be approved: whoever decides has to read it",
                     fmt::format("approval_request_bytes_max = {}", limits::approval_request_bytes_max));
  };
  if (request.body.size() > limits::approval_request_bytes_max) return too_long();
  const std::multimap<std::string_view, std::string_view> query(request.query.begin(), request.query.end());
  std::string pairs;
  bool plain = is_utf8(request.path) && is_utf8(request.person) && is_utf8(request.purpose);
  for (const auto& [name, value] : query) {
    plain = plain && is_utf8(name) && is_utf8(value);
    if (!plain) break;
    pairs += pairs.empty() ? "[[" : ",[";
    json::append_quoted(pairs, name);
    pairs += ',';
    json::append_quoted(pairs, value);
    pairs += ']';
  }
  if (!plain) return fail(ErrorKind::invalid, "the address of the request is no UTF-8");
  // In canonical order.
  const auto body = body_member(request.body);
  json::ObjectWriter text;
  if (body.name < "method") text.raw_if_any(body.name, body.json);
  text.text("method", request.method)
      .text("operation", request.operation)
      .text("path", request.path)
      .text_if_any("person", request.person)
      .text_if_any("purpose", request.purpose)
      .raw("query", pairs.empty() ? "[]" : pairs + "]")
      .text("role", request.role);
  if (body.name > "method") text.raw(body.name, body.json);
  auto out = text.str();
  if (out.size() > limits::approval_request_bytes_max) return too_long();
  return out;
}

// ------------------------------------------------------------------------------------------------ rows

Approvals::Approvals(state::Database& database, state::Outbox& outbox, const state::Fields& fields,
                     platform::Clock& clock, platform::Entropy& entropy)
    : database_(database),
      outbox_(outbox),
      fields_(fields),
      clock_(clock),
      entropy_(entropy),
      began_(clock.now()),
      began_at_(clock.monotonic()) {}

UnixMs Approvals::time() const {
  const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(clock_.monotonic() - began_at_);
  return std::max(clock_.now(), began_ + since.count());
}

bool Approvals::is_over(const store::ApprovalRow& row) const {
  const auto now = time();
  return row.ended.value != 0 || row.expires <= now || row.asked > now;
}

std::string Approvals::seal(std::string_view column, const store::ApprovalRow& row,
                            std::string_view plain) const {
  if (plain.empty()) return {};
  return fields_.seal(fmt::format("approval.{}", column), row.id, plain);
}

Result<std::string> Approvals::open(std::string_view column, const store::ApprovalRow& row,
                                    std::string_view sealed) const {
  if (sealed.empty()) return std::string();
  return fields_.open(fmt::format("approval.{}", column), row.id, sealed);
}

std::string Approvals::subject_index(std::string_view tenant, std::string_view subject) const {
  if (subject.empty()) return {};
  return fields_.blind_index("approval.subject", fmt::format("{}\n{}", tenant, subject));
}

std::string Approvals::digest_of(const Principal& by, std::string_view rule, std::string_view text) const {
  return fields_.blind_index("approval.request", fmt::format("{}\n{}\n{}\n{}\n{}", by.tenant, kind_of(by),
                                                             format_uuid(by.id), rule, text));
}

Result<Approval> Approvals::approval_of(const store::ApprovalRow& row) const {
  const auto id = parse_uuid(row.id);
  const auto asker = party_of(row.asker_kind, row.asker_id, row.asker_name);
  const auto state = state_of(row.state);
  if (!id || !asker || !state)
    return corrupt("access_approvals", 0,
                   fmt::format("the approval {} in the database does not read", row.id));
  Approval approval{.id = *id,
                    .rule = row.rule,
                    .operation = row.operation,
                    .role = row.role,
                    .asker = *asker,
                    .state = *state,
                    .asked = row.asked,
                    .expires = row.expires,
                    .reason = {}};
  if (row.ended.value != 0)
    approval.ended = row.ended;
  else if (is_over(row))
    approval.state = Approval::State::expired;  // and nobody has written it down yet
  VESTIGE_TRY(approval.reason, open("reason", row, row.sealed_reason));
  VESTIGE_TRY(approval.words, open("words", row, row.sealed_words));
  VESTIGE_TRY(approval.request, open("request", row, row.sealed_request));
  VESTIGE_TRY(const auto person, open("subject", row, row.sealed_subject));
  if (!person.empty()) approval.person = person;
  if (row.decided.value != 0) {
    const auto decider = party_of(row.decider_kind, row.decider_id, row.decider_name);
    if (!decider)
      return corrupt("access_approvals", 0, fmt::format("who decided the approval {} does not read", row.id));
    VESTIGE_TRY(auto comment, open("comment", row, row.sealed_comment));
    approval.decision = Approval::Decision{
        .by = *decider, .role = row.decider_role, .at = row.decided, .comment = std::move(comment)};
  }
  return approval;
}

// ----------------------------------------------------------------------------------------- on record

// A step, and what it says besides what all say.
struct Approvals::Told {
  std::string_view action;
  Doer by;
  const Client* client = nullptr;
  std::vector<Detail> detail{};
};

Status Approvals::record(state::Transaction& transaction, const store::ApprovalRow& row, const Told& told) {
  VESTIGE_TRY(const auto subject, open("subject", row, row.sealed_subject));
  std::vector<Detail> detail{{.name = "rule", .value = row.rule},
                             {.name = "operation", .value = row.operation},
                             {.name = "role", .value = row.role},
                             {.name = "request", .value = row.digest.substr(0, told_digest_digits)}};
  detail.insert(detail.end(), told.detail.begin(), told.detail.end());
  const auto added = outbox_.add(transaction, row.tenant, access_stream,
                                 to_json({.kind = "access.approval",
                                          .action = told.action,
                                          .time = clock_.now(),
                                          .source = told.by,
                                          .target_id = row.id,
                                          .target_type = "APPROVAL",
                                          .subject = subject,
                                          .client = told.client,
                                          .detail = std::move(detail)}));
  if (!added) return std::unexpected(added.error());
  return {};
}

// What is told is what the row says before the end takes it.
Status Approvals::end(state::Transaction& transaction, store::ApprovalRow& row, Approval::State state,
                      const Told& told) {
  VESTIGE_CHECKED(record(transaction, row, told));
  row.state = name_of(state);
  row.ended = time();
  row.sealed_request.clear();
  row.sealed_words.clear();
  store::update_approval(transaction, row);
  return {};
}

// -------------------------------------------------------------------------------------------- asking

store::ApprovalRow Approvals::new_row(const Principal& by, const ApprovalRule& rule, const Wanted& wanted,
                                      const std::string& text) const {
  const auto now = time();
  store::ApprovalRow row{.id = format_uuid(make_uuid_v7(now, entropy_.bytes<16>())),
                         .tenant = by.tenant,
                         .rule = rule.name,
                         .operation = wanted.request.operation,
                         .role = wanted.request.role,
                         .asker_kind = std::string(kind_of(by)),
                         .asker_id = format_uuid(by.id),
                         .asker_name = by.name,
                         .asker_person = format_uuid(person_of(by)),
                         .state = std::string(name_of(Approval::State::asked)),
                         .asked = now,
                         .expires = now + std::int64_t{rule.minutes} * 60'000};
  row.digest = digest_of(by, rule.name, text);
  const auto& person = wanted.about.empty() ? wanted.request.person : wanted.about;
  row.subject_index = subject_index(by.tenant, person);
  if (wanted.knows_person) row.sealed_subject = seal("subject", row, person);
  row.sealed_request = seal("request", row, text);
  row.sealed_words = seal("words", row, wanted.words);
  row.sealed_reason = seal("reason", row, wanted.reason);
  return row;
}

Status Approvals::make_room(state::Transaction& transaction, const store::ApprovalRow& row) const {
  if (store::count_open_approvals_of(transaction, row.tenant, row.asker_kind, row.asker_id) >=
      limits::open_approvals_per_asker_max)
    return not_now("too many of your approvals are open; withdraw some, or wait for their decision",
                   fmt::format("open_approvals_per_asker_max = {}", limits::open_approvals_per_asker_max));
  if (store::count_open_approvals(transaction, row.tenant) >= limits::open_approvals_max)
    return not_now("too many approvals are open; somebody has to decide about some of them first",
                   fmt::format("open_approvals_max = {}", limits::open_approvals_max));
  if (store::count_approvals(transaction, row.tenant) >= limits::approvals_max)
    store::drop_oldest_ended_approval(transaction, row.tenant);
  return {};
}

Result<Approval> Approvals::ask(const Principal& by, const Client& client, const Policy& policy,
                                const Wanted& wanted) {
  if (by.kind == PrincipalKind::customer)
    return fail(ErrorKind::denied, "approvals are asked for by people and programs of the organisation");
  const auto* rule = policy.find_rule(wanted.rule);
  if (rule == nullptr)
    return fail(ErrorKind::not_found, fmt::format("the policy has no rule of approval {}", wanted.rule));
  VESTIGE_CHECKED(check_text(wanted.reason, 1, "/reason", "the reason"));
  if (wanted.words.size() > limits::approval_words_bytes_max || !is_utf8(wanted.words))
    return invalid_at("/words", "what is said of the request is too long",
                      fmt::format("approval_words_bytes_max = {}", limits::approval_words_bytes_max));
  VESTIGE_TRY(const auto text, canonical_text(wanted.request));
  VESTIGE_CHECKED(expire_due());
  return database_.write([&](state::Transaction& transaction) -> Result<Approval> {
    auto row = new_row(by, *rule, wanted, text);
    if (auto open = store::find_open_approval(transaction, row.tenant, row.digest)) {
      if (!is_over(*open)) return approval_of(*open);
      VESTIGE_CHECKED(expire(transaction, *open));
    }
    VESTIGE_CHECKED(make_room(transaction, row));
    row.number = state::next_in_sequence(transaction, "access_approvals");
    store::insert_approval(transaction, row);
    VESTIGE_CHECKED(record(transaction, row,
                           {.action = "ASKED",
                            .by = Doer::of(by),
                            .client = &client,
                            .detail = {{.name = "reason", .value = wanted.reason},
                                       {.name = "expires_at", .value = format_time(row.expires)}}}));
    return approval_of(row);
  });
}

// ------------------------------------------------------------------------------------------- looking

Result<Approval> Approvals::find(const Principal& by, const Policy& policy, const Uuid& id) {
  return database_.read([&](state::Transaction& transaction) -> Result<Approval> {
    const auto row = store::find_approval(transaction, by.tenant, format_uuid(id));
    if (!row || (!is_asker(*row, by) && deciding_role(by, policy, row->rule) == nullptr))
      return no_such_approval(id);
    return approval_of(*row);
  });
}

Result<std::vector<Approval>> Approvals::list(const Principal& by, const Policy& policy, Which which,
                                              const std::optional<Uuid>& after, std::size_t limit) {
  limit = std::clamp<std::size_t>(limit, 1, limits::approvals_list_max);
  return database_.read([&](state::Transaction& transaction) -> Result<std::vector<Approval>> {
    auto before = std::numeric_limits<std::int64_t>::max();
    if (after) {
      const auto row = store::find_approval(transaction, by.tenant, format_uuid(*after));
      if (!row) return no_such_approval(*after);
      before = row->number;
    }
    const auto me = format_uuid(person_of(by));
    const auto rows = which == Which::own
                          ? store::approvals_of(transaction, by.tenant, std::string(kind_of(by)),
                                                format_uuid(by.id), before, limit)
                          : store::asked_approvals(
                                transaction, by.tenant, before,
                                [&](const store::ApprovalRow& row) {
                                  return row.asker_person != me && !is_over(row) &&
                                         deciding_role(by, policy, row.rule) != nullptr;
                                },
                                limit);
    std::vector<Approval> out;
    for (const auto& row : rows) {
      VESTIGE_TRY(auto approval, approval_of(row));
      out.push_back(std::move(approval));
    }
    return out;
  });
}

// ------------------------------------------------------------------------------------------ deciding

Result<Approval> Approvals::decide(const Principal& by, const Client& client, const Policy& policy,
                                   const Uuid& id, const Verdict& verdict) {
  VESTIGE_CHECKED(check_text(verdict.comment, 0, "/comment", "the comment"));
  VESTIGE_CHECKED(expire_due());
  return database_.write([&](state::Transaction& transaction) -> Result<Approval> {
    auto row = store::find_approval(transaction, by.tenant, format_uuid(id));
    if (!row || by.kind == PrincipalKind::customer) return no_such_approval(id);
    const auto* role = deciding_role(by, policy, row->rule);
    const bool own = is_asker(*row, by) || row->asker_person == format_uuid(person_of(by));
    if (role == nullptr && !own) return no_such_approval(id);
    if (own) return fail(ErrorKind::denied, "nobody decides about what they asked for themselves");
    VESTIGE_TRY(const auto before, approval_of(*row));
    if (before.state != Approval::State::asked) return fail(ErrorKind::conflict, why_not(before.state));
    row->decider_kind = kind_of(by);
    row->decider_id = format_uuid(by.id);
    row->decider_name = by.name;
    row->decider_role = *role;
    row->decided = time();
    row->sealed_comment = seal("comment", *row, verdict.comment);
    const Told told{.action = verdict.approve ? "APPROVED" : "REFUSED",
                    .by = Doer::of(by),
                    .client = &client,
                    .detail = {{.name = "decider_role", .value = *role},
                               {.name = "comment", .value = verdict.comment},
                               {.name = "asked_by", .value = row->asker_id}}};
    if (!verdict.approve) {
      VESTIGE_CHECKED(end(transaction, *row, Approval::State::refused, told));
      return approval_of(*row);
    }
    VESTIGE_CHECKED(record(transaction, *row, told));
    row->state = name_of(Approval::State::approved);
    store::update_approval(transaction, *row);
    return approval_of(*row);
  });
}

Result<store::ApprovalRow> Approvals::find_own(state::Transaction& transaction, const Principal& by,
                                               const Uuid& id) const {
  auto row = store::find_approval(transaction, by.tenant, format_uuid(id));
  if (!row || !is_asker(*row, by)) return no_such_approval(id);
  return *std::move(row);
}

Result<Approval> Approvals::withdraw(const Principal& by, const Client& client, const Uuid& id) {
  VESTIGE_CHECKED(expire_due());
  return database_.write([&](state::Transaction& transaction) -> Result<Approval> {
    VESTIGE_TRY(auto row, find_own(transaction, by, id));
    VESTIGE_TRY(const auto before, approval_of(row));
    if (is_over(row)) return fail(ErrorKind::conflict, why_not(before.state));
    VESTIGE_CHECKED(end(transaction, row, Approval::State::withdrawn,
                        {.action = "WITHDRAWN", .by = Doer::of(by), .client = &client}));
    return approval_of(row);
  });
}

// -------------------------------------------------------------------------------------------- using

Status Approvals::check_use(state::Transaction& transaction, const store::ApprovalRow& row,
                            const Policy& policy, std::string_view digest, std::string_view reason) const {
  const auto refuse = [](std::string why) { return fail(ErrorKind::denied, std::move(why)); };
  VESTIGE_TRY(const auto approval, approval_of(row));
  if (row.digest != digest)
    return refuse(
        "this approval is for another request: it is good for the very request that it was asked for, in the "
        "same role, and for no other");
  if (approval.state != Approval::State::approved) return refuse(why_not(approval.state));
  if (!reason.empty() && reason != approval.reason)
    return refuse("this approval was given for another reason; leave X-Vestige-Reason out, or say the same");
  const auto* const rule = policy.find_rule(row.rule);
  if (rule == nullptr) return refuse("the policy has no such rule of approval any more; ask for another one");
  if (std::ranges::find(rule->deciders, row.decider_role) == rule->deciders.end())
    return refuse("the policy lets others decide about this now; ask for another approval");
  // An account that a provider vouches for has no row; its sessions end with the provider's.
  const auto account = store::find_account(transaction, row.tenant, row.decider_id);
  const bool gone = row.decider_kind == "account" ? account && !account->is_active(clock_.now())
                                                  : !store::has_key(transaction, row.decider_id);
  if (gone) return refuse("whoever gave this approval may not decide any more; ask for another one");
  return {};
}

Result<Approval> Approvals::use(const Principal& by, const Client& client, const Policy& policy,
                                const Uuid& id, const ExactRequest& request, std::string_view reason) {
  VESTIGE_TRY(const auto text, canonical_text(request));
  VESTIGE_CHECKED(expire_due());
  return database_.write([&](state::Transaction& transaction) -> Result<Approval> {
    VESTIGE_TRY(auto row, find_own(transaction, by, id));
    VESTIGE_CHECKED(check_use(transaction, row, policy, digest_of(by, row.rule, text), reason));
    VESTIGE_TRY(const auto given_reason, open("reason", row, row.sealed_reason));
    VESTIGE_CHECKED(end(transaction, row, Approval::State::used,
                        {.action = "USED",
                         .by = Doer::of(by),
                         .client = &client,
                         .detail = {{.name = "reason", .value = given_reason},
                                    {.name = "approved_by", .value = row.decider_id}}}));
    return approval_of(row);
  });
}

// ---------------------------------------------------------------------------------------- ends by itself

Status Approvals::expire(state::Transaction& transaction, store::ApprovalRow& row) {
  return end(
      transaction, row, Approval::State::expired,
      {.action = "EXPIRED", .by = Doer::system(), .detail = {{.name = "asked_by", .value = row.asker_id}}});
}

Status Approvals::expire_due() {
  for (;;) {
    const auto due = [&](state::Transaction& transaction) -> Result<std::vector<store::ApprovalRow>> {
      return store::approvals_due(transaction, time(), limits::approvals_expired_at_once);
    };
    VESTIGE_TRY(const auto waiting, database_.read(due));
    if (waiting.empty()) return {};
    VESTIGE_CHECKED(database_.write([&](state::Transaction& transaction) -> Status {
      VESTIGE_TRY(auto rows, due(transaction));
      for (auto& row : rows) VESTIGE_CHECKED(expire(transaction, row));
      return {};
    }));
  }
}

Status Approvals::sweep() {
  VESTIGE_CHECKED(expire_due());
  return database_.write([&](state::Transaction& transaction) -> Status {
    store::drop_approvals_ended(transaction, time() + -limits::ended_approvals_kept.count());
    return {};
  });
}

Status Approvals::forget_subject(std::string_view tenant, std::string_view subject) {
  const auto index = subject_index(tenant, subject);
  if (index.empty()) return {};
  return database_.write([&](state::Transaction& transaction) -> Status {
    for (auto& row : store::approvals_about(transaction, std::string(tenant), index)) {
      row.subject_index.clear();
      row.sealed_subject.clear();
      row.sealed_reason.clear();
      row.sealed_comment.clear();
      if (row.ended.value != 0)
        store::update_approval(transaction, row);
      else
        VESTIGE_CHECKED(end(transaction, row, Approval::State::withdrawn,
                            {.action = "WITHDRAWN",
                             .by = Doer::system(),
                             .detail = {{.name = "asked_by", .value = row.asker_id}}}));
    }
    return {};
  });
}

}  // namespace vestige::access
