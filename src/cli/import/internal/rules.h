// What a mapping file says, compiled.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/import/internal/foreign_time.h"
#include "cli/import/internal/path.h"
#include "cli/import/mapping.h"

namespace vestige::cli::importing {

// Patterns, of which * stands for any characters; letters count without case, and the longest pattern wins.
class Patterns {
 public:
  void add(std::string pattern, std::string result);
  // Null where none fits.
  const std::string* find(std::string_view text) const;
  bool empty() const { return patterns_.empty(); }
  std::size_t size() const { return patterns_.size(); }

 private:
  std::vector<std::pair<std::string, std::string>> patterns_;  // longest first
};

struct Candidate {
  std::optional<Path> path;  // else the constant
  std::string constant{};
};

// The first candidate that is there counts, then its value is looked up in `values`.
struct Rule {
  std::vector<Candidate> candidates;
  Patterns values;
  bool empty() const { return candidates.empty(); }
};

struct Entity {
  Rule id, type;
};

// One element of `changes` for each element of `each`; one for the record where `each` is absent.
struct Changes {
  std::optional<Path> each;
  Rule field, old_value, new_value;
};

struct Mapping::Rules {
  std::string name;
  std::string array_name;
  struct Condition {
    Path path;
    std::optional<std::string> value;
  };
  std::vector<std::vector<Condition>> recognise;
  std::vector<Path> inside;
  Rule time, action, kind, subject;
  std::vector<Entity> sources, targets;
  std::vector<std::pair<std::string, Rule>> context, source_meta, target_meta, detail;
  Patterns kinds;
  std::optional<Changes> changes;
  std::vector<TimeFormat> time_formats;
  int time_offset_minutes = 0;
};

}  // namespace vestige::cli::importing
