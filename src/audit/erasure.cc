#include "audit/erasure.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>

#include "audit/internal/certificate.h"
#include "audit/internal/erasure_entry.h"
#include "audit/internal/refusal.h"
#include "audit/limits.h"
#include "audit/search/tokens.h"
#include "base/encoding.h"
#include "trail/format/members.h"
#include "trail/format/note.h"

namespace vestige::audit {
namespace {

constexpr std::string_view count_mark = "erasures";
constexpr std::string_view intent_mark = "erasure.intent";    // index of the last intent, plus 1
constexpr std::string_view outcome_mark = "erasure.outcome";  // index of the last outcome, plus 1
constexpr std::int64_t ms_of_day = 86'400'000;

std::uint64_t mark_of(const ErasureParts& parts, std::string_view name) {
  return parts.log.mark(parts.stream.number(), std::string(name)).value_or(0);
}

std::string_view state_name(vault::SubjectState state) {
  switch (state) {
    case vault::SubjectState::never:
      return "never";
    case vault::SubjectState::active:
      return "active";
    case vault::SubjectState::erased:
      return "erased";
    case vault::SubjectState::reauthorised:
      return "reauthorised";
  }
  return "never";
}

std::unexpected<Error> no_such_erasure(std::uint64_t intent) {
  return fail(ErrorKind::not_found,
              fmt::format("entry {} is not the intent of an erasure of this trail", intent));
}

// Whether `word` stands in the text with no letter or digit right before or after it.
bool has_word(std::string_view text, std::string_view word) {
  const auto joins = [text](std::size_t at) {
    return at < text.size() && std::isalnum(static_cast<unsigned char>(text[at])) != 0;
  };
  for (auto at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1))
    if (!(at > 0 && joins(at - 1)) && !joins(at + word.size())) return true;
  return false;
}

// Whoever may be asked for permission, is asked here: so far only the request itself.
Status admit(const SubjectRequest& request) {
  if (request.subject.empty())
    return internal::refuse({}, "/subject", "must name the person: a string that is not empty");
  if (request.subject.size() > identifier_bytes_max)
    return internal::refuse({}, "/subject", "is longer than an identifier may be",
                            fmt::format("identifier_bytes_max = {}", identifier_bytes_max));
  if (request.reason.size() > reason_bytes_max)
    return internal::refuse({}, "/reason", "is longer than a reason may be",
                            fmt::format("reason_bytes_max = {}", reason_bytes_max));
  if (has_word(request.reason, request.subject))
    return internal::refuse({}, "/reason",
                            "names the person; it stays readable for ever, so say why without saying who");
  return {};
}

// Whether a section of the entry belongs to the ref, in its text form.
bool concerns(std::string_view entry, std::string_view ref) {
  if (entry.find(ref) == std::string_view::npos) return false;
  trail::MemberScanner members(entry);
  while (const auto member = members.next())
    if (member->key == "sealed") return member->value.find(ref) != std::string_view::npos;
  return false;
}

std::vector<trail::Token> tokens_of(const std::vector<Block16>& refs) {
  std::vector<trail::Token> tokens;
  for (const auto& ref : refs) tokens.push_back(ref_token(to_base64(ref)));
  return tokens;
}

Result<std::uint64_t> count_concerned(const trail::Snapshot& snapshot, std::uint64_t size,
                                      const std::vector<Block16>& refs) {
  std::vector<std::string> texts;
  trail::RowTest test;  // passes pages over that have none of the refs
  for (const auto& ref : refs) texts.push_back('"' + to_base64(ref) + '"');
  test.tokens.push_back({.any_of = tokens_of(refs), .may_be_sealed = false});
  std::uint64_t count = 0;
  VESTIGE_CHECKED(snapshot.scan(
      0, size, trail::Snapshot::Order::ascending, test, [&](const trail::ScannedRow& row) -> Result<bool> {
        count += std::ranges::any_of(texts, [&](const auto& text) { return concerns(row.entry, text); });
        return true;
      }));
  return count;
}

Result<internal::ProvenEntry> prove(const trail::Snapshot& snapshot, std::uint64_t index,
                                    std::uint64_t size) {
  internal::ProvenEntry proven{.index = index, .bytes = {}, .leaf = {}, .path = {}};
  VESTIGE_TRY(auto record, snapshot.read(index));
  proven.bytes = std::move(record.entry);
  VESTIGE_TRY(proven.leaf, snapshot.leaf(index));
  VESTIGE_TRY(proven.path, snapshot.inclusion(index, size));
  return proven;
}

}  // namespace

