// What one reader may see. Every search carries one, and it is applied before matching, counting and
// rendering, so that neither a match, a count nor an order tells what may not be read.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "audit/kinds.h"
#include "audit/search/condition.h"
#include "seal/section.h"

namespace vestige::audit {

// Stands for a value that is there and not told.
inline constexpr std::string_view mask = "•••";

// What was given out under one visibility. Not thread-safe.
struct GivenOut {
  std::uint64_t entries = 0;
  std::set<Block16> refs{};  // whose values, told or not, were in them
  bool more_refs = false;    // than given_out_refs_max
  void add(const std::vector<seal::Reference>& references);
};

// Personal values are those in sealed sections: an event without a subject has none.
struct Visibility {
  std::optional<Condition> rows{};  // entries that do not match it do not exist for this reader
  std::vector<FieldPath> hidden{};  // with everything below; the first key is a member of the event
  bool personal = true;             // what sections hold is shown; otherwise it is not matched or counted
  bool sensitive = true;            // so are the values among them that `kinds` mark x-sensitive
  // A value that is there and not told stands as a mask. Otherwise it is absent, and so is the whole section
  // that has a sensitive value which is not told: for readers who hand sections on with what proves them.
  bool masks = false;
  std::optional<std::string> person{};    // only entries that hold something of this one
  bool own = false;                       // `person` is who reads: sections of others do not exist
  const KindRegistry* kinds = nullptr;    // needed where something is not told
  std::uint64_t small_count = 0;          // counts below it, but for 0, are not told
  std::shared_ptr<GivenOut> given_out{};  // where it is set, it is kept up to date

  // Whether there may be values that are not told.
  bool partial() const { return !personal || !sensitive || !hidden.empty(); }
};

// denied where a field is hidden, stands below a hidden one or above it, or holds what is not told; with its
// name.
Status check_visible(const Visibility& visibility, const std::vector<FieldPath>& fields);

// Appends `event` in canonical form without what is hidden.
void append_visible(std::string& to, const json::Value& event, const Visibility& visibility);

}  // namespace vestige::audit
