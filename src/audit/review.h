// Who looked, how often and at how much, in one month, and what of it was unusual: a fold over the stream
// `access`. docs/formats/review.md says what is counted and by which rules.
#pragma once

#include <string>
#include <string_view>

#include "audit/reader.h"

namespace vestige::audit {

struct Month {
  int year = 0;
  int number = 0;  // 1 to 12

  static std::optional<Month> parse(std::string_view text);  // "2026-11", from year 1970 on
  std::string text() const;
  UnixMs begin() const;
  Month before(int months) const;  // so many earlier; may be later with a negative number
};

// The review as JSON. Reads the entries of four months, and of later ones those that sign this one off.
Result<std::string> review_access(Reader& looks, const Visibility& visibility, Month month);

// The event that signs a review off, for Ingest::prepare_system() of the stream `access`. invalid, with path,
// where the comment is too long.
struct SignOff {
  Month month;
  std::uint64_t size = 0;
  std::string comment;
  std::string source_type, source_id, source_name, role;
};
Result<std::string> sign_off_event(const SignOff& sign_off);

}  // namespace vestige::audit
