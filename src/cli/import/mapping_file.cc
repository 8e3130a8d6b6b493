// Reading mapping files. TOML becomes JSON first, so that both are read by the same code.

#include <fmt/format.h>
#include <toml++/toml.h>

#include <sstream>

#include "cli/import/internal/rules.h"

namespace vestige::cli::importing {
namespace {

using Rules = Mapping::Rules;
using Members = std::vector<std::pair<std::string, Rule>>;

std::unexpected<Error> wrong(std::string_view where, std::string_view what) {
  return fail(ErrorKind::invalid, fmt::format("{}: {}", where, what));
}

Result<std::string> json_of_toml(std::string_view text) {
  try {
    const auto table = toml::parse(text);
    std::ostringstream out;
    out << toml::json_formatter(table);
    return out.str();
  } catch (const toml::parse_error& error) {
    return fail(ErrorKind::invalid,
                fmt::format("line {}: {}", error.source().begin.line, error.description()));
  }
}

Result<std::string> text_at(const json::Value& value, std::string_view where) {
  if (!value.is_string()) return wrong(where, "must be a string");
  return std::string(value.string());
}

// One value or a list of them.
template <typename Take>
Status each_of(const json::Value& value, const Take& take) {
  if (!value.is_array()) return take(value);
  if (value.size() > mapping_rules_max) return wrong("a list", "has more than 1,000 elements");
  for (std::size_t i = 0; i < value.size(); ++i) VESTIGE_CHECKED(take(value.at(i)));
  return {};
}

Status read_candidates(const json::Value& value, std::string_view where, Rule& rule) {
  return each_of(value, [&](const json::Value& one) -> Status {
    VESTIGE_TRY(auto text, text_at(one, where));
    if (!text.starts_with('/')) {
      rule.candidates.push_back({.path = {}, .constant = std::move(text)});
      return {};
    }
    auto path = Path::read(text);
    if (!path) return wrong(where, path.error().message);
    rule.candidates.push_back({.path = *std::move(path)});
    return {};
  });
}

Status read_patterns(const json::Value& value, std::string_view where, Patterns& patterns) {
  if (!value.is_object()) return wrong(where, "must be a table of PATTERN = TEXT");
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (patterns.size() >= mapping_rules_max) return wrong(where, "has more than 1,000 patterns");
    VESTIGE_TRY(auto text, text_at(value.at(i), where));
    patterns.add(std::string(value.key_at(i)), std::move(text));
  }
  return {};
}

// "/path", a constant, a list of them, or {from = ..., values = {...}}.
Status read_rule(const json::Value& value, std::string_view where, Rule& rule) {
  rule = {};
  if (!value.is_object()) return read_candidates(value, where, rule);
  for (std::size_t i = 0; i < value.size(); ++i) {
    const auto key = value.key_at(i);
    if (key == "from") {
      VESTIGE_CHECKED(read_candidates(value.at(i), where, rule));
    } else if (key == "values") {
      VESTIGE_CHECKED(read_patterns(value.at(i), where, rule.values));
    } else {
      return wrong(where, fmt::format("has \"{}\"; a rule has \"from\" and \"values\"", key));
    }
  }
  if (rule.empty()) return wrong(where, "lacks \"from\"");
  return {};
}

Status read_members(const json::Value& value, std::string_view where, Members& members) {
  if (!value.is_object()) return wrong(where, "must be a table");
  for (std::size_t i = 0; i < value.size(); ++i) {
    const std::string key(value.key_at(i));
    auto found = std::ranges::find(members, key, &Members::value_type::first);
    if (found == members.end()) found = members.insert(found, {key, Rule{}});
    VESTIGE_CHECKED(read_rule(value.at(i), fmt::format("{}.{}", where, key), found->second));
  }
  return {};
}

Status read_context(const json::Value& value, Members& members) {
  constexpr std::string_view known[] = {"ip",           "userAgent",   "sessionId",      "requestId",
                                        "service",      "location",    "serverLocation", "node",
                                        "organization", "attribution", "rollback"};
  VESTIGE_CHECKED(read_members(value, "context", members));
  for (const auto& [name, rule] : members)
    if (std::ranges::find(known, name) == std::end(known))
      return wrong(fmt::format("context.{}", name),
                   fmt::format("is none of {}; put it under detail", fmt::join(known, ", ")));
  return {};
}

Status read_entities(const json::Value& value, std::string_view where, std::vector<Entity>& entities) {
  entities.clear();
  return each_of(value, [&](const json::Value& one) -> Status {
    if (!one.is_object()) return wrong(where, "must be a table with id and type, or a list of such tables");
    Entity entity;
    for (std::size_t i = 0; i < one.size(); ++i) {
      const auto key = one.key_at(i);
      if (key != "id" && key != "type")
        return wrong(where, fmt::format("has \"{}\"; it takes id and type", key));
      VESTIGE_CHECKED(
          read_rule(one.at(i), fmt::format("{}.{}", where, key), key == "id" ? entity.id : entity.type));
    }
    entities.push_back(std::move(entity));
    return {};
  });
}

Status read_changes(const json::Value& value, Rules& rules) {
  if (!value.is_object()) return wrong("changes", "must be a table");
  Changes changes;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const auto key = value.key_at(i);
    if (key == "each") {
      VESTIGE_TRY(const auto text, text_at(value.at(i), "changes.each"));
      auto path = Path::read(text);
      if (!path) return wrong("changes.each", path.error().message);
      changes.each = *std::move(path);
      continue;
    }
    auto* const rule = key == "field" ? &changes.field
                       : key == "old" ? &changes.old_value
                       : key == "new" ? &changes.new_value
                                      : nullptr;
    if (rule == nullptr)
      return wrong("changes", fmt::format("has \"{}\"; it takes each, field, old and new", key));
    VESTIGE_CHECKED(read_rule(value.at(i), fmt::format("changes.{}", key), *rule));
  }
  if (changes.field.empty()) return wrong("changes", "lacks \"field\"");
  rules.changes = std::move(changes);
  return {};
}

