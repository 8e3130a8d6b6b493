#include "cli/import/internal/json_records.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "cli/import/internal/readers.h"

namespace vestige::cli::importing {
namespace {

constexpr std::size_t chunk_bytes = 128 << 10;
constexpr std::size_t beside_names_max = 50;

// Members under which programs put the records of an answer.
constexpr std::string_view array_names[] = {"Records", "records", "items", "value",
                                            "entries", "data",    "logs",  "results"};
// Members that say something about an answer, not about an event. An object that has any other one before its
// array is taken for a record itself, so that nothing is lost.
constexpr std::string_view paging_names[] = {
    "@odata.context", "@odata.count", "@odata.nextLink", "apiVersion",    "count",
    "cursor",         "etag",         "first_id",        "has_more",      "kind",
    "last_id",        "limit",        "links",           "meta",          "metadata",
    "next",           "next_cursor",  "nextLink",        "nextPageToken", "next_page",
    "offset",         "page",         "paging",          "previous",      "resultSizeEstimate",
    "selfLink",       "size",         "success",         "total",         "total_count"};

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
bool ends_scalar(char c) { return is_space(c) || c == ',' || c == ']' || c == '}'; }

// The first character of a set, at a byte or two a cycle; std::string::find_first_of takes ten times as long.
class CharacterSet {
 public:
  constexpr explicit CharacterSet(std::string_view characters) {
    for (const char c : characters) has_[static_cast<unsigned char>(c)] = true;
  }
  std::size_t find_in(std::string_view text, std::size_t from) const {
    while (from < text.size() && !has_[static_cast<unsigned char>(text[from])]) ++from;
    return from < text.size() ? from : std::string_view::npos;
  }

