// Defends: whatever an event holds, what reaches the terminal is valid UTF-8 without a control, invisible or
// direction-turning character; visible text is not touched; a table's row fits the terminal wherever its
// columns may be cut.
#include "cli/internal/display.h"

#include <gtest/gtest.h>

#include <random>

#include "base/encoding.h"
#include "cli/testing/recorder.h"

namespace vestige::cli {
namespace {

std::string utf8(char32_t point) {
  std::string out;
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xC0 | point >> 6);
    out += static_cast<char>(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    out += static_cast<char>(0xE0 | point >> 12);
    out += static_cast<char>(0x80 | (point >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (point & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | point >> 18);
    out += static_cast<char>(0x80 | (point >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (point >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (point & 0x3F));
  }
  return out;
}

// By name and one by one, not by the ranges of the implementation.
const std::vector<char32_t>& dangerous() {
  static const auto all = [] {
    std::vector<char32_t> points{0x7F,   0xAD,   0x61C,  0x180E, 0x200B,  0x200E, 0x200F, 0x2028,
                                 0x2029, 0x202A, 0x202B, 0x202C, 0x202D,  0x202E, 0x2060, 0x2066,
                                 0x2067, 0x2068, 0x2069, 0xFEFF, 0xE0001, 0xE0041};
    for (char32_t control = 0; control < 0x20; ++control) points.push_back(control);
    for (char32_t control = 0x80; control < 0xA0; ++control) points.push_back(control);
    return points;
  }();
  return all;
}

bool is_safe(const std::string& shown) {
  if (!is_utf8(shown)) return false;
  for (const auto point : dangerous())
    if (shown.find(utf8(point)) != std::string::npos) return false;
  return true;
}

std::string random_text(std::mt19937_64& random) {
  std::string text;
  for (auto pieces = random() % 30; pieces > 0; --pieces) {
    switch (random() % 6) {
      case 0:
        text += static_cast<char>(random());
        break;
      case 1:
        text += utf8(dangerous()[random() % dangerous().size()]);
        break;
      case 2:
        text += utf8(0x300 + random() % 0x70);
        break;
      case 3:
        text += utf8(0x4E00 + random() % 0x5000);
        break;
      case 4:
        text += "\x1b[2J";
        break;
      default:
        text += static_cast<char>('a' + random() % 26);
    }
  }
  return text;
}

TEST(Display, NothingThatAnEventHoldsReachesTheTerminalAsACommand) {
  const auto seed = std::random_device()();
  std::mt19937_64 random(seed);
  for (int round = 0; round < testing::rounds(3'000); ++round) {
    const auto text = random_text(random);
    const auto shown = escaped(text);
    ASSERT_TRUE(is_safe(shown)) << "seed " << seed << ": " << to_hex(view(text));
    const auto width = static_cast<unsigned>(1 + random() % 40);
    const auto cut = cut_to(shown, width);
    ASSERT_TRUE(is_safe(cut)) << "seed " << seed;
    ASSERT_LE(display_width(cut), width) << "seed " << seed << ": " << shown;
    if (display_width(shown) <= width) ASSERT_EQ(cut, shown);
  }
}

TEST(Display, EveryDangerousCharacterIsWrittenOut) {
  for (const auto point : dangerous())
    EXPECT_TRUE(escaped(utf8(point)).starts_with('\\')) << static_cast<unsigned>(point);
}

TEST(Display, VisibleTextStays) {
  for (const std::string text : {"plain", "Zoë", "日本語", "C:\\path", "naïve — “quoted”", "مرحبا", "😀"})
    EXPECT_EQ(escaped(text), text);
  EXPECT_EQ(escaped("a\nb\tc\r\x1b\x07"), "a\\nb\\tc\\r\\x1b\\x07");
  EXPECT_EQ(escaped("\xff\xc0\x80"), "\\xff\\xc0\\x80");
  EXPECT_EQ(escaped("user\u202egpj"), "user\\u{202e}gpj");
}

TEST(Display, WidthCountsMarksAndWideCharacters) {
  EXPECT_EQ(display_width("abc"), 3U);
  EXPECT_EQ(display_width("e\u0301"), 1U);
  EXPECT_EQ(display_width("日本"), 4U);
  std::string pile = "a";
  for (int i = 0; i < 50; ++i) pile += "\u0301";
  EXPECT_EQ(display_width(pile), 1U + 50 - 4);  // a pile of marks does not hide the lines around it
  EXPECT_EQ(cut_to("abcdef", 4), "abc…");
  EXPECT_EQ(cut_to("日本語", 4), "日…");
  EXPECT_EQ(cut_to("e\u0301xyz", 2), "e\u0301…");
}

TEST(Display, RowsFitWhereColumnsMayBeCut) {
  const auto seed = std::random_device()();
  std::mt19937_64 random(seed);
  for (int round = 0; round < testing::rounds(300); ++round) {
    const std::size_t count = 1 + random() % 5;
    std::vector<Column> columns(count);
    for (auto& column : columns) column.title = std::string(1 + random() % 12, 'T');
    std::vector<std::vector<std::string>> rows(random() % 6, std::vector<std::string>(count));
    for (auto& row : rows)
      for (auto& cell : row) cell = random_text(random);
    const auto width = static_cast<unsigned>(count * (column_width_min + 4 + random() % 20));
    const auto table = render_table(columns, rows, width);
    ASSERT_EQ(std::count(table.begin(), table.end(), '\n'), rows.size() + 1) << "seed " << seed;
    std::string_view rest = table;
    while (!rest.empty()) {
      const auto end = rest.find('\n');
      ASSERT_LE(display_width(rest.substr(0, end)), width) << "seed " << seed << "\n" << table;
      rest.remove_prefix(end + 1);
    }
  }
}

TEST(Display, TableAligns) {
  const auto table = render_table({{"A", false}, {"B"}}, {{"1", "x"}, {"22", "a long cell here"}}, 20);
  EXPECT_EQ(table, "A   B\n1   x\n22  a long cell here\n");
  EXPECT_EQ(render_table({{"A", false}, {"B"}}, {{"1", "a long cell here"}}, 13), "A  B\n1  a long ce…\n");
}

}  // namespace
}  // namespace vestige::cli
