// Tokens: hashes by which the trail's page indexes find entries. What is indexed and what a search asks for
// are decided here, side by side, so that a page with a match is never passed over. An entry is found by its
// values (seal/tokens.h) and by the refs of its sealed sections.
#pragma once

#include <vector>

#include "audit/entry_view.h"
#include "audit/search/condition.h"
#include "trail/log/page_index.h"
#include "trail/log/stream.h"
#include "trail/section_tokens.h"

namespace vestige::audit {

class EntryTokeniser final : public trail::Tokeniser {
 public:
  std::int64_t describe(std::string_view entry, std::vector<trail::Token>& tokens) const override;
};

// The tokens of sections as far as they open; a generation is a number of erasures.
class SealedTokeniser final : public trail::SectionTokens {
 public:
  explicit SealedTokeniser(vault::Vault& vault) : vault_(vault) {}
  std::uint64_t generation() const override { return vault_.erasures(); }
  Status describe(std::string_view stream, std::string_view entry, const std::vector<Bytes>& blobs,
                  std::vector<trail::Token>& tokens) override;

 private:
  vault::Vault& vault_;
};

// Adds what every entry must have that the condition matches; of conditions that cannot be told nothing.
// For a reader who sees no sealed values, these cannot match.
void add_tokens(const Condition& condition, std::vector<trail::RowTest::Tokens>& to, bool sees_sealed);
trail::Token ref_token(std::string_view base64);

}  // namespace vestige::audit
