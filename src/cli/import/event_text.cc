#include "cli/import/internal/event_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/encoding.h"
#include "base/uuid.h"
#include "crypto/digest.h"
#include "json/json.h"

namespace vestige::cli::importing {
namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";  // U+FFFD

std::size_t quoted_size(std::string_view character) {
  const auto byte = static_cast<unsigned char>(character[0]);
  if (character.size() > 1 || byte >= 0x20) return byte == '"' || byte == '\\' ? 2 : character.size();
  return std::string_view("\b\t\n\f\r").contains(static_cast<char>(byte)) ? 2 : 6;
}

// How long the character is that its first byte announces, 1 where none is.
std::size_t announced_size(unsigned char byte) {
  if (byte >= 0xF0) return 4;
  if (byte >= 0xE0) return 3;
  return byte >= 0xC0 ? 2 : 1;
}

}  // namespace

void EventWriter::start(std::string_view key) {
  if (!first_) json_ += ',';
  first_ = false;
  if (key.empty()) return;
  json::append_quoted(json_, key);
  json_ += ':';
}

EventWriter& EventWriter::begin_object(std::string_view key) {
  start(key);
  json_ += '{';
  first_ = true;
  return *this;
}
EventWriter& EventWriter::end_object() {
  json_ += '}';
  first_ = false;
  return *this;
}
EventWriter& EventWriter::begin_array(std::string_view key) {
  start(key);
  json_ += '[';
  first_ = true;
  return *this;
}
EventWriter& EventWriter::end_array() {
  json_ += ']';
  first_ = false;
  return *this;
}
EventWriter& EventWriter::text(std::string_view key, std::string_view value) {
  start(key);
  json::append_quoted(json_, value);
  return *this;
}
EventWriter& EventWriter::number(std::string_view key, std::uint64_t value) {
  return raw(key, fmt::format("{}", value));
}
EventWriter& EventWriter::truth(std::string_view key, bool value) {
  return raw(key, value ? "true" : "false");
}
EventWriter& EventWriter::null(std::string_view key) { return raw(key, "null"); }
EventWriter& EventWriter::element(std::string_view value) { return text({}, value); }
EventWriter& EventWriter::raw(std::string_view key, std::string_view json) {
  start(key);
  json_ += json;
  return *this;
}

CleanText clean(std::string_view raw, std::size_t quoted_bytes_max) {
  CleanText result;
  std::size_t used = 2;  // the quotes
  while (!raw.empty()) {
    const auto size = std::min(announced_size(static_cast<unsigned char>(raw[0])), raw.size());
    auto character = raw.substr(0, size);
    if (is_utf8(character)) {
      raw.remove_prefix(size);
    } else {
      character = replacement;
      raw.remove_prefix(1);
      result.replaced = true;
    }
    used += quoted_size(character);
    if (used > quoted_bytes_max) {
      result.cut = true;
      break;
    }
    result.text += character;
  }
  return result;
}

std::string id_from(std::initializer_list<ByteView> name) {
  const auto digest = crypto::sha256(name);
  Block16 first;
  std::copy_n(digest.begin(), first.size(), first.begin());
  return format_uuid(make_uuid_v8(first));
}

}  // namespace vestige::cli::importing
