// Everything that says who calls, put together: API keys, accounts, sessions, customers' links, single
// sign-on; and what they need a second person for. One of it a server.
//
// Owner: app. Thread-safe, as its parts are.
#pragma once

#include <memory>
#include <vector>

#include "access/accounts.h"
#include "access/api_keys.h"
#include "access/approvals.h"
#include "access/customer_links.h"
#include "access/failures.h"
#include "access/oidc/login.h"
#include "access/passwords.h"
#include "access/sessions.h"
#include "platform/files.h"

namespace vestige::access {

// What it is made from; everything outlives it.
struct IdentityParts {
  state::Database& database;
  state::Outbox& outbox;
  state::Fields& fields;
  platform::Clock& clock;
  platform::Entropy& entropy;
  platform::FileSystem& data;  // where a file of API keys of before may be
  TermsOfRole terms_of;
  Key csrf_key{};           // the vault's purpose key "csrf"
  Key customer_link_key{};  // the vault's purpose key "customer-link"
  std::vector<oidc::Configuration> providers{};
};

class Identity {
 public:
  // As the parts that fail to open say: a file of keys that came back, client secrets that are not there.
  static Result<std::unique_ptr<Identity>> open(IdentityParts parts);
  ~Identity();
  Identity(const Identity&) = delete;
  Identity& operator=(const Identity&) = delete;

  ApiKeys& keys() { return *keys_; }
  Sessions& sessions() { return *sessions_; }
  Accounts& accounts() { return *accounts_; }
  FirstAdministrator& first_administrator() { return *first_administrator_; }
  CustomerLinks& customer_links() { return *customer_links_; }
  oidc::Logins& sign_on() { return *sign_on_; }
  Failures& failures() { return failures_; }
  Approvals& approvals() { return approvals_; }
  std::uint64_t passwords_hashed() const { return hasher_.computed(); }  // since the start

  // To be called about once a minute, on a thread that may wait: what expired goes, what was counted is
  // written. All of it is tried; gives the first error.
  Status sweep();

 private:
  explicit Identity(const IdentityParts& parts);
  Status open_parts(IdentityParts parts);

  PasswordHasher hasher_;
  Failures failures_;
  Approvals approvals_;
  std::unique_ptr<ApiKeys> keys_;
  std::unique_ptr<Sessions> sessions_;
  std::unique_ptr<Accounts> accounts_;
  std::unique_ptr<FirstAdministrator> first_administrator_;
  std::unique_ptr<CustomerLinks> customer_links_;
  std::unique_ptr<oidc::Logins> sign_on_;
};

}  // namespace vestige::access
