#include "audit/kinds.h"

#include <fmt/format.h>
#include <generated/audit_schemas.h>

#include "audit/limits.h"

namespace vestige::audit {

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
