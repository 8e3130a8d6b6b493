#include "verify/internal/export_rows.h"

#include <fmt/format.h>

#include "verify/limits.h"

namespace vestige::verify {
namespace {

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
constexpr std::size_t cells_max = 64;

}  // namespace

bool ExportRows::refuse(std::string why) {
  problem_ = std::move(why);
  return false;
}

bool ExportRows::add(std::string_view bytes) {
  row_bytes_ += bytes.size();
  if (row_bytes_ > limits::export_row_bytes_max)
    return refuse(fmt::format("it is longer than {} bytes", limits::export_row_bytes_max));
  cell_.append(bytes);
  return true;
}

bool ExportRows::end_row(const OnRow& on_row) {
  at_start_of_row_ = true;
  place_ = Place::cell_start;
  row_bytes_ = 0;
  const bool go_on = on_row(cells_, cell_);
  cells_.clear();
  cell_.clear();
  return go_on;
}

bool ExportRows::feed(std::string_view bytes, const OnRow& on_row) {
  if (!problem_.empty()) return false;
  while (!form_known_ && !bytes.empty()) {
    start_.push_back(bytes.front());
    bytes.remove_prefix(1);
    at_start_of_row_ = false;
    csv_ = byte_order_mark.starts_with(start_);
    form_known_ = !csv_ || start_.size() == byte_order_mark.size();
    if (!form_known_) continue;
    at_start_of_row_ = true;
    if (!csv_) {
      std::string_view first = start_;
      if (!feed_line(first, on_row)) return false;
    }
  }
  while (!csv_ && !bytes.empty())
    if (!feed_line(bytes, on_row)) return false;
  for (const char c : bytes)
    if (!feed_csv(c, on_row)) return false;
  return true;
}

bool ExportRows::feed_line(std::string_view& bytes, const OnRow& on_row) {
  const auto end = bytes.find('\n');
  at_start_of_row_ = false;
  if (!add(bytes.substr(0, end))) return false;
  bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 1);
  return end == std::string_view::npos || end_row(on_row);
}

bool ExportRows::end_cell_or_row(char c, const OnRow& on_row) {
  if (c == ',') {
    if (cells_.size() == cells_max) return refuse(fmt::format("it has more than {} cells", cells_max));
    cells_.push_back(std::move(cell_));
    cell_.clear();
    place_ = Place::cell_start;
    return true;
  }
  if (c == '\r') {
    place_ = Place::row_end;
    return true;
  }
  return end_row(on_row);
}

bool ExportRows::feed_csv(char c, const OnRow& on_row) {
  at_start_of_row_ = false;
  const bool ends = c == ',' || c == '\r' || c == '\n';
  switch (place_) {
    case Place::cell_start:
      if (ends) return end_cell_or_row(c, on_row);
      place_ = c == '"' ? Place::quoted : Place::bare;
      return c == '"' || add({&c, 1});
    case Place::bare:
      if (ends) return end_cell_or_row(c, on_row);
      return c == '"' ? refuse("it is no row of CSV: a quote stands within a cell that has none around it")
                      : add({&c, 1});
    case Place::quoted:
      if (c != '"') return add({&c, 1});
      place_ = Place::quote_in_quoted;
      return true;
    case Place::quote_in_quoted:
      if (ends) return end_cell_or_row(c, on_row);
      place_ = Place::quoted;
      return c == '"' ? add({&c, 1}) : refuse("it is no row of CSV: something follows a closing quote");
    case Place::row_end:
      return c == '\n' ? end_row(on_row) : refuse("it is no row of CSV: a carriage return stands alone");
  }
  return false;
}

}  // namespace vestige::verify
