// `vestige disclose`: chosen values of one entry for somebody without access; and the receiver's check of
// them.
#pragma once

#include <string>
#include <vector>

#include "cli/internal/connection.h"

namespace vestige::cli {

struct DiscloseArguments {
  ConnectionArguments connection{};
  std::string id{};
  std::vector<std::string> fields{};
  std::string out{};           // empty: standard output
  std::string verifier_key{};  // its text, or the name of a file that holds it; empty: the server's
};

int run_disclose(const DiscloseArguments& arguments, Surroundings& surroundings);

// Of `vestige verify --disclosure`.
int run_check_disclosure(const std::string& file, const std::vector<std::string>& verifier_keys, bool json,
                         Surroundings& surroundings);

}  // namespace vestige::cli
