// What can be told of a search before an entry is opened and parsed: from the index of its page, from
// columns, and from its bytes. A row that passes may still not match; a row that matches always passes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "audit/search/condition.h"
#include "trail/log/stream.h"

namespace vestige::audit {

// Of conditions that must all hold, for a reader who sees sealed values or not.
trail::RowTest row_test(const Condition& where, bool sees_sealed);

// In which pages the columns alone tell what there is to know of a row.
enum class ByColumns { never, pages_without_sections, always };
// Which rows match.
ByColumns by_columns(const Condition& where);
// What value a field has.
ByColumns by_columns(const FieldPath& field);

// Strings that must occur in the bytes of an entry without sealed sections.
class ByteTest {
 public:
  explicit ByteTest(const Condition& where);
  bool may_match(std::string_view entry) const;

 private:
  struct Node {
    Condition::Kind kind = Condition::Kind::all;
    std::vector<Node> parts;
    std::vector<std::vector<std::string>> needles;  // kind field: all strings of one of the lists
    const TextQuery* text = nullptr;
  };
  static Node compile(const Condition& condition);
  static bool holds(const Node& node, std::string_view entry);

  Node root_;
};

}  // namespace vestige::audit
