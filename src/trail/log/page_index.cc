#include "trail/log/page_index.h"

#include <algorithm>

#include "trail/limits.h"
#include "trail/log/stream.h"

namespace vestige::trail {
namespace {

constexpr std::size_t table_places = 2 * page_tokens_max;  // a power of two, at most half full

class MemoryIndex final : public PageIndex {
 public:
  explicit MemoryIndex(std::vector<std::shared_ptr<const PageFacts>> pages) : pages_(std::move(pages)) {}

  Status mark(const RowTest& test, std::vector<bool>& keep) const override {
    for (std::size_t i = 0; i < pages_.size(); ++i)
      if (keep[i])
        keep[i] = pages_[i]->greatest >= test.time_from && pages_[i]->least < test.time_to &&
                  has_tokens(test, *pages_[i]);
    return {};
  }

 private:
  static bool has_tokens(const RowTest& test, const PageFacts& facts) {
    if (!facts.filtered) return true;
    return std::ranges::all_of(test.tokens, [&](const RowTest::Tokens& wanted) {
      return (wanted.may_be_sealed && facts.has_sections) ||
             std::ranges::any_of(wanted.any_of, [&](Token token) {
               return std::ranges::find(facts.tokens, token) != facts.tokens.end();
             });
    });
  }

  const std::vector<std::shared_ptr<const PageFacts>> pages_;
};

}  // namespace

static_assert((table_places & (table_places - 1)) == 0);

PageFactsBuilder::PageFactsBuilder(const Tokeniser& tokeniser)
    : tokeniser_(tokeniser), table_(table_places) {}

// False where it was there.
bool PageFactsBuilder::insert(Token token) {
  for (std::size_t at = token & (table_places - 1);; at = (at + 1) & (table_places - 1)) {
    if (table_[at] == token) return false;
    if (table_[at] != 0) continue;
    table_[at] = token;
    occupied_.push_back(static_cast<std::uint32_t>(at));
    return true;
  }
}

void PageFactsBuilder::add(std::string_view entry) {
  of_entry_.clear();
  const auto time = tokeniser_.describe(entry, of_entry_);
  if (time == INT64_MIN) timeless_ = true;
  least_ = std::min(least_, time);
  greatest_ = std::max(greatest_, time);
  for (const auto token : of_entry_) {
    if (overfull_) return;
    if (!insert(token)) continue;
    seen_.push_back(token);
    overfull_ = seen_.size() == page_tokens_max;
  }
}

PageFacts PageFactsBuilder::take(bool has_sections) {
  PageFacts facts;
  facts.has_sections = has_sections;
  facts.filtered = !overfull_;
  if (!timeless_ && least_ <= greatest_) {
    facts.least = least_;
    facts.greatest = greatest_;
  }
  if (!overfull_) facts.tokens = seen_;
  for (const auto place : occupied_) table_[place] = 0;
  occupied_.clear();
  seen_.clear();
  least_ = INT64_MAX;
  greatest_ = INT64_MIN;
  timeless_ = overfull_ = false;
  return facts;
}

std::shared_ptr<const PageIndex> make_memory_index(std::vector<std::shared_ptr<const PageFacts>> pages) {
  return std::make_shared<const MemoryIndex>(std::move(pages));
}

}  // namespace vestige::trail
