#include "audit/schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "audit/limits.h"
#include "base/time_text.h"
#include "base/uuid.h"

namespace vestige::audit {
namespace {

constexpr std::string_view definitions_prefix = "#/$defs/";

std::unexpected<Error> refuse(const std::string& path, std::string what) {
  Error error{.kind = ErrorKind::invalid, .message = std::move(what)};
  error.path = path;
  return std::unexpected(std::move(error));
}

constexpr std::uint32_t bit(json::Type type) { return 1u << static_cast<unsigned>(type); }

std::optional<Whose> parse_owner(std::string_view name) {
  if (name == "subject") return Whose::subject;
  if (name == "source") return Whose::source;
  if (name == "target") return Whose::target;
  if (name == "context") return Whose::context;
  return std::nullopt;
}

class Compiler {
 public:
  explicit Compiler(const json::Value& root) : definitions_(root.find("$defs")) {}
  Status compile(const json::Value& schema, SchemaNode& node, std::string& path, std::size_t depth);

 private:
  Status keyword(std::string_view name, const json::Value& value, SchemaNode& node, std::string& path,
                 std::size_t depth);
  Status structure(std::string_view name, const json::Value& value, SchemaNode& node, std::string& path,
                   std::size_t depth, bool& known);
  Status bound(std::string_view name, const json::Value& value, SchemaNode& node, const std::string& path,
               bool& known);
  Status annotation(std::string_view name, const json::Value& value, SchemaNode& node,
                    const std::string& path, bool& known);
  Status add_type(std::string_view name, SchemaNode& node, const std::string& path);

