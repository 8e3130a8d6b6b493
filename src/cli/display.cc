#include "cli/internal/display.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

namespace vestige::cli {
namespace {

constexpr unsigned marks_max = 4;  // of one character; a pile of them would cover the lines around it
constexpr unsigned gap = 2;        // between columns

struct Range {
  char32_t first;
  char32_t last;
};

constexpr std::array hidden{
    // Controls, invisible characters, and those that turn the direction of the text around them.
    Range{0x00, 0x1F},     Range{0x7F, 0x9F},     Range{0xAD, 0xAD},     Range{0x61C, 0x61C},
    Range{0x180E, 0x180E}, Range{0x200B, 0x200B}, Range{0x200E, 0x200F}, Range{0x2028, 0x202E},
    Range{0x2060, 0x206F}, Range{0xFEFF, 0xFEFF}, Range{0xFFF0, 0xFFFB}, Range{0xE0000, 0xE00FF},
};

constexpr std::array marks{
    Range{0x300, 0x36F},   Range{0x483, 0x489},     Range{0x591, 0x5BD},     Range{0x610, 0x61A},
    Range{0x64B, 0x65F},   Range{0x6D6, 0x6DC},     Range{0x93A, 0x93A},     Range{0x93C, 0x93C},
    Range{0x941, 0x948},   Range{0x94D, 0x94D},     Range{0xE31, 0xE31},     Range{0xE34, 0xE3A},
    Range{0xE47, 0xE4E},   Range{0x1AB0, 0x1AFF},   Range{0x1DC0, 0x1DFF},   Range{0x200C, 0x200D},
    Range{0x20D0, 0x20FF}, Range{0x302A, 0x302D},   Range{0x3099, 0x309A},   Range{0xFE00, 0xFE0F},
    Range{0xFE20, 0xFE2F}, Range{0x1F3FB, 0x1F3FF}, Range{0xE0100, 0xE01EF},
};

constexpr std::array wide{
    Range{0x1100, 0x115F},   Range{0x2E80, 0x303E},   Range{0x3041, 0x4DBF},   Range{0x4E00, 0xA4CF},
    Range{0xA960, 0xA97C},   Range{0xAC00, 0xD7A3},   Range{0xF900, 0xFAFF},   Range{0xFE30, 0xFE6F},
    Range{0xFF00, 0xFF60},   Range{0xFFE0, 0xFFE6},   Range{0x1F300, 0x1F64F}, Range{0x1F680, 0x1F6FF},
    Range{0x1F900, 0x1F9FF}, Range{0x20000, 0x3FFFD},
};

template <std::size_t N>
bool within(const std::array<Range, N>& ranges, char32_t point) {
  const auto after = std::ranges::upper_bound(ranges, point, {}, &Range::first);
  return after != ranges.begin() && point <= std::prev(after)->last;
}

// The code point at `at`, which moves past it; empty (and past one byte) where the bytes are no UTF-8.
std::optional<char32_t> next_point(std::string_view text, std::size_t& at) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const auto lead = byte(at++);
  if (lead < 0x80) return lead;
  const std::size_t more = lead >= 0xC2 && lead <= 0xDF   ? 1
                           : lead >= 0xE0 && lead <= 0xEF ? 2
                           : lead >= 0xF0 && lead <= 0xF4 ? 3
                                                          : 0;
  if (more == 0 || text.size() - at < more) return std::nullopt;
  char32_t point = lead & (0x3F >> more);
  for (std::size_t i = 0; i < more; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) return std::nullopt;
    point = point << 6 | (byte(at + i) & 0x3F);
  }
  constexpr char32_t least[] = {0, 0x80, 0x800, 0x10000};
  if (point < least[more] || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) return std::nullopt;
  at += more;
  return point;
}

// Walks over text and says how many columns each character adds.
class WidthCounter {
 public:
  unsigned of(std::optional<char32_t> point) {
    if (!point) return 1;
    if (within(marks, *point)) return ++marks_in_a_row_ <= marks_max ? 0 : 1;
    marks_in_a_row_ = 0;
    return within(wide, *point) ? 2 : 1;
  }

