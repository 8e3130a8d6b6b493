#include "audit/looks.h"

#include <fmt/format.h>

#include "audit/limits.h"
#include "base/encoding.h"
#include "json/object_writer.h"

namespace vestige::audit {
namespace {

// Long enough that different values have different digests, too short to be worth guessing at.
constexpr std::size_t digest_bytes = 8;

std::string refs_json(const GivenOut& given_out) {
  if (given_out.refs.empty()) return {};
  std::string out = "[";
  for (const auto& ref : given_out.refs)
    out += fmt::format("{}\"{}\"", out.size() == 1 ? "" : ",", to_base64(ref));
  return out + "]";
}

std::string shown_json(const Look& look) {
  std::string out = R"(["clear")";
  if (look.personal) out += R"(,"personal")";
  if (look.sensitive) out += R"(,"sensitive")";
  return out + "]";
}

}  // namespace

std::string look_event(const Look& look) {
  json::ObjectWriter detail;
  detail.text_if_any("access_type", look.access_type)
      .text_if_any("access_reason", look.reason)
      .text_if_any("purpose", look.purpose)
      .text_if_any("operation", look.operation)
      .text_if_any("role", look.role)
      .raw_if_any("query", look.query)
      .raw_if_any("counted", look.counted)
      .raw("count", fmt::format("{}", look.given_out.entries))
      .raw_if_any("subjects", refs_json(look.given_out))
      .raw("shown", shown_json(look))
      .text_if_any("approval", look.approval)
      .text_if_any("outcome", look.outcome)
      .raw("status", fmt::format("{}", look.status));
  if (look.given_out.more_refs)
    detail.text_if_any("limit", fmt::format("given_out_refs_max = {}", given_out_refs_max));
  json::ObjectWriter context;
  context.text_if_any("ip", look.ip)
      .text_if_any("userAgent", look.user_agent)
      .text_if_any("sessionId", look.session);
  json::ObjectWriter source;
  source.text_if_any("name", look.source_name);
  json::ObjectWriter event;
  event.text_if_any("kind", "data.access")
      .text_if_any("action", look.action)
      .text_if_any("sourceType", look.source_type)
      .text_if_any("sourceId", look.source_id)
      .raw("sourceEntityMeta", source.str())
      .text_if_any("targetType", look.target_type)
      .text_if_any("targetId", look.target_id)
      .text_if_any("subject", look.person.value_or(""))
      .raw("detail", detail.str())
      .raw("context", context.str());
  return event.str();
}

QueryDigests::QueryDigests(vault::Vault& vault, std::string_view tenant)
    : vault_(vault), tenant_(tenant), key_(vault.purpose_key("query-digest", tenant)) {}

std::string QueryDigests::recorded_id(std::string_view id) const {
  const auto subject = vault_.look_up(tenant_, id);
  // Where the vault cannot tell, nothing is given away.
  const bool nobody = subject && subject->state == vault::SubjectState::never;
  return nobody ? std::string(id) : of(id);
}

std::optional<Block16> QueryDigests::ref_of(std::string_view person) const {
  const auto subject = vault_.look_up(tenant_, person);
  return subject ? subject->ref : std::nullopt;
}

std::string QueryDigests::of(std::string_view value) const {
  return "#" + to_hex(ByteView(key_.mac(view(value))).first(digest_bytes));
}

std::string QueryDigests::recorded(const Search& search) const {
  return recorded_form(search, [this](std::string_view value) { return of(value); });
}

}  // namespace vestige::audit
