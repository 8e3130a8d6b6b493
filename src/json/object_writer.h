// Writes one JSON object, member by member, in the order of their adding. Names are all different and names
// and values valid UTF-8, which is the caller's to see to.
#pragma once

#include <string>
#include <string_view>

#include "json/json.h"

namespace vestige::json {

// A list of texts, which are valid UTF-8.
template <typename Texts>
std::string quoted_list(const Texts& texts) {
  std::string list = "[";
  for (const auto& text : texts) {
    if (list.size() > 1) list.push_back(',');
    append_quoted(list, text);
  }
  return list + "]";
}

class ObjectWriter {
 public:
  ObjectWriter& text(std::string_view name, std::string_view value) {
    begin(name);
    append_quoted(text_, value);
    return *this;
  }
  // Nothing where there is no value.
  ObjectWriter& text_if_any(std::string_view name, std::string_view value) {
    return value.empty() ? *this : text(name, value);
  }
  ObjectWriter& raw(std::string_view name, std::string_view json) {
    begin(name);
    text_.append(json);
    return *this;
  }
  ObjectWriter& raw_if_any(std::string_view name, std::string_view json) {
    return json.empty() ? *this : raw(name, json);
  }
  bool empty() const { return text_.empty(); }
  std::string str() const { return text_.empty() ? "{}" : text_ + "}"; }

 private:
  void begin(std::string_view name) {
    text_.push_back(text_.empty() ? '{' : ',');
    append_quoted(text_, name);
    text_.push_back(':');
  }

  std::string text_;
};

}  // namespace vestige::json
