#include "audit/looks.h"

#include <fmt/format.h>

#include "audit/limits.h"
#include "base/encoding.h"
#include "json/json.h"

namespace vestige::audit {
namespace {

// Long enough that different values have different digests, too short to be worth guessing at.
constexpr std::size_t digest_bytes = 8;

// Members in the order of their adding.
class ObjectWriter {
 public:
  ObjectWriter& text(std::string_view name, std::string_view value) {
    if (value.empty()) return *this;
    std::string quoted;
    json::append_quoted(quoted, value);
    return raw(name, quoted);
  }
  ObjectWriter& raw(std::string_view name, std::string_view json) {
    if (json.empty()) return *this;
    text_ += text_.empty() ? '{' : ',';
    json::append_quoted(text_, name);
    text_.append(":").append(json);
    return *this;
  }
  std::string take() { return text_.empty() ? "{}" : std::move(text_) + "}"; }

 private:
  std::string text_;
};

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
  ObjectWriter detail;
  detail.text("access_type", look.access_type)
      .text("access_reason", look.reason)
      .text("operation", look.operation)
      .text("role", look.role)
      .raw("query", look.query)
      .raw("count", fmt::format("{}", look.given_out.entries))
      .raw("subjects", refs_json(look.given_out))
      .raw("shown", shown_json(look))
      .text("approval", look.approval)
      .text("outcome", look.outcome)
      .raw("status", fmt::format("{}", look.status));
  if (look.given_out.more_refs)
    detail.text("limit", fmt::format("given_out_refs_max = {}", given_out_refs_max));
  ObjectWriter context;
  context.text("ip", look.ip).text("userAgent", look.user_agent).text("sessionId", look.session);
  ObjectWriter source;
  source.text("name", look.source_name);
  ObjectWriter event;
  event.text("kind", "data.access")
      .text("action", look.action)
      .text("sourceType", look.source_type)
      .text("sourceId", look.source_id)
      .raw("sourceEntityMeta", source.take())
      .text("targetType", look.target_type)
      .text("targetId", look.target_id)
      .text("subject", look.person.value_or(""))
      .raw("detail", detail.take())
      .raw("context", context.take());
  return event.take();
}

QueryDigests::QueryDigests(vault::Vault& vault, std::string_view tenant)
    : vault_(vault), tenant_(tenant), key_(vault.purpose_key("query-digest", tenant)) {}

std::string QueryDigests::recorded_id(std::string_view id) const {
  const auto subject = vault_.look_up(tenant_, id);
  // Where the vault cannot tell, nothing is given away.
  const bool nobody = subject && subject->state == vault::SubjectState::never;
  return nobody ? std::string(id) : of(id);
}

std::string QueryDigests::of(std::string_view value) const {
  return "#" + to_hex(ByteView(key_.mac(view(value))).first(digest_bytes));
}

std::string QueryDigests::recorded(const Search& search) const {
  return recorded_form(search, [this](std::string_view value) { return of(value); });
}

}  // namespace vestige::audit
