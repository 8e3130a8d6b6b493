// The lines of an export as they stand in a file of one form or the other, and the digest that chains them.
// Format: docs/formats/export.md.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "json/json.h"

namespace vestige::audit::internal {

class ExportLines {
 public:
  explicit ExportLines(bool csv);

  // Of all lines so far: what the next one has as `after`.
  const Hash& digest() const { return digest_; }
  // Each appends one line to the file's bytes.
  void header(std::string& to, std::string_view line);
  void event(std::string& to, std::string_view line, const json::Value& event);
  void closing(std::string& to, std::string_view line);

 private:
  void append(std::string& to, std::string_view line);

  const bool csv_;
  Hash digest_;
};

}  // namespace vestige::audit::internal
