#include "audit/import_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "audit/internal/refusal.h"
#include "audit/limits.h"

namespace vestige::audit {
namespace {

using internal::refuse;

constexpr std::string_view original_path = "/detail/original";
constexpr std::string_view member_names[] = {"event", "lossless", "occurrence", "record"};

void append_member(std::string& to, std::string_view name, const json::Value& value) {
  if (to.back() != '{') to += ',';
  json::append_quoted(to, name);
  to += ':';
  json::append_canonical(to, value);
}

Result<std::uint64_t> occurrence_of(const json::Value& line) {
  const auto value = line.find("occurrence");
  if (!value.exists()) return 1;
  std::uint64_t number = 0;
  const auto text = value.is_number() ? value.number() : std::string_view();
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || number == 0)
    return refuse(value, "/occurrence", "must be a whole number from 1 on: how often the record was read");
  return number;
}

Status check_lossless(const json::Value& lossless) {
  if (!lossless.exists()) return {};
  if (!lossless.is_array()) return refuse(lossless, "/lossless", "must be an array of JSON pointers");
  if (lossless.size() > lossless_max)
    return refuse(lossless, "/lossless", "too many paths", fmt::format("lossless_max = {}", lossless_max));
  for (std::size_t i = 0; i < lossless.size(); ++i) {
    const auto path = lossless.at(i);
    if (!path.is_string() || (!path.string().empty() && !path.string().starts_with('/')))
      return refuse(path, fmt::format("/lossless/{}", i), "must be a JSON pointer into the record");
  }
  return {};
}

void append_id(std::string& to, const Uuid& id) {
  to += fmt::format("{}\"id\":\"{}\"}}", to.back() == '{' ? "" : ",", format_uuid(id));
}

// The record is an event itself, and gets an id where it has none.
Result<ImportedEvent> event_of_record(const json::Value& line, const json::Value& record,
                                      std::string_view format, std::uint64_t occurrence,
                                      const ImportIds& ids) {
  if (line.find("lossless").exists())
    return refuse(line.find("lossless"), "/lossless", "a record that is an event itself lists its own paths");
  if (!record.is_object())
    return refuse(record, "/record", "must be an object where the line has no \"event\"");
  ImportedEvent made{.json = json::canonical(record), .id_from_record = false, .record_is_event = true};
  if (const auto id = record.find("id"); id.exists() && !id.is_null()) return made;
  const auto id = ids.id_of(format, made.json, {}, occurrence);
  made.id_from_record = true;
  std::string event = "{";
  for (std::size_t i = 0; i < record.size(); ++i)
    if (record.key_at(i) != "id") append_member(event, record.key_at(i), record.at(i));
  append_id(event, id);
  made.json = std::move(event);
  return made;
}

void append_detail(std::string& to, const json::Value& detail, std::string_view record) {
  to += to.back() == '{' ? "\"detail\":{" : ",\"detail\":{";
  if (detail.is_object())
    for (std::size_t i = 0; i < detail.size(); ++i) append_member(to, detail.key_at(i), detail.at(i));
  to += to.back() == '{' ? "\"original\":" : ",\"original\":";
  to += record;
  to += '}';
}

void append_lossless(std::string& to, const json::Value& lossless) {
  if (!lossless.exists() || lossless.size() == 0) return;
  to += ",\"lossless\":[";
  for (std::size_t i = 0; i < lossless.size(); ++i) {
    if (i > 0) to += ',';
    json::append_quoted(to, fmt::format("{}{}", original_path, lossless.at(i).string()));
  }
  to += ']';
}

Status check_mapped(const json::Value& event) {
  if (!event.is_object()) return refuse(event, "/event", "must be an object");
  for (const std::string_view name : {"id", "lossless"})
    if (const auto value = event.find(name); value.exists() && !value.is_null())
      return refuse(value, fmt::format("/event/{}", name),
                    fmt::format("\"{}\" follows from the record; leave it out", name));
  const auto detail = event.find("detail");
  if (!detail.exists() || detail.is_null()) return {};
  if (!detail.is_object()) return refuse(detail, "/event/detail", "must be an object");
  if (const auto original = detail.find("original"); original.exists())
    return refuse(original, "/event/detail/original", "\"original\" is where the record goes; leave it out");
  return {};
}

}  // namespace

Uuid ImportIds::id_of(std::string_view format, std::string_view record, std::string_view lossless,
                      std::uint64_t occurrence) const {
  std::array<std::uint8_t, 4> sizes[3];
  store_le(sizes[0].data(), static_cast<std::uint32_t>(format.size()));
  store_le(sizes[1].data(), static_cast<std::uint32_t>(record.size()));
  store_le(sizes[2].data(), static_cast<std::uint32_t>(lossless.size()));
  std::array<std::uint8_t, 8> number;
  store_le(number.data(), occurrence);
  const auto mac =
      key_.mac({sizes[0], view(format), sizes[1], view(record), sizes[2], view(lossless), number});
  Block16 first;
  std::copy_n(mac.begin(), first.size(), first.begin());
  return make_uuid_v8(first);
}

bool is_import_format(std::string_view name) {
  constexpr std::size_t name_bytes_max = 32;
  return !name.empty() && name.size() <= name_bytes_max && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

Result<ImportedEvent> imported_event(const json::Value& line, std::string_view format, const ImportIds& ids) {
  if (!line.is_object()) return refuse(line, "", "a line must be an object with a \"record\"");
  for (std::size_t i = 0; i < line.size(); ++i)
    if (std::ranges::find(member_names, line.key_at(i)) == std::end(member_names)) {
      std::string path;
      json::append_pointer(path, line.key_at(i));
      return refuse(line.at(i), path, "a line has the members record, event, occurrence and lossless only");
    }
  const auto record = line.find("record");
  if (!record.exists()) return refuse(line, "/record", "every line needs a \"record\"");
  VESTIGE_TRY(const auto occurrence, occurrence_of(line));
  const auto event = line.find("event");
  if (!event.exists()) return event_of_record(line, record, format, occurrence, ids);
  VESTIGE_CHECKED(check_mapped(event));
  const auto lossless = line.find("lossless");
  VESTIGE_CHECKED(check_lossless(lossless));
  const auto record_text = json::canonical(record);
  const bool has_lossless = lossless.exists() && lossless.size() > 0;
  ImportedEvent made{.json = "{", .id_from_record = true, .record_is_event = false};
  for (std::size_t i = 0; i < event.size(); ++i)
    if (event.key_at(i) != "detail" && event.key_at(i) != "id" && event.key_at(i) != "lossless")
      append_member(made.json, event.key_at(i), event.at(i));
  append_detail(made.json, event.find("detail"), record_text);
  append_lossless(made.json, lossless);
  append_id(made.json, ids.id_of(format, record_text,
                                 has_lossless ? json::canonical(lossless) : std::string(), occurrence));
  return made;
}

std::string path_in_line(std::string_view event_path, bool record_is_event) {
  if (record_is_event) return fmt::format("/record{}", event_path);
  if (event_path == original_path || event_path.starts_with("/detail/original/"))
    return fmt::format("/record{}", event_path.substr(original_path.size()));
  if (event_path.starts_with("/lossless")) return std::string(event_path);
  return fmt::format("/event{}", event_path);
}

}  // namespace vestige::audit
