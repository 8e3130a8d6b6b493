// Coming in: names, passwords, codes, links. Whatever is wrong, it is refused with the same words after the
// same work; why, is on record only.
#include <fmt/format.h>

#include "access/internal/accounts_impl.h"
#include "access/internal/token.h"
#include "access/totp.h"
#include "base/encoding.h"
#include "crypto/digest.h"

namespace vestige::access {
namespace {

constexpr std::string_view unknown_name_purpose = "login-name.unknown";
constexpr std::string_view address_purpose = "account.address";

std::string seconds_text(std::chrono::milliseconds time) {
  return fmt::format("{} s", std::chrono::duration_cast<std::chrono::seconds>(time).count());
}

// What was done about a failure by itself, for the record; empty where nothing was.
std::string response_to(const Throttle::Locked& locked) {
  if (locked.account)
    return fmt::format("Locked for {} for addresses that the account never logged in from.",
                       seconds_text(*locked.account));
  if (locked.address) return fmt::format("The address is locked for {}.", seconds_text(*locked.address));
  if (locked.pair) return fmt::format("Locked for this address for {}.", seconds_text(*locked.pair));
  return {};
}

// "abcd-efgh" and "ABCDEFGH" are one recovery code.
std::string normal_recovery_code(std::string_view code) {
  std::string out;
  for (const char c : code.substr(0, 64)) {
    if (c == '-' || c == ' ') continue;
    out.push_back(c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c);
  }
  return out;
}

}  // namespace

std::string Accounts::Impl::address_index(const store::AccountRow& row, const Client& client) const {
  const auto network = client.address.value_or(Address{}).network();
  return parts.fields.blind_index(address_purpose, row.id + "\n" + to_hex(network.bytes));
}

Result<Accounts::Impl::Attempt> Accounts::Impl::look_up(std::string_view tenant, std::string_view login_name,
                                                        const Client& client) {
  const auto name = normal_login_name(login_name);
  Attempt attempt{.throttled = {.tenant = std::string(tenant),
                                .login_name = name.value_or(std::string(login_name)),
                                .address = client.address},
                  .row = {}};
  const auto now = parts.clock.now();
  VESTIGE_CHECKED(parts.database.read([&](state::Transaction& transaction) -> Status {
    // Also what can be nobody's name: it takes as long as one that is.
    attempt.row =
        store::find_by_login_name(transaction, attempt.throttled.tenant, attempt.throttled.login_name);
    const auto since = now + -limits::known_address_kept.count();
    attempt.throttled.known_account = attempt.row.has_value();
    attempt.throttled.known_address =
        attempt.row &&
        store::is_known_address(transaction, attempt.row->id, address_index(*attempt.row, client), since);
    return {};
  }));
  const auto standing = throttle.standing(attempt.throttled);
  if (standing == Throttle::Standing::address_locked) {
    VESTIGE_CHECKED(parts.failures.tell(refusal_of(attempt, client, "address_locked")));
    return fail(ErrorKind::unavailable,
                "there were too many failed logins from this address; try again later");
  }
  attempt.locked = standing == Throttle::Standing::locked;
  if (attempt.row && !attempt.throttled.known_address) {
    // A lock that is longer than any is the work of a clock that was set back.
    const auto left = attempt.row->locked_until - now;
    attempt.locked = attempt.locked || (left > 0 && left <= limits::lock_max.count());
  }
  return attempt;
}

Result<std::optional<std::string>> Accounts::Impl::try_password(const Attempt& attempt,
                                                                std::string_view password) {
  std::optional<std::string> hash;
  if (attempt.row) {
    VESTIGE_TRY(hash, password_of(*attempt.row));
  }
  VESTIGE_TRY(const auto matches, parts.hasher.matches(hash, password));
  if (!attempt.row) return "unknown_name";
  if (attempt.locked) return "locked";
  if (!matches) return "wrong_password";
  if (attempt.row->state != "active") return "disabled";
  if (has_ended(*attempt.row)) return "ended";
  return std::nullopt;
}

Refusal Accounts::Impl::refusal_of(const Attempt& attempt, const Client& client, std::string why) const {
  Refusal refusal{.tenant = attempt.throttled.tenant,
                  .why = std::move(why),
                  .target_id = {},
                  .target_type = attempt.row ? "ACCOUNT" : "LOGIN_NAME",
                  .client = &client};
  if (attempt.row)
    refusal.target_id = refusal.subject = attempt.row->id;
  else
    refusal.target_id = parts.fields.blind_index(
        unknown_name_purpose, attempt.throttled.tenant + "\n" + attempt.throttled.login_name);
  return refusal;
}

std::unexpected<Error> Accounts::Impl::refuse(const Attempt& attempt, const Client& client,
                                              const std::string& why) {
  // What is tried while locked does not lock for longer, or an attacker could keep the owner out for ever.
  const auto locked = attempt.locked ? Throttle::Locked{} : throttle.count_failure(attempt.throttled);
  const bool whole_account = locked.account && attempt.row;
  auto refusal = refusal_of(attempt, client, why);
  refusal.response = response_to(locked);
  refusal.severity = whole_account ? "high" : locked.any() ? "medium" : "low";
  refusal.always = whole_account;
  const auto told = parts.failures.tell(refusal, [&](state::Transaction& transaction) -> Status {
    if (whole_account)
      store::set_locked_until(transaction, attempt.row->id, parts.clock.now() + locked.account->count());
    return {};
  });
  if (!told) return std::unexpected(told.error());
  return not_let_in();
}

std::string Accounts::Impl::recovery_digest(const store::AccountRow& row, std::string_view code) const {
  return parts.fields.blind_index("account.recovery-code", row.id + " " + normal_recovery_code(code));
}

Result<bool> Accounts::Impl::use_code(state::Transaction& transaction, store::AccountRow& row,
                                      std::string_view code, const Client& client) const {
  VESTIGE_TRY(auto secret, open("totp", row, row.sealed_totp));
  const auto step = match_totp(view(secret), code, parts.clock.now(), row.totp_step);
  crypto::cleanse({reinterpret_cast<std::uint8_t*>(secret.data()), secret.size()});
  if (step) {
    row.totp_step = *step;
    return true;
  }
  if (!store::take_recovery_code(transaction, row.id, recovery_digest(row, code))) return false;
  VESTIGE_CHECKED(
      record(transaction, {.id = row.id, .type = "ACCOUNT", .name = row.display_name}, &client, row,
             {.action = "USED",
              .event_type = "recovery_code_used",
              .severity = "medium",
              .details = fmt::format("{} are left", store::count_recovery_codes(transaction, row.id))}));
  return true;
}

Result<Login> Accounts::log_in(const LoginRequest& request, const Client& client) {
  auto& impl = *impl_;
  VESTIGE_TRY(const auto attempt, impl.look_up(request.tenant, request.login_name, client));
  VESTIGE_TRY(const auto refused, impl.try_password(attempt, request.password));
  if (refused) return impl.refuse(attempt, client, *refused);
  const auto& seen = *attempt.row;
  if (!seen.sealed_totp.empty() && request.code.empty()) return CodeNeeded{};

  VESTIGE_TRY(const auto hash, impl.password_of(seen));
  std::optional<std::string> newer;
  if (impl.parts.hasher.is_outdated(hash.value_or("")))
    if (auto made = impl.parts.hasher.hash(request.password)) newer = *std::move(made);  // else the next time

  bool wrong_code = false;
  auto opened = impl.parts.sessions.write(
      [&](state::Transaction& transaction, Sessions::Changes& changes) -> Result<Sessions::Opened> {
        auto row = store::find_account(transaction, seen.tenant, seen.id);
        // What was checked above has to hold still: somebody may have changed the password or disabled the
        // account, or it ended.
        if (!row || !impl.may_come_in(*row) || row->sealed_password != seen.sealed_password ||
            row->sealed_totp.empty() != seen.sealed_totp.empty())
          return fail(ErrorKind::unavailable, "the account was changed at the same moment; try again");
        const bool second_factor = !row->sealed_totp.empty();
        if (second_factor) {
          VESTIGE_TRY(const auto right, impl.use_code(transaction, *row, request.code, client));
          wrong_code = !right;
          if (wrong_code) return not_let_in();
        }
        if (newer) row->sealed_password = impl.seal("password", *row, *newer);
        store::update_account(transaction, *row);
        store::remember_address(transaction, row->id, impl.address_index(*row, client),
                                impl.parts.clock.now(), limits::known_addresses_max);
        VESTIGE_TRY(const auto account, impl.account_of(*row));
        return impl.parts.sessions.start(transaction, changes,
                                         {.tenant = row->tenant,
                                          .account = account.id,
                                          .name = account.display_name,
                                          .roles = account.roles,
                                          .method = second_factor ? Method::mfa : Method::password,
                                          .restricted = account.must_change_password,
                                          .until = impl.deadline_of(*row)},
                                         client);
      });
  if (wrong_code) return impl.refuse(attempt, client, "wrong_code");
  if (!opened) return std::unexpected(std::move(opened).error());
  impl.throttle.succeeded(attempt.throttled);
  return *std::move(opened);
}

Status Accounts::redeem_invitation(std::string_view tenant, std::string_view token, std::string_view password,
                                   const Client& client) {
  auto& impl = *impl_;
  const auto digest = to_hex(token_digest(token));
  const std::string purpose(invitation_purpose);
  // The account behind a link that is good now.
  const auto behind = [&](state::Transaction& transaction) -> Result<std::optional<store::AccountRow>> {
    const auto link = store::find_link(transaction, digest, purpose, impl.parts.clock.now());
    if (!link || link->tenant != tenant) return std::nullopt;
    auto row = store::find_account(transaction, link->tenant, link->account);
    return row && impl.may_come_in(*row) ? std::move(row) : std::nullopt;
  };
  VESTIGE_TRY(const auto seen, impl.parts.database.read(behind));
  if (!seen) {
    VESTIGE_CHECKED(impl.parts.failures.tell({.tenant = std::string(tenant),
                                              .why = "wrong_invitation",
                                              .target_id = std::string(tenant),
                                              .target_type = "TENANT",
                                              .client = &client}));
    return wrong_link();
  }
  VESTIGE_TRY(const auto account, impl.account_of(*seen));
  VESTIGE_CHECKED(check_password(password, account.login_name, account.email.value_or("")));
  VESTIGE_TRY(const auto hash, impl.parts.hasher.hash(password));
  VESTIGE_CHECKED(impl.parts.sessions.write([&](state::Transaction& transaction,
                                                Sessions::Changes& changes) -> Status {
    VESTIGE_TRY(auto row, behind(transaction));
    if (!row) return wrong_link();
    const Principal self{.kind = PrincipalKind::account,
                         .id = account.id,
                         .name = row->display_name,
                         .tenant = row->tenant,
                         .roles = {},
                         .method = Method::link};
    row->sealed_password = impl.seal("password", *row, hash);
    row->must_change_password = false;
    row->locked_until = UnixMs{0};
    store::update_account(transaction, *row);
    store::drop_links(transaction, purpose, row->tenant, row->id);
    VESTIGE_CHECKED(impl.parts.sessions.end_all(transaction, changes, row->tenant, account.id, std::nullopt,
                                                self, client));
    return impl.record(
        transaction, Doer::of(self), &client, *row,
        {.action = "UPDATED", .event_type = "password_changed", .details = "By a link that is good once."});
  }));
  impl.throttle.unlock(account.tenant, account.login_name);
  return {};
}

}  // namespace vestige::access
