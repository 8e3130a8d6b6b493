// Finds out what pages are found by: from the bytes of entries, or from a page that is read again.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "trail/log/segment_file.h"
#include "trail/log/submission.h"
#include "trail/section_tokens.h"

namespace vestige::trail {

// Not thread-safe; reuses its memory.
class PageDescriber {
 public:
  // `sections` is null where what is sealed is not indexed.
  PageDescriber(const Tokeniser& tokeniser, SectionTokens* sections)
      : sections_(sections), clear_(tokeniser) {}
  bool knows_sections() const { return sections_ != nullptr; }

  // The facts of some entries; what is sealed is not known.
  PageFacts describe_clear(std::span<const ByteView> entries, bool has_sections);
  // The same of a page of a run.
  Result<PageFacts> describe_clear(const PageRun& run, std::size_t page);
  // What the sections of a page are found by, as far as they open now. A page with damaged ones is not
  // filtered, so that whoever searches meets the damage. `stream` is its full name.
  Result<TokenSet> describe_sealed(const std::string& stream, const PageRun& run, std::size_t page);
  // The same where the tokens came along with the rows: empty where one is without, or of another generation.
  std::optional<TokenSet> take_known(std::span<const std::shared_ptr<const KnownTokens>> rows);

 private:
  Status visit(const PageRun& run, std::size_t number,
               const std::function<Status(std::uint32_t row, std::string_view entry)>& visit);

  SectionTokens* const sections_;
  PageFactsBuilder clear_;
  TokenSetBuilder sealed_;
  std::vector<Token> of_row_;
  std::string entry_;
};

}  // namespace vestige::trail
