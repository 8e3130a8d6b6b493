#include "audit/event.h"

#include <fmt/format.h>

#include <algorithm>

#include "audit/limits.h"
#include "base/time_text.h"

namespace vestige::audit {
namespace {

std::unexpected<Error> refuse(const json::Value& at, std::string path, std::string what,
                              std::string limit = {}) {
  Error error{.kind = ErrorKind::invalid, .message = std::move(what)};
  error.path = std::move(path);
  if (at.exists()) error.position = at.position();
  error.limit = std::move(limit);
  return std::unexpected(std::move(error));
}

constexpr std::string_view members[] = {"action",   "changes",    "context",  "detail",
                                        "id",       "kind",       "lossless", "sourceEntityMeta",
                                        "sourceId", "sourceType", "subject",  "targetEntityMeta",
                                        "targetId", "targetType", "time"};
constexpr std::string_view server_members[] = {"index", "leaf", "receivedAt", "tenant"};

Status check_members(const json::Value& root) {
  for (std::size_t i = 0; i < root.size(); ++i) {
    const auto key = root.key_at(i);
    if (std::ranges::find(members, key) != std::end(members)) continue;
    std::string path;
    json::append_pointer(path, key);
    if (std::ranges::find(server_members, key) != std::end(server_members))
      return refuse(root.at(i), path, fmt::format("\"{}\" is set by the server; leave it out", key));
    return refuse(
        root.at(i), path,
        fmt::format(
            "\"{}\" is not a member of an event; what belongs to the event alone goes into \"detail\"", key));
  }
  return {};
}

Result<std::string_view> text_member(const json::Value& root, std::string_view name, std::size_t bytes_max) {
  const auto value = root.find(name);
  if (!value.exists() || value.is_null()) return std::string_view();
  const auto path = fmt::format("/{}", name);
  if (!value.is_string()) return refuse(value, path, "must be a string");
  if (value.string().size() > bytes_max)
    return refuse(value, path, fmt::format("has {} bytes, more than the limit", value.string().size()),
                  fmt::format("{} bytes", bytes_max));
  return value.string();
}

Result<json::Value> container_member(const json::Value& root, std::string_view name, json::Type type) {
  const auto value = root.find(name);
  if (!value.exists() || value.is_null()) return json::Value();
  if (value.type() != type)
    return refuse(value, fmt::format("/{}", name),
                  type == json::Type::object ? "must be an object" : "must be an array");
  return value;
}

Status read_subjects(const json::Value& root, Event& event) {
  const auto value = root.find("subject");
  if (!value.exists() || value.is_null()) return {};
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

Status read_lossless(const json::Value& root, Event& event) {
  VESTIGE_TRY(event.lossless, container_member(root, "lossless", json::Type::array));
  if (!event.lossless.exists()) return {};
  if (event.lossless.size() > lossless_max)
    return refuse(event.lossless, "/lossless", "too many paths",
                  fmt::format("lossless_max = {}", lossless_max));
  for (std::size_t i = 0; i < event.lossless.size(); ++i)
    if (!event.lossless.at(i).is_string() || !event.lossless.at(i).string().starts_with('/'))
      return refuse(event.lossless.at(i), fmt::format("/lossless/{}", i), "must be a JSON pointer");
  return {};
}

Status read_identity(const json::Value& root, Event& event) {
  if (const auto id = root.find("id"); id.exists() && !id.is_null()) {
    event.id = id.is_string() ? parse_uuid(id.string()) : std::nullopt;
    if (!event.id) return refuse(id, "/id", "must be a UUID (8-4-4-4-12 hex digits)");
  }
  if (const auto time = root.find("time"); time.exists() && !time.is_null()) {
    event.time = time.is_string() ? parse_time(time.string()) : std::nullopt;
    if (!event.time)
      return refuse(time, "/time", "must be an RFC 3339 date-time, such as 2026-11-25T14:40:11.213Z");
  }
  return {};
}

Status read_kind(const json::Value& root, const KindRegistry& kinds, bool system, Event& event) {
  VESTIGE_TRY(event.kind, text_member(root, "kind", word_bytes_max));
  VESTIGE_TRY(event.action, text_member(root, "action", word_bytes_max));
  if (event.kind.empty()) return refuse(root, "/kind", "every event needs a \"kind\"");
  if (event.action.empty()) return refuse(root, "/action", "every event needs an \"action\"");
  if (is_system_kind(event.kind) && !system)
    return refuse(root.find("kind"), "/kind",
                  "kinds that start with \"system.\" are written by the server only");
  event.schema = kinds.find(event.kind);
  if (event.schema == nullptr)
    return refuse(root.find("kind"), "/kind",
                  fmt::format("the kind \"{}\" is not registered; known kinds are {}", event.kind,
                              fmt::join(kinds.names(), ", ")));
  return {};
}

}  // namespace

Result<Event> read_event(const json::Value& root, const KindRegistry& kinds, bool system) {
  if (!root.is_object()) return refuse(root, "", "an event must be a JSON object");
  VESTIGE_CHECKED(check_members(root));
  Event event;
  event.root = root;
  VESTIGE_CHECKED(read_kind(root, kinds, system, event));
  VESTIGE_CHECKED(read_identity(root, event));
  VESTIGE_TRY(event.source_type, text_member(root, "sourceType", word_bytes_max));
  VESTIGE_TRY(event.source_id, text_member(root, "sourceId", identifier_bytes_max));
  VESTIGE_TRY(event.target_type, text_member(root, "targetType", word_bytes_max));
  VESTIGE_TRY(event.target_id, text_member(root, "targetId", identifier_bytes_max));
  VESTIGE_CHECKED(read_subjects(root, event));
  VESTIGE_TRY(event.detail, container_member(root, "detail", json::Type::object));
  VESTIGE_TRY(event.changes, container_member(root, "changes", json::Type::array));
  VESTIGE_TRY(event.context, container_member(root, "context", json::Type::object));
  VESTIGE_TRY(event.source_meta, container_member(root, "sourceEntityMeta", json::Type::object));
  VESTIGE_TRY(event.target_meta, container_member(root, "targetEntityMeta", json::Type::object));
  VESTIGE_CHECKED(read_lossless(root, event));
  std::string path;
  const auto check = [&](std::string_view name, const json::Value& value) -> Status {
    const auto property = event.schema->root.properties.find(name);
    if (property == event.schema->root.properties.end() || !value.exists()) return {};
    path = fmt::format("/{}", name);
    auto valid = validate(*property->second, value, path);
    if (!valid && !valid.error().position) valid.error().position = value.position();
    return valid;
  };
  VESTIGE_CHECKED(check("detail", event.detail));
  VESTIGE_CHECKED(check("changes", event.changes));
  VESTIGE_CHECKED(check("context", event.context));
  VESTIGE_CHECKED(check("sourceEntityMeta", event.source_meta));
  VESTIGE_CHECKED(check("targetEntityMeta", event.target_meta));
  for (const auto& name : event.schema->root.required)
    if (!root.find(name).exists())
      return refuse(root, "", fmt::format("an event of kind {} needs \"{}\"", event.kind, name));
  return event;
}

}  // namespace vestige::audit
