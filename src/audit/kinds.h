// The registry of kinds: what an event's detail, changes, context and metas must look like, and which of
// their values are personal. Kinds never change once registered; a new version is a new schema.
//
// Owner: app; fixed after start-up and thread-safe from then on.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "audit/schema.h"

namespace vestige::audit {

class KindRegistry {
 public:
  // invalid where a schema does not compile, conflict where kind and version exist already.
  Status add(std::string_view schema_text);
  // The newest version; null for an unregistered kind.
  const KindSchema* find(std::string_view kind) const;
  std::vector<std::string> names() const;
  // Whether every kind that knows the path, given by its keys from the top of an event, says that what stands
  // there (or there and below) is somebody's; or for sensitive values, whether any kind does.
  bool is_personal(std::span<const std::string> path) const;
  bool is_sensitive(std::span<const std::string> path) const;

  // The kinds that this build ships (schemas/).
  static Result<std::unique_ptr<KindRegistry>> with_shipped_kinds();

 private:
  std::map<std::string, std::unique_ptr<KindSchema>, std::less<>> kinds_;
};

// Kinds that only the server itself may use.
inline bool is_system_kind(std::string_view kind) { return kind.starts_with("system."); }

}  // namespace vestige::audit
