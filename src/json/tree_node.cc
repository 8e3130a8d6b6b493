#include "json/tree_node.h"

namespace vestige::json {
namespace {

// The first name of a path, which is cut off.
std::string_view take_name(std::string_view& path) {
  const auto slash = path.find('/');
  const auto name = path.substr(0, slash);
  path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
  return name;
}

}  // namespace

TreeNode TreeNode::object() {
  TreeNode node;
  node.form = Form::object;
  return node;
}

TreeNode TreeNode::array() {
  TreeNode node;
  node.form = Form::array;
  return node;
}

TreeNode TreeNode::of(const Value& value) {
  TreeNode node;
  if (value.is_object()) {
    node.form = Form::object;
    for (std::size_t i = 0; i < value.size(); ++i)
      node.members.emplace_hint(node.members.end(), value.key_at(i), of(value.at(i)));
  } else if (value.is_array()) {
    node.form = Form::array;
    for (std::size_t i = 0; i < value.size(); ++i) node.elements.push_back(of(value.at(i)));
  } else {
    node.text = canonical(value);
  }
  return node;
}

void TreeNode::become(std::string_view value) {
  *this = TreeNode();
  form = value == "{}" ? Form::object : value == "[]" ? Form::array : Form::text;
  text = value;
}

void TreeNode::merge(const Value& value) {
  if (!value.is_object() || form != Form::object) {
    *this = of(value);
    return;
  }
  for (std::size_t i = 0; i < value.size(); ++i) {
    const auto [member, added] = members.try_emplace(std::string(value.key_at(i)));
    added ? static_cast<void>(member->second = of(value.at(i))) : member->second.merge(value.at(i));
  }
}

TreeNode& TreeNode::at(std::string_view path) {
  TreeNode* node = this;
  while (!path.empty()) {
    if (node->form != Form::object) node->become("{}");
    node = &node->members[std::string(take_name(path))];
  }
  return *node;
}

void TreeNode::put_if_missing(std::string_view path, TreeNode value) {
  TreeNode* node = this;
  for (;;) {
    if (node->form != Form::object) return;
    const auto [member, added] = node->members.try_emplace(std::string(take_name(path)));
    if (path.empty()) {
      if (added) member->second = std::move(value);
      return;
    }
    if (added) member->second = object();
    node = &member->second;
  }
}

void TreeNode::write(std::string& to) const {
  if (form == Form::text) {
    to.append(text);
    return;
  }
  to.push_back(form == Form::object ? '{' : '[');
  const auto start = to.size();
  for (const auto& [name, member] : members) {
    if (to.size() > start) to.push_back(',');
    append_quoted(to, name);
    to.push_back(':');
    member.write(to);
  }
  for (const auto& element : elements) {
    if (to.size() > start) to.push_back(',');
    element.write(to);
  }
  to.push_back(form == Form::object ? '}' : ']');
}

}  // namespace vestige::json