// "/path" that must be there, or "/path=value".
Result<Rules::Condition> read_condition(const json::Value& value) {
  VESTIGE_TRY(const auto text, text_at(value, "recognise"));
  const auto equals = text.find('=');
  auto path = Path::read(std::string_view(text).substr(0, equals));
  if (!path) return wrong("recognise", path.error().message);
  Rules::Condition condition{.path = *std::move(path), .value = {}};
  if (equals != std::string::npos) condition.value = text.substr(equals + 1);
  return condition;
}

Status read_recognise(const json::Value& value, Rules& rules) {
  rules.recognise.clear();
  return each_of(value, [&](const json::Value& set) -> Status {
    auto& conditions = rules.recognise.emplace_back();
    return each_of(set, [&](const json::Value& one) -> Status {
      VESTIGE_TRY(auto condition, read_condition(one));
      conditions.push_back(std::move(condition));
      return {};
    });
  });
}

Status read_inside(const json::Value& value, Rules& rules) {
  rules.inside.clear();
  return each_of(value, [&](const json::Value& one) -> Status {
    VESTIGE_TRY(const auto text, text_at(one, "inside"));
    auto path = Path::read(text);
    if (!path) return wrong("inside", path.error().message);
    rules.inside.push_back(*std::move(path));
    return {};
  });
}

Status add_time_format(std::string_view text, Rules& rules) {
  auto format = TimeFormat::read(text);
  if (!format) return wrong("timeFormat", format.error().message);
  rules.time_formats.push_back(*std::move(format));
  return {};
}

Status read_times(const json::Value& value, Rules& rules) {
  rules.time_formats.clear();
  return each_of(value, [&](const json::Value& one) -> Status {
    VESTIGE_TRY(const auto text, text_at(one, "timeFormat"));
    return add_time_format(text, rules);
  });
}

