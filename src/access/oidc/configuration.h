// One identity provider as the operator describes it. As a table of the server's configuration file:
//
//   [[sso]]
//   name = "okta"                                  # in addresses; a-z, 0-9, '-'
//   label = "Example Ltd"                          # on the button
//   audience = "staff"                             # or "customers"
//   tenant = "example"                             # everybody who signs in here belongs to it
//   issuer = "https://login.example.com"
//   client_id = "vestige"
//   client_secret_file = "/etc/vestige/okta.secret"       # or client_secret_environment; neither: public
//   client redirect_url = "https://audit.example.com/api/sign-in/okta/callback"   # as registered at the
//   provider scopes = ["openid", "profile", "email"] groups_claim = "groups" roles = { "audit-compliance" =
//   ["compliance_officer"], "helpdesk" = ["customer_service"] }
//
//   [[sso]]
//   name = "shop"
//   audience = "customers"
//   subject_claim = "customer_number"              # whose data is their own
//   ...
//
// Staff get the roles of their mapped groups and nothing else; a person without a mapped group is refused.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "access/oidc/algorithm.h"
#include "access/oidc/secret_text.h"
#include "base/result.h"

namespace vestige::access::oidc {

enum class Audience : std::uint8_t {
  staff,      // people of the organisation: accounts with roles
  customers,  // people whose data this is: each sees their own
};

struct Configuration {
  std::string name;
  std::string label{};  // empty: the name
  Audience audience = Audience::staff;
  std::string tenant;
  std::string issuer;  // exactly as the provider writes it; https, or http on this machine
  std::string client_id;
  // Where the client secret is; both empty: a public client, which PKCE alone protects.
  std::string client_secret_file{};
  std::string client_secret_environment{};
  std::string redirect_url;
  std::vector<std::string> scopes{"openid", "profile", "email"};
  std::vector<Algorithm> algorithms{Algorithm::rs256, Algorithm::ps256, Algorithm::es256, Algorithm::eddsa};
  std::string groups_claim = "groups";                      // staff
  std::map<std::string, std::vector<std::string>> roles{};  // staff: of each group, by its exact name
  std::string subject_claim{};                              // customers
  // Also ask the userinfo endpoint, for providers that keep names, email and groups out of the ID token.
  bool userinfo = false;
  std::string ca_file{};  // trust this PEM instead of the system's
};

// invalid with a message that names the table and the key, for the first thing that is wrong. Names are
// unique.
Status validate(const std::vector<Configuration>& providers);

// Empty for a public client. The messages name where it was looked for and never what was found.
Result<SecretText> read_client_secret(const Configuration& configuration);

}  // namespace vestige::access::oidc
