#include "access/internal/facts.h"

#include <fmt/format.h>

#include "base/encoding.h"
#include "base/time_text.h"
#include "json/json.h"

namespace vestige::access {
namespace {

// Members of one JSON object, in the order in which they are added.
class Object {
 public:
  void add_raw(std::string_view name, std::string_view json) {
    text_.push_back(text_.empty() ? '{' : ',');
    json::append_quoted(text_, name);
    text_.push_back(':');
    text_ += json;
  }
  void add(std::string_view name, std::string_view value) {
    if (value.empty()) return;
    std::string quoted;
    json::append_quoted(quoted, value);
    add_raw(name, quoted);
  }
  bool empty() const { return text_.empty(); }
  std::string text() const { return (text_.empty() ? "{" : text_) + "}"; }

 private:
  std::string text_;
};

std::string context_of(const Fact& fact) {
  Object context;
  if (fact.client != nullptr) {
    if (fact.client->address) context.add("ip", format_address(*fact.client->address));
    context.add("userAgent", fact.client->user_agent);
  }
  if (fact.source && fact.source->session) context.add("sessionId", format_uuid(*fact.source->session));
  return context.empty() ? std::string() : context.text();
}

std::string changes_of(const Fact& fact) {
  std::string out;
  for (const auto& changed : fact.changes) {
    Object change;
    change.add("field", changed.field);
    change.add("old", changed.before);
    change.add("new", changed.after);
    out += (out.empty() ? "[" : ",") + change.text();
  }
  return out + "]";
}

}  // namespace

Doer Doer::of(const Principal& principal) {
  constexpr std::string_view types[] = {"ACCOUNT", "API_KEY", "CUSTOMER"};
  const bool customer = principal.kind == PrincipalKind::customer;
  return {.id = customer && principal.subject ? *principal.subject : format_uuid(principal.id),
          .type = std::string(types[static_cast<std::size_t>(principal.kind)]),
          .name = principal.name,
          .session = principal.session};
}

Doer Doer::system() { return {.id = "vestige", .type = "SYSTEM", .name = {}}; }

std::string to_json(const Fact& fact) {
  Object event;
  event.add("kind", fact.kind);
  event.add("action", fact.action);
  event.add("time", format_time(fact.time));
  if (fact.source) {
    event.add("sourceType", fact.source->type);
    event.add("sourceId", fact.source->id);
    // A name stays where it can be sealed: in what people do about themselves.
    if (!fact.source->name.empty() && fact.source->id == fact.subject) {
      Object meta;
      meta.add("name", fact.source->name);
      event.add_raw("sourceEntityMeta", meta.text());
    }
  }
  event.add("targetType", fact.target_type);
  event.add("targetId", fact.target_id);
  event.add("subject", fact.subject);
  Object detail;
  for (const auto& member : fact.detail)
    member.raw ? detail.add_raw(member.name, member.value) : detail.add(member.name, member.value);
  if (!detail.empty()) event.add_raw("detail", detail.text());
  if (!fact.changes.empty()) event.add_raw("changes", changes_of(fact));
  if (const auto context = context_of(fact); !context.empty()) event.add_raw("context", context);
  return event.text();
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
