// What the verified claims of an ID token have to say before anybody is signed in (OpenID Connect Core
// §3.1.3.7). Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "access/oidc/algorithm.h"
#include "base/result.h"
#include "base/strong.h"
#include "json/json.h"

namespace vestige::access::oidc {

struct Expected {
  std::string_view issuer;
  std::string_view client_id;
  std::string_view nonce;         // of the login that was begun
  std::string_view access_token;  // that came with the ID token
  Algorithm algorithm{};          // of the ID token; says how the access token is hashed
  UnixMs now{};
};

// denied, with what the claims say and what they should, where they are about another issuer, client, login
// or time, or where one that has to be there is missing.
Status check_claims(const json::Value& claims, const Expected& expected);

}  // namespace vestige::access::oidc
