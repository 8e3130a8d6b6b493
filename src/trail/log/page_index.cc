#include "trail/log/page_index.h"

#include <algorithm>

#include "base/check.h"
#include "trail/limits.h"
#include "trail/log/sidecar_file.h"
#include "trail/log/stream.h"

namespace vestige::trail {
namespace {

constexpr std::size_t table_places = 2 * page_tokens_max;  // a power of two, at most half full
static_assert((table_places & (table_places - 1)) == 0);

enum class Side { clear, sealed };

class MemoryFilter final : public TokenFilter {
 public:
  MemoryFilter(FactsOfPages pages, Side side) : pages_(std::move(pages)), side_(side) {}

  Status mark(std::span<const Token> any_of, const std::vector<bool>& asked,
              std::vector<bool>& found) const override {
    for (std::size_t i = 0; i < pages_.size(); ++i)
      if (asked[i] && may_have(any_of, *pages_[i])) found[i] = true;
    return {};
  }

 private:
  bool may_have(std::span<const Token> any_of, const PageFacts& facts) const {
    if (side_ == Side::sealed && !facts.sealed) return true;
    const auto& set = side_ == Side::clear ? facts.clear : *facts.sealed;
    return !set.filtered || std::ranges::any_of(any_of, [&](Token token) { return set.has(token); });
  }

  const FactsOfPages pages_;
  const Side side_;
};

static_assert(page_tokens_max <= UINT16_MAX, "TokenSet::ends count in 16 bits");

std::size_t first_byte(Token token) { return token >> 56; }

void sort_by_first_byte(std::span<const Token> tokens, TokenSet& set) {
  for (const auto token : tokens) ++set.ends[first_byte(token)];
  std::array<std::uint16_t, 256> next{};
  for (std::size_t i = 1; i < next.size(); ++i) {
    next[i] = set.ends[i - 1];
    set.ends[i] = static_cast<std::uint16_t>(set.ends[i] + set.ends[i - 1]);
  }
  set.tokens.resize(tokens.size());
  for (const auto token : tokens) set.tokens[next[first_byte(token)]++] = token;
}

}  // namespace

// ---------------------------------------------------------------------------------------- gathering

bool TokenSet::has(Token token) const {
  const auto first = first_byte(token);
  const auto begin = tokens.begin() + (first == 0 ? 0 : ends[first - 1]);
  const auto end = tokens.begin() + ends[first];
  return std::find(begin, end, token) != end;
}

TokenSetBuilder::TokenSetBuilder() : table_(table_places) {}

// False where it was there.
bool TokenSetBuilder::insert(Token token) {
  for (std::size_t at = token & (table_places - 1);; at = (at + 1) & (table_places - 1)) {
    if (table_[at] == token) return false;
    if (table_[at] != 0) continue;
    table_[at] = token;
    occupied_.push_back(static_cast<std::uint32_t>(at));
    return true;
  }
}

void TokenSetBuilder::add(std::span<const Token> tokens) {
  for (const auto token : tokens) {
    if (overfull_) return;
    if (!insert(token)) continue;
    seen_.push_back(token);
    overfull_ = seen_.size() == page_tokens_max;
  }
}

TokenSet TokenSetBuilder::take() {
  TokenSet set{.tokens = {}, .ends = {}, .filtered = !overfull_};
  if (!overfull_) sort_by_first_byte(seen_, set);
  for (const auto place : occupied_) table_[place] = 0;
  occupied_.clear();
  seen_.clear();
  overfull_ = false;
  return set;
}

void PageFactsBuilder::add(std::string_view entry) {
  of_entry_.clear();
  const auto time = tokeniser_.describe(entry, of_entry_);
  if (time == INT64_MIN) timeless_ = true;
  least_ = std::min(least_, time);
  greatest_ = std::max(greatest_, time);
  tokens_.add(of_entry_);
}

PageFacts PageFactsBuilder::take(bool has_sections) {
  PageFacts facts;
  facts.clear = tokens_.take();
  facts.has_sections = has_sections;
  if (!has_sections) facts.sealed.emplace();
  if (!timeless_ && least_ <= greatest_) {
    facts.least = least_;
    facts.greatest = greatest_;
  }
  least_ = INT64_MAX;
  greatest_ = INT64_MIN;
  timeless_ = false;
  return facts;
}

// ------------------------------------------------------------------------------------------ finding

std::shared_ptr<const PageIndex> PageIndex::with_sealed(std::shared_ptr<const TokenFilter> sealed) const {
  return std::make_shared<const PageIndex>(pages_, clear_, std::move(sealed));
}

std::shared_ptr<const PageIndex> PageIndex::with_sidecar(std::shared_ptr<const SidecarFile> sealed) const {
  auto index = std::make_shared<PageIndex>(pages_, clear_, sealed);
  index->sidecar_ = std::move(sealed);
  return index;
}

Status PageIndex::mark(const RowTest& test, std::vector<bool>& keep) const {
  CHECK(keep.size() == pages_.size());
  for (std::size_t i = 0; i < keep.size(); ++i)
    keep[i] = keep[i] && pages_[i].greatest >= test.time_from && pages_[i].least < test.time_to;
  std::vector<bool> found(keep.size());
  std::vector<bool> asked(keep.size());
  for (const auto& wanted : test.tokens) {
    found.assign(keep.size(), false);
    VESTIGE_CHECKED(clear_->mark(wanted.any_of, keep, found));
    if (wanted.may_be_sealed) {
      bool any = false;
      for (std::size_t i = 0; i < keep.size(); ++i) {
        asked[i] = keep[i] && !found[i] && pages_[i].has_sections;
        any = any || asked[i];
        if (sealed_ == nullptr && asked[i]) found[i] = true;
      }
      if (any && sealed_ != nullptr) VESTIGE_CHECKED(sealed_->mark(wanted.any_of, asked, found));
    }
    for (std::size_t i = 0; i < keep.size(); ++i) keep[i] = keep[i] && found[i];
  }
  return {};
}

Result<std::vector<bool>> PageIndex::with_sections_and(std::span<const Token> any_of) const {
  std::vector<bool> asked(pages_.size());
  std::vector<bool> found(pages_.size());
  for (std::size_t i = 0; i < pages_.size(); ++i) asked[i] = pages_[i].has_sections;
  VESTIGE_CHECKED(clear_->mark(any_of, asked, found));
  return found;
}

std::vector<PageBounds> bounds_of(std::span<const std::shared_ptr<const PageFacts>> pages) {
  std::vector<PageBounds> bounds;
  bounds.reserve(pages.size());
  for (const auto& page : pages) bounds.push_back({page->least, page->greatest, page->has_sections});
  return bounds;
}

std::shared_ptr<const PageIndex> make_memory_index(FactsOfPages pages) {
  auto bounds = bounds_of(pages);
  auto clear = std::make_shared<const MemoryFilter>(pages, Side::clear);
  auto sealed = std::make_shared<const MemoryFilter>(std::move(pages), Side::sealed);
  return std::make_shared<const PageIndex>(std::move(bounds), std::move(clear), std::move(sealed));
}

}  // namespace vestige::trail
