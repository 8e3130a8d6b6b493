// The tables [[capture.postgres]] and [[capture.kafka]] of a configuration file.
#include <fmt/format.h>

#include "cli/internal/own_mapping.h"
#include "cli/internal/toml_members.h"
#include "cli/serve_arguments.h"

namespace vestige::cli {
namespace {

using Source = sources::postgres::Configuration;

constexpr std::pair<std::string_view, std::string Source::*> source_texts[] = {
    {"name", &Source::name}, {"tenant", &Source::tenant}, {"dsn", &Source::dsn}};

// { "schema.table" = "column", ... }
Status read_subjects(Source& source, const toml::node& node, const std::string& place) {
  const auto* tables = node.as_table();
  if (!tables) return wrong_member(place, "a table of tables, each with the name of a column");
  for (const auto& [table, column] : *tables) {
    VESTIGE_TRY(source.subject[std::string(table.str())], read_text(column, place));
  }
  return {};
}

// { "schema.table" = ["column", ...], ... }
Status read_columns(std::map<std::string, std::set<std::string>>& by_table, const toml::node& node,
                    const std::string& place) {
  const auto* tables = node.as_table();
  if (!tables) return wrong_member(place, "a table of tables, each with a list of columns");
  for (const auto& [table, columns] : *tables) {
    VESTIGE_TRY(const auto names, read_texts(columns, place));
    by_table[std::string(table.str())] = {names.begin(), names.end()};
  }
  return {};
}

Status read_actor(Source& source, const toml::node& node, const std::string& place) {
  constexpr std::string_view expected = "a table with type, id and, if you like, name";
  const auto* members = node.as_table();
  if (!members) return wrong_member(place, expected);
  sources::postgres::ConfiguredActor actor;
  for (const auto& [name, value] : *members) {
    VESTIGE_TRY(auto text, read_text(value, place));
    if (name.str() == "type")
      actor.type = std::move(text);
    else if (name.str() == "id")
      actor.id = std::move(text);
    else if (name.str() == "name")
      actor.name = std::move(text);
    else
      return wrong_member(place, expected);
  }
  source.actor = std::move(actor);
  return {};
}

Status apply_source_member(Source& source, std::string_view name, const toml::node& node,
                           const std::string& file) {
  const auto place = place_of(name, node, file);
  for (const auto& [known, member] : source_texts) {
    if (known != name) continue;
    VESTIGE_TRY(source.*member, read_text(node, place));
    return {};
  }
  if (name == "subject") return read_subjects(source, node, place);
  if (name == "exclude") return read_columns(source.exclude, node, place);
  if (name == "hash") return read_columns(source.hash, node, place);
  if (name == "actor") return read_actor(source, node, place);
  if (name == "tables") {
    VESTIGE_TRY(source.tables, read_texts(node, place));
    return {};
  }
  if (name == "tenant_column") {
    VESTIGE_TRY(source.tenant_column, read_text(node, place));
    return {};
  }
  if (name == "lag_bytes_max") {
    const auto* number = node.as_integer();
    if (!number || number->get() <= 0) return wrong_member(place, "a number of bytes above 0");
    source.lag_bytes_max = static_cast<std::uint64_t>(number->get());
    return {};
  }
  if (name == "snapshot") {
    VESTIGE_TRY(source.snapshot, read_flag(node, place));
    return {};
  }
  return fail(
      ErrorKind::invalid,
      fmt::format("{}: a table [[capture.postgres]] has no such key. It has name, tenant, "
                  "tenant_column, dsn, tables, subject, exclude, hash, actor, snapshot, lag_bytes_max.",
                  place));
}

using Kafka = sources::kafka::Configuration;

constexpr std::pair<std::string_view, std::string Kafka::*> kafka_texts[] = {{"name", &Kafka::name},
                                                                             {"tenant", &Kafka::tenant},
                                                                             {"brokers", &Kafka::brokers},
                                                                             {"group", &Kafka::group}};

// A regular expression, or a list of names.
Status read_topics(Kafka& source, const toml::node& node, const std::string& place) {
  if (node.is_string()) {
    VESTIGE_TRY(auto pattern, read_text(node, place));
    source.topics = {std::move(pattern)};
    return {};
  }
  VESTIGE_TRY(source.topics, read_texts(node, place));
  return {};
}

Status read_options(Kafka& source, const toml::node& node, const std::string& place) {
  const auto* options = node.as_table();
  if (!options) return wrong_member(place, "a table of librdkafka's options, each a text");
  for (const auto& [name, value] : *options) {
    VESTIGE_TRY(source.options[std::string(name.str())], read_text(value, place));
  }
  return {};
}

// { v2 = "FILE", ... }
Status read_mappings(Kafka& source, const toml::node& node, const std::string& place) {
  const auto* files = node.as_table();
  if (!files) return wrong_member(place, "a table of topics or versions, each with a mapping file");
  for (const auto& [topic, file] : *files) {
    VESTIGE_TRY(const auto path, read_text(file, place));
    auto mapping = read_command_mapping(path);
    if (!mapping)
      return fail(ErrorKind::invalid, fmt::format("{}: {}: {}", place, path, mapping.error().message));
    source.mappings[std::string(topic.str())] = *std::move(mapping);
  }
  return {};
}

Status apply_source_member(Kafka& source, std::string_view name, const toml::node& node,
                           const std::string& file) {
  const auto place = place_of(name, node, file);
  for (const auto& [known, member] : kafka_texts) {
    if (known != name) continue;
    VESTIGE_TRY(source.*member, read_text(node, place));
    return {};
  }
  if (name == "topics") return read_topics(source, node, place);
  if (name == "options") return read_options(source, node, place);
  if (name == "mappings") return read_mappings(source, node, place);
  if (name == "headers") {
    VESTIGE_TRY(source.headers, read_texts(node, place));
    return {};
  }
  return fail(ErrorKind::invalid, fmt::format("{}: a table [[capture.kafka]] has no such key. It has name, "
                                              "tenant, brokers, topics, group, headers, mappings, options.",
                                              place));
}

template <typename Configured>
Status read_source(std::vector<Configured>& sources, std::string_view kind, const toml::table& table,
                   const std::string& file) {
  Configured source;
  for (const auto& [name, member] : table)
    VESTIGE_CHECKED(apply_source_member(source, name.str(), member, file));
  if (const auto checked = check(source); !checked)
    return fail(ErrorKind::invalid,
                fmt::format("{}: {}.", place_of(kind, table, file), checked.error().message));
  sources.push_back(std::move(source));
  return {};
}

}  // namespace

Status apply_capture(ServeArguments& arguments, const toml::node& node, const std::string& file) {
  const auto wrong = [&] {
    return fail(ErrorKind::invalid, fmt::format("{}: each source is a table of its own, which begins with "
                                                "[[capture.postgres]] or [[capture.kafka]].",
                                                place_of("capture", node, file)));
  };
  const auto* kinds = node.as_table();
  if (!kinds) return wrong();
  for (const auto& [kind, sources] : *kinds) {
    const auto* list = sources.as_array();
    const bool postgres = kind.str() == "postgres";
    if ((!postgres && kind.str() != "kafka") || !list || !list->is_array_of_tables()) return wrong();
    for (const auto& each : *list) {
      const auto& table = *each.as_table();
      VESTIGE_CHECKED(postgres ? read_source(arguments.capture_postgres, "capture.postgres", table, file)
                               : read_source(arguments.capture_kafka, "capture.kafka", table, file));
    }
  }
  return {};
}

}  // namespace vestige::cli
