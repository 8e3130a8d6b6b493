// What an import mapped and what it did not, for the report at its end.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "cli/import/mapping.h"

namespace vestige::cli::importing {

inline constexpr std::size_t coverage_names_max = 500;  // of paths, and of actions, of one mapping

struct MappingCoverage {
  std::uint64_t records = 0;
  std::array<std::uint64_t, static_cast<std::size_t>(Reported::count)> has{};
  std::uint64_t cut = 0;  // records with an id or word that was cut to an event's limit
  struct Path {
    std::uint64_t mapped = 0;
    std::uint64_t unmapped = 0;
  };
  std::map<std::string, Path, std::less<>> paths;  // top-level members
  std::map<std::string, std::uint64_t, std::less<>> unknown_actions;
  bool complete = true;  // false: there were more names than are kept
};

class Coverage {
 public:
  // `outer` is the member of the record in which the event stood, if it stood in one.
  void add(const Mapping& mapping, const json::Value& view, std::string_view outer, const MappedEvent& event);
  const std::map<std::string, MappingCoverage, std::less<>>& by_mapping() const { return by_mapping_; }

 private:
  std::map<std::string, MappingCoverage, std::less<>> by_mapping_;
};

}  // namespace vestige::cli::importing
