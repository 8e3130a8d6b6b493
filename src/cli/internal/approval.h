// `vestige approval list|show|decide|withdraw`.
#pragma once

#include <string>

#include "cli/internal/connection.h"

namespace vestige::cli {

struct ApprovalArguments {
  ConnectionArguments connection{};
  std::string id{};
  bool to_decide = false;
  std::string verdict{};  // approve or refuse
  std::string comment{};
};

int run_approval_list(const ApprovalArguments& arguments, Surroundings& surroundings);
int run_approval_show(const ApprovalArguments& arguments, Surroundings& surroundings);
int run_approval_decide(const ApprovalArguments& arguments, Surroundings& surroundings);
int run_approval_withdraw(const ApprovalArguments& arguments, Surroundings& surroundings);

}  // namespace vestige::cli
