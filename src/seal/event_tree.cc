#include "seal/event_tree.h"

#include <algorithm>
#include <optional>
#include <set>

#include "json/tree_node.h"
#include "trail/format/members.h"

namespace vestige::seal {
namespace {

using json::TreeNode;

// Twice what an event may have: of values that are in the trail already nothing is refused here.
constexpr std::int32_t depth_max = 256;

// "~1" and "~0" undone.
std::string unescape(std::string_view token) {
  std::string out;
  for (std::size_t i = 0; i < token.size(); ++i) {
    if (token[i] == '~' && i + 1 < token.size()) {
      out.push_back(token[++i] == '1' ? '/' : '~');
    } else {
      out.push_back(token[i]);
    }
  }
  return out;
}

std::optional<std::size_t> array_index(std::string_view token) {
  if (token.empty() || token.size() > 9) return std::nullopt;
  std::size_t value = 0;
  for (const char c : token) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<std::size_t>(c - '0');
  }
  return value;
}

// The child that a token names, made where it is not there yet; null where there can be none.
TreeNode* child_of(TreeNode& node, std::string_view token) {
  if (node.form == TreeNode::Form::array) {
    const auto index = array_index(token);
    if (!index || *index > node.elements.size()) return nullptr;
    if (*index == node.elements.size()) node.elements.emplace_back();
    return &node.elements[*index];
  }
  if (node.form == TreeNode::Form::text) node.become("{}");
  return &node.members[unescape(token)];
}

// The first token of a JSON pointer.
std::string first_token(std::string_view path) {
  if (!path.starts_with('/')) return {};
  path.remove_prefix(1);
  return unescape(path.substr(0, path.find('/')));
}

}  // namespace

struct EventTree::Node : TreeNode {};

EventTree::EventTree() : root_(std::make_unique<Node>()) { root_->become("{}"); }
EventTree::~EventTree() = default;

Status EventTree::add_member(std::string_view name, std::string_view json, bool touched) {
  TreeNode node;
  if (touched) {
    json::Parser parser;
    json::Document document;
    VESTIGE_CHECKED(
        parser.parse(json, document, {.depth_max = std::uint32_t{depth_max}, .bytes_max = 64 << 20}));
    node = TreeNode::of(document.root());
  } else {
    node.text = json;
  }
  root_->members.insert_or_assign(std::string(name), std::move(node));
  return {};
}

bool EventTree::put(const Pair& pair) {
  TreeNode* at = root_.get();
  std::string_view path = pair.path;
  if (std::ranges::count(path, '/') > depth_max) return false;
  while (!path.empty()) {
    if (path.front() != '/') return false;
    path.remove_prefix(1);
    const auto slash = path.find('/');
    at = child_of(*at, path.substr(0, slash));
    if (at == nullptr) return false;
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash);
  }
  if (at == root_.get()) return false;
  at->become(pair.value);
  return true;
}

void EventTree::write(std::string& to) const { root_->write(to); }

bool is_bookkeeping(std::string_view member) {
  constexpr std::string_view names[] = {"mac", "salt", "schema", "sealed", "v"};
  return std::ranges::find(names, member) != std::end(names);
}

Status append_event(std::string_view entry, std::span<const std::vector<Pair>> sections, std::string& to) {
  std::set<std::string, std::less<>> touched;
  for (const auto& pairs : sections)
    for (const auto& pair : pairs) touched.insert(first_token(pair.path));
  EventTree tree;
  trail::MemberScanner members(entry);
  while (const auto found = members.next())
    if (!is_bookkeeping(found->key))
      VESTIGE_CHECKED(tree.add_member(found->key, found->value, touched.contains(found->key)));
  if (!members.ok()) return corrupt("", 0, "entry: it is no canonical JSON object");
  for (const auto& pairs : sections)
    for (const auto& pair : pairs)
      if (pair.path != mac_path && !tree.put(pair))
        return corrupt("", 0, "entry: a sealed value has no place in it");
  tree.write(to);
  to.pop_back();
  return {};
}

}  // namespace vestige::seal
