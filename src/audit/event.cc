#include "audit/event.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "audit/internal/refusal.h"
#include "audit/limits.h"
#include "base/time_text.h"

namespace vestige::audit {
namespace {

using internal::refuse;

// In canonical order, as the members of a parsed object stand.
enum Field : std::size_t {
  action,
  changes,
  context,
  detail,
  id,
  kind,
  lossless,
  source_meta,
  source_id,
  source_type,
  subject,
  target_meta,
  target_id,
  target_type,
  time,
  fields
};
constexpr std::array<std::string_view, fields> names = {
    "action",  "changes",          "context",          "detail",     "id",
    "kind",    "lossless",         "sourceEntityMeta", "sourceId",   "sourceType",
    "subject", "targetEntityMeta", "targetId",         "targetType", "time"};
static_assert(std::ranges::is_sorted(names));
constexpr std::array<std::string_view, 4> server_names = {"index", "leaf", "receivedAt", "tenant"};

std::string path_of(Field field) { return fmt::format("/{}", names[field]); }

std::unexpected<Error> refuse_unknown(const json::Value& value, std::string_view key) {
  std::string path;
  json::append_pointer(path, key);
  if (std::ranges::find(server_names, key) != server_names.end())
    return refuse(value, path, fmt::format("\"{}\" is set by the server; leave it out", key));
  return refuse(
      value, path,
      fmt::format("\"{}\" is not a member of an event; what belongs to the event alone goes into \"detail\"",
                  key));
}

// The members that are set (null counts as not sent), one pass over both sorted lists.
class Members {
 public:
  static Result<Members> read(const json::Value& root) {
    Members members;
    std::size_t field = 0;
    for (std::size_t i = 0; i < root.size(); ++i) {
      const auto key = root.key_at(i);
      while (field < fields && names[field] < key) ++field;
      if (field == fields || names[field] != key) return refuse_unknown(root.at(i), key);
      const auto value = root.at(i);
      if (!value.is_null()) members.values_[field] = value;
    }
    return members;
  }

  const json::Value& operator[](Field field) const { return values_[field]; }

  Result<std::string_view> text(Field field, std::size_t bytes_max) const {
    const auto& value = values_[field];
    if (!value.exists()) return std::string_view();
    if (!value.is_string()) return refuse(value, path_of(field), "must be a string");
    if (value.string().size() > bytes_max)
      return refuse(value, path_of(field),
                    fmt::format("has {} bytes, more than the limit", value.string().size()),
                    fmt::format("{} bytes", bytes_max));
    return value.string();
  }

  Result<json::Value> container(Field field, json::Type type) const {
    const auto& value = values_[field];
    if (value.exists() && value.type() != type)
      return refuse(value, path_of(field),
                    type == json::Type::object ? "must be an object" : "must be an array");
    return value;
  }

