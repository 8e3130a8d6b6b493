// Members of the tables in a configuration file. A wrong one is refused with its place.
#pragma once

#include <toml++/toml.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace vestige::cli {

std::unexpected<Error> wrong_member(const std::string& place, std::string_view expected);
std::string place_of(std::string_view name, const toml::node& node, const std::string& file);
Result<std::string> read_text(const toml::node& node, const std::string& place);
Result<std::vector<std::string>> read_texts(const toml::node& node, const std::string& place);
Result<bool> read_flag(const toml::node& node, const std::string& place);

struct ServeArguments;
// The tables [[capture.postgres]] and [[capture.kafka]].
Status apply_capture(ServeArguments& arguments, const toml::node& node, const std::string& file);

}  // namespace vestige::cli