Erasures::Erasures(ErasureParts parts, ErasureOptions options)
    : parts_(std::move(parts)),
      options_(options),
      id_key_(parts_.vault.purpose_key("erasure-entry", parts_.stream.tenant())),
      ledger_(parts_.ledger) {}

// Keyed, so that nobody can take the id first; always the same, so that no step is recorded twice.
Uuid Erasures::id_of(std::string_view step, std::uint64_t intent) const {
  Bytes number;
  ByteWriter(number).u64(intent);
  const auto mac = id_key_.mac({view(parts_.stream.full_name()), view(step), ByteView(number)});
  return make_uuid_v8(load_le<Block16>(mac.data()));
}

Result<std::optional<Erasures::Found>> Erasures::find(const Uuid& id) const {
  Fingerprinter fingerprint(parts_.vault, parts_.stream.tenant());
  const auto snapshot = parts_.stream.snapshot();
  VESTIGE_TRY(const auto candidates, parts_.stream.ids().find(fingerprint(id)));
  for (const auto index : candidates) {
    if (index >= snapshot.size()) continue;
    VESTIGE_TRY(auto record, snapshot.read(index));
    if (entry_id(record.entry) == id) return Found{index, std::move(record.entry)};
  }
  return std::optional<Found>{};
}

Result<Acknowledged> Erasures::append(const std::string& event, std::string_view mark) {
  VESTIGE_TRY(auto batch, parts_.ingest.prepare_system(event));
  if (!mark.empty())
    batch.placed = [mark, count = mark_of(parts_, count_mark), last = mark_of(parts_, outcome_mark)](
                       trail::Placement& placement, const BatchOutcome& outcome) {
      if (outcome.accepted == 0) return;
      const bool ends = mark == outcome_mark;
      placement.set_mark(mark, outcome.events.front().index + 1);
      placement.set_mark(count_mark, ends ? count + 1 : count);
      // An erasure that has begun finds room for its end, whoever takes the last marks meanwhile.
      if (!ends) placement.set_mark(outcome_mark, last);
    };
  VESTIGE_TRY(const auto outcome, parts_.append(std::move(batch)));
  return outcome.events.front();
}

Status Erasures::check(const std::string& journal) {
  const Lock lock(ledger_.mutex);
  ledger_.counted += mark_of(parts_, count_mark);
  const auto known = parts_.vault.erasures();
  if (ledger_.counted > known)
    return fail(
        ErrorKind::conflict,
        fmt::format(
            "The trail has seen {} erasures, and the vault knows of {}: an older copy of the vault was put "
            "back, which still has keys that were destroyed. Nothing is served with it. Take the newest "
            "copy of the vault's erasure journal (the file \"erased\" of the vault that served last, or "
            "of any later backup; it holds no keys), put it in place as {} and start again: what is in "
            "it is erased again before anything is served.",
            ledger_.counted, known, journal));
  // By intent; after data were put back an index may have been given again, and the later record is ours.
  std::map<std::uint64_t, std::uint64_t> records;
  for (const auto& erasure : parts_.vault.erasures_of(parts_.stream.tenant()))
    records[erasure.entry] = erasure.number;
  const auto snapshot = parts_.stream.snapshot();
  for (auto next = mark_of(parts_, outcome_mark); next != 0;) {
    VESTIGE_TRY(const auto entry, snapshot.read(next - 1));
    VESTIGE_TRY(const auto outcome, internal::read_outcome(entry.entry, next - 1));
    for (const auto& ref : outcome.refs) parts_.index.add(ref, outcome.index);
    const auto record = records.find(outcome.intent);
    if (record == records.end())
      return fail(
          ErrorKind::conflict,
          fmt::format(
              "Entry {} of {} says that a key was destroyed by order of entry {}, and the vault's erasure "
              "journal {} has no such record: vault and data do not belong together. Bring back those that "
              "do.",
              outcome.index, parts_.stream.full_name(), outcome.intent, journal));
    ledger_.refs[record->second] = outcome.refs;
    // Each names an earlier one, or the chain would not end.
    if (outcome.previous && *outcome.previous >= outcome.index)
      return corrupt("", 0, fmt::format("entry {} names a later erasure as the one before", outcome.index));
    next = outcome.previous ? *outcome.previous + 1 : 0;
  }
  if (const auto last = mark_of(parts_, intent_mark); last != 0) unfinished_ = last - 1;
  return {};
}

