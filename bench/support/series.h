// The events of a benchmark run: number n happens n * 7 ms after the first, a little out of order, so that an
// hour has some 514,000 of them and every store can be asked the same questions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/load/events.h"

namespace vestige::bench {

inline constexpr std::size_t batch_events = 1'000;  // a request, a transaction, a COPY

// One event, without a line end.
void append_event(std::string& to, const cli::load::EventShape& shape, std::uint64_t number);
// Events [first, first + count), one a line.
std::string make_lines(const cli::load::EventShape& shape, std::uint64_t first, std::uint64_t count);

// What is asked about: taken from events here and there.
struct Probe {
  std::string target;
  std::string rare;  // occurs once
  std::string from;  // the hour that the event lies in
  std::string to;
  std::string action;
};
std::vector<Probe> make_probes(const cli::load::EventShape& shape, std::uint64_t events, std::size_t count);

}  // namespace vestige::bench
