// Who calls, as decided at the edge; everything below is handed one and never asks again.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/strong.h"
#include "base/uuid.h"

namespace vestige::access {

// The tenant of whoever runs the server: it is there by itself, and manages the others.
inline constexpr std::string_view home_tenant_id = "default";

// How the caller proved who they are: `login_method` of access.session.
enum class Method : std::uint8_t { password, mfa, sso, api_key, link };
std::string_view name_of(Method method);

enum class PrincipalKind : std::uint8_t {
  account,   // a person of the organisation
  service,   // a program with an API key
  customer,  // a person whose data this is; sees their own only
};

struct Principal {
  PrincipalKind kind = PrincipalKind::service;
  Uuid id{};         // of the account, key or customer session
  std::string name;  // for people who read the record
  std::string tenant;
  std::vector<std::string> roles;        // names in the policy; none: may do nothing
  std::optional<std::string> subject{};  // customer: whose data is their own
  Method method = Method::api_key;
  std::optional<Uuid> session{};  // where there is one
  std::optional<Uuid> maker{};    // of a key: the account or key that it leads back to, where there is one
};

// How the record names them: sourceType and sourceId of what they did. A customer is whose data it is.
std::string_view actor_type(const Principal& principal);
std::string actor_id(const Principal& principal);

// Who this is when two people are needed: the account, also behind a key; a key that leads back to none is
// somebody of its own.
Uuid person_of(const Principal& principal);

}  // namespace vestige::access
