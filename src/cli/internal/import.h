// `vestige import`: the records of existing trails as events, in batches, each record once however often it
// is sent.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cli/import/coverage.h"
#include "cli/import/reader.h"
#include "cli/internal/connection.h"

namespace vestige::cli {

struct ImportArguments {
  ConnectionArguments connection{};
  std::string format = "auto";
  std::string repository{};  // git: the name in the entries
  std::string mapping{};     // a mapping file
  std::string delimiter{};   // of CSV: one character, or "tab"
  std::string resume{};      // a file that says how far an earlier run came
  bool dry_run = false;      // print the events instead of sending them
  std::vector<std::string> paths{};
};

inline constexpr std::size_t batch_events_max = 1'000;
inline constexpr std::size_t batch_bytes_max = 4 << 20;
inline constexpr unsigned batch_attempts_max = 20;
inline constexpr std::chrono::milliseconds retry_pause_min{250};
inline constexpr std::chrono::milliseconds retry_pause_max{15'000};
inline constexpr std::chrono::seconds retry_after_max{60};  // of what a server may ask for

struct ImportedFile {
  std::string path;
  std::string format;
  std::uint64_t records = 0;
  std::uint64_t accepted = 0;
  std::uint64_t duplicates = 0;
};

// The line of a request that brings a record, or the event itself where it has an id of its own.
std::string request_line(const importing::ImportedEvent& event, std::uint64_t occurrence);

// Which event of a batch a problem's path ("/17/detail/x") or position (a byte of the body) speaks of.
std::optional<std::size_t> event_of_problem(std::string_view problem_json, std::string_view body);

// What was read and what became of it, and what was mapped.
std::string import_json(const std::vector<ImportedFile>& files, const importing::Coverage& coverage,
                        bool complete);
std::string import_text(const std::vector<ImportedFile>& files, const importing::Coverage& coverage,
                        unsigned columns);

// '\0' for none; invalid where it is more than one character.
Result<char> parse_delimiter(std::string_view text);

int run_import(const ImportArguments& arguments, Surroundings& surroundings);

}  // namespace vestige::cli