Status Erasures::finish() {
  const Lock lock(ledger_.mutex);
  VESTIGE_CHECKED(finish_locked());
  // Also those that no trail here knows of: they may be copies from before, beside today's vault.
  return forget_lost();
}

Status Erasures::finish_locked() {
  if (unfinished_) VESTIGE_CHECKED(complete(*unfinished_));
  return {};
}

Result<CertifiedErasure> Erasures::erase(const SubjectRequest& request) {
  VESTIGE_CHECKED(admit(request));
  const Lock lock(ledger_.mutex);
  VESTIGE_CHECKED(finish_locked());
  const auto& tenant = parts_.stream.tenant();
  VESTIGE_TRY(const auto before, parts_.vault.look_up(tenant, request.subject));
  if (before.state == vault::SubjectState::erased) return complete(*before.erased_by);
  // Also who was never seen gets a ref, so that every intent names the one that is to go.
  VESTIGE_TRY(const auto owner, parts_.vault.owner_of(tenant, request.subject));
  VESTIGE_CHECKED(parts_.vault.sync());
  const internal::ErasureIntent intent{.index = 0,
                                       .subject = parts_.vault.subject_hash(tenant, request.subject),
                                       .ref = owner.ref,
                                       .epoch = before.epoch};
  VESTIGE_TRY(const auto placed,
              append(internal::intent_event(intent, request.reason, {request.actor_type, request.actor}),
                     intent_mark));
  unfinished_ = placed.index;
  return complete(placed.index);
}

// The one place where an erasure completes. Each step finds out for itself whether it was done before.
Result<CertifiedErasure> Erasures::complete(std::uint64_t intent) {
  CertifiedErasure done{.intent = intent, .outcome = 0, .certificate = {}};
  VESTIGE_TRY(done.outcome, destroy(intent));
  VESTIGE_CHECKED(forget_lost());
  VESTIGE_TRY(done.certificate, certify(intent, done.outcome));
  if (unfinished_ == intent) unfinished_.reset();
  return done;
}

// Gives the outcome's index. Events that were sealed before the bar and are placed after it are let through:
// their personal values are under the key that dies here.
Result<std::uint64_t> Erasures::destroy(std::uint64_t index) {
  const auto id = id_of("outcome", index);
  VESTIGE_TRY(const auto done, find(id));
  if (done) return done->index;
  const auto snapshot = parts_.stream.snapshot();
  if (index >= snapshot.size()) return no_such_erasure(index);
  VESTIGE_TRY(const auto record, snapshot.read(index));
  VESTIGE_TRY(const auto intent, internal::read_intent(record.entry, index));
  parts_.vault.bar(intent.subject);
  VESTIGE_TRY(const auto erasure, parts_.vault.erase(parts_.stream.tenant(), intent.subject, index));
  internal::ErasureOutcome outcome{.index = 0,
                                   .intent = index,
                                   .epoch = erasure.epoch,
                                   .refs = {intent.ref},
                                   .erased_at = erasure.time,
                                   .number = mark_of(parts_, count_mark) + 1,
                                   .previous = {}};
  if (const auto last = mark_of(parts_, outcome_mark); last != 0) outcome.previous = last - 1;
  VESTIGE_TRY(const auto placed, append(internal::outcome_event(id, outcome), outcome_mark));
  for (const auto& ref : outcome.refs) parts_.index.add(ref, placed.index);
  ledger_.refs[erasure.number] = outcome.refs;
  return placed.index;
}

