// What one reader may see. Every search carries one, and it is applied before matching, counting and
// rendering, so that neither a match, a count nor an order tells what may not be read.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "audit/search/condition.h"

namespace vestige::audit {

struct Visibility {
  std::optional<Condition> rows;  // entries that do not match it do not exist for this reader
  std::vector<FieldPath> hidden;  // with everything below; the first key is a member of the event
  bool personal = true;           // sealed sections are opened; otherwise what they hold is absent
};

// denied where a field is hidden, stands below a hidden one or above it, with its name.
Status check_visible(const Visibility& visibility, const std::vector<FieldPath>& fields);

// Appends `event` in canonical form without what is hidden.
void append_visible(std::string& to, const json::Value& event, const Visibility& visibility);

}  // namespace vestige::audit
