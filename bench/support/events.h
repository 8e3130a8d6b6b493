// Synthetic audit events for benchmarks: the same for the same seed, about 500 bytes of JSON each, shaped
// like changes of a customer table (few kinds and actions, many ids, some free text).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace vestige::bench {

struct EventOptions {
  std::uint64_t seed = 1;
  std::uint64_t first = 0;    // number of the first event: times go on from there
  bool with_subject = false;  // every event belongs to one of `subjects` persons
  std::uint32_t subjects = 10'000;
};

// `count` events in batches of `batch`, each batch as NDJSON.
std::vector<std::string> make_batches(std::uint64_t count, std::size_t batch, const EventOptions& options);

}  // namespace vestige::bench
