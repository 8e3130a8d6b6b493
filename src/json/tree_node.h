// A JSON value that can be changed: what an entry, a record or a state is put together in. Values are kept as
// canonical text, so nothing is read as a number and written anew.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "json/json.h"

namespace vestige::json {

struct TreeNode {
  enum class Form { text, object, array };
  Form form = Form::text;
  std::string text = "null";  // of Form::text
  std::map<std::string, TreeNode, CanonicalLess> members;
  std::vector<TreeNode> elements;

  static TreeNode object();
  static TreeNode array();
  static TreeNode of(const Value& value);

  // A scalar's canonical text, or "{}" or "[]".
  void become(std::string_view value);
  // Takes over what `value` says: objects member by member, anything else whole.
  void merge(const Value& value);
  // A place below, by names with '/' between them, made where it is missing. What is in the way gives way.
  TreeNode& at(std::string_view path);
  // Puts a value there unless something is there, or in the way, already.
  void put_if_missing(std::string_view path, TreeNode value);
  void write(std::string& to) const;
};

}  // namespace vestige::json
