#include "cli/import/internal/csv_records.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/bytes.h"
#include "base/encoding.h"
#include "cli/import/internal/readers.h"
#include "cli/import/internal/text_stream.h"
#include "json/json.h"

namespace vestige::cli::importing {
namespace {

constexpr std::size_t chunk_bytes = 128 << 10;
constexpr std::string_view delimiters = ",;\t|";

// How many fields the first row and the second have. A row that the text may end in the middle of counts as
// one that fits.
bool cuts_evenly(std::string_view start, char delimiter, bool is_whole) {
  TextStream stream(start);
  CsvRecords rows(stream, {}, delimiter);
  const auto second = rows.next();  // the first one names the members
  if (!second || !*second) return !is_whole;
  return rows.uneven_rows() == 0 && rows.columns() > 1;
}

}  // namespace

char guess_delimiter(std::string_view start, bool is_whole) {
  if (start.starts_with(byte_order_mark)) start.remove_prefix(byte_order_mark.size());
  const auto line = start.substr(0, start.find_first_of("\r\n"));
  char best = '\0';
  std::ptrdiff_t most = 0;
  for (const char delimiter : delimiters) {
    const auto count = std::ranges::count(line, delimiter);
    if (count <= most || line.front() == delimiter || !cuts_evenly(start, delimiter, is_whole)) continue;
    most = count;
    best = delimiter;
  }
  return best;
}

CsvRecords::CsvRecords(platform::ByteStream& stream, std::string name, char delimiter,
                       std::size_t row_bytes_max)
    : stream_(stream), name_(std::move(name)), delimiter_(delimiter), row_bytes_max_(row_bytes_max) {}

std::unexpected<Error> CsvRecords::refuse(std::string_view what) const {
  return fail(ErrorKind::invalid,
              fmt::format("{} is no CSV in the row that begins at line {}: {}", name_, row_line_, what));
}

Result<int> CsvRecords::next_byte() {
  if (at_ == buffer_.size()) {
    if (ended_) return -1;
    buffer_.resize(chunk_bytes);
    at_ = 0;
    auto got = stream_.read(buffer_);
    buffer_.resize(got.value_or(0));
    if (!got) return std::unexpected(std::move(got).error());
    ended_ = *got == 0;
    if (ended_) return -1;
    VESTIGE_CHECKED(skip_byte_order_mark());
    if (at_ == buffer_.size()) return next_byte();
  }
  const int byte = buffer_[at_++];
  // "\r\n", "\n" and "\r" each end one line.
  if (byte == '\r' || (byte == '\n' && !after_return_)) ++line_;
  after_return_ = byte == '\r';
  return byte;
}

// Before the first byte is given: a quote behind the mark opens a field.
Status CsvRecords::skip_byte_order_mark() {
  if (!std::exchange(at_beginning_, false)) return {};
  while (buffer_.size() < byte_order_mark.size() && !ended_) {
    const auto before = buffer_.size();
    buffer_.resize(chunk_bytes);
    auto got = stream_.read(std::span(buffer_).subspan(before));
    buffer_.resize(before + got.value_or(0));
    if (!got) return std::unexpected(std::move(got).error());
    ended_ = *got == 0;
  }
  if (text(buffer_).starts_with(byte_order_mark)) at_ = byte_order_mark.size();
  return {};
}

Status CsvRecords::append(std::string& field, int byte) {
  if (++row_bytes_ > row_bytes_max_) {
    auto refused =
        refuse(fmt::format("it is longer than {} bytes, the most that a record may have", row_bytes_max_));
    refused.error().limit = fmt::format("row_bytes_max={}", row_bytes_max_);
    return refused;
  }
  field.push_back(static_cast<char>(byte));
  return {};
}

// Behind the opening quote; up to and with the closing one.
Status CsvRecords::read_quoted(std::string& field) {
  for (;;) {
    VESTIGE_TRY(int byte, next_byte());
    if (byte < 0)
      return refuse("a quoted field does not end. A file that was cut off looks so; get the whole file");
    if (byte == '"') {
      // A second quote stands for one; anything else is behind the field.
      const bool before = after_return_;
      const auto line = line_;
      VESTIGE_TRY(byte, next_byte());
      if (byte != '"') {
        if (byte >= 0) {
          --at_;
          after_return_ = before;
          line_ = line;
        }
        return {};
      }
    }
    VESTIGE_CHECKED(append(field, byte));
  }
}

Result<bool> CsvRecords::read_row() {
  fields_.clear();
  row_line_ = line_;
  row_bytes_ = 0;
  std::string field;
  bool fresh = true;    // nothing of the field was read
  bool quoted = false;  // the row has a quoted field, so that it is no empty line
  for (;;) {
    const bool after_return = after_return_;
    VESTIGE_TRY(const int byte, next_byte());
    if (byte == '\n' && after_return && fresh && fields_.empty()) {
      row_line_ = line_;
      continue;
    }
    if (byte < 0 || byte == '\n' || byte == '\r') {
      if (!fields_.empty() || !field.empty() || quoted) {
        fields_.push_back(std::move(field));
        return true;
      }
      if (byte < 0) return false;
      row_line_ = line_;  // an empty line
    } else if (byte == delimiter_) {
      if (fields_.size() >= csv_columns_max)
        return refuse(fmt::format("it has more than {} fields", csv_columns_max));
      fields_.push_back(std::move(field));
      field.clear();
      fresh = true;
    } else if (byte == '"' && fresh) {
      quoted = true;
      fresh = false;
      VESTIGE_CHECKED(read_quoted(field));
    } else {
      fresh = false;
      VESTIGE_CHECKED(append(field, byte));
    }
  }
}

void CsvRecords::name_columns() {
  std::set<std::string> taken;
  for (std::size_t i = 0; i < fields_.size(); ++i) {
    const auto first = fields_[i].empty() ? fmt::format("column {}", i + 1) : fields_[i];
    auto name = first;
    for (int repeat = 2; !taken.insert(name).second; ++repeat) name = fmt::format("{} ({})", first, repeat);
    columns_.push_back(std::move(name));
  }
}

std::string CsvRecords::name_of(std::size_t column) const {
  if (column < columns_.size()) return columns_[column];
  auto name = fmt::format("column {}", column + 1);
  while (std::ranges::find(columns_, name) != columns_.end()) name += '\'';
  return name;
}

Result<std::optional<CsvRow>> CsvRecords::next() {
  if (columns_.empty()) {
    VESTIGE_TRY(const bool there, read_row());
    if (!there) return std::nullopt;
    for (const auto& field : fields_)
      if (!is_utf8(field)) return refuse("it is not UTF-8. Convert the file first, for example with iconv");
    name_columns();
  }
  VESTIGE_TRY(const bool there, read_row());
  if (!there) return std::nullopt;
  ++rows_;
  if (fields_.size() != columns_.size() && uneven_rows_++ == 0) first_uneven_line_ = row_line_;
  json_ = "{";
  for (std::size_t i = 0; i < fields_.size(); ++i) {
    if (!is_utf8(fields_[i]))
      return refuse("it is not UTF-8. Convert the file first, for example with iconv");
    if (i > 0) json_ += ',';
    json::append_quoted(json_, name_of(i));
    json_ += ':';
    json::append_quoted(json_, fields_[i]);
  }
  json_ += '}';
  return CsvRow{.json = json_, .line = row_line_};
}

}  // namespace vestige::cli::importing
