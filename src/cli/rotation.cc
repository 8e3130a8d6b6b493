#include "cli/internal/rotation.h"

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace vestige::cli {
namespace {

constexpr std::size_t digits_max = 18;
constexpr std::size_t date_digits = 8;

struct Rotated {
  std::string stem;
  // Larger is newer. The file without a suffix is written to now.
  std::int64_t age_rank = INT64_MAX;
};

std::string_view digits_at_end(std::string_view name) {
  std::size_t count = 0;
  while (count < name.size() && name[name.size() - 1 - count] >= '0' && name[name.size() - 1 - count] <= '9')
    ++count;
  return name.substr(name.size() - count);
}

Rotated parse(const std::string& path) {
  std::string_view name = path;
  for (const std::string_view packed : {".gz", ".zst", ".zstd"})
    if (name.ends_with(packed)) {
      name.remove_suffix(packed.size());
      break;
    }
  const auto digits = digits_at_end(name);
  const auto rest = name.substr(0, name.size() - digits.size());
  if (digits.empty() || digits.size() > digits_max || rest.size() < 2 || rest[rest.size() - 2] == '/')
    return {std::string(name)};
  std::int64_t number = 0;
  for (const char c : digits) number = number * 10 + (c - '0');
  const auto stem = std::string(rest.substr(0, rest.size() - 1));
  if (rest.ends_with('.')) return {stem, -number};
  if (rest.ends_with('-') && digits.size() == date_digits) return {stem, number};
  return {std::string(name)};
}

}  // namespace

std::vector<std::string> oldest_first(const std::vector<std::string>& paths) {
  struct Group {
    std::string stem;
    std::vector<std::pair<std::int64_t, std::string>> files;
  };
  std::vector<Group> groups;
  for (const auto& path : paths) {
    auto rotated = parse(path);
    auto group = std::ranges::find(groups, rotated.stem, &Group::stem);
    if (group == groups.end()) group = groups.insert(groups.end(), {.stem = rotated.stem, .files = {}});
    const bool named_before = std::ranges::find(group->files, path, [](const auto& file) {
                                return file.second;
                              }) != group->files.end();
    if (!named_before) group->files.emplace_back(rotated.age_rank, path);
  }
  std::vector<std::string> ordered;
  for (auto& group : groups) {
    std::ranges::sort(group.files);
    for (auto& [rank, path] : group.files) ordered.push_back(std::move(path));
  }
  return ordered;
}

}  // namespace vestige::cli
