#include "audit/search/plan.h"

#include <algorithm>

#include "audit/search/tokens.h"

namespace vestige::audit {
namespace {

using Kind = Condition::Kind;
using Test = Condition::Test;

// As it stands between the quotes of canonical JSON.
std::string escaped(std::string_view text) {
  std::string quoted;
  json::append_quoted(quoted, text);
  return quoted.substr(1, quoted.size() - 2);
}

struct Column {
  std::string_view name;
  bool may_be_sealed;
};
constexpr Column columns[] = {{"action", false},     {"kind", false},    {"sourceId", true},
                              {"sourceType", false}, {"targetId", true}, {"targetType", false}};

const Column* column_of(const FieldPath& field) {
  if (field.keys.size() != 1) return nullptr;
  const auto* found = std::ranges::find(columns, field.keys.front(), &Column::name);
  return found == std::end(columns) ? nullptr : found;
}

bool is_time(const FieldPath& field) { return field.keys.size() == 1 && field.keys.front() == "time"; }

bool all_strings(const std::vector<Operand>& operands) {
  return std::ranges::all_of(operands,
                             [](const Operand& operand) { return operand.type == json::Type::string; });
}

// The column that the condition compares with plain strings.
const Column* compared_column(const Condition& condition) {
  if (condition.test != Test::in || condition.ignore_case || !all_strings(condition.operands)) return nullptr;
  return column_of(condition.field);
}

void add_column(const Condition& condition, trail::RowTest& test) {
  const auto* column = compared_column(condition);
  if (column == nullptr) return;
  trail::RowTest::Text text{std::string(column->name), {}, column->may_be_sealed};
  for (const auto& operand : condition.operands) text.any_of.push_back(escaped(operand.text));
  test.texts.push_back(std::move(text));
}

void add_time(const Condition& condition, trail::RowTest& test) {
  if (condition.test != Test::range || !is_time(condition.field)) return;
  if (condition.from && condition.from->time) {
    test.time_column = "time";
    test.time_from =
        std::max(test.time_from, condition.from->time->value + (condition.from->inclusive ? 0 : 1));
  }
  if (condition.to && condition.to->time) {
    test.time_column = "time";
    test.time_to = std::min(test.time_to, condition.to->time->value + (condition.to->inclusive ? 1 : 0));
  }
}

void add_rows(const Condition& condition, trail::RowTest& test) {
  if (condition.kind == Kind::all)
    for (const auto& part : condition.parts) add_rows(part, test);
  if (condition.kind != Kind::field) return;
  add_column(condition, test);
  add_time(condition, test);
}

// The literal pieces of a pattern.
std::vector<std::string> pieces(std::string_view pattern) {
  std::vector<std::string> out;
  for (;;) {
    const auto star = pattern.find('*');
    if (const auto piece = pattern.substr(0, star); !piece.empty()) out.push_back(escaped(piece));
    if (star == std::string_view::npos) return out;
    pattern.remove_prefix(star + 1);
  }
}

}  // namespace

trail::RowTest row_test(const Condition& where, bool sees_sealed) {
  trail::RowTest test;
  add_rows(where, test);
  add_tokens(where, test.tokens, sees_sealed);
  for (auto& text : test.texts) text.may_be_sealed = text.may_be_sealed && sees_sealed;
  return test;
}

ByColumns by_columns(const FieldPath& field) {
  const auto* column = column_of(field);
  if (column == nullptr) return ByColumns::never;
  return column->may_be_sealed ? ByColumns::pages_without_sections : ByColumns::always;
}

ByColumns by_columns(const Condition& where) {
  if (where.kind == Kind::all) {
    auto least = ByColumns::always;
    for (const auto& part : where.parts) least = std::min(least, by_columns(part));
    return least;
  }
  if (where.kind != Kind::field) return ByColumns::never;
  if (compared_column(where) != nullptr) return by_columns(where.field);
  const auto is_moment = [](const std::optional<Bound>& bound) { return !bound || bound->time; };
  return where.test == Test::range && is_time(where.field) && is_moment(where.from) && is_moment(where.to)
             ? ByColumns::always
             : ByColumns::never;
}

ByteTest::ByteTest(const Condition& where) : root_(compile(where)) {}

ByteTest::Node ByteTest::compile(const Condition& condition) {
  Node node;
  node.kind = condition.kind;
  switch (condition.kind) {
    case Kind::all:
    case Kind::any:
      for (const auto& part : condition.parts) node.parts.push_back(compile(part));
      break;
    case Kind::none:
      break;
    case Kind::text:
      node.text = &condition.text;
      break;
    case Kind::field:
      if (condition.ignore_case || !condition.expected) break;
      if (condition.test == Test::in) {
        // null is written by no text of its own.
        if (std::ranges::any_of(condition.operands, [](const auto& o) { return o.type == json::Type::null; }))
          break;
        for (const auto& operand : condition.operands) node.needles.push_back({escaped(operand.text)});
      } else if (condition.test == Test::wildcard) {
        node.needles.push_back(pieces(condition.operands.front().text));
      } else if (condition.test == Test::prefix ||
                 (condition.test == Test::contains && !condition.operands.empty())) {
        node.needles.push_back({escaped(condition.operands.front().text)});
      }
      break;
  }
  return node;
}

bool ByteTest::holds(const Node& node, std::string_view entry) {
  switch (node.kind) {
    case Kind::all:
      return std::ranges::all_of(node.parts, [&](const Node& part) { return holds(part, entry); });
    case Kind::any:
      return std::ranges::any_of(node.parts, [&](const Node& part) { return holds(part, entry); });
    case Kind::none:
      return true;
    case Kind::text:
      return audit::may_match(*node.text, entry);
    case Kind::field:
      return node.needles.empty() || std::ranges::any_of(node.needles, [&](const auto& all) {
               return std::ranges::all_of(all, [&](const std::string& needle) {
                 return entry.find(needle) != std::string_view::npos;
               });
             });
  }
  return true;
}

bool ByteTest::may_match(std::string_view entry) const { return holds(root_, entry); }

}  // namespace vestige::audit
