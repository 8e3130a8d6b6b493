// The settings of `vestige serve` and where they come from: defaults, then a TOML file, then the
// environment, then the command line; the later wins. docs/operating/configuration.md describes every key.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "cli/serve_arguments.h"

namespace vestige::cli {

inline constexpr std::uint64_t configuration_bytes_max = 1 << 20;

struct ConfigurationKey {
  using Member = std::variant<std::string ServeArguments::*, std::uint16_t ServeArguments::*,
                              std::uint64_t ServeArguments::*>;
  std::string_view name;         // as in TOML
  std::string_view placeholder;  // what stands for a value in --help
  std::string_view help;
  Member member;
  // Of numbers only. One whose name speaks of bytes also takes KiB, MiB and GiB.
  std::uint64_t least = 0;
  std::uint64_t most = ~std::uint64_t{0};
  std::uint64_t multiple_of = 1;
};

std::span<const ConfigurationKey> configuration_keys();
std::string environment_name(const ConfigurationKey& key);  // "VESTIGE_VAULT_DIR"
std::string option_name(const ConfigurationKey& key);       // "--vault-dir"
// The value in `arguments` as an operator would write it.
std::string value_text(const ConfigurationKey& key, const ServeArguments& arguments);

struct ConfigurationFile {
  std::string name;  // for messages
  std::string text;
};

struct ConfigurationSources {
  std::optional<ConfigurationFile> file{};
  std::function<std::optional<std::string>(const std::string&)> environment{};
  std::vector<std::pair<std::string, std::string>> command_line{};  // (key name, value)
};

// Every failure is invalid and names the source, the key and what it takes.
Result<ServeArguments> configure(const ConfigurationSources& sources);

}  // namespace vestige::cli
