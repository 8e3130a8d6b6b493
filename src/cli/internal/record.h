// `vestige record`: one record, folded by the server from its steps.
#pragma once

#include <string>

#include "cli/internal/connection.h"

namespace vestige::cli {

struct RecordArguments {
  ConnectionArguments connection{};
  std::string type{};
  std::string id{};
  std::string target_type{};
};

// For a terminal: the fields by path, then one table a list of objects, then what it was folded from.
std::string record_text(const json::Value& answer, unsigned columns);

int run_record(const RecordArguments& arguments, Surroundings& surroundings);

}  // namespace vestige::cli