  json::Value definitions_;
};

Status Compiler::add_type(std::string_view name, SchemaNode& node, const std::string& path) {
  constexpr std::pair<std::string_view, json::Type> names[] = {
      {"null", json::Type::null},      {"boolean", json::Type::boolean}, {"number", json::Type::number},
      {"integer", json::Type::number}, {"string", json::Type::string},   {"array", json::Type::array},
      {"object", json::Type::object}};
  for (const auto& [known, type] : names) {
    if (known != name) continue;
    node.types |= bit(type);
    if (name == "integer") node.integer_only = true;
    return {};
  }
  return refuse(path, fmt::format("\"{}\" is no JSON Schema type", name));
}

Status Compiler::structure(std::string_view name, const json::Value& value, SchemaNode& node,
                           std::string& path, std::size_t depth, bool& known) {
  if (name == "type") {
    if (value.is_string()) return add_type(value.string(), node, path);
    if (!value.is_array()) return refuse(path, "\"type\" must be a string or a list of strings");
    if (value.size() == 0) return refuse(path, "\"type\" must name a type");
    for (std::size_t i = 0; i < value.size(); ++i)
      VESTIGE_CHECKED(add_type(value.at(i).is_string() ? value.at(i).string() : "", node, path));
    // A number may then be anything.
    for (std::size_t i = 0; i < value.size(); ++i)
      if (value.at(i).string() == "number") node.integer_only = false;
    return {};
  }
  if (name == "properties") {
    if (!value.is_object()) return refuse(path, "\"properties\" must be an object");
    for (std::size_t i = 0; i < value.size(); ++i) {
      auto child = std::make_unique<SchemaNode>();
      const auto length = path.size();
      json::append_pointer(path, value.key_at(i));
      VESTIGE_CHECKED(compile(value.at(i), *child, path, depth + 1));
      path.resize(length);
      node.properties.emplace(value.key_at(i), std::move(child));
    }
    return {};
  }
  if (name == "items") {
    node.items = std::make_unique<SchemaNode>();
    return compile(value, *node.items, path, depth + 1);
  }
  if (name == "$ref") {
    const auto target = value.is_string() ? value.string() : std::string_view();
    const auto definition = target.starts_with(definitions_prefix)
                                ? definitions_.find(target.substr(definitions_prefix.size()))
                                : json::Value();
    if (!definition.exists()) return refuse(path, "\"$ref\" must name a member of \"$defs\"");
    return compile(definition, node, path, depth + 1);
  }
  if (name == "required") {
    if (!value.is_array()) return refuse(path, "\"required\" must be a list of strings");
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (!value.at(i).is_string()) return refuse(path, "\"required\" must be a list of strings");
      node.required.emplace_back(value.at(i).string());
    }
    return {};
  }
  if (name == "additionalProperties") {
    if (!value.is_boolean()) return refuse(path, "\"additionalProperties\" must be true or false");
    node.additional = value.boolean();
    return {};
  }
  known = false;
  return {};
}

Status Compiler::bound(std::string_view name, const json::Value& value, SchemaNode& node,
                       const std::string& path, bool& known) {
  if (name == "enum") {
    if (!value.is_array() || value.size() == 0)
      return refuse(path, "\"enum\" must be a list that is not empty");
    for (std::size_t i = 0; i < value.size(); ++i) node.allowed.push_back(json::canonical(value.at(i)));
    return {};
  }
  if (name == "const") {
    node.allowed.push_back(json::canonical(value));
    return {};
  }
  if (name == "format") {
    if (value.is_string() && value.string() == "date-time")
      return node.format = TextFormat::date_time, Status{};
    if (value.is_string() && value.string() == "uuid") return node.format = TextFormat::uuid, Status{};
    return refuse(path, "\"format\" must be date-time or uuid");
  }
  const bool counts = name == "minLength" || name == "maxLength" || name == "maxItems";
  if (!counts && name != "minimum" && name != "maximum") return known = false, Status{};
  if (!value.is_number()) return refuse(path, fmt::format("\"{}\" must be a number", name));
  const double number = value.number_value();
  if (counts && (number < 0 || number != std::floor(number)))
    return refuse(path, fmt::format("\"{}\" must be a whole number", name));
  if (name == "minLength") node.length_min = static_cast<std::uint64_t>(number);
  if (name == "maxLength") node.length_max = static_cast<std::uint64_t>(number);
  if (name == "maxItems") node.items_max = static_cast<std::uint64_t>(number);
  if (name == "minimum") node.minimum = number;
  if (name == "maximum") node.maximum = number;
  return {};
}

Status Compiler::annotation(std::string_view name, const json::Value& value, SchemaNode& node,
                            const std::string& path, bool& known) {
  constexpr std::string_view silent[] = {"$schema", "$id",       "$defs",    "title",   "description",
                                         "x-kind",  "x-version", "x-shared", "examples"};
  if (std::ranges::find(silent, name) != std::end(silent)) return {};
  if (name == "x-personal" || name == "x-sensitive") {
    if (!value.is_boolean()) return refuse(path, fmt::format("\"{}\" must be true or false", name));
    if (name == "x-sensitive") node.sensitive = value.boolean();
    if (name == "x-personal" && value.boolean() && node.whose == Whose::nobody) node.whose = Whose::subject;
    return {};
  }
  if (name == "x-owner") {
    const auto owner = value.is_string() ? parse_owner(value.string()) : std::nullopt;
    if (!owner) return refuse(path, "\"x-owner\" must be subject, source, target or context");
    node.whose = *owner;
    return {};
  }
  known = false;
  return {};
}

Status Compiler::keyword(std::string_view name, const json::Value& value, SchemaNode& node, std::string& path,
                         std::size_t depth) {
  bool known = true;
  VESTIGE_CHECKED(structure(name, value, node, path, depth, known));
  if (known) return {};
  known = true;
  VESTIGE_CHECKED(bound(name, value, node, path, known));
  if (known) return {};
  known = true;
  VESTIGE_CHECKED(annotation(name, value, node, path, known));
  if (known) return {};
  return refuse(path, fmt::format("the schema keyword \"{}\" is not supported", name));
}

// Keywords that would have to hold both, and that one node cannot keep apart.
Status check_neighbours(const json::Value& schema, const std::string& path) {
  if (schema.find("enum").exists() && schema.find("const").exists())
    return refuse(path, "\"enum\" and \"const\" exclude each other");
  if (const auto personal = schema.find("x-personal");
      schema.find("x-owner").exists() && !(personal.is_boolean() && personal.boolean()))
    return refuse(path, "\"x-owner\" needs \"x-personal\": true beside it");
  if (!schema.find("$ref").exists()) return {};
  for (std::size_t i = 0; i < schema.size(); ++i) {
    const auto name = schema.key_at(i);
    if (name != "$ref" && name != "title" && name != "description" && name != "examples" &&
        !name.starts_with("x-"))
      return refuse(path,
                    fmt::format("\"{}\" cannot stand beside \"$ref\": put it into the definition", name));
  }
  return {};
}

Status Compiler::compile(const json::Value& schema, SchemaNode& node, std::string& path, std::size_t depth) {
  if (depth > schema_depth_max)
    return refuse(path,
                  fmt::format("the schema is nested deeper than schema_depth_max = {}", schema_depth_max));
  if (schema.is_boolean() && schema.boolean()) return {};
  if (!schema.is_object()) return refuse(path, "a schema must be an object or true");
  VESTIGE_CHECKED(check_neighbours(schema, path));
  for (const std::string_view name : {"x-kind", "x-version", "x-shared"})
    if (depth > 0 && schema.find(name).exists())
      return refuse(path, fmt::format("\"{}\" stands at the root of a kind's schema only", name));
  for (std::size_t i = 0; i < schema.size(); ++i)
    VESTIGE_CHECKED(keyword(schema.key_at(i), schema.at(i), node, path, depth));
  return {};
}

// Characters, not bytes: JSON Schema counts code points.
std::uint64_t length_of(std::string_view text) {
  return static_cast<std::uint64_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string_view type_name(json::Type type) {
  constexpr std::string_view names[] = {"null", "a boolean", "a number", "a string", "an array", "an object"};
  return names[static_cast<unsigned>(type)];
}

Status validate_scalar(const SchemaNode& node, const json::Value& value, const std::string& path) {
  if (value.is_string()) {
    const auto text = value.string();
    if (node.length_min || node.length_max) {
      const auto length = length_of(text);
      if (node.length_min && length < *node.length_min)
        return refuse(path, fmt::format("must have at least {} characters", *node.length_min));
      if (node.length_max && length > *node.length_max)
        return refuse(path, fmt::format("must have at most {} characters", *node.length_max));
    }
    if (node.format == TextFormat::date_time && !parse_time(text))
      return refuse(path, "must be an RFC 3339 date-time");
    if (node.format == TextFormat::uuid && !parse_uuid(text)) return refuse(path, "must be a UUID");
  }
  if (value.is_number()) {
    const double number = value.number_value();
    if (node.integer_only && number != std::floor(number)) return refuse(path, "must be a whole number");
    if (node.minimum && number < *node.minimum)
      return refuse(path, fmt::format("must be at least {}", *node.minimum));
    if (node.maximum && number > *node.maximum)
      return refuse(path, fmt::format("must be at most {}", *node.maximum));
  }
  return {};
}

Status validate_object(const SchemaNode& node, const json::Value& value, std::string& path) {
  for (const auto& name : node.required)
    if (!value.find(name).exists()) return refuse(path, fmt::format("the member \"{}\" is missing", name));
  if (node.properties.empty() && node.additional) return {};
  // Both are in canonical order, so one pass over the properties serves all members.
  auto property = node.properties.begin();
  for (std::size_t i = 0; i < value.size(); ++i) {
    const auto key = value.key_at(i);
    while (property != node.properties.end() && json::canonical_less(property->first, key)) ++property;
    const bool known = property != node.properties.end() && property->first == key;
    if (!known && node.additional) continue;
    const auto length = path.size();
    json::append_pointer(path, key);
    if (!known) return refuse(path, "is not a member that this kind knows");
    VESTIGE_CHECKED(validate(*property->second, value.at(i), path));
    path.resize(length);
  }
  return {};
}

}  // namespace

namespace {

// The root describes certain members of an event and nothing else; a rule that stood there and was not
// enforced would be worse than none.
Status check_root(const json::Value& root) {
  constexpr std::string_view keywords[] = {"$schema",  "$id",    "title",     "description",
                                           "examples", "type",   "required",  "properties",
                                           "$defs",    "x-kind", "x-version", "x-shared"};
  constexpr std::string_view described[] = {"changes", "context", "detail", "sourceEntityMeta",
                                            "targetEntityMeta"};
  for (std::size_t i = 0; i < root.size(); ++i)
    if (std::ranges::find(keywords, root.key_at(i)) == std::end(keywords))
      return refuse("", fmt::format("\"{}\" cannot stand at the root of a kind's schema", root.key_at(i)));
  const auto properties = root.find("properties");
  for (std::size_t i = 0; properties.is_object() && i < properties.size(); ++i)
    if (std::ranges::find(described, properties.key_at(i)) == std::end(described))
      return refuse(fmt::format("/{}", properties.key_at(i)),
                    fmt::format("a kind describes {}; the rest of an event is the same for all kinds",
                                fmt::join(described, ", ")));
  return {};
}

}  // namespace

Result<std::unique_ptr<KindSchema>> compile_kind(std::string_view schema_text) {
  json::Parser parser;
  json::Document document;
  VESTIGE_CHECKED(parser.parse(schema_text, document));
  const auto root = document.root();
  const auto kind = root.find("x-kind");
  const auto version = root.find("x-version");
  std::string path;
  if (!kind.is_string() || kind.string().empty() || kind.string().size() > word_bytes_max)
    return refuse(path, "a kind's schema needs \"x-kind\"");
  if (!version.is_number() || version.number_value() < 1 || version.number_value() > 1'000'000 ||
      version.number_value() != std::floor(version.number_value()))
    return refuse(path, "a kind's schema needs \"x-version\", a whole number from 1 on");
  auto compiled = std::make_unique<KindSchema>();
  compiled->kind = kind.string();
  compiled->version = static_cast<std::uint32_t>(version.number_value());
  if (const auto shared = root.find("x-shared"); shared.exists()) {
    if (!shared.is_string() || (shared.string() != "any" && shared.string() != "all"))
      return refuse(path, "\"x-shared\" must be any or all");
    compiled->shared_all = shared.string() == "all";
  }
  VESTIGE_CHECKED(check_root(root));
  Compiler compiler(root);
  VESTIGE_CHECKED(compiler.compile(root, compiled->root, path, 0));
  return compiled;
}

namespace {

bool has_sensitive(const SchemaNode& node) {
  if (node.sensitive || (node.items != nullptr && has_sensitive(*node.items))) return true;
  return std::ranges::any_of(node.properties, [](const auto& entry) { return has_sensitive(*entry.second); });
}

}  // namespace

bool is_sensitive(const KindSchema& kind, std::string_view pointer) {
  const auto* node = &kind.root;
  while (!pointer.empty()) {
    if (node->sensitive) return true;
    pointer.remove_prefix(1);
    const auto slash = pointer.find('/');
    const auto token = pointer.substr(0, slash);
    pointer = slash == std::string_view::npos ? std::string_view() : pointer.substr(slash);
    if (node->items != nullptr) {
      node = node->items.get();
      continue;
    }
    const auto found = node->properties.find(json::unescaped_token(token));
    if (found == node->properties.end()) return false;
    node = found->second.get();
  }
  return has_sensitive(*node);
}

Status validate(const SchemaNode& node, const json::Value& value, std::string& path) {
  if (node.types != 0 && (node.types & bit(value.type())) == 0) {
    std::string wanted;
    for (unsigned type = 0; type <= static_cast<unsigned>(json::Type::object); ++type)
      if (node.types & (1u << type))
        wanted += (wanted.empty() ? "" : " or ") + std::string(type_name(static_cast<json::Type>(type)));
    return refuse(path, fmt::format("must be {}, not {}", wanted, type_name(value.type())));
  }
  if (!node.allowed.empty()) {
    const auto text = json::canonical(value);
    if (std::ranges::find(node.allowed, text) == node.allowed.end())
      return refuse(path, fmt::format("{} is not one of {}", text, fmt::join(node.allowed, ", ")));
  }
  VESTIGE_CHECKED(validate_scalar(node, value, path));
  if (value.is_object()) return validate_object(node, value, path);
  if (value.is_array()) {
    if (node.items_max && value.size() > *node.items_max)
      return refuse(path, fmt::format("must have at most {} elements", *node.items_max));
    if (!node.items) return {};
    for (std::size_t i = 0; i < value.size(); ++i) {
      const auto length = path.size();
      path += fmt::format("/{}", i);
      VESTIGE_CHECKED(validate(*node.items, value.at(i), path));
      path.resize(length);
    }
  }
  return {};
}

}  // namespace vestige::audit
