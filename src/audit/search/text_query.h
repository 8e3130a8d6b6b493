// What a search's `text` asks for: words, "phrases", pre*, *mid*, and -not of each; all of them must hold.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/json.h"

namespace vestige::audit {

// Consecutive words of one value. A word with '*' in it is a pattern.
struct TextTerm {
  std::vector<std::string> words;  // folded; never empty
  bool negated = false;
};

struct TextQuery {
  std::vector<TextTerm> terms;
  bool empty() const { return terms.empty(); }
};

// invalid where a phrase is not closed, or there are too many terms. `path` names where the text stands.
Result<TextQuery> parse_text(std::string_view text, const std::string& path);
// One piece of a text that is known to be a word, a pattern or a phrase; nothing where it has no word in it.
std::vector<std::string> term_words(std::string_view piece);

// Whether an event, as readers see it, has all that the query asks for.
bool matches(const TextQuery& query, const json::Value& event);

// Whether an entry without sealed sections cannot match, told from its bytes alone.
bool may_match(const TextQuery& query, std::string_view entry);

}  // namespace vestige::audit
