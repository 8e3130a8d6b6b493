// The command line of the vestige binary.
#pragma once

#include <functional>
#include <string_view>

#include "cli/serve_arguments.h"

namespace vestige::cli {

inline constexpr std::string_view version = "0.1.0";

// What scripts may rely on.
enum ExitCode : int {
  exit_ok = 0,
  exit_found_wrong = 1,  // refused, in conflict, not proven, or asked for by name and not there
  exit_usage = 2,        // the command line or a setting is wrong; nothing was tried
  exit_unreachable = 3,  // no server answers
};

// Runs one command and gives the exit code. `serve` runs the server; everything else is done here.
int run(int argc, char** argv, const std::function<int(const ServeArguments&)>& serve);

}  // namespace vestige::cli
