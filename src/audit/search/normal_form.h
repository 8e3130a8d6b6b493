// What a search looks for as one filter tree (docs/query.md): whoever reads it later needs neither the time
// at which it was asked nor the language that it was asked in. Reading it again gives the same search.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "audit/filter.h"

namespace vestige::audit {

std::string normal_form(const Search& search);

// The same for the record of who searched what: values that may say something of a person (all but those of
// kind, action, times and types) stand in it as their digests, so that equal questions are told as equal, and
// no more.
using OperandDigest = std::function<std::string(std::string_view)>;
std::string recorded_form(const Search& search, const OperandDigest& digest);

// Whether what stands there says nothing of a person.
bool is_plain(const FieldPath& field);

// What a search counts, for the same record: {"facets":["subject"],"histogram":"1d","total":true}; empty
// where it counts nothing.
std::string counted_form(const TallyWish& tally);

// The span of event times outside of which nothing matches; empty where there is no such end.
struct SearchedSpan {
  std::optional<UnixMs> from;
  std::optional<UnixMs> to;  // exclusive
};
SearchedSpan searched_span(const Search& search);

}  // namespace vestige::audit
