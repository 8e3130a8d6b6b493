// `vestige capture postgres init|drop`: makes a database ready for capturing, and takes that back.
#pragma once

#include <string>

#include "cli/internal/connection.h"

namespace vestige::cli {

struct CaptureArguments {
  std::string dsn{};
  std::string name{};
  std::string tables{};  // between commas
  bool json = false;
};

int run_capture_init(const CaptureArguments& arguments, Surroundings& surroundings);
int run_capture_drop(const CaptureArguments& arguments, Surroundings& surroundings);

}  // namespace vestige::cli
