// A JSON object that is put together again: the clear members of an entry, and the pairs of its sections in
// their places. Values are kept as canonical text, so nothing is read as a number and written anew.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "seal/section.h"

namespace vestige::audit::internal {

class EventTree {
 public:
  EventTree();
  ~EventTree();
  EventTree(const EventTree&) = delete;
  EventTree& operator=(const EventTree&) = delete;

  // A member of the object; `json` is canonical and outlives the tree. A member that no pair will touch is
  // kept as it is.
  Status add_member(std::string_view name, std::string_view json, bool touched);
  // Makes the places that are missing on the way; false where the path makes no sense.
  bool put(const seal::Pair& pair);
  // Appends the object in canonical form.
  void write(std::string& to) const;

  struct Node;

 private:
  std::unique_ptr<Node> root_;
};

// The first token of a JSON pointer.
std::string first_token(std::string_view path);

}  // namespace vestige::audit::internal
