// What the changes of one entity amount to: the value of each field at a time, what differs between two
// times, and who set what. Only data in `changes` counts; a field that no entry names is unknown and not
// listed.
//
// Of a field, an answer says one of
//   {"value": V, "setBy": E}        the last change before or at the time made it V
//   {"removed": true, "setBy": E}   that change says that there is no value any more (no "new")
//   {"erased": true, "setBy": E}    what it was changed to is gone with the person whose it was
//   {"hidden": true, "setBy": E}    what it was changed to, if to anything, the asker may not read
//   {"value": V, "replacedBy": E}   no change until then; the next one says that V was there ("old")
// where E tells the entry: id, index, leaf, time, kind, action, sourceType, sourceId.
//
// A field may be named with a place inside of it, NAME#/POINTER. What changed there is put into the value
// that NAME was last set to as a whole; E is then the entry that did last. Where no value is known, or the
// place is not in it, the place is listed by itself, until a value around it is set. Blame tells who set each
// place.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "audit/gather.h"

namespace vestige::audit {

struct EntityName {
  std::string_view type;
  std::string_view id;
};

// As of `at`, inclusive; without it, after all that is known.
Result<std::string> fold_state(EntityName entity, const Gathered& gathered, std::optional<UnixMs> at);
// The fields whose state at `from` is not that at `to`, with both.
Result<std::string> fold_diff(EntityName entity, const Gathered& gathered, UnixMs from, UnixMs to);
// Each field's state after all that is known, what it was before, and how often it was changed.
Result<std::string> fold_blame(EntityName entity, const Gathered& gathered);

}  // namespace vestige::audit
