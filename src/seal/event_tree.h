// A JSON object that is put together again: the clear members of an entry, and the pairs of its sections in
// their places. Values are kept as canonical text, so nothing is read as a number and written anew.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "seal/section.h"

namespace vestige::seal {

class EventTree {
 public:
  EventTree();
  ~EventTree();
  EventTree(const EventTree&) = delete;
  EventTree& operator=(const EventTree&) = delete;

  // A member of the object; `json` is canonical and outlives the tree. A member that no pair will touch is
  // kept as it is.
  Status add_member(std::string_view name, std::string_view json, bool touched);
  // Makes the places that are missing on the way; false where the path makes no sense, or is too deep.
  bool put(const Pair& pair);
  // Appends the object in canonical form.
  void write(std::string& to) const;

  struct Node;

 private:
  std::unique_ptr<Node> root_;
};

// Whether a member of an entry is the trail's own, and no part of the event.
bool is_bookkeeping(std::string_view member);

// Appends the event of a canonical entry, with the pairs of those of its sections that are open in their
// places and without its closing brace. corrupt where that makes no sense.
Status append_event(std::string_view entry, std::span<const std::vector<Pair>> sections, std::string& to);

}  // namespace vestige::seal