 private:
  std::array<bool, 256> has_{};
};
constexpr CharacterSet string_marks("\"\\");
constexpr CharacterSet container_marks("\"{}[]");

}  // namespace

JsonRecords::JsonRecords(platform::ByteStream& stream, std::string name, std::string array_name)
    : stream_(stream), name_(std::move(name)), array_name_(std::move(array_name)) {}

std::unexpected<Error> JsonRecords::refuse(std::string_view what) const {
  return fail(ErrorKind::invalid, fmt::format("{} is no JSON at record {}, which begins at line {}: {}",
                                              name_, record_ + 1, line_, what));
}

std::unexpected<Error> JsonRecords::too_long() const {
  auto refused =
      refuse(fmt::format("it is longer than {} bytes, the most that a record may have", line_bytes_max));
  refused.error().limit = fmt::format("line_bytes_max={}", line_bytes_max);
  return refused;
}

std::unexpected<Error> JsonRecords::truncated() const {
  return fail(
      ErrorKind::invalid,
      fmt::format("{} is truncated: it ends inside of record {}, which begins at line {}. Get the whole "
                  "file",
                  name_, record_ + 1, line_));
}

// Adds the next piece of the stream to the buffer; false at its end.
Result<bool> JsonRecords::fill() {
  if (ended_) return false;
  const auto before = buffer_.size();
  buffer_.resize(before + chunk_bytes);
  auto got = stream_.read({reinterpret_cast<std::uint8_t*>(buffer_.data()) + before, chunk_bytes});
  buffer_.resize(before + got.value_or(0));
  if (!got) return std::unexpected(std::move(got).error());
  ended_ = *got == 0;
  return *got > 0;
}

void JsonRecords::drop(std::size_t count) {
  const auto piece = std::string_view(buffer_).substr(start_, count);
  line_ += static_cast<std::uint64_t>(std::ranges::count(piece, '\n'));
  start_ += count;
  // Rarely, so that a byte is moved once or so.
  if (start_ < chunk_bytes && start_ < buffer_.size()) return;
  buffer_.erase(0, start_);
  start_ = 0;
}

Result<char> JsonRecords::skip_space() {
  for (;;) {
    auto end = start_;
    while (end < buffer_.size() && is_space(at(end))) ++end;
    const bool found = end < buffer_.size();
    drop(end - start_);
    if (found) return at(start_);
    VESTIGE_TRY(const bool more, fill());
    if (!more) return '\0';
  }
}

// Where the white space behind `position` ends; there is a character.
Result<std::size_t> JsonRecords::space_end(std::size_t position) {
  for (;; ++position) {
    if (position == buffer_.size()) {
      VESTIGE_TRY(const bool more, fill());
      if (!more) return truncated();
    }
    if (!is_space(at(position))) return position;
    if (position - start_ > line_bytes_max) return too_long();
  }
}

Result<std::size_t> JsonRecords::end_of_string(std::size_t position) {
  ++position;
  for (;;) {
    const auto found = string_marks.find_in(buffer_, position);
    if (found != std::string::npos && at(found) == '"') return found + 1;
    // Of an escape the next character is skipped, wherever it is.
    position = found == std::string::npos ? buffer_.size() : found + 2;
    if (position - start_ > line_bytes_max) return too_long();
    while (position >= buffer_.size()) {
      VESTIGE_TRY(const bool more, fill());
      if (!more) return truncated();
    }
  }
}

Result<std::size_t> JsonRecords::end_of_container(std::size_t position) {
  for (std::size_t depth = 0;;) {
    const auto found = container_marks.find_in(buffer_, position);
    if (found == std::string::npos) {
      position = buffer_.size();
      VESTIGE_TRY(const bool more, fill());
      if (!more) return truncated();
      if (position - start_ > line_bytes_max) break;
      continue;
    }
    position = found + 1;
    if (position - start_ > line_bytes_max) break;
    const char c = at(found);
    if (c == '"') {
      VESTIGE_TRY(position, end_of_string(found));
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (--depth == 0) {
      return position;
    }
  }
  return too_long();
}

Result<std::size_t> JsonRecords::end_of_value(std::size_t position) {
  const char c = at(position);
  if (c == '"') return end_of_string(position);
  if (c == '{' || c == '[') return end_of_container(position);
  if (ends_scalar(c) || c == ':') return refuse(fmt::format("there is '{}' where a value is expected", c));
  for (;; ++position) {
    if (position == buffer_.size()) {
      VESTIGE_TRY(const bool more, fill());
      if (!more) return position;
    }
    if (ends_scalar(at(position))) return position;
    if (position - start_ > line_bytes_max) return too_long();
  }
}

// Gives what lies between start_ and `end`; the next call drops it.
Result<std::optional<RawRecord>> JsonRecords::take(std::size_t end) {
  if (end - start_ > line_bytes_max) return too_long();
  given_ = end - start_;
  ++record_;
  return RawRecord{.text = std::string_view(buffer_).substr(start_, given_),
                   .line = line_,
                   .enclosed = where_ != Where::between_values};
}

Result<std::optional<RawRecord>> JsonRecords::next() {
  drop(std::exchange(given_, 0));
  if (std::exchange(at_beginning_, false)) {
    while (buffer_.size() < byte_order_mark.size() && !ended_) VESTIGE_CHECKED(fill());
    if (buffer_.starts_with(byte_order_mark)) drop(byte_order_mark.size());
  }
  for (;;) {
    if (where_ == Where::in_array || where_ == Where::in_envelope_array) {
      VESTIGE_TRY(auto element, next_element());
      if (element) return element;
      continue;
    }
    if (where_ == Where::in_envelope) VESTIGE_CHECKED(leave_envelope());
    VESTIGE_TRY(const char c, skip_space());
    if (c == '\0' && start_ == buffer_.size()) return std::nullopt;
    if (c == '[') {
      drop(1);
      where_ = Where::in_array;
      first_element_ = true;
      continue;
    }
    if (c != '{') {
      VESTIGE_TRY(const auto end, end_of_value(start_));
      return take(end);
    }
    VESTIGE_TRY(auto record, object_or_envelope());
    if (record) return record;
  }
}

// Empty where the array ends.
Result<std::optional<RawRecord>> JsonRecords::next_element() {
  VESTIGE_TRY(char c, skip_space());
  if (c == '\0') return truncated();
  if (c == ']') {
    drop(1);
    where_ = where_ == Where::in_array ? Where::between_values : Where::in_envelope;
    return std::nullopt;
  }
  if (!std::exchange(first_element_, false)) {
    if (c != ',') return refuse("there is no comma before it");
    drop(1);
    VESTIGE_TRY(c, skip_space());
    if (c == '\0') return truncated();
  }
  VESTIGE_TRY(const auto end, end_of_value(start_));
  return take(end);
}

bool JsonRecords::is_paging(std::string_view key) const {
  return !array_name_.empty() || std::ranges::find(paging_names, key) != std::end(paging_names);
}

// Whether the member's value is an array of objects, or an empty one, under a name for records.
Result<bool> JsonRecords::opens_records(std::string_view key, std::size_t value) {
  const bool named =
      array_name_.empty() ? std::ranges::find(array_names, key) != std::end(array_names) : key == array_name_;
  if (!named || at(value) != '[') return false;
  VESTIGE_TRY(const auto first, space_end(value + 1));
  return at(first) == '{' || at(first) == ']';
}

// Reads the object at start_ as a record or, where it turns out to be one around records, up to the first of
// them, and then gives nothing.
Result<std::optional<RawRecord>> JsonRecords::object_or_envelope() {
  bool may_enclose = true;
  VESTIGE_TRY(auto position, space_end(start_ + 1));
  std::vector<std::string> beside;
  while (may_enclose && at(position) == '"') {
    VESTIGE_TRY(const auto key_end, end_of_string(position));
    const std::string key = buffer_.substr(position + 1, key_end - position - 2);
    VESTIGE_TRY(position, space_end(key_end));
    if (at(position) != ':') break;
    VESTIGE_TRY(position, space_end(position + 1));
    VESTIGE_TRY(const bool opens, opens_records(key, position));
    if (opens) {
      drop(position + 1 - start_);
      where_ = Where::in_envelope_array;
      first_element_ = true;
      for (auto& name : beside)
        if (beside_.size() < beside_names_max) beside_.insert(std::move(name));
      return std::nullopt;
    }
    may_enclose = is_paging(key);
    beside.push_back(key);
    VESTIGE_TRY(position, end_of_value(position));
    VESTIGE_TRY(position, space_end(position));
    if (at(position) != ',') break;
    VESTIGE_TRY(position, space_end(position + 1));
  }
  VESTIGE_TRY(const auto end, end_of_container(start_));
  return take(end);
}

// What stands behind the records, up to the end of the object around them.
Status JsonRecords::leave_envelope() {
  for (;;) {
    VESTIGE_TRY(const char c, skip_space());
    if (c == '\0') return truncated();
    drop(1);
    if (c == '}') break;
    if (c != ',') return refuse("the object around the records goes on with something else than a member");
    VESTIGE_TRY(const char quote, skip_space());
    if (quote != '"') return quote == '\0' ? truncated() : refuse("a member without a name");
    VESTIGE_TRY(const auto key_end, end_of_string(start_));
    const std::string key = buffer_.substr(start_ + 1, key_end - start_ - 2);
    VESTIGE_TRY(auto position, space_end(key_end));
    if (at(position) != ':') return refuse("a member without a value");
    VESTIGE_TRY(position, space_end(position + 1));
    VESTIGE_TRY(const bool opens, opens_records(key, position));
    if (opens)
      return refuse(fmt::format("the object around the records has a second array of them, {}", key));
    VESTIGE_TRY(const auto end, end_of_value(position));
    drop(end - start_);
    if (beside_.size() < beside_names_max) beside_.insert(key);
  }
  where_ = Where::between_values;
  return {};
}

}  // namespace vestige::cli::importing
