#include "audit/internal/places.h"

#include <charconv>
#include <optional>
#include <string>

#include "audit/limits.h"

namespace vestige::audit {
namespace {

using json::TreeNode;

// Which element of an array, at most the one behind the last; empty where the token is none, or this is no
// array.
std::optional<std::size_t> element_of(const TreeNode& node, const std::string& token) {
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), number);
  const bool is_number = error == std::errc{} && end == token.data() + token.size();
  if (node.form != TreeNode::Form::array || !is_number || number > node.elements.size()) return std::nullopt;
  return number;
}

TreeNode* below(TreeNode& node, const std::string& token) {
  if (node.form == TreeNode::Form::object) {
    const auto found = node.members.find(token);
    return found == node.members.end() ? nullptr : &found->second;
  }
  const auto number = element_of(node, token);
  return number && *number < node.elements.size() ? &node.elements[*number] : nullptr;
}

// What the pointer leads to but for its last token, which `last` gets; null where nothing is there.
TreeNode* around(TreeNode& whole, std::string_view pointer, std::string& last) {
  auto* node = &whole;
  for (;;) {
    pointer.remove_prefix(1);
    const auto end = std::min(pointer.find('/'), pointer.size());
    last = json::unescaped_token(pointer.substr(0, end));
    pointer.remove_prefix(end);
    if (pointer.empty() || node == nullptr) return node;
    node = below(*node, last);
  }
}

}  // namespace

std::vector<std::size_t> names_around(std::string_view name) {
  const auto mark = name.find("#/");
  if (mark == std::string_view::npos || mark == 0) return {};
  std::vector<std::size_t> sizes = {mark};
  for (auto slash = name.find('/', mark + 2); slash != std::string_view::npos;
       slash = name.find('/', slash + 1))
    sizes.push_back(slash);
  if (sizes.size() > places_deep_max) sizes.clear();
  return sizes;
}

std::string_view pointer_from(std::size_t around, std::string_view name) {
  return name.substr(name[around] == '#' ? around + 1 : around);
}

bool put_at(TreeNode& whole, std::string_view pointer, std::string_view value) {
  json::Parser parser;
  json::Document document;
  std::string last;
  auto* const in = around(whole, pointer, last);
  if (in == nullptr || !parser.parse(value, document, {.depth_max = event_depth_max})) return false;
  if (in->form == TreeNode::Form::object) {
    in->members.insert_or_assign(last, TreeNode::of(document.root()));
    return true;
  }
  const auto number = element_of(*in, last);
  if (!number) return false;
  if (*number == in->elements.size()) in->elements.emplace_back();
  in->elements[*number] = TreeNode::of(document.root());
  return true;
}

bool take_from(TreeNode& whole, std::string_view pointer) {
  std::string last;
  auto* const in = around(whole, pointer, last);
  if (in == nullptr) return false;
  if (in->form == TreeNode::Form::object) return in->members.erase(last) == 1;
  const auto number = element_of(*in, last);
  if (!number || *number + 1 != in->elements.size()) return false;
  in->elements.pop_back();
  return true;
}

}  // namespace vestige::audit
