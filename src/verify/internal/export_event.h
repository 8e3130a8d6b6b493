// One event line of an export, held against itself: entry, opened sections and readable event say the same.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "json/json.h"
#include "verify/export_check.h"

namespace vestige::verify {

struct ExportedEvent {
  std::uint64_t index = 0;
  Hash leaf{};
  std::string time;
};

// Counts the sections in `facts`. corrupt with what is wrong.
Result<ExportedEvent> check_exported_event(const json::Value& line, ExportFacts& facts);

// Names of the columns of the CSV form, in front of the line's own.
std::span<const std::string_view> export_columns();
// Whether the cells in front of a line are those of its event.
Status check_cells(std::span<const std::string> cells, const json::Value& event);

}  // namespace vestige::verify
