#include "audit/testing/random_events.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/testing/shared_data.h"
#include "base/uuid.h"

namespace vestige::audit::testing {
namespace {

// A double of any size whose text is long enough not to stand anywhere by chance.
std::string random_number(Random& random) {
  for (;;) {
    const auto value = std::bit_cast<double>(random.next());
    if (!std::isfinite(value)) continue;
    std::string text;
    json::append_number(text, value);
    if (text.size() > 14) return text;
  }
}

// Texts that need escapes, other scripts, and characters beyond 16 bits.
Tree unique_text(Random& random) {
  static const std::vector<std::string> endings = {
      "", "\"\\/", "\n\t\x01", "\xc3\xa4\xe2\x82\xac", "\xf0\x9f\x98\x80", "~0/~1"};
  return Tree::text(fmt::format("value-{:016x}{}", random.next(), random.pick(endings)));
}

Tree unique_leaf(Random& random) {
  return random.chance(40) ? Tree::raw(random_number(random)) : unique_text(random);
}

// Members whose names try pointers: slashes, tildes, digits, nothing at all.
Tree unique_value(Random& random, unsigned depth) {
  static const std::vector<std::string> names = {"a",  "0", "", "a/b", "m~n", "mac", "~1", "\xf0\x9f\x98\x80",
                                                 "z\""};
  if (depth == 0 || random.chance(50)) return unique_leaf(random);
  Tree tree = random.chance(50) ? Tree::object() : Tree::array();
  for (auto left = random.below(4); left > 0; --left) {
    if (tree.form == Tree::Form::object) {
      tree.members.emplace(random.pick(names), unique_value(random, depth - 1));
    } else {
      tree.elements.push_back(unique_value(random, depth - 1));
    }
  }
  return tree;
}

void collect(const Tree& tree, std::vector<std::string>& to) {
  // The text between the quotes, or the number.
  if (tree.form == Tree::Form::scalar && tree.scalar.size() > 4)
    to.push_back(tree.is_text() ? tree.scalar.substr(1, tree.scalar.size() - 2) : tree.scalar);
  for (const auto& [name, member] : tree.members) collect(member, to);
  for (const auto& element : tree.elements) collect(element, to);
}

// Puts a random value at a place whose owner the schema names.
class Marker {
 public:
  Marker(Random& random, MarkedEvent& to, std::set<std::string> sealed_owners)
      : random_(random), to_(to), sealed_owners_(std::move(sealed_owners)) {}

  Tree value(const std::string& owner) {
    Tree tree = unique_value(random_, 3);
    note(tree, owner);
    return tree;
  }
  Tree object(const std::string& owner) {
    Tree tree = Tree::object();
    for (auto left = random_.below(3); left > 0; --left)
      tree.members.emplace(fmt::format("m{}", left), unique_value(random_, 2));
    note(tree, owner);
    return tree;
  }

