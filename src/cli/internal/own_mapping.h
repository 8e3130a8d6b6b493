// Mapping files of the operator's own, for whoever names one: `vestige import` and sources of commands.
#pragma once

#include <string>

#include "cli/import/mapping.h"
#include "sources/kafka/configuration.h"

namespace vestige::cli {

// `catalogue` has what the file's `extends` names. invalid where the file cannot be read or is no mapping.
Result<importing::Mapping> read_own_mapping(const std::string& path, const importing::Catalogue& catalogue);

// The same for commands of a topic.
Result<sources::kafka::Mapping> read_command_mapping(const std::string& path);

}  // namespace vestige::cli
