// `vestige bench http`: a load on a running server, and what it makes of it.
#pragma once

#include <cstdint>

#include "cli/internal/connection.h"

namespace vestige::cli {

struct BenchArguments {
  ConnectionArguments connection{};
  unsigned connections = 16;
  unsigned batch = 100;      // events a request
  double rate = 0;           // events a second; 0: as fast as answers come
  double seconds = 10;       // not used where `events` says when to end
  std::uint64_t events = 0;  // rounded up to whole requests
  unsigned persons = 0;      // each event is about one of so many, and sealed; 0: about nobody
  bool yes = false;
};

inline constexpr unsigned bench_connections_max = 1'000;
inline constexpr unsigned bench_batch_max = 10'000;  // as many as the server takes
inline constexpr double bench_rate_max = 10'000'000;
inline constexpr double bench_seconds_max = 86'400;
inline constexpr std::uint64_t bench_events_max = 1'000'000'000;
inline constexpr unsigned bench_persons_max = 1'000'000;

int run_bench_http(const BenchArguments& arguments, Surroundings& surroundings);

}  // namespace vestige::cli
