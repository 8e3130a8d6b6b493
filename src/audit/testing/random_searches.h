// Random filters for searches, and events that they meet.
#pragma once

#include <string>
#include <vector>

#include "audit/testing/random_events.h"

namespace vestige::audit::testing {

// Any filter tree over the fields and values of random_event().
Tree random_condition(Random& random, unsigned depth);
// What the columns of a page can tell by themselves: counted without reading the entries.
Tree random_column_condition(Random& random);
// Made of what these events hold: values where they stand, parts of them, their words.
Tree found_condition(Random& random, const std::vector<Tree>& events, unsigned depth);

// A data.change event with or without a person, as JSON.
std::string random_event(Random& random);

}  // namespace vestige::audit::testing
