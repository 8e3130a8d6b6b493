// `vestige erase`, `vestige subject`, `vestige reauthorise`.
#pragma once

#include <string>

#include "cli/internal/connection.h"

namespace vestige::cli {

struct SubjectArguments {
  ConnectionArguments connection{};
  std::string subject{};
  std::string certificate_file{};  // empty: not written to a file
  bool yes = false;
};

int run_erase(const SubjectArguments& arguments, Surroundings& surroundings);
int run_subject(const SubjectArguments& arguments, Surroundings& surroundings);
int run_reauthorise(const SubjectArguments& arguments, Surroundings& surroundings);

}  // namespace vestige::cli
