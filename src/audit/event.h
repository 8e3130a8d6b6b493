// What a client sends: the envelope, checked, as views into the parsed JSON.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "audit/kinds.h"
#include "base/strong.h"
#include "base/uuid.h"
#include "json/json.h"

namespace vestige::audit {

struct Event {
  json::Value root;
  std::optional<Uuid> id;
  std::optional<UnixMs> time;
  std::string_view kind;
  std::string_view action;
  std::string_view source_type;  // empty views: not sent
  std::string_view source_id;
  std::string_view target_type;
  std::string_view target_id;
  std::vector<std::string_view> subjects;
  json::Value detail;
  json::Value changes;
  json::Value context;
  json::Value source_meta;
  json::Value target_meta;
  json::Value lossless;
  const KindSchema* schema = nullptr;
};

// Checks names, types and sizes of the envelope, and the kind's schema. invalid with the path in the event.
// System kinds, and a context.approval, are refused unless `system`.
Result<Event> read_event(const json::Value& root, const KindRegistry& kinds, bool system);

// Of an event that is recorded under an approval of this server: invalid where it says by itself that it was
// approved, or by whom.
Status check_claims(const Event& event);

}  // namespace vestige::audit
