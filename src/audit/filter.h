// What POST /auditlog/events/v2 asks for, parsed and checked. Grammar and meaning: docs/query.md.
//
// The members of the first version (sourceId, targetType, detail, ...), "filter", "text", "subject" and
// "query" are all conditions on one event, joined by "and". A missing or null member does not filter.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/limits.h"
#include "audit/search/condition.h"
#include "audit/search/tally.h"
#include "audit/search/visibility.h"
#include "base/strong.h"
#include "base/uuid.h"
#include "json/json.h"

namespace vestige::audit {

enum class SearchOrder { descending, ascending };

struct Search {
  std::optional<Uuid> id;
  Condition where;  // Kind::all
  TallyWish tally;
  SearchOrder order = SearchOrder::descending;
  std::uint32_t limit = 0;
  std::uint64_t rows_max = search_rows_max;  // entries that may be read for one page
  std::string cursor;
  Hash digest{};  // of what is searched and the order: a cursor belongs to one search
};

// Views into `document` stay in the result. `now` is what "since:7d" of a query counts from. invalid with the
// path of what is wrong.
Result<Search> parse_search(const json::Document& document, UnixMs now);

// denied where the search looks at, or counts by, what the reader may not read.
Status check_visible(const Visibility& visibility, const Search& search);

// `event` is the event as readers see it.
bool matches(const Search& search, const json::Value& event);

}  // namespace vestige::audit
