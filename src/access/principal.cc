#include "access/principal.h"

namespace vestige::access {

std::string_view name_of(Method method) {
  switch (method) {
    case Method::password:
      return "password";
    case Method::mfa:
      return "mfa";
    case Method::sso:
      return "sso";
    case Method::api_key:
      return "api_key";
    case Method::link:
      return "link";
  }
  return "password";
}

std::string_view actor_type(const Principal& principal) {
  constexpr std::string_view types[] = {"ACCOUNT", "API_KEY", "CUSTOMER"};
  return types[static_cast<std::size_t>(principal.kind)];
}

std::string actor_id(const Principal& principal) {
  const bool customer = principal.kind == PrincipalKind::customer;
  return customer && principal.subject ? *principal.subject : format_uuid(principal.id);
}

Uuid person_of(const Principal& principal) {
  return principal.kind == PrincipalKind::service ? principal.maker.value_or(principal.id) : principal.id;
}

}  // namespace vestige::access