 private:
  void note(const Tree& tree, const std::string& owner) {
    const bool sealed = sealed_owners_.contains(owner);
    collect(tree, sealed ? to_.sealed : to_.clear);
    if (sealed) used_ = true;
  }
  Random& random_;
  MarkedEvent& to_;
  std::set<std::string> sealed_owners_;
  bool used_ = false;
};

void add_detail(Random& random, Marker& mark, Tree& event) {
  Tree detail = Tree::object();
  const auto maybe = [&](const char* name, const auto& make) {
    if (random.chance(60)) detail.members.emplace(name, make());
  };
  for (const std::string owner : {"own", "source", "target", "context", "plain"})
    maybe(owner.c_str(), [&] { return mark.value(owner); });
  maybe("list", [&] {
    Tree list = Tree::array();
    for (auto left = random.below(4); left > 0; --left) list.elements.push_back(mark.value("own"));
    return list;
  });
  maybe("rows", [&] {
    Tree rows = Tree::array();
    for (auto left = random.below(4); left > 0; --left) {
      Tree row = Tree::object();
      for (const std::string owner : {"plain", "own", "target"})
        if (random.chance(60)) row.members.emplace(owner, mark.value(owner));
      rows.elements.push_back(row);
    }
    return rows;
  });
  maybe("deep", [&] {
    Tree deeper = Tree::object();
    deeper.members.emplace("own", mark.value("own"));
    Tree deep = Tree::object();
    deep.members.emplace("deeper", deeper);
    return deep;
  });
  maybe("unknown", [&] { return mark.value("plain"); });
  event.members.emplace("detail", detail);
}

void add_rest(Random& random, Marker& mark, Tree& event) {
  if (random.chance(60)) event.members.emplace("sourceEntityMeta", mark.object("source"));
  if (random.chance(60)) event.members.emplace("targetEntityMeta", mark.object("target"));
  if (random.chance(60)) {
    Tree context = Tree::object();
    if (random.chance(60)) context.members.emplace("ip", mark.value("context"));
    if (random.chance(60)) context.members.emplace("other", mark.value("plain"));
    event.members.emplace("context", context);
  }
  if (random.chance(60)) {
    Tree changes = Tree::array();
    for (auto left = random.below(4); left > 0; --left) {
      Tree change = Tree::object();
      change.members.emplace("old", mark.value("plain"));
      if (random.chance(70)) change.members.emplace("new", mark.value("own"));
      changes.elements.push_back(change);
    }
    event.members.emplace("changes", changes);
  }
}

}  // namespace

std::size_t rounds(std::size_t base) { return vestige::testing::scaled(base); }

std::uint64_t seed_of_test() {
  const auto seed = vestige::testing::seed();
  std::printf("seed %llu (VESTIGE_TEST_SEED)\n", static_cast<unsigned long long>(seed));
  return seed;
}

std::string random_uuid(Random& random) {
  Uuid uuid;
  for (auto& byte : uuid.bytes) byte = static_cast<std::uint8_t>(random.next());
  return format_uuid(uuid);
}

MarkedEvent random_marked_event(Random& random) {
  MarkedEvent marked;
  Tree event = Tree::object();
  marked.id = random_uuid(random);
  event.members.emplace("id", Tree::text(marked.id));
  event.members.emplace("kind", Tree::text(random.chance(50) ? "test.marks" : "test.marks.all"));
  event.members.emplace("action", Tree::text("DID"));
  for (auto left = random.below(4); left > 0; --left)
    marked.subjects.push_back(fmt::format("person-{:012x}", random.next() >> 16));
  // A third of the actors and targets are persons concerned.
  const auto party = [&](const char* name) {
    if (random.chance(20)) return false;
    const bool concerned = !marked.subjects.empty() && random.chance(50);
    const auto id =
        concerned ? random.pick(marked.subjects) : fmt::format("party-{:012x}", random.next() >> 16);
    event.members.emplace(name, Tree::text(id));
    if (!concerned) marked.clear.push_back(id);
    return concerned;
  };
  std::set<std::string> sealed_owners;
  if (party("sourceId")) sealed_owners.insert({"source", "context"});
  if (party("targetId")) sealed_owners.insert("target");
  if (!marked.subjects.empty()) sealed_owners.insert("own");
  marked.sealed = marked.subjects;
  if (marked.subjects.size() == 1 && random.chance(50)) {
    event.members.emplace("subject", Tree::text(marked.subjects.front()));
  } else if (!marked.subjects.empty()) {
    Tree list = Tree::array();
    for (const auto& subject : marked.subjects) list.elements.push_back(Tree::text(subject));
    event.members.emplace("subject", list);
  }
  Marker mark(random, marked, std::move(sealed_owners));
  add_detail(random, mark, event);
  add_rest(random, mark, event);
  if (random.chance(50)) event.members.emplace("time", Tree::text("2026-11-25T14:40:11.213Z"));
  marked.event = std::move(event);
  return marked;
}

Tree random_plain_event(Random& random) {
  static const std::vector<std::string> scalars = {"0",
                                                   "1",
                                                   "-1",
                                                   "1.5",
                                                   "100",
                                                   "1e+21",
                                                   "1e-7",
                                                   "true",
                                                   "false",
                                                   "null",
                                                   "\"1\"",
                                                   "\"1.5\"",
                                                   "\"a\"",
                                                   "\"B c\"",
                                                   "\"\"",
                                                   "\"true\"",
                                                   "\"caf\xc3\xa9 x\"",
                                                   "\"a\\n1\""};
  const auto value = [&](const auto& self, unsigned depth) -> Tree {
    if (depth == 0 || random.chance(55)) return Tree::raw(random.pick(scalars));
    Tree tree = random.chance(60) ? Tree::object() : Tree::array();
    for (auto left = random.below(4); left > 0; --left) {
      if (tree.form == Tree::Form::object) {
        tree.members.emplace(std::string(1, static_cast<char>('k' + random.below(3))), self(self, depth - 1));
      } else {
        tree.elements.push_back(self(self, depth - 1));
      }
    }
    return tree;
  };
  const auto object = [&] {
    Tree tree = Tree::object();
    for (auto left = random.below(4); left > 0; --left)
      tree.members.emplace(std::string(1, static_cast<char>('k' + random.below(3))), value(value, 2));
    return tree;
  };
  Tree event = Tree::object();
  event.members.emplace("kind", Tree::text(random.chance(80) ? "data.change" : "test.marks"));
  event.members.emplace("action", Tree::text(random.pick<std::string>({"CREATED", "UPDATED", "VIEWED"})));
  event.members.emplace("id", Tree::text(random_uuid(random)));
  const std::vector<std::string> ids = {"a", "b", "\xc3\xa9", "q\"", ""};
  for (const char* name : {"sourceId", "targetId", "sourceType", "targetType"})
    if (random.chance(70)) event.members.emplace(name, Tree::text(random.pick(ids)));
  for (const char* name : {"detail", "sourceEntityMeta", "targetEntityMeta"})
    if (random.chance(60)) event.members.emplace(name, object());
  if (random.chance(40))
    event.members.emplace("subject", Tree::text(random.pick<std::string>({"a", "b", "p"})));
  event.members.emplace(
      "time", Tree::text(fmt::format("2026-11-25T14:40:1{}.{:03}Z", random.below(3), random.below(3))));
  return event;
}

}  // namespace vestige::audit::testing
