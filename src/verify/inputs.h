// Opens what verify_data() reads, from what an operator names.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "verify/verify.h"

namespace vestige::verify {

struct Places {
  std::string data;
  std::string vault_dir{};  // empty: "vault" in the data directory, if there is one
  std::string signer_dir{};
  // Where the root key is; the first that is not empty. None: "root.key" in the vault's directory.
  std::string root_key_file{};
  std::string root_key_command{};
  std::string root_key_environment{};
  bool use_keys = true;
};

// Owns what it opened; the root key is overwritten when it goes.
class OpenedInputs {
 public:
  // invalid where a place or the root key cannot be read; the message says which and what to do.
  static Result<std::unique_ptr<OpenedInputs>> open(const Places& places);
  ~OpenedInputs();
  OpenedInputs(const OpenedInputs&) = delete;
  OpenedInputs& operator=(const OpenedInputs&) = delete;

  Inputs inputs() const { return {*data_, signer_.get(), vault_.get(), has_key_ ? &root_key_ : nullptr}; }
  // Whether a server held the data directory a moment ago.
  bool is_running() const { return is_running_; }

 private:
  OpenedInputs() = default;

  std::unique_ptr<platform::FileSystem> data_, signer_, vault_;
  Key root_key_{};
  bool has_key_ = false;
  bool is_running_ = false;
};

}  // namespace vestige::verify