Status Erasures::forget_lost() {
  trail::Forgotten forgotten{.from = 0, .to = parts_.vault.erasures(), .tokens = {}};
  if (ledger_.forgotten == forgotten.to) return {};
  const auto oldest = parts_.log.oldest_sealed_generation().value_or(forgotten.to);
  // Back to the one that is furthest behind, or to an erasure that no trail tells of.
  for (forgotten.from = forgotten.to; forgotten.from > std::min(oldest, forgotten.to - 1); --forgotten.from) {
    const auto refs = ledger_.refs.find(forgotten.from - 1);
    if (refs == ledger_.refs.end()) break;
    std::ranges::move(tokens_of(refs->second), std::back_inserter(forgotten.tokens));
  }
  VESTIGE_CHECKED(parts_.log.forget(forgotten));
  ledger_.forgotten = forgotten.to;
  return {};
}

Result<std::string> Erasures::certify(std::uint64_t intent, std::uint64_t outcome) {
  const auto id = id_of("certificate", intent);
  VESTIGE_TRY(const auto kept, find(id));
  if (kept) return internal::read_certificate(kept->entry, kept->index);
  VESTIGE_TRY(const auto certificate, make_certificate(intent, outcome));
  VESTIGE_CHECKED(append(internal::certified_event(id, intent, outcome, certificate), ""));
  return certificate;
}

Result<std::string> Erasures::make_certificate(std::uint64_t intent, std::uint64_t outcome) {
  internal::CertificateParts certificate;
  certificate.tenant = parts_.stream.tenant();
  certificate.stream = parts_.stream.name();
  VESTIGE_TRY(certificate.checkpoint, parts_.signer.sign(parts_.stream.snapshot()));
  VESTIGE_TRY(const auto note, trail::parse_note(certificate.checkpoint));
  VESTIGE_TRY(const auto checkpoint, trail::parse_checkpoint(note.text));
  certificate.checkpoint_size = checkpoint.size;
  const auto snapshot = parts_.stream.snapshot();  // not before the signature, so it covers what was signed
  VESTIGE_TRY(certificate.intent_entry, prove(snapshot, intent, checkpoint.size));
  VESTIGE_TRY(certificate.outcome_entry, prove(snapshot, outcome, checkpoint.size));
  VESTIGE_TRY(certificate.outcome, internal::read_outcome(certificate.outcome_entry.bytes, outcome));
  VESTIGE_TRY(certificate.entries_concerned,
              count_concerned(snapshot, checkpoint.size, certificate.outcome.refs));
  certificate.backups_expire_at =
      UnixMs{certificate.outcome.erased_at.value + std::int64_t{options_.vault_backup_days} * ms_of_day};
  return parts_.signer.sign_statement(internal::certificate_text(certificate));
}

Result<CertifiedErasure> Erasures::certificate(std::uint64_t intent) {
  const Lock lock(ledger_.mutex);
  VESTIGE_TRY(const auto outcome, find(id_of("outcome", intent)));
  if (!outcome) return no_such_erasure(intent);
  return complete(intent);
}

Result<SubjectKeys> Erasures::keys(std::string_view subject) {
  VESTIGE_TRY(const auto view, parts_.vault.look_up(parts_.stream.tenant(), subject));
  SubjectKeys keys{.state = state_name(view.state),
                   .epoch = view.epoch,
                   .ref = view.ref,
                   .intent = view.erased_by,
                   .outcome = {}};
  if (!view.erased_by) return keys;
  VESTIGE_TRY(const auto outcome, find(id_of("outcome", *view.erased_by)));
  if (outcome) keys.outcome = outcome->index;
  return keys;
}

Result<SubjectKeys> Erasures::reauthorise(const SubjectRequest& request) {
  VESTIGE_CHECKED(admit(request));
  {
    const Lock lock(ledger_.mutex);
    VESTIGE_CHECKED(finish_locked());
    const auto& tenant = parts_.stream.tenant();
    VESTIGE_TRY(const auto before, parts_.vault.look_up(tenant, request.subject));
    if (before.state != vault::SubjectState::erased)
      return fail(ErrorKind::conflict,
                  "the person is not erased, so there is nothing to re-authorise: what comes about them is "
                  "recorded whole");
    VESTIGE_CHECKED(append(
        internal::reauthorised_event(parts_.vault.subject_hash(tenant, request.subject), before.epoch + 1,
                                     request.reason, {request.actor_type, request.actor}),
        ""));
    VESTIGE_CHECKED(parts_.vault.reauthorise(tenant, request.subject));
  }
  return keys(request.subject);
}

}  // namespace vestige::audit
