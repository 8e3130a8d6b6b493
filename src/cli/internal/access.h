// `vestige access matrix|looks`.
#pragma once

#include <string>

#include "cli/internal/connection.h"

namespace vestige::cli {

struct AccessArguments {
  ConnectionArguments connection{};
  std::string role{};   // empty: all
  std::string query{};  // of looks
  unsigned limit = 50;
};

inline constexpr unsigned looks_shown_max = 1'000;

int run_access_matrix(const AccessArguments& arguments, Surroundings& surroundings);
int run_access_looks(const AccessArguments& arguments, Surroundings& surroundings);

}  // namespace vestige::cli
