#include "access/operations.h"

#include <generated/access_assets.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "json/json.h"

namespace vestige::access {
namespace {

constexpr std::pair<std::string_view, Scope> scope_names[] = {
    {"ingest", Scope::ingest}, {"read", Scope::read}, {"admin", Scope::admin}};
constexpr std::pair<std::string_view, Look> look_names[] = {
    {"none", Look::none},   {"search", Look::search}, {"view", Look::view},  {"export", Look::export_},
    {"prove", Look::prove}, {"reveal", Look::reveal}, {"watch", Look::watch}};
constexpr std::pair<std::string_view, ValueClass> class_names[] = {
    {"clear", ValueClass::clear}, {"personal", ValueClass::personal}, {"sensitive", ValueClass::sensitive}};

template <typename Word, std::size_t N>
std::optional<Word> word(const std::pair<std::string_view, Word> (&names)[N], std::string_view name) {
  const auto* found = std::ranges::find(names, name, [](const auto& pair) { return pair.first; });
  return found == std::end(names) ? std::nullopt : std::optional(found->second);
}

template <typename Word, std::size_t N>
std::string_view name(const std::pair<std::string_view, Word> (&names)[N], Word word) {
  const auto* found = std::ranges::find(names, word, [](const auto& pair) { return pair.second; });
  CHECK(found != std::end(names));
  return found->first;
}

// The file is a part of this program: what is wrong with it is a defect of it.
std::vector<Operation> read_embedded() {
  json::Parser parser;
  json::Document document;
  CHECK(parser.parse(assets::operations_json, document));
  const auto root = document.root();
  std::vector<Operation> operations;
  for (std::size_t i = 0; i < root.size(); ++i) {
    const auto row = root.at(i);
    Operation operation;
    operation.name = root.key_at(i);
    operation.scope = parse_scope(row.find("scope").string());
    CHECK(operation.scope || row.find("scope").string() == "session");
    for (std::size_t j = 0; j < row.find("reads").size(); ++j) {
      const auto value_class = word(class_names, row.find("reads").at(j).string());
      CHECK(value_class);
      operation.reads[static_cast<std::size_t>(*value_class)] = true;
    }
    if (row.find("looks").exists()) {
      const auto look = word(look_names, row.find("looks").string());
      CHECK(look);
      operation.look = *look;
    }
    operation.about = row.find("about").string();
    operations.push_back(std::move(operation));
  }
  std::ranges::sort(operations, {}, &Operation::name);
  return operations;
}

}  // namespace

std::string_view name_of(Look look) { return name(look_names, look); }
std::string_view name_of(ValueClass value_class) { return name(class_names, value_class); }
std::string_view name_of(Scope scope) { return name(scope_names, scope); }
std::optional<Scope> parse_scope(std::string_view name) { return word(scope_names, name); }

std::vector<std::string_view> Scopes::names() const {
  std::vector<std::string_view> out;
  for (const auto& [name, scope] : scope_names)
    if (has(scope)) out.push_back(name);
  return out;
}

Scopes Scopes::all() {
  Scopes scopes;
  for (const auto& [name, scope] : scope_names) scopes.add(scope);
  return scopes;
}

std::span<const Operation> operations() {
  static const auto all = read_embedded();
  return all;
}

const Operation* find_operation(std::string_view name) {
  const auto all = operations();
  const auto found = std::ranges::lower_bound(all, name, {}, &Operation::name);
  return found != all.end() && found->name == name ? &*found : nullptr;
}

}  // namespace vestige::access
