// The tables of accounts: access_accounts, access_recovery_codes, access_known_addresses,
// access_one_time_links.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/strong.h"
#include "state/database.h"

namespace vestige::access::store {

struct AccountRow {
  std::string id{}, tenant{}, login_name{}, display_name{};
  std::string sealed_email{}, email_index{}, sealed_phone{}, phone_index{};
  std::string roles{}, state{};
  UnixMs created{};
  std::string sealed_password{};  // empty: none was set yet
  bool must_change_password = false;
  std::string sealed_totp{};          // empty: no second factor
  std::string sealed_totp_offered{};  // until a code of it confirms it
  std::int64_t totp_step = 0;         // the last one that was used
  UnixMs locked_until{};
  UnixMs expires{};  // 0: never
  UnixMs ended{};    // when its end was put on record; 0: it was not

  // Neither disabled nor, by the wall clock and the record, at its end.
  bool is_active(UnixMs at) const {
    return state == "active" && (expires.value == 0 || (ended.value == 0 && at < expires));
  }
};

std::optional<AccountRow> find_account(state::Transaction& transaction, const std::string& tenant,
                                       const std::string& id);
std::optional<AccountRow> find_by_login_name(state::Transaction& transaction, const std::string& tenant,
                                             const std::string& login_name);
std::optional<AccountRow> find_by_email(state::Transaction& transaction, const std::string& tenant,
                                        const std::string& email_index);
// By login name, those after `after`.
std::vector<AccountRow> list_accounts(state::Transaction& transaction, const std::string& tenant,
                                      const std::string& after, std::size_t limit);
std::size_t count_accounts(state::Transaction& transaction, const std::string& tenant);
// Whether there is one that is active at this time, as far as is known now.
bool has_active_with_role(state::Transaction& transaction, const std::string& tenant, const std::string& role,
                          UnixMs at);
void insert_account(state::Transaction& transaction, const AccountRow& row);
// Everything but id, tenant, login name and time of making.
void update_account(state::Transaction& transaction, const AccountRow& row);
void set_locked_until(state::Transaction& transaction, const std::string& id, UnixMs until);

struct EndRow {
  std::string id{}, tenant{};
  UnixMs expires{};
};
// Of all tenants, those with an end that is not on record yet.
std::vector<EndRow> ends_to_come(state::Transaction& transaction);
void set_ended(state::Transaction& transaction, const std::string& id, UnixMs ended);

void replace_recovery_codes(state::Transaction& transaction, const std::string& account,
                            std::span<const std::string> digests);
bool take_recovery_code(state::Transaction& transaction, const std::string& account,
                        const std::string& digest);
std::size_t count_recovery_codes(state::Transaction& transaction, const std::string& account);

bool is_known_address(state::Transaction& transaction, const std::string& account,
                      const std::string& address_index, UnixMs since);
// Keeps the `kept` seen last.
void remember_address(state::Transaction& transaction, const std::string& account,
                      const std::string& address_index, UnixMs now, std::size_t kept);

struct OneTimeLinkRow {
  std::string digest{}, purpose{}, tenant{}, account{};
  UnixMs expires{};
};
void insert_link(state::Transaction& transaction, const OneTimeLinkRow& row);
// One that is still good.
std::optional<OneTimeLinkRow> find_link(state::Transaction& transaction, const std::string& digest,
                                        const std::string& purpose, UnixMs now);
void drop_links(state::Transaction& transaction, const std::string& purpose, const std::string& tenant,
                const std::string& account);
void drop_expired_one_time_links(state::Transaction& transaction, UnixMs now);

}  // namespace vestige::access::store
