#include "cli/import/coverage.h"

#include <algorithm>

namespace vestige::cli::importing {
namespace {

// Null where there are too many names already.
template <typename Map>
typename Map::mapped_type* slot(Map& map, std::string_view name, MappingCoverage& coverage) {
  if (const auto found = map.find(name); found != map.end()) return &found->second;
  if (map.size() >= coverage_names_max) {
    coverage.complete = false;
    return nullptr;
  }
  return &map[std::string(name)];
}

}  // namespace

void Coverage::add(const Mapping& mapping, const json::Value& view, std::string_view outer,
                   const MappedEvent& event) {
  auto& coverage = by_mapping_[mapping.name()];
  ++coverage.records;
  for (std::size_t i = 0; i < event.has.size(); ++i) coverage.has[i] += event.has[i] ? 1 : 0;
  if (event.cut) ++coverage.cut;
  const bool unknown = !event.action_is_known && event.has[static_cast<std::size_t>(Reported::action)];
  if (unknown)
    if (auto* count = slot(coverage.unknown_actions, event.action, coverage)) ++*count;
  if (!view.is_object()) return;
  std::string path;
  for (std::size_t i = 0; i < view.size(); ++i) {
    path.clear();
    if (!outer.empty()) json::append_pointer(path, outer);
    json::append_pointer(path, view.key_at(i));
    const bool used = std::ranges::find(event.used, view.key_at(i)) != event.used.end();
    if (auto* counts = slot(coverage.paths, path, coverage)) ++(used ? counts->mapped : counts->unmapped);
  }
}

}  // namespace vestige::cli::importing
