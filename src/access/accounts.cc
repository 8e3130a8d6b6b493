#include "access/accounts.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "access/internal/accounts_impl.h"
#include "access/internal/token.h"
#include "base/encoding.h"
#include "base/time_text.h"

namespace vestige::access {
namespace {

constexpr std::string_view link_prefix = "vsi_";

std::unexpected<Error> no_such_account(const Uuid& id) {
  return fail(ErrorKind::not_found, fmt::format("there is no account {}", format_uuid(id)));
}

constexpr UnixMs for_ever{std::numeric_limits<std::int64_t>::max()};

bool is_administrator(const store::AccountRow& row, UnixMs at) {
  const auto roles = split(row.roles, ',');
  return row.is_active(at) && std::ranges::find(roles, administrator_role) != roles.end();
}

}  // namespace

std::string_view name_of(Account::State state) {
  switch (state) {
    case Account::State::active:
      return "active";
    case Account::State::disabled:
      return "disabled";
    case Account::State::ended:
      return "ended";
  }
  return "";
}

std::optional<std::string> normal_login_name(std::string_view text) {
  if (text.empty() || text.size() > limits::login_name_bytes_max) return std::nullopt;
  std::string name(text);
  for (char& c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    const bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (!letter && std::string_view("._-@+").find(c) == std::string_view::npos) return std::nullopt;
  }
  return name;
}

std::string Accounts::Impl::seal(std::string_view column, const store::AccountRow& row,
                                 std::string_view plain) const {
  return parts.fields.seal(fmt::format("account.{}", column), row.id, plain);
}

Result<std::string> Accounts::Impl::open(std::string_view column, const store::AccountRow& row,
                                         std::string_view sealed) const {
  return parts.fields.open(fmt::format("account.{}", column), row.id, sealed);
}

Result<std::optional<std::string>> Accounts::Impl::password_of(const store::AccountRow& row) const {
  if (row.sealed_password.empty()) return std::nullopt;
  VESTIGE_TRY(auto password, open("password", row, row.sealed_password));
  return password;
}

Result<Account> Accounts::Impl::account_of(const store::AccountRow& row) const {
  const auto id = parse_uuid(row.id);
  if (!id)
    return corrupt("access_accounts", 0, fmt::format("the account {} in the database does not read", row.id));
  Account account{.id = *id,
                  .tenant = row.tenant,
                  .login_name = row.login_name,
                  .display_name = row.display_name,
                  .email = {},
                  .phone = {},
                  .roles = split(row.roles, ','),
                  .state = Account::State::disabled,
                  .created = row.created,
                  .has_password = !row.sealed_password.empty(),
                  .must_change_password = row.must_change_password,
                  .has_second_factor = !row.sealed_totp.empty(),
                  .locked_until = {},
                  .expires = {}};
  if (row.state == "active") account.state = has_ended(row) ? Account::State::ended : Account::State::active;
  if (row.expires.value != 0) account.expires = row.expires;
  if (!row.sealed_email.empty()) {
    VESTIGE_TRY(account.email, open("email", row, row.sealed_email));
  }
  if (!row.sealed_phone.empty()) {
    VESTIGE_TRY(account.phone, open("phone", row, row.sealed_phone));
  }
  if (row.locked_until > parts.clock.now()) account.locked_until = row.locked_until;
  return account;
}

Status Accounts::Impl::check_roles(std::string_view tenant, const std::vector<std::string>& roles) const {
  if (roles.size() > limits::roles_max)
    return invalid_at("/roles", fmt::format("an account has at most {} roles", limits::roles_max));
  for (std::size_t i = 0; i < roles.size(); ++i) {
    const auto path = fmt::format("/roles/{}", i);
    // Names are joined with ',', so their alphabet is that of the policy's names whatever it is asked for.
    const bool plain =
        !roles[i].empty() && roles[i].size() <= limits::role_bytes_max &&
        roles[i].find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
    if (!plain || !parts.terms_of(tenant, roles[i]))
      return invalid_at(path, "the policy has no role of this name");
    if (std::ranges::count(roles, roles[i]) > 1) return invalid_at(path, "this role is listed twice");
  }
  return {};
}

Result<store::AccountRow> Accounts::Impl::new_row(std::string_view tenant, const NewAccount& wanted) const {
  const auto login_name = normal_login_name(wanted.login_name);
  if (!login_name)
    return invalid_at("/loginName", fmt::format("a login name has 1 to {} letters, digits and . _ - @ +",
                                                limits::login_name_bytes_max));
  if (wanted.display_name.empty() || wanted.display_name.size() > limits::display_name_bytes_max ||
      !is_utf8(wanted.display_name))
    return invalid_at("/displayName",
                      fmt::format("a name for people has 1 to {} bytes", limits::display_name_bytes_max));
  const auto now = parts.clock.now();
  if (wanted.expires && *wanted.expires <= now) return invalid_at("/expiresAt", "this time is past");
  store::AccountRow row{.id = format_uuid(make_uuid_v7(now, parts.entropy.bytes<16>())),
                        .tenant = std::string(tenant),
                        .login_name = *login_name,
                        .display_name = wanted.display_name,
                        .roles = joined(wanted.roles),
                        .state = "active",
                        .created = now,
                        .expires = wanted.expires.value_or(UnixMs{})};
  if (wanted.email) {
    const auto email =
        wanted.email->size() <= limits::email_bytes_max ? state::normal_email(*wanted.email) : std::nullopt;
    if (!email) return invalid_at("/email", "this is no email address");
    row.sealed_email = seal("email", row, *email);
    row.email_index = parts.fields.blind_index("account.email", row.tenant + "\n" + *email);
  }
  if (wanted.phone) {
    const auto phone = state::normal_phone(*wanted.phone);
    if (!phone)
      return invalid_at("/phone", "this is no telephone number with country code, such as +27821234567");
    row.sealed_phone = seal("phone", row, *phone);
    row.phone_index = parts.fields.blind_index("account.phone", row.tenant + "\n" + *phone);
  }
  return row;
}

Status Accounts::Impl::insert(state::Transaction& transaction, const store::AccountRow& row) const {
  if (store::count_accounts(transaction, row.tenant) >= limits::accounts_max)
    return exhausted("there are too many accounts; no other can be made",
                     fmt::format("accounts_max = {}", limits::accounts_max));
  if (store::find_by_login_name(transaction, row.tenant, row.login_name))
    return fail(ErrorKind::conflict,
                fmt::format("there is an account with the login name {}", row.login_name));
  if (!row.email_index.empty() && store::find_by_email(transaction, row.tenant, row.email_index))
    return fail(ErrorKind::conflict, "there is an account with this email address");
  store::insert_account(transaction, row);
  return {};
}

std::string Accounts::Impl::new_link(state::Transaction& transaction, std::string_view purpose,
                                     std::string_view tenant, const std::string& account,
                                     UnixMs expires) const {
  const auto token = make_token(link_prefix, parts.entropy);
  const store::OneTimeLinkRow link{.digest = to_hex(token_digest(token)),
                                   .purpose = std::string(purpose),
                                   .tenant = std::string(tenant),
                                   .account = account,
                                   .expires = expires};
  store::drop_links(transaction, link.purpose, link.tenant, account);
  store::insert_link(transaction, link);
  return token;
}

UnixMs Accounts::Impl::link_end(UnixMs account_end) const {
  const auto end = parts.clock.now() + limits::one_time_link_valid.count();
  return account_end.value == 0 ? end : std::min(end, account_end);
}

Status Accounts::Impl::record(state::Transaction& transaction, const Doer& by, const Client* client,
                              const store::AccountRow& row, const Act& act) const {
  const auto added =
      parts.outbox.add(transaction, row.tenant, access_stream,
                       to_json({.kind = "access.security",
                                .action = act.action,
                                .time = parts.clock.now(),
                                .source = by,
                                .target_id = row.id,
                                .target_type = "ACCOUNT",
                                .subject = row.id,
                                .client = client,
                                .detail = {{.name = "event_type", .value = std::string(act.event_type)},
                                           {.name = "severity", .value = std::string(act.severity)},
                                           {.name = "details", .value = act.details}},
                                .changes = act.changes}));
  if (!added) return std::unexpected(added.error());
  return {};
}

Result<Account> Accounts::Impl::administer(const Principal& by, const Client& client, const Uuid& id,
                                           const Work& work) {
  return parts.sessions.write(
      [&](state::Transaction& transaction, Sessions::Changes& changes) -> Result<Account> {
        auto row = store::find_account(transaction, by.tenant, format_uuid(id));
        if (!row) return no_such_account(id);
        // Whoever goes on for ever is missed where nobody else does; who ends anyway, where nobody is left.
        const auto at = row->expires.value == 0 ? for_ever : parts.clock.now();
        const bool was_administrator = is_administrator(*row, at);
        VESTIGE_TRY(const auto act, work(transaction, changes, *row));
        if (act) {
          store::update_account(transaction, *row);
          if (was_administrator && !is_administrator(*row, at) &&
              !store::has_active_with_role(transaction, row->tenant, std::string(administrator_role), at))
            return fail(ErrorKind::conflict,
                        "this is the last active administrator without an end; make another one before, or "
                        "nobody could");
          VESTIGE_CHECKED(record(transaction, Doer::of(by), &client, *row, *act));
        }
        return account_of(*row);
      });
}

Accounts::Accounts(AccountParts parts) : impl_(std::make_unique<Impl>(std::move(parts))) {}
Accounts::~Accounts() = default;

Result<Invitation> Accounts::create(const Principal& by, const Client& client, const NewAccount& wanted) {
  VESTIGE_CHECKED(impl_->check_roles(by.tenant, wanted.roles));
  VESTIGE_TRY(const auto row, impl_->new_row(by.tenant, wanted));
  VESTIGE_CHECKED(impl_->check_ends(by.tenant, wanted.roles, wanted.expires, Impl::Asked::end));
  const auto link_end = impl_->link_end(row.expires);
  std::vector<Changed> changed{{"login_name", "", row.login_name}, {"roles", "", row.roles}};
  if (wanted.expires) changed.push_back({"expires_at", "", format_time(*wanted.expires)});
  return impl_->parts.database.write([&](state::Transaction& transaction) -> Result<Invitation> {
    VESTIGE_CHECKED(impl_->insert(transaction, row));
    auto token = impl_->new_link(transaction, invitation_purpose, row.tenant, row.id, link_end);
    VESTIGE_CHECKED(
        impl_->record(transaction, Doer::of(by), &client, row,
                      {.action = "CREATED", .event_type = "account_created", .changes = changed}));
    VESTIGE_TRY(auto account, impl_->account_of(row));
    return Invitation{std::move(account), std::move(token), link_end};
  });
}

Result<Account> Accounts::find(const Principal& by, const Uuid& id) {
  return impl_->parts.database.read([&](state::Transaction& transaction) -> Result<Account> {
    const auto row = store::find_account(transaction, by.tenant, format_uuid(id));
    if (!row) return no_such_account(id);
    return impl_->account_of(*row);
  });
}

Result<std::vector<Account>> Accounts::list(const Principal& by, std::string_view after, std::size_t limit) {
  const auto rows_max = std::min(limit, limits::list_max);
  return impl_->parts.database.read([&](state::Transaction& transaction) -> Result<std::vector<Account>> {
    std::vector<Account> accounts;
    for (const auto& row : store::list_accounts(transaction, by.tenant, std::string(after), rows_max)) {
      VESTIGE_TRY(auto account, impl_->account_of(row));
      accounts.push_back(std::move(account));
    }
    return accounts;
  });
}

Result<Account> Accounts::set_roles(const Principal& by, const Client& client, const Uuid& id,
                                    const std::vector<std::string>& roles) {
  VESTIGE_CHECKED(impl_->check_roles(by.tenant, roles));
  return impl_->administer(
      by, client, id, [&](auto& transaction, auto& changes, auto& row) -> Result<std::optional<Impl::Act>> {
        const auto before = row.roles;
        row.roles = joined(roles);
        if (row.roles == before) return std::nullopt;
        const auto end = row.expires.value == 0 ? std::nullopt : std::optional(row.expires);
        VESTIGE_CHECKED(impl_->check_ends(row.tenant, roles, end, Impl::Asked::roles));
        VESTIGE_CHECKED(
            impl_->parts.sessions.end_all(transaction, changes, row.tenant, id, std::nullopt, by, client));
        return Impl::Act{.action = "UPDATED",
                         .event_type = "roles_changed",
                         .severity = "medium",
                         .changes = {{"roles", before, row.roles}}};
      });
}

Result<Account> Accounts::disable(const Principal& by, const Client& client, const Uuid& id) {
  return impl_->administer(
      by, client, id, [&](auto& transaction, auto& changes, auto& row) -> Result<std::optional<Impl::Act>> {
        if (row.state == "disabled") return std::nullopt;
        row.state = "disabled";
        store::drop_links(transaction, std::string(invitation_purpose), row.tenant, row.id);
        VESTIGE_CHECKED(
            impl_->parts.sessions.end_all(transaction, changes, row.tenant, id, std::nullopt, by, client));
        return Impl::Act{.action = "DISABLED", .event_type = "account_disabled", .severity = "medium"};
      });
}

Result<Account> Accounts::enable(const Principal& by, const Client& client, const Uuid& id) {
  return impl_->administer(by, client, id, [&](auto&, auto&, auto& row) -> Result<std::optional<Impl::Act>> {
    if (row.state == "active") return std::nullopt;
    row.state = "active";
    return Impl::Act{.action = "ENABLED", .event_type = "account_enabled", .severity = "medium"};
  });
}

Result<Account> Accounts::unlock(const Principal& by, const Client& client, const Uuid& id) {
  auto unlocked =
      impl_->administer(by, client, id, [&](auto&, auto&, auto& row) -> Result<std::optional<Impl::Act>> {
        row.locked_until = UnixMs{0};
        return Impl::Act{.action = "UNLOCKED", .event_type = "account_unlocked"};
      });
  if (unlocked) impl_->throttle.unlock(unlocked->tenant, unlocked->login_name);
  return unlocked;
}

Result<Invitation> Accounts::reset_password(const Principal& by, const Client& client, const Uuid& id) {
  std::string token;
  UnixMs expires;
  VESTIGE_TRY(
      auto account,
      impl_->administer(
          by, client, id, [&](auto& transaction, auto&, auto& row) -> Result<std::optional<Impl::Act>> {
            if (impl_->has_ended(row))
              return fail(ErrorKind::conflict,
                          "the account ended; set another end before, or the link would let nobody in");
            expires = impl_->link_end(row.expires);
            token = impl_->new_link(transaction, invitation_purpose, row.tenant, row.id, expires);
            return Impl::Act{
                .action = "UPDATED", .event_type = "password_reset_offered", .severity = "medium"};
          }));
  return Invitation{std::move(account), std::move(token), expires};
}

Result<Account> Accounts::require_password_change(const Principal& by, const Client& client, const Uuid& id) {
  return impl_->administer(
      by, client, id, [&](auto& transaction, auto& changes, auto& row) -> Result<std::optional<Impl::Act>> {
        if (row.must_change_password) return std::nullopt;
        row.must_change_password = true;
        VESTIGE_CHECKED(
            impl_->parts.sessions.end_all(transaction, changes, row.tenant, id, std::nullopt, by, client));
        return Impl::Act{.action = "UPDATED", .event_type = "password_change_required", .severity = "medium"};
      });
}

Result<Account> Accounts::remove_second_factor(const Principal& by, const Client& client, const Uuid& id) {
  return impl_->administer(
      by, client, id, [&](auto& transaction, auto& changes, auto& row) -> Result<std::optional<Impl::Act>> {
        if (row.sealed_totp.empty() && row.sealed_totp_offered.empty()) return std::nullopt;
        row.sealed_totp.clear();
        row.sealed_totp_offered.clear();
        store::replace_recovery_codes(transaction, row.id, {});
        VESTIGE_CHECKED(
            impl_->parts.sessions.end_all(transaction, changes, row.tenant, id, std::nullopt, by, client));
        return Impl::Act{.action = "UPDATED", .event_type = "second_factor_removed", .severity = "high"};
      });
}

Status Accounts::sweep() {
  VESTIGE_CHECKED(impl_->parts.database.write([&](state::Transaction& transaction) -> Status {
    store::drop_expired_one_time_links(transaction, impl_->parts.clock.now());
    return {};
  }));
  return impl_->put_ends_on_record();
}

}  // namespace vestige::access
