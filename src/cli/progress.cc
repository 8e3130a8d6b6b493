#include "cli/internal/progress.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/internal/display.h"

namespace vestige::cli {
namespace {

constexpr unsigned bar_columns = 24;
constexpr std::chrono::milliseconds redraw_period{100};
constexpr std::string_view erase_line = "\r\x1b[K";

}  // namespace

std::string with_separators(std::uint64_t number) {
  auto digits = fmt::format("{}", number);
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<std::size_t>(at), ",");
  return digits;
}

std::string render_progress(std::string_view label, std::optional<double> share, std::uint64_t count,
                            double per_second, unsigned columns) {
  std::string figures;
  if (share) {
    // NaN and what lies outside are a reader's mistake, and no reason to draw beyond the line.
    const double part = *share >= 0 ? std::min(*share, 1.0) : 0.0;
    const auto filled = static_cast<unsigned>(part * bar_columns);
    figures = fmt::format(" [{}{}] {:3}%", std::string(filled, '#'), std::string(bar_columns - filled, '.'),
                          static_cast<unsigned>(part * 100));
  }
  figures += fmt::format(" {} events", with_separators(count));
  if (per_second >= 1)
    figures += fmt::format(" {}/s", with_separators(static_cast<std::uint64_t>(per_second)));
  const auto used = display_width(figures);
  const unsigned label_columns = columns > used + column_width_min ? columns - used - 1 : column_width_min;
  return cut_to(cut_to(escaped(label), label_columns) + figures, std::max(columns, 2U) - 1);
}

Progress::Progress(Surroundings& surroundings)
    : surroundings_(surroundings),
      visible_(surroundings.errors_are_terminal()),
      began_(surroundings.monotonic()) {}

Progress::~Progress() { clear(); }

void Progress::update(std::string_view label, std::optional<double> share, std::uint64_t count) {
  if (!visible_) return;
  const auto now = surroundings_.monotonic();
  if (drawn_ && now - *drawn_ < redraw_period) return;
  drawn_ = now;
  const double seconds = std::chrono::duration<double>(now - began_).count();
  const double per_second = seconds > 0 ? static_cast<double>(count) / seconds : 0;
  surroundings_.say(fmt::format("{}{}", erase_line,
                                render_progress(label, share, count, per_second, surroundings_.columns())));
}

void Progress::clear() {
  if (drawn_) surroundings_.say(erase_line);
  drawn_.reset();
}

}  // namespace vestige::cli
