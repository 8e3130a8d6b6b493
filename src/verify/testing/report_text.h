// A report as text, for failure messages.
#pragma once

#include <fmt/format.h>

#include <string>

#include "verify/verify.h"

namespace vestige::verify::testing {

inline std::string in_words(const Report& report) {
  std::string out = "\n";
  for (const auto& bad : report.all_bad)
    out += fmt::format("[{}] {} +{}: {}\n", bad.index ? fmt::format("{}", *bad.index) : "-", bad.file,
                       bad.offset, bad.reason);
  for (const auto& note : report.notes) out += "note: " + note + "\n";
  return out;
}

}  // namespace vestige::verify::testing
