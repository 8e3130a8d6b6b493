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

}  // namespace vestige::access
