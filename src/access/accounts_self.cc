// What people do about their own account. Whoever changes how they sign in proves first that they can.
#include <fmt/format.h>

#include "access/internal/accounts_impl.h"
#include "access/totp.h"
#include "base/encoding.h"
#include "crypto/digest.h"

namespace vestige::access {
namespace {

constexpr std::size_t recovery_code_bytes = 10;  // 80 bits: 16 letters of base32

std::unexpected<Error> changed_meanwhile() {
  return fail(ErrorKind::conflict, "the account was changed at the same moment; try again");
}

// "ABCD-EFGH-IJKL-MNOP"
std::string readable(std::string_view code) {
  std::string out;
  for (std::size_t i = 0; i < code.size(); ++i) {
    if (i > 0 && i % 4 == 0) out.push_back('-');
    out.push_back(code[i]);
  }
  return out;
}

bool is_signed_in_person(const Principal& self) {
  return self.kind == PrincipalKind::account && self.session.has_value();
}

}  // namespace

Result<Accounts::Impl::Attempt> Accounts::Impl::prove(const Principal& self, const Client& client,
                                                      const Proof& proof) {
  if (!is_signed_in_person(self)) return fail(ErrorKind::denied, "this is for a person who is signed in");
  VESTIGE_TRY(const auto login_name,
              parts.database.read([&](state::Transaction& transaction) -> Result<std::string> {
                const auto row = store::find_account(transaction, self.tenant, format_uuid(self.id));
                return row ? row->login_name : std::string();
              }));
  VESTIGE_TRY(auto attempt, look_up(self.tenant, login_name, client));
  VESTIGE_TRY(const auto refused, try_password(attempt, proof.password));
  if (refused) return refuse(attempt, client, *refused);
  return attempt;
}

std::vector<std::string> Accounts::Impl::new_recovery_codes(state::Transaction& transaction,
                                                            const store::AccountRow& row) const {
  std::vector<std::string> codes, digests;
  while (codes.size() < limits::recovery_codes) {
    codes.push_back(readable(to_base32(parts.entropy.bytes<recovery_code_bytes>())));
    digests.push_back(recovery_digest(row, codes.back()));
  }
  store::replace_recovery_codes(transaction, row.id, digests);
  return codes;
}

Result<Sessions::Opened> Accounts::Impl::start_anew(state::Transaction& transaction,
                                                    Sessions::Changes& changes, const Principal& self,
                                                    const Client& client, const store::AccountRow& row) {
  VESTIGE_CHECKED(
      parts.sessions.end_all(transaction, changes, row.tenant, self.id, *self.session, self, client));
  return parts.sessions.renew(transaction, changes, *self.session, split(row.roles, ','),
                              row.must_change_password);
}

template <typename Work>
auto Accounts::Impl::own_change(const Principal& self, const Client& client, const Proof& proof, Work&& work)
    -> std::invoke_result_t<Work, state::Transaction&, Sessions::Changes&, store::AccountRow&> {
  using Outcome = std::invoke_result_t<Work, state::Transaction&, Sessions::Changes&, store::AccountRow&>;
  VESTIGE_TRY(const auto attempt, prove(self, client, proof));
  bool wrong_code = false;
  auto outcome =
      parts.sessions.write([&](state::Transaction& transaction, Sessions::Changes& changes) -> Outcome {
        auto row = store::find_account(transaction, self.tenant, attempt.row->id);
        if (!row || !may_come_in(*row) || row->sealed_password != attempt.row->sealed_password)
          return changed_meanwhile();
        if (!row->sealed_totp.empty()) {
          VESTIGE_TRY(const auto code, use_code(transaction, *row, proof.code, client));
          wrong_code = !code;
          if (wrong_code) return not_let_in();
        }
        return work(transaction, changes, *row);
      });
  if (wrong_code) return refuse(attempt, client, "wrong_code");
  if (outcome) throttle.succeeded(attempt.throttled);
  return outcome;
}

Result<Sessions::Opened> Accounts::change_password(const Principal& self, const Client& client,
                                                   const Proof& proof, std::string_view new_password) {
  auto& impl = *impl_;
  if (!is_signed_in_person(self)) return fail(ErrorKind::denied, "this is for a person who is signed in");
  if (new_password == proof.password) return invalid_at("/password", "the new password is the old one");
  VESTIGE_TRY(const auto account, find(self, self.id));
  VESTIGE_CHECKED(check_password(new_password, account.login_name, account.email.value_or("")));
  VESTIGE_TRY(const auto hash, impl.parts.hasher.hash(new_password));
  return impl.own_change(
      self, client, proof,
      [&](state::Transaction& transaction, Sessions::Changes& changes,
          store::AccountRow& row) -> Result<Sessions::Opened> {
        row.sealed_password = impl.seal("password", row, hash);
        row.must_change_password = false;
        store::update_account(transaction, row);
        store::drop_links(transaction, std::string(invitation_purpose), row.tenant, row.id);
        VESTIGE_CHECKED(impl.record(transaction, Doer::of(self), &client, row,
                                    {.action = "UPDATED", .event_type = "password_changed"}));
        return impl.start_anew(transaction, changes, self, client, row);
      });
}

Result<SecondFactorOffer> Accounts::offer_second_factor(const Principal& self, const Client& client,
                                                        const Proof& proof) {
  auto& impl = *impl_;
  return impl.own_change(self, client, proof,
                         [&](state::Transaction& transaction, Sessions::Changes&,
                             store::AccountRow& row) -> Result<SecondFactorOffer> {
                           auto secret = impl.parts.entropy.bytes<totp_secret_bytes>();
                           row.sealed_totp_offered = impl.seal("totp", row, text(secret));
                           store::update_account(transaction, row);
                           SecondFactorOffer offer{
                               .secret = to_base32(secret),
                               .uri = totp_uri(impl.parts.issuer, row.login_name, secret)};
                           crypto::cleanse(secret);
                           return offer;
                         });
}

Result<SecondFactorSet> Accounts::confirm_second_factor(const Principal& self, const Client& client,
                                                        std::string_view code) {
  auto& impl = *impl_;
  if (!is_signed_in_person(self)) return fail(ErrorKind::denied, "this is for a person who is signed in");
  return impl.parts.sessions.write(
      [&](state::Transaction& transaction, Sessions::Changes& changes) -> Result<SecondFactorSet> {
        auto row = store::find_account(transaction, self.tenant, format_uuid(self.id));
        if (!row || !impl.may_come_in(*row) || row->sealed_totp_offered.empty())
          return fail(ErrorKind::conflict, "no second factor was offered; ask for one first");
        VESTIGE_TRY(const auto secret, impl.open("totp", *row, row->sealed_totp_offered));
        const auto step = match_totp(view(secret), code, impl.parts.clock.now(), 0);
        if (!step)
          return invalid_at("/code",
                            "this is no code of the new second factor at this time; is the clock right?");
        row->totp_step = *step;
        row->sealed_totp = std::exchange(row->sealed_totp_offered, {});
        store::update_account(transaction, *row);
        SecondFactorSet set{.recovery_codes = impl.new_recovery_codes(transaction, *row), .session = {}};
        VESTIGE_CHECKED(impl.record(transaction, Doer::of(self), &client, *row,
                                    {.action = "UPDATED", .event_type = "second_factor_set"}));
        VESTIGE_TRY(set.session, impl.start_anew(transaction, changes, self, client, *row));
        return set;
      });
}

Result<std::vector<std::string>> Accounts::renew_recovery_codes(const Principal& self, const Client& client,
                                                                const Proof& proof) {
  auto& impl = *impl_;
  return impl.own_change(
      self, client, proof,
      [&](state::Transaction& transaction, Sessions::Changes&,
          store::AccountRow& row) -> Result<std::vector<std::string>> {
        if (row.sealed_totp.empty())
          return fail(ErrorKind::conflict,
                      "there is no second factor that recovery codes could stand in for");
        store::update_account(transaction, row);  // the step of the code that was used
        VESTIGE_CHECKED(impl.record(transaction, Doer::of(self), &client, row,
                                    {.action = "UPDATED", .event_type = "recovery_codes_renewed"}));
        return impl.new_recovery_codes(transaction, row);
      });
}

}  // namespace vestige::access
