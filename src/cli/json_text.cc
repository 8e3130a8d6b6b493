#include "cli/internal/json_text.h"

#include <fmt/format.h>

#include <charconv>

#include "base/encoding.h"

namespace vestige::cli {

std::string text_of(const json::Value& object, std::string_view name) {
  const auto value = object.find(name);
  if (value.is_string()) return std::string(value.string());
  if (value.is_number()) return std::string(value.number());
  if (value.is_boolean()) return value.boolean() ? "true" : "false";
  return {};
}

std::uint64_t number_of(const json::Value& object, std::string_view name, std::uint64_t otherwise) {
  const auto value = object.find(name);
  if (!value.is_number()) return otherwise;
  const auto spelled = value.number();
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(spelled.data(), spelled.data() + spelled.size(), number);
  if (error != std::errc{} || end != spelled.data() + spelled.size() || number > std::uint64_t{1} << 53)
    return otherwise;
  return number;
}

std::string json_string(std::string_view text) {
  std::string out;
  if (is_utf8(text)) {
    json::append_quoted(out, text);
    return out;
  }
  std::string repaired;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t length = 1;
    while (length <= 4 && at + length <= text.size() && !is_utf8(text.substr(at, length))) ++length;
    const bool whole = length <= 4 && at + length <= text.size();
    repaired += whole ? text.substr(at, length) : std::string_view("\xEF\xBF\xBD");
    at += whole ? length : 1;
  }
  json::append_quoted(out, repaired);
  return out;
}

std::string json_list(const std::vector<std::string>& texts) {
  std::string list = "[";
  for (const auto& text : texts) list += (list.size() > 1 ? "," : "") + json_string(text);
  return list + "]";
}

void JsonObject::begin(std::string_view name) {
  if (text_.size() > 1) text_ += ',';
  text_ += json_string(name) + ":";
}

JsonObject& JsonObject::text(std::string_view name, std::string_view value) {
  return raw(name, json_string(value));
}

JsonObject& JsonObject::number(std::string_view name, std::uint64_t value) {
  return raw(name, fmt::format("{}", value));
}

JsonObject& JsonObject::boolean(std::string_view name, bool value) {
  return raw(name, value ? "true" : "false");
}

JsonObject& JsonObject::raw(std::string_view name, std::string_view json) {
  begin(name);
  text_ += json;
  return *this;
}

}  // namespace vestige::cli
