// `vestige prove`: one entry's proof, checked here before it is handed on, and checked again by anyone
// without a server.
#pragma once

#include <string>
#include <vector>

#include "cli/internal/connection.h"

namespace vestige::cli {

struct ProveArguments {
  ConnectionArguments connection{};
  std::string id{};
  std::string proof_file{};          // empty: <id>.tlog-proof
  std::string entry_file{};          // empty: <id>.json beside the proof
  std::vector<std::string> check{};  // the two files of an offline check
  std::string verifier_key{};        // its text, or the name of a file that holds it
};

int run_prove(const ProveArguments& arguments, Surroundings& surroundings);

struct CheckpointArguments {
  ConnectionArguments connection{};
  bool verifier_key = false;
};

int run_checkpoint(const CheckpointArguments& arguments, Surroundings& surroundings);

}  // namespace vestige::cli
