// A search as a naive model answers it: every event is walked, with code of its own. Understands what
// random_searches.h makes, and folds the letters of those events only (ASCII, and an e with an accent).
#pragma once

#include <string>
#include <vector>

#include "audit/testing/tree.h"

namespace vestige::audit::testing {

// All values at a dotted path, arrays passed through.
std::vector<const Tree*> values_at(const Tree& event, const std::string& dotted);
// The words of a text, folded; with `stars` a '*' is part of a word.
std::vector<std::string> naive_words(const std::string& text, bool stars);
// Whether the event, as readers see it, meets the filter tree.
bool naive_condition(const Tree& condition, const Tree& event);

}  // namespace vestige::audit::testing
