// Text from a trail on a terminal. Whoever writes an event must not be able to move the cursor, recolour,
// reorder or hide anything on the screen of whoever reads it, so everything that is not plainly visible is
// written out: "\n", "\x1b", "\u{202e}", and "\xff" for a byte that is no UTF-8.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vestige::cli {

std::string escaped(std::string_view text);

// Columns that escaped text takes: combining marks take none (up to four in a row), wide characters two.
unsigned display_width(std::string_view text);
// At most `width` columns of escaped text; what is cut ends in "…". `width` is 1 or more.
std::string cut_to(std::string_view text, unsigned width);

struct Column {
  std::string title;
  bool may_be_cut = true;
};

inline constexpr unsigned column_width_min = 8;  // below it no column is cut

// Cells are escaped here. The columns that may be cut give way, widest first, until a row fits `width`.
std::string render_table(const std::vector<Column>& columns,
                         const std::vector<std::vector<std::string>>& rows, unsigned width);

}  // namespace vestige::cli
