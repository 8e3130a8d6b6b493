// `vestige verify`: the whole data directory checked where it lies, without a server and beside a running
// one.
#pragma once

#include <string>
#include <vector>

#include "cli/internal/surroundings.h"

namespace vestige::cli {

struct VerifyArguments {
  std::string data{};        // empty: VESTIGE_DATA, else ./var
  std::string vault_dir{};   // empty: "vault" in the data directory
  std::string signer_dir{};  // empty: "signer" in the data directory
  // Where the root key is; none: "root.key" in the vault's directory.
  std::string root_key_file{};
  std::string root_key_command{};
  std::string root_key_environment{};
  std::vector<std::string> verifier_keys{};  // texts, or files that hold one
  std::string certificate{};                 // a file: it is checked, and no data directory
  std::string disclosure{};                  // the same
  std::string coverage{};                    // the same
  bool no_keys = false;
  bool json = false;
};

// exit_ok where everything holds, exit_found_wrong where something does not, exit_usage where a directory or
// the root key cannot be used.
int run_verify(const VerifyArguments& arguments, Surroundings& surroundings);
int run_verify(const VerifyArguments& arguments);

}  // namespace vestige::cli
