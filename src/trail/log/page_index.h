// What is known of pages without reading them: the tokens that their rows are found by, the times that they
// span. Kept in memory for pages of a segment under construction, in a sidecar file beside a closed one.
// Derived from the entries: it makes searches fast and can always be built anew. Format:
// docs/formats/sidecar.md.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace vestige::trail {

struct RowTest;

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

struct PageFacts {
  std::vector<Token> tokens;       // each once
  std::int64_t least = INT64_MIN;  // times of its rows
  std::int64_t greatest = INT64_MAX;
  bool has_sections = false;
  bool filtered = true;  // false: too many tokens were there, `tokens` is empty and says nothing
};

// Gathers the facts of one page, entry by entry. Not thread-safe; reuses its memory.
class PageFactsBuilder {
 public:
  explicit PageFactsBuilder(const Tokeniser& tokeniser);
  void add(std::string_view entry);
  // Of the entries since the last call.
  PageFacts take(bool has_sections);

 private:
  bool insert(Token token);

  const Tokeniser& tokeniser_;
  std::vector<Token> table_;             // open addressing; 0 is an empty place
  std::vector<std::uint32_t> occupied_;  // places of the table
  std::vector<Token> seen_;
  std::vector<Token> of_entry_;
  std::int64_t least_ = INT64_MAX;
  std::int64_t greatest_ = INT64_MIN;
  bool timeless_ = false;
  bool overfull_ = false;
};

class PageIndex {
 public:
  virtual ~PageIndex() = default;
  // Clears the flag of every page that cannot have a row that passes the test.
  virtual Status mark(const RowTest& test, std::vector<bool>& keep) const = 0;
};

// Of a few pages, in memory.
std::shared_ptr<const PageIndex> make_memory_index(std::vector<std::shared_ptr<const PageFacts>> pages);

}  // namespace vestige::trail
