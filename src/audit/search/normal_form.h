// What a search looks for as one filter tree (docs/query.md): whoever reads it later needs neither the time
// at which it was asked nor the language that it was asked in. Reading it again gives the same search.
#pragma once

#include <string>

#include "audit/filter.h"

namespace vestige::audit {

std::string normal_form(const Search& search);

// The span of event times outside of which nothing matches; empty where there is no such end.
struct SearchedSpan {
  std::optional<UnixMs> from;
  std::optional<UnixMs> to;  // exclusive
};
SearchedSpan searched_span(const Search& search);

}  // namespace vestige::audit
