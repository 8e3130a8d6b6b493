// What a Document holds. A parse fills it from the front; nothing shrinks, so that the next parse of a text
// of similar size allocates nothing.
//
// 1. Nodes stand in the order of the text; a member's key is the node right before its value.
// 2. A container's children are a run of `children`: value nodes, for an object in canonical order of keys.
// 3. Texts of strings and numbers lie in `text` where they need no change, else in `arena`.
#pragma once

#include "json/json.h"

namespace vestige::json {

// So that 32 bits address everything: the arena grows to at most six times the text, by numbers such as
// 1e20 that are written out.
inline constexpr std::uint64_t text_bytes_hard_max = 256 << 20;
// Writing canonical bytes recurses, a few hundred bytes of stack a level.
inline constexpr std::uint32_t depth_hard_max = 1024;

struct Node {
  std::uint32_t position = 0;  // in the text
  std::uint32_t offset = 0;    // of the text of a string or number; of the first child
  std::uint32_t size = 0;      // in bytes; in children; 1 for true
  Type type = Type::null;
  bool in_arena = false;
};
static_assert(sizeof(Node) == 16);

struct Document::Storage {
  std::string text;  // the parsed text and its padding
  std::string arena;
  std::vector<Node> nodes;
  std::vector<std::uint32_t> children;
  bool holds_value = false;

  std::string_view text_of(const Node& node) const {
    return {(node.in_arena ? arena : text).data() + node.offset, node.size};
  }
};

}  // namespace vestige::json
