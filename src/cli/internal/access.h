// `vestige access matrix|looks|policy|review`.
#pragma once

#include <string>

#include "cli/internal/connection.h"

namespace vestige::cli {

struct AccessArguments {
  ConnectionArguments connection{};
  std::string role{};   // empty: all
  std::string query{};  // of looks
  unsigned limit = 50;
  std::string month{};    // to review
  std::string comment{};  // of the sign-off; empty: it is shown and not signed
  std::string change{};   // a file with another policy; empty: the policy is shown
};

inline constexpr unsigned looks_shown_max = 1'000;

int run_access_matrix(const AccessArguments& arguments, Surroundings& surroundings);
inline constexpr std::uint64_t policy_file_bytes_max = 1 << 20;

int run_access_review(const AccessArguments& arguments, Surroundings& surroundings);
int run_access_policy(const AccessArguments& arguments, Surroundings& surroundings);
int run_access_looks(const AccessArguments& arguments, Surroundings& surroundings);

}  // namespace vestige::cli
