// `vestige key create|list|revoke`.
#pragma once

#include <string>
#include <vector>

#include "cli/internal/connection.h"

namespace vestige::cli {

struct KeyArguments {
  ConnectionArguments connection{};
  std::string name{};
  std::vector<std::string> scopes{};  // or a role
  std::string role{};
  std::string service{};
  std::string expires{};
  std::vector<std::string> ranges{};
  std::string id{};
};

int run_key_create(const KeyArguments& arguments, Surroundings& surroundings);
int run_key_list(const KeyArguments& arguments, Surroundings& surroundings);
int run_key_revoke(const KeyArguments& arguments, Surroundings& surroundings);

}  // namespace vestige::cli
