// `vestige coverage`: what captures have on record and what they miss, checked before it is handed on; and
// the same check of a file, by anybody.
#pragma once

#include <string>
#include <vector>

#include "cli/internal/connection.h"

namespace vestige::cli {

struct CoverageArguments {
  ConnectionArguments connection{};
  std::string source{};
  std::string from{}, to{};
  bool unattributed = false;   // on a terminal: list them
  std::string out{};           // empty: standard output
  std::string verifier_key{};  // its text, or the name of a file that holds it; empty: the server's
};

// exit_found_wrong where the report tells of a gap.
int run_coverage(const CoverageArguments& arguments, Surroundings& surroundings);

// Of `vestige verify --coverage`. A gap is nothing wrong with the report.
int run_check_coverage(const std::string& file, const std::vector<std::string>& verifier_keys, bool json,
                       Surroundings& surroundings);

}  // namespace vestige::cli
