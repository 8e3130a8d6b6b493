#include "access/internal/accounts_store.h"

#include <soci/soci.h>

#include <algorithm>

#include "access/internal/facts.h"

namespace vestige::access::store {
namespace {

using soci::into;
using soci::use;

constexpr const char* columns =
    "SELECT id, tenant, login_name, display_name, sealed_email, email_index, sealed_phone, phone_index, "
    "roles, "
    "state, created, sealed_password, must_change_password, sealed_totp, sealed_totp_offered, totp_step, "
    "locked_until, expires, ended FROM access_accounts ";

// Runs a statement that begins with `columns` and binds what `bind` adds to it.
template <typename Bind>
std::vector<AccountRow> select(state::Transaction& transaction, const char* rest, Bind&& bind) {
  AccountRow row;
  int must_change = 0;
  long long created = 0, step = 0, locked = 0, expires = 0, ended = 0;
  auto preparing =
      (transaction.sql().prepare << columns << rest, into(row.id), into(row.tenant), into(row.login_name),
       into(row.display_name), into(row.sealed_email), into(row.email_index), into(row.sealed_phone),
       into(row.phone_index), into(row.roles), into(row.state), into(created), into(row.sealed_password),
       into(must_change), into(row.sealed_totp), into(row.sealed_totp_offered), into(step), into(locked),
       into(expires), into(ended));
  bind(preparing);
  soci::statement statement(preparing);
  statement.execute();
  std::vector<AccountRow> rows;
  while (statement.fetch()) {
    row.created = UnixMs{created};
    row.must_change_password = must_change != 0;
    row.totp_step = step;
    row.locked_until = UnixMs{locked};
    row.expires = UnixMs{expires};
    row.ended = UnixMs{ended};
    rows.push_back(row);
  }
  return rows;
}

std::optional<AccountRow> first(std::vector<AccountRow> rows) {
  if (rows.empty()) return std::nullopt;
  return std::move(rows.front());
}

}  // namespace

std::optional<AccountRow> find_account(state::Transaction& transaction, const std::string& tenant,
                                       const std::string& id) {
  return first(select(transaction, "WHERE tenant = :tenant AND id = :id",
                      [&](auto& preparing) { preparing, use(tenant), use(id); }));
}

std::optional<AccountRow> find_by_login_name(state::Transaction& transaction, const std::string& tenant,
                                             const std::string& login_name) {
  return first(select(transaction, "WHERE tenant = :tenant AND login_name = :login_name",
                      [&](auto& preparing) { preparing, use(tenant), use(login_name); }));
}

std::optional<AccountRow> find_by_email(state::Transaction& transaction, const std::string& tenant,
                                        const std::string& email_index) {
  return first(select(transaction, "WHERE tenant = :tenant AND email_index = :email_index",
                      [&](auto& preparing) { preparing, use(tenant), use(email_index); }));
}

std::vector<AccountRow> list_accounts(state::Transaction& transaction, const std::string& tenant,
                                      const std::string& after, std::size_t limit) {
  const auto rows = static_cast<int>(limit);
  return select(transaction, "WHERE tenant = :tenant AND login_name > :after ORDER BY login_name LIMIT :rows",
                [&](auto& preparing) { preparing, use(tenant), use(after), use(rows); });
}

std::size_t count_accounts(state::Transaction& transaction, const std::string& tenant) {
  int count = 0;
  transaction.sql() << "SELECT COUNT(*) FROM access_accounts WHERE tenant = :tenant", use(tenant),
      into(count);
  return static_cast<std::size_t>(count);
}

bool has_active_with_role(state::Transaction& transaction, const std::string& tenant, const std::string& role,
                          UnixMs at) {
  std::string roles;
  const long long time = at.value;
  soci::statement statement =
      (transaction.sql().prepare
           << "SELECT roles FROM access_accounts WHERE tenant = :tenant AND state = 'active' AND roles <> '' "
              "AND (expires = 0 OR (ended = 0 AND expires > :at))",
       use(tenant), use(time), into(roles));
  statement.execute();
  while (statement.fetch()) {
    const auto names = split(roles, ',');
    if (std::ranges::find(names, role) != names.end()) return true;
  }
  return false;
}

void insert_account(state::Transaction& transaction, const AccountRow& row) {
  const long long created = row.created.value, step = row.totp_step, locked = row.locked_until.value,
                  expires = row.expires.value, ended = row.ended.value;
  const int must_change = row.must_change_password ? 1 : 0;
  transaction.sql()
      << "INSERT INTO access_accounts (id, tenant, login_name, display_name, sealed_email, email_index, "
         "sealed_phone, phone_index, roles, state, created, sealed_password, must_change_password, "
         "sealed_totp, sealed_totp_offered, totp_step, locked_until, expires, ended) VALUES (:id, :tenant, "
         ":login_name, "
         ":display_name, :email, :email_index, :phone, :phone_index, :roles, :state, :created, "
         ":password, :must_change, :totp, :totp_offered, :totp_step, :locked_until, :expires, :ended)",
      use(row.id), use(row.tenant), use(row.login_name), use(row.display_name), use(row.sealed_email),
      use(row.email_index), use(row.sealed_phone), use(row.phone_index), use(row.roles), use(row.state),
      use(created), use(row.sealed_password), use(must_change), use(row.sealed_totp),
      use(row.sealed_totp_offered), use(step), use(locked), use(expires), use(ended);
}

void update_account(state::Transaction& transaction, const AccountRow& row) {
  const long long step = row.totp_step, locked = row.locked_until.value, expires = row.expires.value,
                  ended = row.ended.value;
  const int must_change = row.must_change_password ? 1 : 0;
  transaction.sql()
      << "UPDATE access_accounts SET display_name = :display_name, sealed_email = :email, email_index = "
         ":email_index, sealed_phone = :phone, phone_index = :phone_index, roles = :roles, state = "
         ":state, sealed_password = :password, must_change_password = :must_change, sealed_totp = "
         ":totp, sealed_totp_offered = :totp_offered, totp_step = :totp_step, locked_until = "
         ":locked_until, expires = :expires, ended = :ended WHERE id = :id",
      use(row.display_name), use(row.sealed_email), use(row.email_index), use(row.sealed_phone),
      use(row.phone_index), use(row.roles), use(row.state), use(row.sealed_password), use(must_change),
      use(row.sealed_totp), use(row.sealed_totp_offered), use(step), use(locked), use(expires), use(ended),
      use(row.id);
}

void set_locked_until(state::Transaction& transaction, const std::string& id, UnixMs until) {
  const long long value = until.value;
  transaction.sql() << "UPDATE access_accounts SET locked_until = :until WHERE id = :id", use(value), use(id);
}

std::vector<EndRow> ends_to_come(state::Transaction& transaction) {
  std::vector<EndRow> rows;
  EndRow row;
  long long expires = 0;
  soci::statement statement =
      (transaction.sql().prepare
           << "SELECT id, tenant, expires FROM access_accounts WHERE expires <> 0 AND ended = 0",
       into(row.id), into(row.tenant), into(expires));
  statement.execute();
  while (statement.fetch()) {
    row.expires = UnixMs{expires};
    rows.push_back(row);
  }
  return rows;
}

void set_ended(state::Transaction& transaction, const std::string& id, UnixMs ended) {
  const long long value = ended.value;
  transaction.sql() << "UPDATE access_accounts SET ended = :ended WHERE id = :id", use(value), use(id);
}

void replace_recovery_codes(state::Transaction& transaction, const std::string& account,
                            std::span<const std::string> digests) {
  transaction.sql() << "DELETE FROM access_recovery_codes WHERE account = :account", use(account);
  for (const auto& digest : digests)
    transaction.sql() << "INSERT INTO access_recovery_codes (account, digest) VALUES (:account, :digest)",
        use(account), use(digest);
}

bool take_recovery_code(state::Transaction& transaction, const std::string& account,
                        const std::string& digest) {
  int count = 0;
  transaction.sql()
      << "SELECT COUNT(*) FROM access_recovery_codes WHERE account = :account AND digest = :digest",
      use(account), use(digest), into(count);
  if (count == 0) return false;
  transaction.sql() << "DELETE FROM access_recovery_codes WHERE account = :account AND digest = :digest",
      use(account), use(digest);
  return true;
}

std::size_t count_recovery_codes(state::Transaction& transaction, const std::string& account) {
  int count = 0;
  transaction.sql() << "SELECT COUNT(*) FROM access_recovery_codes WHERE account = :account", use(account),
      into(count);
  return static_cast<std::size_t>(count);
}

bool is_known_address(state::Transaction& transaction, const std::string& account,
                      const std::string& address_index, UnixMs since) {
  int count = 0;
  const long long from = since.value;
  transaction.sql()
      << "SELECT COUNT(*) FROM access_known_addresses WHERE account = :account AND address_index = "
         ":address AND seen >= :since",
      use(account), use(address_index), use(from), into(count);
  return count != 0;
}

void remember_address(state::Transaction& transaction, const std::string& account,
                      const std::string& address_index, UnixMs now, std::size_t kept) {
  const long long seen = now.value;
  transaction.sql()
      << "DELETE FROM access_known_addresses WHERE account = :account AND address_index = :address",
      use(account), use(address_index);
  transaction.sql()
      << "INSERT INTO access_known_addresses (account, address_index, seen) VALUES (:account, :address, "
         ":seen)",
      use(account), use(address_index), use(seen);
  const auto rows = static_cast<int>(kept);
  transaction.sql()
      << "DELETE FROM access_known_addresses WHERE account = :account AND address_index NOT IN (SELECT "
         "address_index FROM access_known_addresses WHERE account = :same ORDER BY seen DESC, "
         "address_index LIMIT :rows)",
      use(account), use(account), use(rows);
}

void insert_link(state::Transaction& transaction, const OneTimeLinkRow& row) {
  const long long expires = row.expires.value;
  transaction.sql()
      << "INSERT INTO access_one_time_links (digest, purpose, tenant, account, expires) VALUES (:digest, "
         ":purpose, :tenant, :account, :expires)",
      use(row.digest), use(row.purpose), use(row.tenant), use(row.account), use(expires);
}

std::optional<OneTimeLinkRow> find_link(state::Transaction& transaction, const std::string& digest,
                                        const std::string& purpose, UnixMs now) {
  OneTimeLinkRow row{.digest = digest, .purpose = purpose, .tenant = {}, .account = {}};
  long long expires = 0;
  const long long after = now.value;
  soci::statement statement =
      (transaction.sql().prepare
           << "SELECT tenant, account, expires FROM access_one_time_links WHERE digest = :digest "
              "AND purpose = :purpose AND expires > :time",
       use(digest), use(purpose), use(after), into(row.tenant), into(row.account), into(expires));
  statement.execute();
  if (!statement.fetch()) return std::nullopt;
  row.expires = UnixMs{expires};
  return row;
}

void drop_links(state::Transaction& transaction, const std::string& purpose, const std::string& tenant,
                const std::string& account) {
  transaction.sql()
      << "DELETE FROM access_one_time_links WHERE purpose = :purpose AND tenant = :tenant AND account = "
         ":account",
      use(purpose), use(tenant), use(account);
}

void drop_expired_one_time_links(state::Transaction& transaction, UnixMs now) {
  const long long value = now.value;
  transaction.sql() << "DELETE FROM access_one_time_links WHERE expires <= :time", use(value);
}

}  // namespace vestige::access::store
