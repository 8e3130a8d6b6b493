#include "json/internal/refusal.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <vector>

#include "base/encoding.h"
#include "json/json.h"

namespace vestige::json {

namespace {

constexpr std::size_t path_bytes_in_message_max = 200;
constexpr std::size_t token_bytes_in_message_max = 40;

// The size of the character at the front; 0 where its bytes are not UTF-8.
std::size_t character_size(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text.front());
  const std::size_t size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  return is_utf8(text.substr(0, size)) && text.size() >= size ? size : 0;
}

std::size_t find_invalid_utf8(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const auto size = character_size(text.substr(at));
    if (size == 0) break;
    at += size;
  }
  return at;
}

// The end of the string that opens at `at`: its closing quote, or the end of the text.
std::size_t closing_quote(std::string_view text, std::size_t at) {
  for (++at; at < text.size() && text[at] != '"'; ++at) {
    if (text[at] == '\\') ++at;
  }
  return std::min(at, text.size());
}

std::size_t find_control(std::string_view text, std::size_t from, std::size_t to) {
  while (from < to && static_cast<unsigned char>(text[from]) >= 0x20) ++from;
  return from;
}

// One open container on the way to a position.
struct Level {
  bool is_object;
  std::size_t index = 0;        // of an array
  std::string_view key{};       // of an object: between the quotes
  bool key_is_current = false;  // the key's value has begun
};

// Takes one character outside strings into account.
void follow(std::vector<Level>& levels, char c) {
  if (c == '{' || c == '[') levels.push_back({.is_object = c == '{'});
  if (levels.empty()) return;
  auto& level = levels.back();
  if (c == '}' || c == ']') {
    levels.pop_back();
  } else if (c == ',') {
    ++level.index;
    level.key_is_current = false;
  } else if (c == ':') {
    level.key_is_current = true;
  }
}

std::string quoted_start(std::string_view token) {
  if (token.size() <= token_bytes_in_message_max) return std::string(token);
  return std::string(token.substr(0, token_bytes_in_message_max)) + "...";
}

}  // namespace

Problem find_malformed(std::string_view text) {
  const auto valid_end = find_invalid_utf8(text);
  for (std::size_t at = 0; at < valid_end; ++at) {
    if (text[at] == '\\') return {"a backslash outside a string", at, "write it inside quotes"};
    if (text[at] != '"') continue;
    const auto end = closing_quote(text, at);
    const auto control_end = std::min(end, valid_end);
    const auto control = find_control(text, at, control_end);
    if (control < control_end) {
      return {"a control character inside a string", control, "write it as an escape such as \\n or \\u0000"};
    }
    if (end == text.size() && valid_end == text.size()) {
      return {"a string without a closing quote", at, "close it; perhaps the text was cut off"};
    }
    at = end;
  }
  return {"bytes that are not UTF-8", valid_end, "encode the text as UTF-8"};
}

std::string pointer_at(std::string_view text, std::size_t position) {
  std::vector<Level> levels;
  for (std::size_t at = 0; at < std::min(position, text.size()); ++at) {
    if (text[at] != '"') {
      follow(levels, text[at]);
      continue;
    }
    const auto end = closing_quote(text, at);
    const bool is_key = !levels.empty() && levels.back().is_object && !levels.back().key_is_current;
    if (is_key) levels.back().key = text.substr(at + 1, end - at - 1);
    at = end;
  }
  std::string pointer;
  std::string key;
  for (const auto& level : levels) {
    if (!level.is_object) {
      append_pointer(pointer, std::to_string(level.index));
    } else if (level.key_is_current) {
      key.clear();
      append_pointer(pointer, unescape(level.key, key) ? level.key : std::string_view(key));
    }
  }
  return pointer;
}

Error refuse(std::string_view text, const Problem& problem, std::optional<std::string_view> key,
             std::string limit) {
  auto path = pointer_at(text, problem.position);
  if (key) append_pointer(path, *key);
  std::string where;
  if (!path.empty() && path.size() <= path_bytes_in_message_max) where = " (" + path + ")";
  return Error{.kind = ErrorKind::invalid,
               .message = fmt::format("The JSON text has {} at byte {}{}; {}.", problem.what,
                                      problem.position, where, problem.advice),
               .path = std::move(path),
               .position = problem.position,
               .limit = std::move(limit)};
}

Error refuse_number(std::string_view text, std::size_t position, std::string_view token) {
  double value = 0;
  const auto read = std::from_chars(token.data(), token.data() + token.size(), value);
  std::string becomes = "nothing that a double can hold";
  if (read.ec == std::errc()) {
    becomes.clear();
    append_number(becomes, value);
  }
  const auto what =
      fmt::format("the number {} that would become {} when read as a double", quoted_start(token), becomes);
  return refuse(text, {what.c_str(), position, "send it as a string"});
}

}  // namespace vestige::json