Status read_offset(const json::Value& value, Rules& rules) {
  VESTIGE_TRY(const auto text, text_at(value, "timeOffset"));
  const auto offset = parse_offset(text);
  if (!offset) return wrong("timeOffset", "must be an offset from UTC such as +02:00");
  rules.time_offset_minutes = *offset;
  return {};
}

Status read_member(std::string_view key, const json::Value& value, Rules& rules) {
  if (key == "time") return read_rule(value, key, rules.time);
  if (key == "action") return read_rule(value, key, rules.action);
  if (key == "kind") return read_rule(value, key, rules.kind);
  if (key == "subject") return read_rule(value, key, rules.subject);
  if (key == "source") return read_entities(value, key, rules.sources);
  if (key == "target") return read_entities(value, key, rules.targets);
  if (key == "context") return read_context(value, rules.context);
  if (key == "sourceEntityMeta") return read_members(value, key, rules.source_meta);
  if (key == "targetEntityMeta") return read_members(value, key, rules.target_meta);
  if (key == "detail") return read_members(value, key, rules.detail);
  if (key == "kinds") return read_patterns(value, key, rules.kinds);
  if (key == "changes") return read_changes(value, rules);
  if (key == "recognise") return read_recognise(value, rules);
  if (key == "inside") return read_inside(value, rules);
  if (key == "timeFormat") return read_times(value, rules);
  if (key == "timeOffset") return read_offset(value, rules);
  return wrong(key,
               "is no member of a mapping; it has extends, description, records, recognise, inside, time, "
               "timeFormat, timeOffset, action, kind, kinds, subject, source, target, sourceEntityMeta, "
               "targetEntityMeta, detail, context and changes");
}

Status read_all(const json::Value& root, Rules& rules) {
  if (!root.is_object()) return fail(ErrorKind::invalid, "must be one table");
  for (std::size_t i = 0; i < root.size(); ++i) {
    const auto key = root.key_at(i);
    if (key == "extends" || key == "description") continue;
    if (key == "records") {
      VESTIGE_TRY(rules.array_name, text_at(root.at(i), key));
    } else {
      VESTIGE_CHECKED(read_member(key, root.at(i), rules));
    }
  }
  if (rules.time_formats.empty()) VESTIGE_CHECKED(add_time_format("auto", rules));
  if (rules.detail.end() != std::ranges::find(rules.detail, "original", &Members::value_type::first))
    return wrong("detail.original", "is where the record goes; choose another name");
  return {};
}

}  // namespace

Result<Mapping> Mapping::read(std::string_view text, std::string_view file, const void* bases,
                              FindBase find_base) {
  const auto in_file = [&](const Error& error) {
    return fail(ErrorKind::invalid, fmt::format("The mapping {} is wrong: {}", file, error.message));
  };
  const auto content = text.find_first_not_of(" \t\r\n");
  std::string json(text);
  if (content == std::string_view::npos || text[content] != '{') {
    auto converted = json_of_toml(text);
    if (!converted) return in_file(converted.error());
    json = *std::move(converted);
  }
  json::Parser parser;
  json::Document document;
  if (auto parsed = parser.parse(json, document, {.depth_max = 16, .bytes_max = 4 * mapping_bytes_max});
      !parsed)
    return in_file(parsed.error());
  Mapping mapping;
  const auto extends = document.root().find("extends");
  if (extends.exists()) {
    const auto* base =
        extends.is_string() && find_base != nullptr ? find_base(bases, extends.string()) : nullptr;
    if (base == nullptr)
      return in_file({.kind = ErrorKind::invalid,
                      .message = fmt::format("extends names no mapping; there are {}",
                                             fmt::join(Catalogue::names(), ", "))});
    *mapping.rules_ = *base->rules_;
  }
  if (auto all = read_all(document.root(), *mapping.rules_); !all) return in_file(all.error());
  mapping.rules_->name = file;
  return mapping;
}

}  // namespace vestige::cli::importing
