#include "access/internal/accounts_impl.h"
#include "access/internal/token.h"
#include "base/encoding.h"

namespace vestige::access {
namespace {

bool has_administrator(state::Transaction& transaction, std::string_view tenant, UnixMs now) {
  return store::has_active_with_role(transaction, std::string(tenant), std::string(administrator_role), now);
}

}  // namespace

Result<std::optional<std::string>> FirstAdministrator::offer(std::string_view tenant) {
  auto& impl = *accounts_.impl_;
  return impl.parts.database.write(
      [&](state::Transaction& transaction) -> Result<std::optional<std::string>> {
        if (has_administrator(transaction, tenant, impl.parts.clock.now())) {
          store::drop_links(transaction, std::string(administrator_purpose), std::string(tenant), "");
          return std::nullopt;
        }
        return impl.new_link(transaction, administrator_purpose, tenant, "", impl.link_end(UnixMs{}));
      });
}

Result<Account> FirstAdministrator::redeem(std::string_view tenant, std::string_view token,
                                           std::string_view login_name, std::string_view password,
                                           const Client& client) {
  auto& impl = *accounts_.impl_;
  const std::string purpose(administrator_purpose);
  const auto is_good = [&](state::Transaction& transaction) -> Result<bool> {
    const auto now = impl.parts.clock.now();
    const auto link = store::find_link(transaction, to_hex(token_digest(token)), purpose, now);
    return link && link->tenant == tenant && !has_administrator(transaction, tenant, now);
  };
  VESTIGE_TRY(const auto good, impl.parts.database.read(is_good));
  if (!good) {
    VESTIGE_CHECKED(impl.parts.failures.tell({.tenant = std::string(tenant),
                                              .why = "wrong_administrator_link",
                                              .target_id = std::string(tenant),
                                              .target_type = "TENANT",
                                              .client = &client}));
    return wrong_link();
  }
  VESTIGE_CHECKED(check_password(password, login_name, ""));
  VESTIGE_TRY(auto row, impl.new_row(tenant, {.login_name = std::string(login_name),
                                              .display_name = std::string(login_name),
                                              .roles = {std::string(administrator_role)}}));
  VESTIGE_TRY(const auto hash, impl.parts.hasher.hash(password));
  row.sealed_password = impl.seal("password", row, hash);
  return impl.parts.database.write([&](state::Transaction& transaction) -> Result<Account> {
    VESTIGE_TRY(const auto still_good, is_good(transaction));
    if (!still_good) return wrong_link();
    VESTIGE_CHECKED(impl.insert(transaction, row));
    store::drop_links(transaction, purpose, row.tenant, "");
    VESTIGE_CHECKED(impl.record(transaction, {.id = row.id, .type = "ACCOUNT", .name = row.display_name},
                                &client, row,
                                {.action = "CREATED",
                                 .event_type = "first_administrator_created",
                                 .severity = "high",
                                 .changes = {{"login_name", "", row.login_name}, {"roles", "", row.roles}}}));
    return impl.account_of(row);
  });
}

}  // namespace vestige::access