 private:
  std::array<json::Value, fields> values_;
};

Status read_subjects(const json::Value& value, Event& event) {
  if (!value.exists()) return {};
  const auto add = [&](const json::Value& one, const std::string& path) -> Status {
    if (!one.is_string() || one.string().empty())
      return refuse(one, path, "a subject must be a string that is not empty");
    if (one.string().size() > identifier_bytes_max)
      return refuse(one, path, "the subject is too long", fmt::format("{} bytes", identifier_bytes_max));
    if (std::ranges::find(event.subjects, one.string()) != event.subjects.end())
      return refuse(one, path, "this subject is listed twice");
    event.subjects.push_back(one.string());
    return {};
  };
  if (!value.is_array()) return add(value, "/subject");
  if (value.size() > subjects_max)
    return refuse(value, "/subject", "too many subjects", fmt::format("subjects_max = {}", subjects_max));
  for (std::size_t i = 0; i < value.size(); ++i)
    VESTIGE_CHECKED(add(value.at(i), fmt::format("/subject/{}", i)));
  return {};
}

Status read_lossless(const Members& members, Event& event) {
  VESTIGE_TRY(event.lossless, members.container(lossless, json::Type::array));
  if (!event.lossless.exists()) return {};
  if (event.lossless.size() > lossless_max)
    return refuse(event.lossless, "/lossless", "too many paths",
                  fmt::format("lossless_max = {}", lossless_max));
  for (std::size_t i = 0; i < event.lossless.size(); ++i)
    if (!event.lossless.at(i).is_string() || !event.lossless.at(i).string().starts_with('/'))
      return refuse(event.lossless.at(i), fmt::format("/lossless/{}", i), "must be a JSON pointer");
  return {};
}

Status read_identity(const Members& members, Event& event) {
  if (const auto& value = members[id]; value.exists()) {
    event.id = value.is_string() ? parse_uuid(value.string()) : std::nullopt;
    if (!event.id) return refuse(value, "/id", "must be a UUID (8-4-4-4-12 hex digits)");
  }
  if (const auto& value = members[time]; value.exists()) {
    event.time = value.is_string() ? parse_time(value.string()) : std::nullopt;
    if (!event.time)
      return refuse(value, "/time", "must be an RFC 3339 date-time, such as 2026-11-25T14:40:11.213Z");
  }
  return {};
}

Status read_kind(const json::Value& root, const Members& members, const KindRegistry& kinds, bool system,
                 Event& event) {
  VESTIGE_TRY(event.kind, members.text(kind, word_bytes_max));
  VESTIGE_TRY(event.action, members.text(action, word_bytes_max));
  if (event.kind.empty()) return refuse(root, "/kind", "every event needs a \"kind\"");
  if (event.action.empty()) return refuse(root, "/action", "every event needs an \"action\"");
  if (is_system_kind(event.kind) && !system)
    return refuse(members[kind], "/kind", "kinds that start with \"system.\" are written by the server only");
  event.schema = kinds.find(event.kind);
  if (event.schema == nullptr)
    return refuse(members[kind], "/kind",
                  fmt::format("the kind \"{}\" is not registered; known kinds are {}", event.kind,
                              fmt::join(kinds.names(), ", ")));
  return {};
}

// The kind's schema, over the members that it describes.
Status check_schema(const json::Value& root, const Members& members, const Event& event) {
  std::string path;
  for (const auto field : {changes, context, detail, source_meta, target_meta}) {
    const auto& value = members[field];
    const auto property = event.schema->root.properties.find(names[field]);
    if (property == event.schema->root.properties.end() || !value.exists()) continue;
    path.assign("/").append(names[field]);
    if (auto valid = validate(*property->second, value, path); !valid) {
      if (!valid.error().position) valid.error().position = value.position();
      return valid;
    }
  }
  for (const auto& name : event.schema->root.required)
    if (const auto value = root.find(name); !value.exists() || value.is_null())
      return refuse(root, "", fmt::format("an event of kind {} needs \"{}\"", event.kind, name));
  return {};
}

// What stands there is the server's word, wherever an entry has it.
Status check_context(const Event& event) {
  if (!event.context.exists()) return {};
  const auto approval = event.context.find("approval");
  if (!approval.exists()) return {};
  return refuse(approval, "/context/approval", "\"approval\" is set by the server; leave it out");
}

}  // namespace

Status check_claims(const Event& event) {
  // Of these the kind says that they are those of a modification with approval; elsewhere the names mean
  // something else, such as the state of a template.
  if (event.kind != "data.change" || !event.detail.exists()) return {};
  for (const std::string_view name : {"approval_required", "approval_status", "approver", "modification_id"})
    if (const auto value = event.detail.find(name); value.exists())
      return refuse(
          value, fmt::format("/detail/{}", name),
          fmt::format("the policy asks for an approval of this modification, so the server says what "
                      "became of it: leave \"{}\" out",
                      name));
  return {};
}

Result<Event> read_event(const json::Value& root, const KindRegistry& kinds, bool system) {
  if (!root.is_object()) return refuse(root, "", "an event must be a JSON object");
  VESTIGE_TRY(const auto members, Members::read(root));
  Event event;
  event.root = root;
  VESTIGE_CHECKED(read_kind(root, members, kinds, system, event));
  VESTIGE_CHECKED(read_identity(members, event));
  VESTIGE_TRY(event.source_type, members.text(source_type, word_bytes_max));
  VESTIGE_TRY(event.source_id, members.text(source_id, identifier_bytes_max));
  VESTIGE_TRY(event.target_type, members.text(target_type, word_bytes_max));
  VESTIGE_TRY(event.target_id, members.text(target_id, identifier_bytes_max));
  VESTIGE_CHECKED(read_subjects(members[subject], event));
  VESTIGE_TRY(event.detail, members.container(detail, json::Type::object));
  VESTIGE_TRY(event.changes, members.container(changes, json::Type::array));
  VESTIGE_TRY(event.context, members.container(context, json::Type::object));
  if (!system) VESTIGE_CHECKED(check_context(event));
  VESTIGE_TRY(event.source_meta, members.container(source_meta, json::Type::object));
  VESTIGE_TRY(event.target_meta, members.container(target_meta, json::Type::object));
  VESTIGE_CHECKED(read_lossless(members, event));
  VESTIGE_CHECKED(check_schema(root, members, event));
  return event;
}

}  // namespace vestige::audit
