// What is known of pages without reading them: the tokens that their rows are found by, the times that they
// span. Kept in memory for pages of a segment under construction, in sidecar files beside a closed one.
// Derived from the entries: it makes searches fast and can always be built anew. Format:
// docs/formats/sidecar.md.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace vestige::trail {

struct RowTest;
class SidecarFile;

// A hash of something that rows are found by, never 0. Made and understood by whoever gives the Tokeniser.
using Token = std::uint64_t;

// Tells what an entry is found by; the trail itself does not know what is in one. Thread-safe.
class Tokeniser {
 public:
  virtual ~Tokeniser() = default;
  // Appends the tokens of an entry's clear bytes, repeated ones too, and gives its time in ms
  // (RowTest::time_column); INT64_MIN where it has none.
  virtual std::int64_t describe(std::string_view entry, std::vector<Token>& tokens) const = 0;
};

// Of one page, each token once.
struct TokenSet {
  std::vector<Token> tokens;              // by their first byte, in no order beyond it
  std::array<std::uint16_t, 256> ends{};  // where the tokens of each first byte end
  bool filtered = true;  // false: too many tokens were there, `tokens` is empty and says nothing

  // A segment under construction has thousands of sets, and each look-up asks them all.
  bool has(Token token) const;
};

struct PageFacts {
  TokenSet clear;
  std::optional<TokenSet> sealed;  // of the page's sections; nullopt: they were not opened yet
  std::int64_t least = INT64_MIN;  // times of its rows
  std::int64_t greatest = INT64_MAX;
  bool has_sections = false;
};
using FactsOfPages = std::vector<std::shared_ptr<const PageFacts>>;

// Gathers different tokens, up to page_tokens_max. Not thread-safe; reuses its memory.
class TokenSetBuilder {
 public:
  TokenSetBuilder();
  void add(std::span<const Token> tokens);
  // The page is found by more than can be told.
  void overflow() { overfull_ = true; }
  // Of what was added since the last call.
  TokenSet take();

 private:
  bool insert(Token token);

  std::vector<Token> table_;             // open addressing; 0 is an empty place
  std::vector<std::uint32_t> occupied_;  // places of the table
  std::vector<Token> seen_;
  bool overfull_ = false;
};

// Gathers what is known of one page by its clear bytes, entry by entry. Not thread-safe; reuses its memory.
class PageFactsBuilder {
 public:
  explicit PageFactsBuilder(const Tokeniser& tokeniser) : tokeniser_(tokeniser) {}
  void add(std::string_view entry);
  // Of the entries since the last call; what is sealed is not known.
  PageFacts take(bool has_sections);

 private:
  const Tokeniser& tokeniser_;
  TokenSetBuilder tokens_;
  std::vector<Token> of_entry_;
  std::int64_t least_ = INT64_MAX;
  std::int64_t greatest_ = INT64_MIN;
  bool timeless_ = false;
};

// Which of some consecutive pages may have a token. Immutable, thread-safe.
class TokenFilter {
 public:
  virtual ~TokenFilter() = default;
  // Sets the flag of each page that is asked for and may have one of the tokens.
  virtual Status mark(std::span<const Token> any_of, const std::vector<bool>& asked,
                      std::vector<bool>& found) const = 0;
};

struct PageBounds {
  std::int64_t least = INT64_MIN;
  std::int64_t greatest = INT64_MAX;
  bool has_sections = false;
};

// All that is known of the pages of a run. Immutable, thread-safe.
class PageIndex {
 public:
  // `sealed` is null where nothing is known of what is sealed.
  PageIndex(std::vector<PageBounds> pages, std::shared_ptr<const TokenFilter> clear,
            std::shared_ptr<const TokenFilter> sealed)
      : pages_(std::move(pages)), clear_(std::move(clear)), sealed_(std::move(sealed)) {}

  // The same pages with another filter of what is sealed; with a sidecar's, the sidecar is remembered.
  std::shared_ptr<const PageIndex> with_sealed(std::shared_ptr<const TokenFilter> sealed) const;
  std::shared_ptr<const PageIndex> with_sidecar(std::shared_ptr<const SidecarFile> sealed) const;
  // The file behind the filter of what is sealed; null where there is none.
  const std::shared_ptr<const SidecarFile>& sealed_sidecar() const { return sidecar_; }

  // Clears the flag of every page that cannot have a row that passes the test.
  Status mark(const RowTest& test, std::vector<bool>& keep) const;
  // Flags of pages with sections that may have one of the tokens in clear.
  Result<std::vector<bool>> with_sections_and(std::span<const Token> any_of) const;

 private:
  std::vector<PageBounds> pages_;
  std::shared_ptr<const TokenFilter> clear_;
  std::shared_ptr<const TokenFilter> sealed_;
  std::shared_ptr<const SidecarFile> sidecar_;
};

std::vector<PageBounds> bounds_of(std::span<const std::shared_ptr<const PageFacts>> pages);
// Of a few pages, in memory.
std::shared_ptr<const PageIndex> make_memory_index(FactsOfPages pages);

}  // namespace vestige::trail
