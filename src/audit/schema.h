// A kind's JSON Schema, compiled: one walk over an event validates it and tells whose each value is.
// The supported subset and the annotations stand in docs/formats/kinds.md; a keyword outside the subset is
// refused when the kind is registered, so that nothing is ever ignored silently.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/json.h"

namespace vestige::audit {

// Whose personal value it is. `context` is the person who acted, as `source` is.
enum class Whose : std::uint8_t { nobody, subject, source, target, context };

enum class TextFormat : std::uint8_t { none, date_time, uuid };

// Members and properties are walked side by side.
using json::CanonicalLess;

struct SchemaNode {
  std::uint32_t types = 0;  // bit per json::Type; 0: any
  bool integer_only = false;
  std::map<std::string, std::unique_ptr<SchemaNode>, CanonicalLess> properties;
  std::vector<std::string> required;
  bool additional = true;
  std::unique_ptr<SchemaNode> items;
  std::vector<std::string> allowed;  // canonical texts of enum or const; empty: any
  std::optional<double> minimum;
  std::optional<double> maximum;
  std::optional<std::uint64_t> length_min;
  std::optional<std::uint64_t> length_max;
  std::optional<std::uint64_t> items_max;
  TextFormat format = TextFormat::none;
  Whose whose = Whose::nobody;
  bool sensitive = false;
};

struct KindSchema {
  std::string kind;
  std::uint32_t version = 1;
  bool shared_all = false;  // content of several subjects is gone when all, not when any, are erased
  SchemaNode root;          // members detail, changes, context, sourceEntityMeta, targetEntityMeta
};

Result<std::unique_ptr<KindSchema>> compile_kind(std::string_view schema_text);

// Whether the kind marks the value at a JSON pointer of an event, or something above it, x-sensitive.
bool is_sensitive(const KindSchema& kind, std::string_view pointer);

// invalid with the path of the first value that does not fit. `path` is extended and restored.
Status validate(const SchemaNode& node, const json::Value& value, std::string& path);

}  // namespace vestige::audit
