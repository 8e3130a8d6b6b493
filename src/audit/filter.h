// What POST /auditlog/events/v2 asks for, parsed and checked, and whether one event matches.
//
// A missing or null member does not filter. Metas and detail match by containment: every member of the
// filter is in the event's object and contained there ({}: the object is present); an array is contained
// where each of its elements is contained in some element; a string also equals a number or boolean by its
// canonical text. timeFrom is inclusive, timeTo exclusive.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/strong.h"
#include "base/uuid.h"
#include "json/json.h"
#include "trail/log/stream.h"

namespace vestige::audit {

enum class SearchOrder { descending, ascending };

struct Search {
  std::optional<Uuid> id;
  std::optional<std::string> source_id;
  std::optional<std::string> source_type;
  std::optional<std::string> action;
  std::optional<std::string> target_id;
  std::vector<std::string> target_types;  // any of them; empty: any at all
  std::optional<std::string> kind;
  json::Value source_meta;  // absent: not filtered
  json::Value target_meta;
  json::Value detail;
  std::optional<UnixMs> time_from;
  std::optional<UnixMs> time_to;
  std::vector<std::string> words;  // lower case; all must occur
  SearchOrder order = SearchOrder::descending;
  std::uint32_t limit = 0;
  std::string cursor;
  Hash digest{};  // of everything but cursor and limit: a cursor belongs to one search
};

// Views into `document` stay in the result. invalid with the path of what is wrong.
Result<Search> parse_search(const json::Document& document);

// `event` is the event as readers see it.
bool matches(const Search& search, const json::Value& event);

// What a page's columns can tell before anything is decompressed.
trail::RowTest row_test(const Search& search);

// Whether an entry without sealed sections cannot match because a word's letters are not in its bytes.
// Only for words of ASCII letters and digits, which JSON never escapes.
bool words_may_occur(const Search& search, std::string_view entry);

// Words of a text: runs of letters and digits (every byte of a non-ASCII character counts as a letter),
// ASCII letters in lower case.
void append_words(std::string_view text, std::vector<std::string>& to);

}  // namespace vestige::audit
