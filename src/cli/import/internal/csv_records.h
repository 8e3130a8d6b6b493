// The rows of a CSV text (RFC 4180; any delimiter, line ends of any system) as JSON objects of strings.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/import/reader.h"
#include "platform/process.h"

namespace vestige::cli::importing {

inline constexpr std::size_t csv_columns_max = 10'000;

// The delimiter of a text that begins so: the one of , ; tab | that cuts the first two rows into the same
// number of fields, and into the most, at least two. '\0' where none does.
char guess_delimiter(std::string_view start, bool is_whole);

struct CsvRow {
  std::string_view json;   // an object; valid until the next call
  std::uint64_t line = 0;  // where the row begins, from 1 on
};

// Not thread-safe. After an error it gives nothing more.
class CsvRecords {
 public:
  CsvRecords(platform::ByteStream& stream, std::string name, char delimiter,
             std::size_t row_bytes_max = line_bytes_max);
  // Empty at the end. The first row names the members: an empty name becomes "column N", a repeated one
  // "NAME (2)". Fields beyond the named ones are "column N" as well; a shorter row lacks the members.
  Result<std::optional<CsvRow>> next();
  std::size_t columns() const { return columns_.size(); }
  std::uint64_t rows() const { return rows_; }
  std::uint64_t uneven_rows() const { return uneven_rows_; }
  std::uint64_t first_uneven_line() const { return first_uneven_line_; }

 private:
  // Fills fields_; false at the end.
  Result<bool> read_row();
  Result<int> next_byte();  // -1 at the end
  Status read_quoted(std::string& field);
  Status skip_byte_order_mark();
  Status append(std::string& field, int byte);
  void name_columns();
  std::string name_of(std::size_t column) const;
  std::unexpected<Error> refuse(std::string_view what) const;

  platform::ByteStream& stream_;
  const std::string name_;
  const char delimiter_;
  const std::size_t row_bytes_max_;
  std::vector<std::uint8_t> buffer_;
  std::size_t at_ = 0;
  bool ended_ = false;
  bool at_beginning_ = true;
  std::uint64_t line_ = 1;      // of the next byte
  std::uint64_t row_line_ = 1;  // where the row began
  std::size_t row_bytes_ = 0;
  bool after_return_ = false;
  std::vector<std::string> fields_;
  std::vector<std::string> columns_;
  std::string json_;
  std::uint64_t rows_ = 0;
  std::uint64_t uneven_rows_ = 0;
  std::uint64_t first_uneven_line_ = 0;
};

}  // namespace vestige::cli::importing
