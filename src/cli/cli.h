// The command line of the vestige binary.
#pragma once

#include <functional>
#include <string_view>

#include "base/result.h"
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

struct ReindexArguments {
  std::string data{};  // empty: VESTIGE_DATA, else ./var
  std::string vault_dir{};
  std::string root_key_command{};
  std::string root_key_environment{};
  bool json = false;
};
struct ReindexSummary {
  std::uint64_t segments = 0;
  std::uint64_t pages = 0;
  std::uint64_t entries = 0;
  std::uint64_t with_sealed_values = 0;  // pages
};
// Pages done and in all, of which file.
using ReindexProgress = std::function<void(std::uint64_t, std::uint64_t, const std::string&)>;

// What needs the server's own parts.
struct ServerPrograms {
  std::function<int(const ServeArguments&)> serve;
  std::function<Result<ReindexSummary>(const ReindexArguments&, const ReindexProgress&)> reindex;
};

// Runs one command and gives the exit code. Everything that is none of `programs` is done here.
int run(int argc, char** argv, const ServerPrograms& programs);

}  // namespace vestige::cli
