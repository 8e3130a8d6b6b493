// `vestige tail`: the end of a trail, and what comes after it. Every index is printed once, in order, across
// any number of lost connections.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "cli/internal/connection.h"

namespace vestige::cli {

struct TailArguments {
  ConnectionArguments connection{};
  std::uint64_t last = 10;              // so many of those that are there
  std::optional<std::uint64_t> from{};  // from this index on, instead of the last few
  std::uint64_t count = 0;              // end after so many; 0: follow
  std::string query{};                  // only what it finds; empty: everything
  std::string cursor{};                 // go on where this one was saved, and save it; empty: none
};

inline constexpr std::chrono::milliseconds reconnect_pause_min{250};
inline constexpr std::chrono::milliseconds reconnect_pause_max{10'000};
inline constexpr unsigned reconnects_max = 60;  // in a row, some ten minutes

int run_tail(const TailArguments& arguments, Surroundings& surroundings);

}  // namespace vestige::cli
