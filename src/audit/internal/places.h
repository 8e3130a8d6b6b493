// Changes that name a place inside of a field's value: {"field": "fields#/village/value", "old": ..., "new":
// ...} is a change of the field `fields`, at the JSON pointer /village/value. Sources that tell only what
// changed inside of a value write so.
#pragma once

#include <string_view>
#include <vector>

#include "json/tree_node.h"

namespace vestige::audit {

inline constexpr std::size_t places_deep_max = 16;  // a deeper one is a name like any other

// How long the names are that stand around a place, from the outermost on: of "fields#/village/value" those
// of "fields" and "fields#/village". Empty where the name has no place in it.
std::vector<std::size_t> names_around(std::string_view name);
// The pointer from a name around to the place.
std::string_view pointer_from(std::size_t around, std::string_view name);

// Puts a value (canonical JSON) there, or takes away what is there. Behind the last element of an array one
// can be put; only the last one can be taken. False where the place is not there: then nothing is changed.
bool put_at(json::TreeNode& whole, std::string_view pointer, std::string_view value);
bool take_from(json::TreeNode& whole, std::string_view pointer);

}  // namespace vestige::audit
