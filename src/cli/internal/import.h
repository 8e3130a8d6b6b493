// `vestige import`: the records of existing trails as events, in batches, each record once however often it
// is sent.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cli/import/reader.h"
#include "cli/internal/connection.h"

namespace vestige::cli {

struct ImportArguments {
  ConnectionArguments connection{};
  std::string format = "auto";
  std::string repository{};  // git: the name in the entries
  std::vector<std::string> paths{};
};

inline constexpr std::size_t batch_events_max = 1'000;
inline constexpr std::size_t batch_bytes_max = 4 << 20;
inline constexpr unsigned batch_attempts_max = 20;
inline constexpr std::chrono::milliseconds retry_pause_min{250};
inline constexpr std::chrono::milliseconds retry_pause_max{15'000};
inline constexpr std::chrono::seconds retry_after_max{60};  // of what a server may ask for

// An event without an id gets one that is made of its text and of how often that text occurred before in this
// run, so that sending it again, now or in a later import, adds nothing. Text that is no JSON object, or has
// an id, comes back as it is.
std::string with_id(std::string json, importing::LineOccurrences& occurrences);

// Which event of a batch a problem's path ("/17/detail/x") or position (a byte of the body) speaks of.
std::optional<std::size_t> event_of_problem(std::string_view problem_json, std::string_view body);

int run_import(const ImportArguments& arguments, Surroundings& surroundings);

}  // namespace vestige::cli
