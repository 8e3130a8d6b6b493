// Random events, beside what a model must know of them.
#pragma once

#include <random>
#include <set>
#include <string>
#include <vector>

#include "audit/testing/tree.h"

namespace vestige::audit::testing {

// How often a random test goes round: `base` times $VESTIGE_TEST_SCALE.
std::size_t rounds(std::size_t base);
// $VESTIGE_TEST_SEED or a fixed one; printed.
std::uint64_t seed_of_test();

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t below(std::uint64_t bound) { return engine_() % bound; }
  bool chance(unsigned percent) { return below(100) < percent; }
  std::uint64_t next() { return engine_(); }
  template <typename T>
  const T& pick(const std::vector<T>& of) {
    return of[below(of.size())];
  }

 private:
  std::mt19937_64 engine_;
};

std::string random_uuid(Random& random);

// An event of kind test.marks or test.marks.all, whose leaf values are all different.
struct MarkedEvent {
  Tree event;
  std::string id;
  // Texts of leaf values (as they stand in JSON), by whether they must be sealed.
  std::vector<std::string> sealed;
  std::vector<std::string> clear;
  std::vector<std::string> subjects;
  std::size_t sections = 0;
};
MarkedEvent random_marked_event(Random& random);

// A data.change event with few different values, so that filters meet them.
Tree random_plain_event(Random& random);

}  // namespace vestige::audit::testing