 private:
  unsigned marks_in_a_row_ = marks_max;  // a mark that follows nothing takes a place of its own
};

void pad(std::string& to, unsigned count) { to.append(count, ' '); }

std::vector<unsigned> fitted_widths(const std::vector<Column>& columns,
                                    const std::vector<std::vector<std::string>>& rows, unsigned width) {
  std::vector<unsigned> widths;
  for (const auto& column : columns) widths.push_back(display_width(column.title));
  for (const auto& row : rows)
    for (std::size_t i = 0; i < columns.size(); ++i) widths[i] = std::max(widths[i], display_width(row[i]));
  const auto total = [&] {
    std::uint64_t sum = gap * (columns.size() - 1);
    for (const auto each : widths) sum += each;
    return sum;
  };
  for (auto sum = total(); sum > width;) {
    std::size_t widest = columns.size();
    unsigned second = column_width_min;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (!columns[i].may_be_cut || widths[i] <= column_width_min) continue;
      if (widest == columns.size() || widths[i] > widths[widest]) {
        if (widest != columns.size()) second = std::max(second, widths[widest]);
        widest = i;
      } else {
        second = std::max(second, widths[i]);
      }
    }
    if (widest == columns.size()) break;
    // Down to the next widest at once, or by one where two are equal.
    const auto room = std::max(1U, widths[widest] - std::min(second, widths[widest]));
    const auto taken = static_cast<unsigned>(std::min<std::uint64_t>(room, sum - width));
    widths[widest] -= taken;
    sum -= taken;
  }
  return widths;
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const auto start = at;
    const auto point = next_point(text, at);
    if (!point)
      out += fmt::format("\\x{:02x}", static_cast<std::uint8_t>(text[start]));
    else if (*point == '\n')
      out += "\\n";
    else if (*point == '\t')
      out += "\\t";
    else if (*point == '\r')
      out += "\\r";
    else if (!within(hidden, *point))
      out += text.substr(start, at - start);
    else if (*point < 0x80)
      out += fmt::format("\\x{:02x}", static_cast<std::uint32_t>(*point));
    else
      out += fmt::format("\\u{{{:x}}}", static_cast<std::uint32_t>(*point));
  }
  return out;
}

unsigned display_width(std::string_view text) {
  WidthCounter counter;
  unsigned width = 0;
  for (std::size_t at = 0; at < text.size();) width += counter.of(next_point(text, at));
  return width;
}

std::string cut_to(std::string_view text, unsigned width) {
  if (display_width(text) <= width) return std::string(text);
  WidthCounter counter;
  std::size_t kept = 0;
  unsigned used = 0;
  for (std::size_t at = 0; at < text.size(); kept = at) {
    used += counter.of(next_point(text, at));
    if (used > width - 1) break;
  }
  return std::string(text.substr(0, kept)) + "…";
}

std::string render_table(const std::vector<Column>& columns,
                         const std::vector<std::vector<std::string>>& rows, unsigned width) {
  auto shown = rows;
  for (auto& row : shown) {
    row.resize(columns.size());
    for (auto& cell : row) cell = escaped(cell);
  }
  const auto widths = fitted_widths(columns, shown, width);
  std::string out;
  const auto line = [&](const auto& cell_at) {
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const auto cell = columns[i].may_be_cut ? cut_to(cell_at(i), widths[i]) : cell_at(i);
      out += cell;
      if (i + 1 < columns.size()) pad(out, widths[i] - std::min(widths[i], display_width(cell)) + gap);
    }
    while (out.ends_with(' ')) out.pop_back();
    out += '\n';
  };
  line([&](std::size_t i) { return columns[i].title; });
  for (const auto& row : shown) line([&](std::size_t i) { return row[i]; });
  return out;
}

}  // namespace vestige::cli
