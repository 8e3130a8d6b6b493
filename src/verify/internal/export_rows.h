// Splits an export into its lines, from bytes as they come: NDJSON, or CSV with the line in its last cell.
// Format: docs/formats/export.md.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vestige::verify {

class ExportRows {
 public:
  // `cells`: those in front of the line; none in NDJSON. False ends the reading.
  using OnRow = std::function<bool(std::span<const std::string> cells, std::string_view line)>;

  // False once `on_row` gave false, or where no row can be read any more; then problem() says why.
  bool feed(std::string_view bytes, const OnRow& on_row);
  const std::string& problem() const { return problem_; }
  // After the last byte: whether it ended a row.
  bool at_end_of_row() const { return at_start_of_row_; }
  bool is_csv() const { return csv_; }

 private:
  enum class Place { cell_start, bare, quoted, quote_in_quoted, row_end };

  bool feed_line(std::string_view& bytes, const OnRow& on_row);
  bool feed_csv(char c, const OnRow& on_row);
  bool end_cell_or_row(char c, const OnRow& on_row);
  bool add(std::string_view bytes);
  bool end_row(const OnRow& on_row);
  bool refuse(std::string why);

  bool form_known_ = false;
  bool csv_ = false;
  bool at_start_of_row_ = true;
  Place place_ = Place::cell_start;
  std::string start_;  // of the file, until it tells the form
  std::vector<std::string> cells_;
  std::string cell_;
  std::size_t row_bytes_ = 0;
  std::string problem_;
};

}  // namespace vestige::verify
