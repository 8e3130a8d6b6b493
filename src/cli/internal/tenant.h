// `vestige tenant create|list|tier|suspend|resume|invite`.
#pragma once

#include <string>

#include "cli/internal/connection.h"

namespace vestige::cli {

struct TenantArguments {
  ConnectionArguments connection{};
  std::string id{};
  std::string name{};
  std::string tier{};
};

int run_tenant_create(const TenantArguments& arguments, Surroundings& surroundings);
int run_tenant_list(const TenantArguments& arguments, Surroundings& surroundings);
int run_tenant_tier(const TenantArguments& arguments, Surroundings& surroundings);
int run_tenant_suspend(const TenantArguments& arguments, Surroundings& surroundings);
int run_tenant_resume(const TenantArguments& arguments, Surroundings& surroundings);
int run_tenant_invite(const TenantArguments& arguments, Surroundings& surroundings);

}  // namespace vestige::cli
