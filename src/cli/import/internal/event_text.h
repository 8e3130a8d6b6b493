// Writing the text of an event.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace vestige::cli::importing {

// Commas and quotes of nested objects and arrays. Strings given to it are valid UTF-8.
class EventWriter {
 public:
  EventWriter& begin_object(std::string_view key = {});
  EventWriter& end_object();
  EventWriter& begin_array(std::string_view key);
  EventWriter& end_array();
  EventWriter& text(std::string_view key, std::string_view value);
  EventWriter& number(std::string_view key, std::uint64_t value);
  EventWriter& truth(std::string_view key, bool value);
  EventWriter& null(std::string_view key);
  EventWriter& element(std::string_view value);                   // a string in an array
  EventWriter& raw(std::string_view key, std::string_view json);  // a value that is written already

  const std::string& json() const { return json_; }
  std::string take() { return std::move(json_); }

 private:
  void start(std::string_view key);
  std::string json_;
  bool first_ = true;
};

struct CleanText {
  std::string text;       // valid UTF-8
  bool replaced = false;  // bytes that were no UTF-8 became U+FFFD
  bool cut = false;
};
// At most as much of `raw` as takes `quoted_bytes_max` bytes as a JSON string.
CleanText clean(std::string_view raw, std::size_t quoted_bytes_max);

// The id of a record: a UUID of version 8 from the digest of what names the record.
std::string id_from(std::initializer_list<ByteView> name);

}  // namespace vestige::cli::importing
