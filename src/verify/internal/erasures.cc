#include "verify/internal/erasures.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/encoding.h"
#include "crypto/digest.h"
#include "json/json.h"
#include "verify/internal/json_member.h"

namespace vestige::verify {
namespace {

std::optional<Block16> ref_in(const json::Value& value) {
  return value.is_string() ? array_from_base64<16>(value.string()) : std::nullopt;
}

std::optional<ErasuresSeen::Outcome> read_outcome(const json::Value& detail, std::uint64_t index) {
  const auto intent = number_in(detail, "intent");
  const auto refs = detail.find("refs");
  if (!intent || !refs.is_array() || refs.size() == 0) return std::nullopt;
  ErasuresSeen::Outcome outcome{.index = index, .intent = *intent, .refs = {}};
  for (std::size_t i = 0; i < refs.size(); ++i) {
    const auto ref = ref_in(refs.at(i));
    if (!ref) return std::nullopt;
    outcome.refs.push_back(*ref);
  }
  return outcome;
}

// The tenant's entries that the vault's journal says were carried out.
std::set<std::uint64_t> ordered_by(std::string_view tenant, const VaultKeys& keys) {
  const auto hash = vault::tenant_hash(crypto::HmacKey(keys.image().top.subject_secret.bytes), tenant);
  std::set<std::uint64_t> entries;
  for (const auto& record : keys.image().journal.records)
    if (record.tenant == hash) entries.insert(record.entry);
  return entries;
}

}  // namespace

void ErasuresSeen::merge(const ErasuresSeen& other) {
  intents.insert(intents.end(), other.intents.begin(), other.intents.end());
  outcomes.insert(outcomes.end(), other.outcomes.begin(), other.outcomes.end());
}

std::optional<std::string> note_erasure(const EntryFacts& facts, std::uint64_t index, ErasuresSeen& seen) {
  const bool intended = facts.action == "\"INTENDED\"";
  const bool erased = facts.action == "\"ERASED\"";
  if (!intended && !erased) return std::nullopt;
  json::Parser parser;
  json::Document document;
  const auto parsed = parser.parse(facts.detail, document);
  const auto detail = parsed ? document.root() : json::Value();
  if (intended) {
    const auto ref = ref_in(detail.find("ref"));
    if (ref) seen.intents.push_back({index, *ref});
    if (ref) return std::nullopt;
  } else if (auto outcome = read_outcome(detail, index)) {
    seen.outcomes.push_back(*std::move(outcome));
    return std::nullopt;
  }
  return fmt::format("the detail of this erasure's {} is not what the format says", facts.action);
}

Authorities::Authorities(const ErasuresSeen& seen, std::string_view tenant, const VaultKeys& keys) {
  const auto first = [this](const Block16& ref, std::uint64_t entry) {
    const auto [place, added] = entries_.try_emplace(ref, entry);
    if (!added) place->second = std::min(place->second, entry);
  };
  for (const auto& outcome : seen.outcomes)
    for (const auto& ref : outcome.refs) first(ref, outcome.index);
  // An order that was carried out and is not on record yet.
  const auto ordered = ordered_by(tenant, keys);
  for (const auto& intent : seen.intents)
    if (!entries_.contains(intent.ref) && ordered.contains(intent.index)) first(intent.ref, intent.index);
}

std::optional<std::uint64_t> Authorities::erased_by(std::span<const Block16> refs) const {
  std::optional<std::uint64_t> first;
  for (const auto& ref : refs) {
    const auto found = entries_.find(ref);
    if (found == entries_.end()) return std::nullopt;
    first = std::min(first.value_or(found->second), found->second);
  }
  return first;
}

void check_erasures(const ErasuresSeen& seen, std::string_view tenant, const VaultKeys& keys,
                    bool while_running, Problems& problems, std::vector<std::string>& notes) {
  if (while_running) return;
  const auto ordered = ordered_by(tenant, keys);
  std::set<std::uint64_t> finished;
  for (const auto& outcome : seen.outcomes) {
    finished.insert(outcome.intent);
    if (!ordered.contains(outcome.intent))
      problems.add(
          Part::vault, "vault/erased", 0,
          fmt::format("entry {} says that what entry {} ordered was carried out, and the journal has "
                      "no such erasure: an older vault was put back, or another one",
                      outcome.index, outcome.intent));
    for (const auto& ref : outcome.refs)
      if (keys.owner(ref))
        problems.add(
            Part::vault, "vault/top", 0,
            fmt::format(
                "entry {} says that the key of {} was destroyed, and the vault has it: an older vault was "
                "put back",
                outcome.index, to_base64(ref)));
  }
  for (const auto& intent : seen.intents)
    if (!finished.contains(intent.index))
      notes.push_back(fmt::format(
          "The erasure that entry {} ordered is not finished: the server finishes it when it starts.",
          intent.index));
}

}  // namespace vestige::verify
