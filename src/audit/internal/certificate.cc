#include "audit/internal/certificate.h"

#include <fmt/format.h>

#include "audit/entry_view.h"
#include "base/encoding.h"
#include "base/time_text.h"
#include "json/json.h"

namespace vestige::audit::internal {
namespace {

std::string quoted(std::string_view text) {
  std::string out;
  json::append_quoted(out, text);
  return out;
}

template <typename Items, typename Text>
std::string list_of(const Items& items, Text text) {
  std::string out = "[";
  for (const auto& item : items) out += (out.size() > 1 ? "," : "") + text(item);
  return out + "]";
}

std::string entry_json(const ProvenEntry& entry) {
  return fmt::format(R"({{"entry":{},"index":{},"leaf":"{}","path":{},"time":"{}"}})", quoted(entry.bytes),
                     entry.index, to_base64(entry.leaf),
                     list_of(entry.path, [](const Hash& hash) { return quoted(to_base64(hash)); }),
                     raw_text_member(entry.bytes, "receivedAt"));
}

}  // namespace

std::string certificate_text(const CertificateParts& parts) {
  const auto destroyed = list_of(parts.outcome.refs, [&](const Block16& ref) {
    return fmt::format(R"({{"epoch":{},"ref":"{}"}})", parts.outcome.epoch, to_base64(ref));
  });
  return fmt::format(
      "vestige erasure certificate v1\n"
      R"({{"backupsExpireAt":"{}","checkpoint":{},"concerned":{{"entries":{},"of":{}}},"destroyed":{},"erasedAt":"{}",)"
      R"("intent":{},"outcome":{},"pending":{},"stream":{},"tenant":{},"v":1}})"
      "\n",
      format_time(parts.backups_expire_at), quoted(parts.checkpoint), parts.entries_concerned,
      parts.checkpoint_size, destroyed, format_time(parts.outcome.erased_at), entry_json(parts.intent_entry),
      entry_json(parts.outcome_entry),
      list_of(parts.pending, [](const std::string& what) { return quoted(what); }), quoted(parts.stream),
      quoted(parts.tenant));
}

}  // namespace vestige::audit::internal
