#include "audit/records.h"

#include <algorithm>
#include <map>
#include <set>

#include "json/tree_node.h"

namespace vestige::audit {
namespace {

using json::TreeNode;

bool contains(std::span<const std::string_view> names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

TreeNode renamed(const json::Value& list, std::span<const Rule::Name> names) {
  auto node = TreeNode::array();
  for (std::size_t i = 0; list.is_array() && i < list.size(); ++i) {
    auto& element = node.elements.emplace_back(TreeNode::object());
    for (const auto& name : names)
      if (const auto value = list.at(i).find(name.from); value.exists())
        element.members.emplace(name.to, TreeNode::of(value));
  }
  return node;
}

// What a rule takes from an event; empty where it takes nothing.
std::optional<TreeNode> taken(const Rule& rule, const json::Value& event) {
  if (!rule.when.empty()) {
    const auto condition = value_at(event, rule.when);
    if (!condition.exists()) return std::nullopt;
    if (!rule.equals.empty() && !(condition.is_string() && condition.string() == rule.equals))
      return std::nullopt;
  }
  if (rule.from.starts_with('=')) {
    TreeNode node;
    node.text.clear();
    json::append_quoted(node.text, rule.from.substr(1));
    return node;
  }
  const auto value = value_at(event, rule.from);
  // Which of several persons is the customer, the envelope does not say.
  if (!value.exists() || (rule.from == "subject" && !value.is_string())) return std::nullopt;
  return rule.names.empty() ? TreeNode::of(value) : renamed(value, rule.names);
}

class RecordFold {
 public:
  explicit RecordFold(const RecordType& type) : type_(type), record_(TreeNode::object()) {}

  void take(const json::Value& event) {
    if (const auto detail = event.find("detail"); detail.is_object() && is_of(event, type_.fields_kind))
      merge(record_, detail, type_.leave_out);
    for (const auto& list : type_.lists) add_element(list, event);
    for (const auto& rule : type_.rules) {
      if (rule.take == Rule::Take::first && derived_.contains(rule.to)) continue;
      if (auto value = taken(rule, event)) derived_.insert_or_assign(rule.to, *std::move(value));
    }
  }

  void write(std::string& to) {
    for (auto& [path, elements] : elements_) {
      auto& list = record_.at(path);
      // Elements that a step brought as a whole list stand first.
      if (list.form != TreeNode::Form::array) list.become("[]");
      for (auto& element : elements) list.elements.push_back(std::move(element));
    }
    for (auto& [path, value] : derived_) record_.put_if_missing(path, std::move(value));
    record_.write(to);
  }

 private:
  static bool is_of(const json::Value& event, std::string_view kind) {
    const auto value = event.find("kind");
    return value.is_string() && value.string() == kind;
  }

  static void merge(TreeNode& into, const json::Value& object, std::span<const std::string_view> leave_out) {
    for (std::size_t i = 0; i < object.size(); ++i) {
      const auto name = object.key_at(i);
      if (contains(leave_out, name)) continue;
      const auto [member, added] = into.members.try_emplace(std::string(name));
      added ? static_cast<void>(member->second = TreeNode::of(object.at(i)))
            : member->second.merge(object.at(i));
    }
  }

  void add_element(const RecordList& list, const json::Value& event) {
    if (!list.kind.empty() && !is_of(event, list.kind)) return;
    if (!list.when.empty() && !value_at(event, list.when).exists()) return;
    TreeNode says = TreeNode::object();
    const auto value = list.from.empty() ? json::Value() : value_at(event, list.from);
    if (value.is_object()) merge(says, value, list.leave_out);
    auto& element = element_of(list, says, event);
    if (value.is_object()) merge(element, value, list.leave_out);
    for (const auto& rule : list.rules)
      if (auto found = taken(rule, event)) element.put_if_missing(rule.to, *std::move(found));
  }

  // A new element, or the one that has the same key already. What was recorded under an approval is one by
  // itself: no other step says anything of it that nobody approved.
  TreeNode& element_of(const RecordList& list, TreeNode& says, const json::Value& event) {
    auto& elements = elements_[list.to];
    if (list.key.empty() || value_at(event, "context/approval").exists())
      return elements.emplace_back(TreeNode::object());
    for (const auto& rule : list.rules)
      if (rule.to == list.key)
        if (auto found = taken(rule, event)) says.put_if_missing(list.key, *std::move(found));
    const auto key = says.members.find(list.key);
    const auto text = key == says.members.end() ? std::string() : key->second.text;
    const auto [place, added] = places_.try_emplace({list.to, text}, elements.size());
    return added ? elements.emplace_back(TreeNode::object()) : elements[place->second];
  }

  const RecordType& type_;
  TreeNode record_;
  std::map<std::string_view, TreeNode> derived_;
  std::map<std::string_view, std::vector<TreeNode>> elements_;
  std::map<std::pair<std::string_view, std::string>, std::size_t> places_;  // of elements with a key
};

}  // namespace

const RecordType* find_record_type(std::string_view name) {
  const auto types = record_types();
  const auto found = std::ranges::find(types, name, &RecordType::name);
  return found == types.end() ? nullptr : &*found;
}

Result<std::string> fold_record(const RecordType& type, std::string_view id, const Gathered& gathered) {
  RecordFold fold(type);
  StepParser parser;
  std::string entries;
  std::set<std::string> target_types;
  for (const auto* step : in_order(gathered.steps)) {
    VESTIGE_TRY(const auto event, parser.parse(step->event));
    fold.take(event);
    if (const auto target = event.find("targetType"); target.is_string())
      target_types.emplace(target.string());
    if (!entries.empty()) entries.push_back(',');
    append_origin(entries, event);
  }
  std::string out = "{\"type\":";
  json::append_quoted(out, type.name);
  out.append(",\"id\":");
  json::append_quoted(out, id);
  out.append(",\"targetTypes\":[");
  for (const auto& target : target_types) {
    if (out.back() != '[') out.push_back(',');
    json::append_quoted(out, target);
  }
  out.append("],\"record\":");
  fold.write(out);
  out.append(",\"entries\":[").append(entries).append("]");
  append_completeness(out, gathered);
  out.push_back('}');
  return out;
}

}  // namespace vestige::audit
