// The search language for people: actor:42 action:UPDATED changes.field:phone "new number" since:7d
// Grammar and meaning: docs/query.md.
#pragma once

#include <string>
#include <string_view>

#include "audit/search/condition.h"
#include "base/strong.h"

namespace vestige::audit {

// `now` is what since:7d counts from; `path` names where the text stands. invalid where the text cannot be
// read, with what to write instead.
Result<Condition> parse_query(std::string_view text, UnixMs now, const std::string& path);

}  // namespace vestige::audit
