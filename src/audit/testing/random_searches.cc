#include "audit/testing/random_searches.h"

#include <fmt/format.h>

#include "audit/testing/naive_search.h"

namespace vestige::audit::testing {
namespace {

const std::vector<std::string>& fields() {
  static const std::vector<std::string> all = {"action",      "kind",
                                               "sourceId",    "targetId",
                                               "targetType",  "detail.k",
                                               "detail.l",    "detail.k.l",
                                               "detail",      "changes.field",
                                               "changes.old", "changes.new",
                                               "context.ip",  "targetEntityMeta.m",
                                               "subject",     "time"};
  return all;
}

Tree random_scalar(Random& random) {
  return Tree::raw(random.pick<std::string>(
      {"1", "1.5", "-1", "true", "null", "\"a\"", "\"b\"", "\"1\"", "\"B c\"", "\"UPDATED\"", "\"phone\"",
       "\"p1\"", "\"caf\xc3\xa9 x\"", "\"10.1.2.3\"", "\"data.change\"", "\"2026-11-25T14:40:11.001Z\""}));
}

Tree random_leaf(Random& random) {
  if (random.chance(15)) {
    Tree leaf = Tree::object();
    leaf.members.emplace("text", Tree::text(random.pick<std::string>({"b", "\"b c\"", "caf*", "*af*", "-x",
                                                                      "updated -a", "ph*e", "555-*", "CAFE",
                                                                      "\"cafe x\" 1", "p1", "-\"b c\" 1*"})));
    return leaf;
  }
  Tree leaf = Tree::object();
  leaf.members.emplace("field", Tree::text(random.pick(fields())));
  const auto test = random.pick<std::string>(
      {"equals", "equals", "in", "range", "exists", "contains", "prefix", "wildcard", "cidr"});
  if (test == "equals") {
    leaf.members.emplace(test, random_scalar(random));
  } else if (test == "in") {
    Tree list = Tree::array();
    for (auto left = random.below(4); left > 0; --left) list.elements.push_back(random_scalar(random));
    leaf.members.emplace(test, list);
  } else if (test == "range") {
    Tree range = Tree::object();
    const auto bound = [&] {
      return Tree::raw(
          random.pick<std::string>({"0", "1", "1.5", "\"a\"", "\"b\"", "\"2026-11-25T14:40:11.000Z\"",
                                    "\"2026-11-25T15:40:11.001+01:00\""}));
    };
    range.members.emplace(random.pick<std::string>({"gt", "gte"}), bound());
    if (random.chance(50)) range.members.emplace(random.pick<std::string>({"lt", "lte"}), bound());
    leaf.members.emplace(test, range);
  } else if (test == "exists") {
    leaf.members.emplace(test, Tree::raw(random.chance(50) ? "true" : "false"));
  } else if (test == "contains") {
    leaf.members.emplace(test, Tree::raw(random.pick<std::string>({"{}", "{\"k\":1}", "[]", "[1]", "\"a\"",
                                                                   "\"5\"", "\"af\"", "1", "{\"l\":{}}"})));
  } else if (test == "cidr") {
    leaf.members.emplace(
        test,
        Tree::text(random.pick<std::string>({"10.0.0.0/8", "10.1.2.3/32", "10.1.0.0/16", "0.0.0.0/0"})));
  } else {
    leaf.members.emplace(test, Tree::text(random.pick<std::string>({"a", "UPD*", "*D", "p", "C*A*", "555",
                                                                    "caf\xc3\xa9", "CAFE*", "1", "*"})));
  }
  if (random.chance(25)) leaf.members.emplace("ignoreCase", Tree::raw("true"));
  return leaf;
}

}  // namespace

Tree random_condition(Random& random, unsigned depth) {
  if (depth == 0 || random.chance(45)) return random_leaf(random);
  Tree tree = Tree::object();
  if (random.chance(25)) {
    tree.members.emplace("not", random_condition(random, depth - 1));
    return tree;
  }
  Tree parts = Tree::array();
  for (auto left = random.below(4); left > 0; --left)
    parts.elements.push_back(random_condition(random, depth - 1));
  tree.members.emplace(random.chance(50) ? "and" : "or", parts);
  return tree;
}

Tree random_column_condition(Random& random) {
  Tree parts = Tree::array();
  for (auto left = random.below(3); left > 0; --left) {
    Tree leaf = Tree::object();
    leaf.members.emplace("field",
                         Tree::text(random.pick<std::string>(
                             {"action", "kind", "sourceType", "sourceId", "targetType", "targetId"})));
    Tree list = Tree::array();
    for (auto values = 1 + random.below(3); values > 0; --values)
      list.elements.push_back(Tree::text(random.pick<std::string>(
          {"UPDATED", "CREATED", "VIEWED", "data.change", "a", "b", "\xc3\xa9", "q\"", ""})));
    leaf.members.emplace("in", list);
    parts.elements.push_back(leaf);
  }
  if (random.chance(40)) {
    Tree range = Tree::object();
    range.members.emplace(random.pick<std::string>({"gt", "gte"}),
                          Tree::text(fmt::format("2026-11-25T14:40:{:02}.001Z", random.below(30))));
    Tree leaf = Tree::object();
    leaf.members.emplace("field", Tree::text("time"));
    leaf.members.emplace("range", range);
    parts.elements.push_back(leaf);
  }
  Tree tree = Tree::object();
  tree.members.emplace("and", parts);
  return tree;
}

std::string random_event(Random& random) {
  Tree event = testing::random_plain_event(random);
  event.members["kind"] = Tree::text("data.change");
  if (random.chance(60)) event.members["subject"] = Tree::text(random.pick<std::string>({"p1", "p2", "a"}));
  if (random.chance(60)) {
    Tree change = Tree::object();
    change.members.emplace("field", Tree::text(random.pick<std::string>({"phone", "email", "k"})));
    change.members.emplace("old", random_scalar(random));
    change.members.emplace("new",
                           Tree::text(random.pick<std::string>({"555-1", "555-2", "Caf\xc3\xa9", "a b c"})));
    Tree changes = Tree::array();
    changes.elements.push_back(change);
    event.members["changes"] = changes;
  }
  if (random.chance(60)) {
    Tree context = Tree::object();
    context.members.emplace(
        "ip", Tree::text(random.pick<std::string>({"10.1.2.3", "10.200.0.1", "192.168.0.1", "::1", "none"})));
    event.members["context"] = context;
  }
  return event.json();
}

namespace {

// A scalar of the tree, and the dotted path to it; null where it lies behind a key that no path names.
const Tree* some_scalar(Random& random, const Tree& tree, std::string& path) {
  if (tree.form == Tree::Form::scalar) return &tree;
  if (tree.form == Tree::Form::array)
    return tree.elements.empty() ? nullptr : some_scalar(random, random.pick(tree.elements), path);
  if (tree.members.empty()) return nullptr;
  const auto& [name, member] =
      *std::next(tree.members.begin(), static_cast<std::ptrdiff_t>(random.below(tree.members.size())));
  if (name.empty() || name.find_first_of("./~") != std::string::npos) return nullptr;
  path += (path.empty() ? "" : ".") + name;
  return some_scalar(random, member, path);
}

// A condition that some event meets: a value where it stands, a part of it, or one of its words.
Tree found_leaf(Random& random, const std::vector<Tree>& events) {
  Tree leaf = Tree::object();
  std::string path;
  const Tree* value = nullptr;
  while (value == nullptr || path == "index" || path == "leaf" || path.starts_with("sealed")) {
    path.clear();
    value = some_scalar(random, random.pick(events), path);
  }
  const auto words = value->is_text() ? naive_words(value->value(), false) : std::vector<std::string>();
  if (!words.empty() && random.chance(40)) {
    const auto at = random.below(words.size());
    auto text = words[at];
    if (random.chance(30) && at + 1 < words.size())
      text = fmt::format("\"{} {}\"", text, words[at + 1]);
    else if (random.chance(30))
      text = text.substr(0, 1 + random.below(text.size())) + "*";
    leaf.members.emplace("text", Tree::text((random.chance(20) ? "-" : "") + text));
    return leaf;
  }
  leaf.members.emplace("field", Tree::text(path));
  const auto text = value->is_text() ? value->value() : std::string();
  if (text.empty() || text.find('*') != std::string::npos || random.chance(40)) {
    if (random.chance(20))
      leaf.members.emplace("exists", Tree::raw("true"));
    else
      leaf.members.emplace("equals", *value);
    return leaf;
  }
  const auto from = random.below(text.size());
  const auto part = text.substr(from, 1 + random.below(text.size() - from));
  const auto test = random.pick<std::string>({"prefix", "contains", "wildcard", "range"});
  if (test == "range") {
    Tree range = Tree::object();
    range.members.emplace("gte", *value);
    leaf.members.emplace(test, range);
  } else {
    leaf.members.emplace(test, Tree::text(test == "prefix"     ? text.substr(0, from + 1)
                                          : test == "wildcard" ? "*" + part + "*"
                                                               : part));
    if (random.chance(30)) leaf.members.emplace("ignoreCase", Tree::raw("true"));
  }
  return leaf;
}

}  // namespace

Tree found_condition(Random& random, const std::vector<Tree>& events, unsigned depth) {
  if (depth == 0 || random.chance(50)) return found_leaf(random, events);
  Tree tree = Tree::object();
  if (random.chance(20)) {
    tree.members.emplace("not", found_condition(random, events, depth - 1));
    return tree;
  }
  Tree parts = Tree::array();
  for (auto left = 1 + random.below(3); left > 0; --left)
    parts.elements.push_back(found_condition(random, events, depth - 1));
  tree.members.emplace(random.chance(60) ? "and" : "or", parts);
  return tree;
}

}  // namespace vestige::audit::testing
