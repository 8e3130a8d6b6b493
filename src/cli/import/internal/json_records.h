// The records of a JSON text, one at a time and in bounded memory: values one after the other (one a line, or
// spread over lines), the elements of arrays, or the elements of the one array of records that an object
// holds ({"Records": [...]}). Only where a value begins and ends is found here; what is in it is for the
// parser.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/result.h"
#include "platform/process.h"

namespace vestige::cli::importing {

struct RawRecord {
  std::string_view text;   // valid until the next call
  std::uint64_t line = 0;  // where it begins, from 1 on
  bool enclosed = false;   // an element, rather than a value of its own
};

// Not thread-safe. After an error it gives nothing more.
class JsonRecords {
 public:
  // `array_name`: the member that holds the records; empty: one of those that are known.
  JsonRecords(platform::ByteStream& stream, std::string name, std::string array_name);
  // Empty at the end of the stream.
  Result<std::optional<RawRecord>> next();
  // Members beside the records that say something of their own; they are not part of any record.
  const std::set<std::string>& beside() const { return beside_; }

 private:
  enum class Where { between_values, in_array, in_envelope_array, in_envelope };

  Result<bool> fill();
  Result<char> skip_space();  // the next character, '\0' at the end
  void drop(std::size_t count);
  Result<std::size_t> end_of_value(std::size_t at);
  Result<std::size_t> end_of_string(std::size_t at);
  Result<std::size_t> end_of_container(std::size_t at);
  Result<std::size_t> space_end(std::size_t at);
  Result<std::optional<RawRecord>> take(std::size_t end);
  Result<std::optional<RawRecord>> next_element();
  Result<std::optional<RawRecord>> object_or_envelope();
  Result<bool> opens_records(std::string_view key, std::size_t value);
  Status leave_envelope();
  bool is_paging(std::string_view key) const;
  char at(std::size_t position) const { return buffer_[position]; }
  std::unexpected<Error> refuse(std::string_view what) const;
  std::unexpected<Error> too_long() const;
  std::unexpected<Error> truncated() const;

  platform::ByteStream& stream_;
  const std::string name_;
  const std::string array_name_;
  std::string buffer_;
  std::size_t start_ = 0;  // what was given or skipped lies before it
  std::size_t given_ = 0;  // bytes of the record given last, from start_ on
  bool ended_ = false;
  std::uint64_t line_ = 1;  // at start_
  std::uint64_t record_ = 0;
  Where where_ = Where::between_values;
  bool first_element_ = true;
  bool at_beginning_ = true;
  std::set<std::string> beside_;
};

}  // namespace vestige::cli::importing
