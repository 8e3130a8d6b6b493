// `vestige export`: what a search finds, in one file, checked while it comes. `vestige verify-export`: the
// same check, of a file, by anybody.
#pragma once

#include <string>

#include "cli/internal/connection.h"

namespace vestige::cli {

struct ExportArguments {
  ConnectionArguments connection{};
  std::string query{};
  std::string filter_file{};  // "-" is standard input
  std::string from{}, to{};
  std::string format = "ndjson";
  std::string out{};           // empty: standard output
  std::string verifier_key{};  // its text, or the name of a file that holds it; empty: the server's
};

int run_export(const ExportArguments& arguments, Surroundings& surroundings);

struct VerifyExportArguments {
  std::string file{};  // "-" is standard input
  std::string verifier_key{};
  bool json = false;
};

int run_verify_export(const VerifyExportArguments& arguments, Surroundings& surroundings);

}  // namespace vestige::cli
