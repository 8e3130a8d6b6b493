// Holds one entry against docs/formats/entry.md.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/time_text.h"
#include "base/uuid.h"
#include "verify/internal/canonical.h"

namespace vestige::verify {

// Views into the entry that was checked.
struct EntryFacts {
  Uuid id{};
  std::string_view salt{};            // in base64
  std::string_view received_at{};     // 24 characters, which sort as times do
  std::string_view sealed{};          // the member's value; empty where there is none
  std::string_view kind{}, action{};  // strings, with their quotes
  std::string_view detail{};          // the member's value; empty where there is none
};

// Of the entries of one tenant. Reusable; not thread-safe.
class EntryChecker {
 public:
  explicit EntryChecker(const std::string& tenant) : tenant_('"' + tenant + '"') {}
  // What is wrong with the entry, or nothing. `facts` are set where nothing is.
  std::optional<std::string> check(std::string_view entry, EntryFacts& facts);

 private:
  bool take(const CanonicalScanner::Member& member, EntryFacts& facts);

  const std::string tenant_;
  CanonicalScanner scanner_;
  unsigned seen_ = 0;
};

// The forms of members, in one pass each: true where parsing and writing again gives the very same text.
bool is_canonical_time(std::string_view text);
bool take_canonical_uuid(std::string_view text, Uuid& uuid);

// Sees that received times never decrease.
class ReceivedOrder {
 public:
  // False where `received_at` lies before the one of the call before.
  bool take(std::string_view received_at) {
    if (last_ == received_at) return true;  // entries of one group have the same
    const bool ordered = std::string_view(last_) <= received_at;
    if (first_.empty()) first_ = received_at;
    last_ = received_at;
    return ordered;
  }
  const std::string& first() const { return first_; }  // empty before the first call
  const std::string& last() const { return last_; }

 private:
  std::string first_, last_;
};

}  // namespace vestige::verify
