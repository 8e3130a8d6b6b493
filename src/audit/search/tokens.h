// Tokens: hashes by which the trail's page indexes find entries. What is indexed and what a search asks for
// are decided here, side by side, so that a page with a match is never passed over.
//
// An entry is found by: each word of its texts and numbers; each text or number of several words without
// blanks, whole (an address, an id with dashes); sourceId and targetId under their names; the refs of its
// sealed sections.
#pragma once

#include <vector>

#include "audit/search/condition.h"
#include "trail/log/page_index.h"
#include "trail/log/stream.h"

namespace vestige::audit {

class EntryTokeniser final : public trail::Tokeniser {
 public:
  std::int64_t describe(std::string_view entry, std::vector<trail::Token>& tokens) const override;
};

// Adds what every entry must have that the condition matches; of conditions that cannot be told nothing.
void add_tokens(const Condition& condition, std::vector<trail::RowTest::Tokens>& to);
trail::Token ref_token(std::string_view base64);

}  // namespace vestige::audit
