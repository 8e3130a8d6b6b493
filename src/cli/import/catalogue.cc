#include <fmt/format.h>
#include <generated/cli_importing_mappings.h>

#include "base/check.h"
#include "cli/import/mapping.h"

namespace vestige::cli::importing {
namespace {

constexpr std::string_view suffix = ".toml";
constexpr std::string_view guesses_name = "guesses";

std::string_view name_of(const mappings::File& file) {
  return file.name.substr(0, file.name.size() - suffix.size());
}

}  // namespace

Result<Catalogue> Catalogue::load() {
  Catalogue catalogue;
  for (const auto& file : mappings::files) {
    VESTIGE_TRY(auto mapping, Mapping::read(file.content, name_of(file)));
    catalogue.mappings_.emplace(name_of(file), std::move(mapping));
  }
  CHECK(catalogue.mappings_.contains(guesses_name));
  return catalogue;
}

std::vector<std::string> Catalogue::names() {
  std::vector<std::string> names;
  for (const auto& file : mappings::files)
    if (name_of(file) != guesses_name) names.emplace_back(name_of(file));
  return names;
}

const Mapping* Catalogue::find(std::string_view name) const {
  const auto found = mappings_.find(name);
  return found == mappings_.end() ? nullptr : &found->second;
}

const Mapping* Catalogue::recognise(const json::Value& record) const {
  for (const auto& [name, mapping] : mappings_)
    if (mapping.recognises(record)) return &mapping;
  return nullptr;
}

const Mapping& Catalogue::guesses() const { return mappings_.find(guesses_name)->second; }

}  // namespace vestige::cli::importing
