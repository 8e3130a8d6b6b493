#include "verify/internal/problems.h"

#include <algorithm>
#include <tuple>

#include "verify/limits.h"

namespace vestige::verify {
namespace {

auto place(const Problem& problem) {
  const auto& bad = problem.bad;
  return std::tuple(!bad.index.has_value(), bad.index ? problem.stream.value_or(0) : 0, bad.index.value_or(0),
                    problem.part, std::string_view(bad.file), bad.offset);
}

}  // namespace

void Problems::add(Problem problem) {
  const auto at = std::ranges::upper_bound(
      sorted_, problem, [](const Problem& a, const Problem& b) { return place(a) < place(b); });
  sorted_.insert(at, std::move(problem));
  if (sorted_.size() > limits::problems_max) sorted_.pop_back();
}

void Problems::add_error(Part part, const std::string& file, const Error& error) {
  add(part, file, error.where ? error.where->offset : 0, error.message);
}

void Problems::merge(const Problems& others) {
  for (const auto& problem : others.sorted_) add(problem);
}

}  // namespace vestige::verify
