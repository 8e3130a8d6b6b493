#include "audit/kinds.h"

#include <fmt/format.h>
#include <generated/audit_schemas.h>

#include <algorithm>

#include "audit/limits.h"

namespace vestige::audit {

namespace {

// What a kind says of the path, from the top down; arrays on the way are passed through. Ends where it says
// no more.
std::vector<const SchemaNode*> nodes_on(const SchemaNode& root, std::span<const std::string> path) {
  std::vector<const SchemaNode*> nodes;
  const auto* node = &root;
  for (const auto& key : path) {
    while (node->items != nullptr) node = node->items.get();
    const auto found = node->properties.find(key);
    if (found == node->properties.end()) return {};
    node = found->second.get();
    nodes.push_back(node);
  }
  return nodes;
}

}  // namespace

bool KindRegistry::is_personal(std::span<const std::string> path) const {
  // Set by the server from whoever an event is about; no schema has it.
  if (path.size() == 1 && path.front() == "subject") return true;
  bool known = false;
  for (const auto& [name, kind] : kinds_) {
    const auto nodes = nodes_on(kind->root, path);
    if (nodes.empty()) continue;
    known = true;
    if (std::ranges::none_of(nodes, [](const auto* node) { return node->whose != Whose::nobody; }))
      return false;
  }
  return known;
}

bool KindRegistry::is_sensitive(std::span<const std::string> path) const {
  return std::ranges::any_of(kinds_, [&](const auto& entry) {
    const auto nodes = nodes_on(entry.second->root, path);
    return std::ranges::any_of(nodes, [](const auto* node) { return node->sensitive; });
  });
}

Status KindRegistry::add(std::string_view schema_text) {
  VESTIGE_TRY(auto schema, compile_kind(schema_text));
  const auto found = kinds_.find(schema->kind);
  if (found != kinds_.end() && found->second->version >= schema->version)
    return fail(ErrorKind::conflict,
                fmt::format("version {} of kind {} is registered already", schema->version, schema->kind));
  if (kinds_.size() >= kinds_max)
    return fail(ErrorKind::exhausted, fmt::format("at most {} kinds (kinds_max)", kinds_max));
  auto kind = schema->kind;
  kinds_.insert_or_assign(std::move(kind), std::move(schema));
  return {};
}

const KindSchema* KindRegistry::find(std::string_view kind) const {
  const auto found = kinds_.find(kind);
  return found == kinds_.end() ? nullptr : found->second.get();
}

std::vector<std::string> KindRegistry::names() const {
  std::vector<std::string> names;
  for (const auto& [name, schema] : kinds_) names.push_back(name);
  return names;
}

Result<std::unique_ptr<KindRegistry>> KindRegistry::with_shipped_kinds() {
  auto registry = std::make_unique<KindRegistry>();
  for (const auto& schema : schemas::files) VESTIGE_CHECKED(registry->add(schema.content));
  return registry;
}

}  // namespace vestige::audit
