// What the parts of Accounts share: reading and writing a row with its sealed columns, facts about an
// account, and refusing. accounts.cc administers, accounts_end.cc ends, accounts_login.cc lets in,
// accounts_self.cc is what people do themselves.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "access/accounts.h"
#include "access/failures.h"
#include "access/internal/accounts_store.h"
#include "access/internal/deadlines.h"
#include "access/internal/errors.h"
#include "access/internal/facts.h"
#include "access/throttle.h"

namespace vestige::access {

inline constexpr std::string_view invitation_purpose = "invitation";
inline constexpr std::string_view administrator_purpose = "administrator";

struct Accounts::Impl {
  explicit Impl(AccountParts given)
      : parts(std::move(given)), throttle(parts.clock, parts.entropy.bytes<32>()), deadlines(parts.clock) {}

  AccountParts parts;
  Throttle throttle;
  mutable Deadlines deadlines;  // of the accounts' ends

  // --- rows ---
  Result<Account> account_of(const store::AccountRow& row) const;
  Result<std::optional<std::string>> password_of(const store::AccountRow& row) const;  // its hash
  std::string seal(std::string_view column, const store::AccountRow& row, std::string_view plain) const;
  Result<std::string> open(std::string_view column, const store::AccountRow& row,
                           std::string_view sealed) const;
  Result<store::AccountRow> new_row(std::string_view tenant, const NewAccount& wanted) const;
  // conflict where the tenant has such a login name or email address; exhausted where there are accounts_max.
  Status insert(state::Transaction& transaction, const store::AccountRow& row) const;
  Status check_roles(std::string_view tenant, const std::vector<std::string>& roles) const;
  // A token of which the link table keeps the digest; the ones of before for the same are dropped.
  std::string new_link(state::Transaction& transaction, std::string_view purpose, std::string_view tenant,
                       const std::string& account, UnixMs expires) const;
  UnixMs link_end(UnixMs account_end) const;  // of a link that is made now; 0: the account has no end

  // --- ends ---
  // Nothing where it has none.
  std::optional<Deadline> deadline_of(const store::AccountRow& row) const;
  bool has_ended(const store::AccountRow& row) const;
  bool may_come_in(const store::AccountRow& row) const;  // neither disabled nor ended
  // invalid, at what was asked for, where one of the roles takes an end, and this is none or too late.
  enum class Asked { end, roles };
  Status check_ends(std::string_view tenant, const std::vector<std::string>& roles, std::optional<UnixMs> end,
                    Asked asked) const;
  Status put_on_record(state::Transaction& transaction, Sessions::Changes& changes, const std::string& tenant,
                       const std::string& id) const;
  Status put_ends_on_record() const;

  // --- facts ---
  struct Act {
    std::string_view action;
    std::string_view event_type;
    std::string_view severity = "low";
    std::vector<Changed> changes{};
    std::string details{};
  };
  Status record(state::Transaction& transaction, const Doer& by, const Client* client,
                const store::AccountRow& row, const Act& act) const;
  // One change of one account by an administrator. `work` changes the row and says what was done; nothing
  // where all is as wished already.
  using Work =
      std::function<Result<std::optional<Act>>(state::Transaction&, Sessions::Changes&, store::AccountRow&)>;
  Result<Account> administer(const Principal& by, const Client& client, const Uuid& id, const Work& work);

  // --- letting in ---
  struct Attempt {
    Throttle::Attempt throttled;
    std::optional<store::AccountRow> row;  // where there is such an account
    bool locked = false;
  };
  // unavailable where the network failed too often: no hash is computed for it.
  Result<Attempt> look_up(std::string_view tenant, std::string_view login_name, const Client& client);
  // Compares at the full cost, whatever was found. Nothing where it is right, else why not.
  Result<std::optional<std::string>> try_password(const Attempt& attempt, std::string_view password);
  Refusal refusal_of(const Attempt& attempt, const Client& client, std::string why) const;
  std::unexpected<Error> refuse(const Attempt& attempt, const Client& client, const std::string& why);
  // Whether it is a code of the second factor or a recovery code. Either is good once, so this stands within
  // the transaction that it is for, and the row is written after.
  Result<bool> use_code(state::Transaction& transaction, store::AccountRow& row, std::string_view code,
                        const Client& client) const;
  std::string address_index(const store::AccountRow& row, const Client& client) const;

  // --- oneself ---
  // The own account where the proof's password is right; its code is used by own_change().
  Result<Attempt> prove(const Principal& self, const Client& client, const Proof& proof);
  // Proves, and runs work(Transaction&, Changes&, AccountRow&) where the account is still as it was then.
  template <typename Work>
  auto own_change(const Principal& self, const Client& client, const Proof& proof, Work&& work)
      -> std::invoke_result_t<Work, state::Transaction&, Sessions::Changes&, store::AccountRow&>;
  // Ends the other sessions and gives the own one another token.
  Result<Sessions::Opened> start_anew(state::Transaction& transaction, Sessions::Changes& changes,
                                      const Principal& self, const Client& client,
                                      const store::AccountRow& row);
  std::vector<std::string> new_recovery_codes(state::Transaction& transaction,
                                              const store::AccountRow& row) const;
  std::string recovery_digest(const store::AccountRow& row, std::string_view code) const;
};

}  // namespace vestige::access
