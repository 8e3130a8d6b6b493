#include "audit/internal/erasure_entry.h"

#include <fmt/format.h>

#include <charconv>
#include <limits>

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

std::string reason_member(std::string_view reason) {
  return reason.empty() ? "" : fmt::format(R"("reason":{},)", quoted(reason));
}

std::string by_caller(std::string_view action, const Actor& actor, const std::string& detail) {
  return fmt::format(R"({{"action":"{}","detail":{{{}}},"kind":"{}","sourceId":{},"sourceType":{}}})", action,
                     detail, erasure_kind, quoted(actor.id), quoted(actor.type));
}

std::string by_server(const Uuid& id, std::string_view action, const std::string& detail) {
  return fmt::format(R"({{"action":"{}","detail":{{{}}},"id":"{}","kind":"{}","sourceType":"SERVER"}})",
                     action, detail, format_uuid(id), erasure_kind);
}

// The detail of an entry of ours, member by member; the first that is not there or wrong is remembered.
class Detail {
 public:
  Detail(std::string_view entry, std::uint64_t index, std::string_view action) : index_(index) {
    json::Parser parser;
    const auto parsed = parser.parse(entry, document_);
    const auto root = parsed ? document_.root() : json::Value();
    const auto kind = root.find("kind");
    const auto acted = root.find("action");
    if (!kind.is_string() || kind.string() != erasure_kind || !acted.is_string() || acted.string() != action)
      wrong_ = fmt::format("no {} entry of action {}", erasure_kind, action);
    detail_ = root.find("detail");
  }

  std::uint64_t number(std::string_view name,
                       std::uint64_t most = std::numeric_limits<std::uint64_t>::max()) {
    const auto value = detail_.find(name);
    std::uint64_t number = 0;
    if (value.is_number()) {
      const auto text = value.number();
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
      if (error == std::errc{} && end == text.data() + text.size() && number <= most) return number;
    }
    miss(name);
    return 0;
  }
  bool has(std::string_view name) const { return detail_.find(name).exists(); }
  std::string_view text(std::string_view name) {
    const auto value = detail_.find(name);
    if (value.is_string()) return value.string();
    miss(name);
    return {};
  }
  template <std::size_t N>
  std::array<std::uint8_t, N> bytes(std::string_view name) {
    const auto found = array_from_base64<N>(text(name));
    if (!found) miss(name);
    return found.value_or(std::array<std::uint8_t, N>{});
  }
  std::vector<Block16> refs(std::string_view name) {
    std::vector<Block16> refs;
    const auto list = detail_.find(name);
    for (std::size_t i = 0; list.is_array() && i < list.size(); ++i) {
      const auto ref = list.at(i).is_string() ? array_from_base64<16>(list.at(i).string()) : std::nullopt;
      if (ref) refs.push_back(*ref);
    }
    if (refs.empty() || refs.size() != list.size()) miss(name);
    return refs;
  }

  Status outcome() const {
    if (wrong_.empty()) return {};
    return corrupt("", 0, fmt::format("entry {} is {}", index_, wrong_));
  }

 private:
  void miss(std::string_view name) {
    if (wrong_.empty()) wrong_ = fmt::format("an erasure without a proper \"{}\"", name);
  }

  const std::uint64_t index_;
  json::Document document_;
  json::Value detail_;
  std::string wrong_;
};

constexpr std::uint64_t epoch_max = std::numeric_limits<std::uint32_t>::max();

}  // namespace

std::string intent_event(const ErasureIntent& intent, std::string_view reason, const Actor& actor) {
  return by_caller(intended_action, actor,
                   fmt::format(R"("epoch":{},{}"ref":"{}","subjectHash":"{}")", intent.epoch,
                               reason_member(reason), to_base64(intent.ref), to_base64(intent.subject)));
}

std::string outcome_event(const Uuid& id, const ErasureOutcome& outcome) {
  std::string refs;
  for (const auto& ref : outcome.refs)
    refs += fmt::format("{}\"{}\"", refs.empty() ? "" : ",", to_base64(ref));
  const auto previous = outcome.previous ? fmt::format("\"previous\":{},", *outcome.previous) : "";
  return by_server(
      id, erased_action,
      fmt::format(R"("epoch":{},"erasedAt":"{}","erasure":{},"intent":{},{}"refs":[{}])", outcome.epoch,
                  format_time(outcome.erased_at), outcome.number, outcome.intent, previous, refs));
}

std::string certified_event(const Uuid& id, std::uint64_t intent, std::uint64_t outcome,
                            std::string_view certificate) {
  return by_server(
      id, certified_action,
      fmt::format(R"("certificate":{},"intent":{},"outcome":{})", quoted(certificate), intent, outcome));
}

std::string reauthorised_event(const Hash& subject, std::uint32_t epoch, std::string_view reason,
                               const Actor& actor) {
  return by_caller(
      "REAUTHORISED", actor,
      fmt::format(R"("epoch":{},{}"subjectHash":"{}")", epoch, reason_member(reason), to_base64(subject)));
}

Result<ErasureIntent> read_intent(std::string_view entry, std::uint64_t index) {
  Detail detail(entry, index, intended_action);
  const ErasureIntent intent{.index = index,
                             .subject = detail.bytes<32>("subjectHash"),
                             .ref = detail.bytes<16>("ref"),
                             .epoch = static_cast<std::uint32_t>(detail.number("epoch", epoch_max))};
  VESTIGE_CHECKED(detail.outcome());
  return intent;
}

Result<ErasureOutcome> read_outcome(std::string_view entry, std::uint64_t index) {
  Detail detail(entry, index, erased_action);
  ErasureOutcome outcome{.index = index,
                         .intent = detail.number("intent"),
                         .epoch = static_cast<std::uint32_t>(detail.number("epoch", epoch_max)),
                         .refs = detail.refs("refs"),
                         .erased_at = parse_time(detail.text("erasedAt")).value_or(UnixMs{}),
                         .number = detail.number("erasure"),
                         .previous = {}};
  if (detail.has("previous")) outcome.previous = detail.number("previous");
  VESTIGE_CHECKED(detail.outcome());
  return outcome;
}

Result<std::string> read_certificate(std::string_view entry, std::uint64_t index) {
  Detail detail(entry, index, certified_action);
  std::string certificate(detail.text("certificate"));
  VESTIGE_CHECKED(detail.outcome());
  return certificate;
}

}  // namespace vestige::audit::internal
