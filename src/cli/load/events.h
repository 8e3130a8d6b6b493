// Made-up audit events for measuring: about 500 bytes of JSON each, shaped like changes of a customer table
// (few kinds and actions, many ids, some free text). An event is a function of its seed and number, so that
// any of them can be made by anyone, in any order. They are told from real ones by sourceType BENCHMARK.
#pragma once

#include <cstdint>
#include <string>

#include "base/strong.h"

namespace vestige::cli::load {

inline constexpr std::string_view source_type = "BENCHMARK";

struct EventShape {
  std::uint64_t seed = 1;
  bool with_subject = false;  // the values of each event belong to a person, of whom there are `targets`
  std::uint32_t targets = 10'000;
};

// Appends the event with this number, without a line end.
void append_event(std::string& to, const EventShape& shape, std::uint64_t number, UnixMs time);

}  // namespace vestige::cli::load
