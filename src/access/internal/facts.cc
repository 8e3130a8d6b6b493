#include "access/internal/facts.h"

#include <fmt/format.h>

#include "base/encoding.h"
#include "base/time_text.h"
#include "json/object_writer.h"

namespace vestige::access {
namespace {

std::string context_of(const Fact& fact) {
  json::ObjectWriter context;
  if (fact.client != nullptr) {
    if (fact.client->address) context.text_if_any("ip", format_address(*fact.client->address));
    context.text_if_any("userAgent", fact.client->user_agent);
  }
  if (fact.source && fact.source->session)
    context.text_if_any("sessionId", format_uuid(*fact.source->session));
  return context.empty() ? std::string() : context.str();
}

std::string changes_of(const Fact& fact) {
  std::string out;
  for (const auto& changed : fact.changes) {
    json::ObjectWriter change;
    change.text_if_any("field", changed.field);
    change.text_if_any("old", changed.before);
    change.text_if_any("new", changed.after);
    out += (out.empty() ? "[" : ",") + change.str();
  }
  return out + "]";
}

}  // namespace

Doer Doer::of(const Principal& principal) {
  return {.id = actor_id(principal),
          .type = std::string(actor_type(principal)),
          .name = principal.name,
          .session = principal.session};
}

Doer Doer::system() { return {.id = "vestige", .type = "SYSTEM", .name = {}}; }

std::string to_json(const Fact& fact) {
  json::ObjectWriter event;
  event.text_if_any("kind", fact.kind);
  event.text_if_any("action", fact.action);
  event.text_if_any("time", format_time(fact.time));
  if (fact.source) {
    event.text_if_any("sourceType", fact.source->type);
    event.text_if_any("sourceId", fact.source->id);
    // A name stays where it can be sealed: in what people do about themselves.
    if (!fact.source->name.empty() && fact.source->id == fact.subject) {
      json::ObjectWriter meta;
      meta.text_if_any("name", fact.source->name);
      event.raw("sourceEntityMeta", meta.str());
    }
  }
  event.text_if_any("targetType", fact.target_type);
  event.text_if_any("targetId", fact.target_id);
  event.text_if_any("subject", fact.subject);
  json::ObjectWriter detail;
  for (const auto& member : fact.detail)
    member.raw ? detail.raw(member.name, member.value) : detail.text_if_any(member.name, member.value);
  if (!detail.empty()) event.raw("detail", detail.str());
  if (!fact.changes.empty()) event.raw("changes", changes_of(fact));
  if (const auto context = context_of(fact); !context.empty()) event.raw("context", context);
  return event.str();
}

std::string joined(std::span<const std::string> parts) { return fmt::format("{}", fmt::join(parts, ",")); }

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const auto end = text.find(at);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return parts;
}

}  // namespace vestige::access
