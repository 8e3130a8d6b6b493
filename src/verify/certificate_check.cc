#include "verify/certificate_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/encoding.h"
#include "json/json.h"
#include "trail/format/note.h"
#include "trail/merkle/merkle.h"
#include "verify/internal/entry_check.h"
#include "verify/internal/json_member.h"
#include "verify/proof_check.h"

namespace vestige::verify {
namespace {

constexpr std::string_view title = "vestige erasure certificate v1\n";
constexpr std::array<std::string_view, 11> members{"backupsExpireAt", "checkpoint", "concerned", "destroyed",
                                                   "erasedAt",        "intent",     "outcome",   "pending",
                                                   "stream",          "tenant",     "v"};
constexpr std::size_t path_hashes_max = 64;

std::unexpected<Error> wrong(std::string_view what) {
  return fail(ErrorKind::corrupt, fmt::format("The certificate does not hold: {}.", what));
}

std::string text_in(const json::Value& object, std::string_view name) {
  const auto value = object.find(name);
  return value.is_string() ? std::string(value.string()) : std::string();
}

// One canonical object and nothing else.
Status parse_object(std::string_view text, json::Document& document, std::string_view what) {
  json::Parser parser;
  if (!parser.parse(text, document) || !document.root().is_object())
    return wrong(fmt::format("its {} is no JSON object", what));
  if (json::canonical(document.root()) != text)
    return wrong(fmt::format("its {} is not in canonical form", what));
  return {};
}

// The JSON line of the text that the key signed.
Result<std::string> signed_line(std::string_view certificate, std::string_view verifier_key) {
  const auto key = trail::parse_verifier_key(verifier_key);
  if (!key)
    return fail(ErrorKind::invalid, fmt::format("The verifier key does not parse: {}.", key.error().message));
  const auto note = trail::parse_note(certificate);
  if (!note) return wrong(fmt::format("it is no signed note ({})", note.error().message));
  if (!trail::verify_note(*note, std::span(&*key, 1)))
    return wrong(fmt::format("the key \"{}\" did not sign this text", key->text()));
  const std::string_view text = note->text;
  if (!text.starts_with(title) || text.find('\n', title.size()) != text.size() - 1)
    return wrong("it does not have the two lines of a certificate");
  return std::string(text.substr(title.size(), text.size() - title.size() - 1));
}

// An entry that stands at its place in the tree of the checkpoint; its members go to `document`.
Result<std::uint64_t> check_placed(const json::Value& placed, std::string_view action,
                                   const std::string& tenant, const CheckedCheckpoint& checkpoint,
                                   json::Document& document) {
  const auto bytes = text_in(placed, "entry");
  const auto index = number_in(placed, "index");
  const auto path = placed.find("path");
  if (!index || !path.is_array() || path.size() > path_hashes_max)
    return wrong(fmt::format("{} has no place", action));
  VESTIGE_CHECKED(parse_object(bytes, document, action));
  std::vector<Hash> hashes;
  for (std::size_t i = 0; i < path.size(); ++i) {
    const auto hash = path.at(i).is_string() ? array_from_base64<32>(path.at(i).string()) : std::nullopt;
    if (!hash) return wrong(fmt::format("the path of {} holds something else than hashes", action));
    hashes.push_back(*hash);
  }
  const auto leaf = trail::leaf_hash(view(bytes));
  if (text_in(placed, "leaf") != to_base64(leaf))
    return wrong(fmt::format("the leaf of {} is not its entry's", action));
  if (!trail::verify_inclusion(leaf, *index, checkpoint.size, hashes, checkpoint.root))
    return wrong(fmt::format("{} does not stand at {} of what the checkpoint signs", action, *index));
  const auto entry = document.root();
  if (text_in(entry, "kind") != "system.erasure" || text_in(entry, "action") != action ||
      text_in(entry, "tenant") != tenant || text_in(entry, "receivedAt") != text_in(placed, "time"))
    return wrong(fmt::format("{} is another entry than it should be", action));
  return *index;
}

Result<std::vector<std::string>> texts_in(const json::Value& list, std::string_view what) {
  std::vector<std::string> texts;
  for (std::size_t i = 0; list.is_array() && i < list.size(); ++i)
    if (list.at(i).is_string()) texts.emplace_back(list.at(i).string());
  if (!list.is_array() || texts.size() != list.size())
    return wrong(fmt::format("{} is no list of texts", what));
  return texts;
}

// Order, outcome and certificate speak of the same keys.
Status check_agreement(const json::Value& content, const json::Value& intent, const json::Value& outcome,
                       CheckedCertificate& checked) {
  const auto destroyed = content.find("destroyed");
  const auto epoch = number_in(outcome, "epoch");
  for (std::size_t i = 0; destroyed.is_array() && i < destroyed.size(); ++i) {
    if (number_in(destroyed.at(i), "epoch") != epoch) return wrong("the outcome is of another epoch");
    checked.refs.push_back(text_in(destroyed.at(i), "ref"));
  }
  VESTIGE_TRY(const auto refs, texts_in(outcome.find("refs"), "the outcome's refs"));
  if (refs.empty() || refs != checked.refs) return wrong("the outcome names other keys");
  if (std::ranges::find(refs, text_in(intent, "ref")) == refs.end())
    return wrong("the order names another key");
  if (number_in(outcome, "intent") != checked.intent || checked.intent >= checked.outcome)
    return wrong("the outcome is of another order");
  if (text_in(outcome, "erasedAt") != checked.erased_at) return wrong("the outcome names another time");
  return {};
}

Status check_members(const json::Value& content) {
  if (content.size() != members.size()) return wrong("its members are not those of version 1");
  for (std::size_t i = 0; i < members.size(); ++i)
    if (content.key_at(i) != members[i]) return wrong("its members are not those of version 1");
  if (number_in(content, "v") != 1) return wrong("it is of another version");
  return {};
}

}  // namespace

Result<CheckedCertificate> check_certificate(std::string_view certificate, std::string_view verifier_key) {
  VESTIGE_TRY(const auto line, signed_line(certificate, verifier_key));
  json::Document document, intent, outcome;
  VESTIGE_CHECKED(parse_object(line, document, "content"));
  const auto content = document.root();
  VESTIGE_CHECKED(check_members(content));
  VESTIGE_TRY(const auto checkpoint, check_checkpoint(text_in(content, "checkpoint"), verifier_key));
  CheckedCertificate checked;
  checked.origin = checkpoint.origin;
  checked.size = checkpoint.size;
  checked.tenant = text_in(content, "tenant");
  checked.stream = text_in(content, "stream");
  checked.erased_at = text_in(content, "erasedAt");
  checked.backups_expire_at = text_in(content, "backupsExpireAt");
  if (!is_canonical_time(checked.erased_at) || !is_canonical_time(checked.backups_expire_at))
    return wrong("a time is missing");
  if (!checked.origin.ends_with(fmt::format("/{}/{}", checked.tenant, checked.stream)))
    return wrong("its checkpoint is of another log");
  const auto concerned = content.find("concerned");
  const auto entries = number_in(concerned, "entries");
  if (!entries || number_in(concerned, "of") != checkpoint.size || *entries > checkpoint.size)
    return wrong("it counts the entries of another tree than its checkpoint's");
  checked.entries = *entries;
  VESTIGE_TRY(checked.pending, texts_in(content.find("pending"), "pending"));
  VESTIGE_TRY(checked.intent,
              check_placed(content.find("intent"), "INTENDED", checked.tenant, checkpoint, intent));
  VESTIGE_TRY(checked.outcome,
              check_placed(content.find("outcome"), "ERASED", checked.tenant, checkpoint, outcome));
  VESTIGE_CHECKED(
      check_agreement(content, intent.root().find("detail"), outcome.root().find("detail"), checked));
  return checked;
}

}  // namespace vestige::verify
