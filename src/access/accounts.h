// Accounts of people of the organisation: a login name and a password, and a second factor where they want
// one. Formats and what follows from the numbers: docs/formats/accounts.md.
//
// Owner: app. Thread-safe. Durable, and its event waiting in the outbox, when a call returns success; a call
// that gives an error changed nothing. Calls that take a password take as long as its hashing, and should be
// made where a thread may wait.
//
// Whether `by` may do what it asks for is decided before by the policy; every call works in `by`'s tenant
// only.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "access/client.h"
#include "access/failures.h"
#include "access/passwords.h"
#include "access/principal.h"
#include "access/role_terms.h"
#include "access/sessions.h"
#include "base/result.h"
#include "platform/clock.h"
#include "platform/entropy.h"
#include "state/database.h"
#include "state/fields.h"
#include "state/outbox.h"

namespace vestige::access {

inline constexpr std::string_view administrator_role = "administrator";

struct Account {
  enum class State { active, disabled, ended };
  Uuid id{};
  std::string tenant;
  std::string login_name;  // lower case; one a tenant
  std::string display_name;
  std::optional<std::string> email, phone;
  std::vector<std::string> roles;
  State state = State::active;
  UnixMs created{};
  bool has_password = false;
  bool must_change_password = false;
  bool has_second_factor = false;
  std::optional<UnixMs> locked_until;  // for addresses that it never logged in from
  std::optional<UnixMs> expires;       // from then on nobody is let in; nothing: never
};
std::string_view name_of(Account::State state);
// Lower case of 1 to 128 letters, digits and . _ - @ +; nullopt where the text is no login name.
std::optional<std::string> normal_login_name(std::string_view text);

struct NewAccount {
  std::string login_name;
  std::string display_name;
  std::optional<std::string> email{}, phone{};
  std::vector<std::string> roles{};
  std::optional<UnixMs> expires{};
};

// The link by which a person sets a password: good once, for limits::one_time_link_valid and not past the
// account's end. Shown once.
struct Invitation {
  Account account;
  std::string token;
  UnixMs expires{};
};

struct LoginRequest {
  std::string
      tenant;  // one that there is: the edge knows it by the host or the configuration, here and below
  std::string login_name;
  std::string password;
  std::string code{};  // of the second factor, or a recovery code; empty until it is asked for
};
// The password is right, and a code is needed beside it.
struct CodeNeeded {};
using Login = std::variant<Sessions::Opened, CodeNeeded>;

// What somebody who is signed in proves again before changing how they sign in.
struct Proof {
  std::string password;
  std::string code{};  // where there is a second factor
};
struct SecondFactorOffer {
  std::string secret;  // base32, to be typed
  std::string uri;     // the same, for a QR code
};
struct SecondFactorSet {
  std::vector<std::string> recovery_codes;  // shown once
  Sessions::Opened session;                 // the old token is worth nothing any more
};

// What accounts are built from; everything outlives them.
struct AccountParts {
  state::Database& database;
  state::Outbox& outbox;
  state::Fields& fields;
  Sessions& sessions;
  PasswordHasher& hasher;
  Failures& failures;
  platform::Clock& clock;
  platform::Entropy& entropy;
  TermsOfRole terms_of;
  std::string issuer = "Vestige";  // what authenticator applications show
};

class Accounts {
 public:
  explicit Accounts(AccountParts parts);
  ~Accounts();

  // --- coming in ---

  // denied, always with the same words and after the same work, where name, password or code is wrong or the
  // account is disabled, locked or at its end. unavailable where too many passwords are being checked, or the
  // client's network failed too often.
  Result<Login> log_in(const LoginRequest& request, const Client& client);
  // Sets the password behind an invitation. denied where the link is none, was used or is too old.
  Status redeem_invitation(std::string_view tenant, std::string_view token, std::string_view password,
                           const Client& client);

  // --- a person's own account; `self` comes from a session ---

  // denied where the proof is wrong, which counts as a failed login does. All other sessions of the account
  // end, and the own one gets another token, with a new password and with a new second factor.
  Result<Sessions::Opened> change_password(const Principal& self, const Client& client, const Proof& proof,
                                           std::string_view new_password);
  // Counts for nothing until a code of it confirms it; invalid where the code is not of it.
  Result<SecondFactorOffer> offer_second_factor(const Principal& self, const Client& client,
                                                const Proof& proof);
  Result<SecondFactorSet> confirm_second_factor(const Principal& self, const Client& client,
                                                std::string_view code);
  // The codes of before are worth nothing any more.
  Result<std::vector<std::string>> renew_recovery_codes(const Principal& self, const Client& client,
                                                        const Proof& proof);

  // --- administration ---

  Result<Invitation> create(const Principal& by, const Client& client, const NewAccount& wanted);
  Result<Account> find(const Principal& by, const Uuid& id);
  // By login name, those after `after`; at most limits::list_max.
  Result<std::vector<Account>> list(const Principal& by, std::string_view after, std::size_t limit);
  // Ends the account's sessions. conflict where it would leave no active administrator without an end, here
  // and below. invalid, with path, where a role takes an end and the account has none or one too late.
  Result<Account> set_roles(const Principal& by, const Client& client, const Uuid& id,
                            const std::vector<std::string>& roles);
  Result<Account> disable(const Principal& by, const Client& client, const Uuid& id);
  Result<Account> enable(const Principal& by, const Client& client, const Uuid& id);
  Result<Account> unlock(const Principal& by, const Client& client, const Uuid& id);
  // From `end` on nobody is let in and no session is open; with nothing, the account has no end. Whoever it
  // let in goes on until then. invalid, with path, where it is past, or later than a role of the account lets
  // it be.
  Result<Account> set_end(const Principal& by, const Client& client, const Uuid& id,
                          std::optional<UnixMs> end);
  // The password stays good until the link is used; a link that was made before is not good any more.
  // conflict where the account ended.
  Result<Invitation> reset_password(const Principal& by, const Client& client, const Uuid& id);
  Result<Account> require_password_change(const Principal& by, const Client& client, const Uuid& id);
  Result<Account> remove_second_factor(const Principal& by, const Client& client, const Uuid& id);

  // To be called about once a minute, on a thread that may wait: drops links that expired, and puts on record
  // which accounts ended.
  Status sweep();

 private:
  struct Impl;
  friend class FirstAdministrator;
  std::unique_ptr<Impl> impl_;
};

// While a tenant has no active administrator, one comes in by a link that the server prints when it starts.
class FirstAdministrator {
 public:
  explicit FirstAdministrator(Accounts& accounts) : accounts_(accounts) {}

  // A new token, which replaces the one before; nothing where there is an administrator.
  Result<std::optional<std::string>> offer(std::string_view tenant);
  // Makes the account. denied where the link is none, was used or is too old, or there is an administrator by
  // now.
  Result<Account> redeem(std::string_view tenant, std::string_view token, std::string_view login_name,
                         std::string_view password, const Client& client);

 private:
  Accounts& accounts_;
};

}  // namespace vestige::access
