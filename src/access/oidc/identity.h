// Who signed in, made of verified claims by the rules of the configuration. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "access/oidc/configuration.h"
#include "base/result.h"
#include "json/json.h"

namespace vestige::access::oidc {

// What a completed login says; accounts and sessions are made of it. A person is (issuer, subject) and
// nothing else: names and addresses change hands.
struct SignedIn {
  Audience audience = Audience::staff;
  std::string provider;  // the configured name
  std::string tenant;
  std::string issuer;
  std::string subject;       // the provider's "sub"
  std::string display_name;  // for people who read the record; never empty
  std::optional<std::string> email{};
  std::vector<std::string> roles{};       // staff: at least one; sorted, each once
  std::optional<std::string> customer{};  // customers: the id whose data is their own
  std::string return_to = "/";            // a path of this server
};

// Of the claims of the ID token, and where those lack one, of userinfo's (absent where it was not asked).
// denied where no group is mapped to a role, or where the customer's claim is missing or no id.
Result<SignedIn> identity_of(const Configuration& configuration, const json::Value& claims,
                             const json::Value& userinfo = {});

}  // namespace vestige::access::oidc
