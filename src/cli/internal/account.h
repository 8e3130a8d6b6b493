// `vestige account create|list|show|roles|end|disable|enable|unlock|reset-password`, `vestige customer-link`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/internal/connection.h"

namespace vestige::cli {

struct AccountArguments {
  ConnectionArguments connection{};
  std::string account{};  // its id, or its login name
  std::string display_name{};
  std::string email{};
  std::string phone{};
  std::vector<std::string> roles{};
  std::string until{};
  bool never = false;
};

int run_account_create(const AccountArguments& arguments, Surroundings& surroundings);
int run_account_list(const AccountArguments& arguments, Surroundings& surroundings);
int run_account_show(const AccountArguments& arguments, Surroundings& surroundings);
int run_account_roles(const AccountArguments& arguments, Surroundings& surroundings);
int run_account_end(const AccountArguments& arguments, Surroundings& surroundings);
int run_account_disable(const AccountArguments& arguments, Surroundings& surroundings);
int run_account_enable(const AccountArguments& arguments, Surroundings& surroundings);
int run_account_unlock(const AccountArguments& arguments, Surroundings& surroundings);
int run_account_reset_password(const AccountArguments& arguments, Surroundings& surroundings);

struct CustomerLinkArguments {
  ConnectionArguments connection{};
  std::string subject{};
  std::uint64_t hours = 24;
  bool reusable = false;
};

inline constexpr std::uint64_t link_hours_max = 24 * 30;

int run_customer_link(const CustomerLinkArguments& arguments, Surroundings& surroundings);

}  // namespace vestige::cli
