// Small helpers for reading and writing JSON as commands need it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "json/json.h"

namespace vestige::cli {

// A member as text: a string's content, a number's or a boolean's spelling, else empty.
std::string text_of(const json::Value& object, std::string_view name);
// A whole number of at most 2^53 that is a member; `otherwise` where there is none.
std::uint64_t number_of(const json::Value& object, std::string_view name, std::uint64_t otherwise);

// A quoted string. Bytes that are no UTF-8 (file names may hold them) become U+FFFD.
std::string json_string(std::string_view text);
std::string json_list(const std::vector<std::string>& texts);

// Writes one object, member by member, in the order given.
class JsonObject {
 public:
  JsonObject& text(std::string_view name, std::string_view value);
  JsonObject& number(std::string_view name, std::uint64_t value);
  JsonObject& boolean(std::string_view name, bool value);
  JsonObject& raw(std::string_view name, std::string_view json);
  std::string str() const { return text_ + "}"; }

 private:
  void begin(std::string_view name);
  std::string text_ = "{";
};

}  // namespace vestige::cli
