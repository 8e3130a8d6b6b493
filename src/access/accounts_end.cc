// Ends of accounts: that nobody is let in from then on, that roles which take one have it, and that each is
// on record once (docs/decisions/0102).
#include <fmt/format.h>

#include <algorithm>

#include "access/internal/accounts_impl.h"
#include "base/time_text.h"

namespace vestige::access {
namespace {

std::string text_of(UnixMs end) { return end.value == 0 ? std::string() : format_time(end); }

}  // namespace

std::optional<Deadline> Accounts::Impl::deadline_of(const store::AccountRow& row) const {
  if (row.expires.value == 0) return std::nullopt;
  return deadlines.of(row.id, row.expires);
}

bool Accounts::Impl::has_ended(const store::AccountRow& row) const {
  const auto deadline = deadline_of(row);
  return deadline && (row.ended.value != 0 || deadline->passed(parts.clock));
}

bool Accounts::Impl::may_come_in(const store::AccountRow& row) const {
  return row.state == "active" && !has_ended(row);
}

Status Accounts::Impl::check_ends(std::string_view tenant, const std::vector<std::string>& roles,
                                  std::optional<UnixMs> end, Asked asked) const {
  const auto now = parts.clock.now();
  for (std::size_t i = 0; i < roles.size(); ++i) {
    // A role that the policy does not have any more gives nothing, and asks for nothing.
    const auto terms = parts.terms_of(tenant, roles[i]).value_or(RoleTerms{});
    if (asked == Asked::end)
      VESTIGE_CHECKED(check_end(roles[i], terms, end, now, "/expiresAt", "give expiresAt"));
    else
      VESTIGE_CHECKED(check_end(roles[i], terms, end, now, fmt::format("/roles/{}", i),
                                "set the end of the account before (PUT /api/accounts/{id}/end, or "
                                "`vestige account end`)"));
  }
  return {};
}

Result<Account> Accounts::set_end(const Principal& by, const Client& client, const Uuid& id,
                                  std::optional<UnixMs> end) {
  auto& impl = *impl_;
  if (end && *end <= impl.parts.clock.now()) return invalid_at("/expiresAt", "this time is past");
  return impl.administer(
      by, client, id, [&](auto& transaction, auto& changes, auto& row) -> Result<std::optional<Impl::Act>> {
        VESTIGE_CHECKED(impl.check_ends(row.tenant, split(row.roles, ','), end, Impl::Asked::end));
        const auto before = row.expires;
        const auto after = end.value_or(UnixMs{});
        if (after == before && !impl.has_ended(row)) return std::nullopt;
        // That it ended before it goes on.
        VESTIGE_CHECKED(impl.put_on_record(transaction, changes, row.tenant, row.id));
        row.expires = after;
        row.ended = UnixMs{};
        // Also where the time is the same: it counts by the clock as it is now.
        impl.deadlines.forget(row.id);
        impl.parts.sessions.cap(transaction, changes, row.tenant, id, impl.deadline_of(row));
        return Impl::Act{.action = "UPDATED",
                         .event_type = "account_end_set",
                         .severity = "medium",
                         .changes = {{"expires_at", text_of(before), text_of(after)}}};
      });
}

Status Accounts::Impl::put_on_record(state::Transaction& transaction, Sessions::Changes& changes,
                                     const std::string& tenant, const std::string& id) const {
  const auto row = store::find_account(transaction, tenant, id);
  // Given another end meanwhile.
  if (!row || row->ended.value != 0 || !has_ended(*row)) return {};
  const auto account = parse_uuid(id);
  if (!account)
    return corrupt("access_accounts", 0, fmt::format("the account {} in the database does not read", id));
  store::set_ended(transaction, id, parts.clock.now());
  store::drop_links(transaction, std::string(invitation_purpose), tenant, id);
  VESTIGE_CHECKED(parts.sessions.end_with_account(transaction, changes, tenant, *account));
  return record(transaction, Doer::system(), nullptr, *row,
                {.action = "ENDED", .event_type = "account_ended", .details = text_of(row->expires)});
}

Status Accounts::Impl::put_ends_on_record() const {
  VESTIGE_TRY(auto due,
              parts.database.read([](state::Transaction& transaction) -> Result<std::vector<store::EndRow>> {
                return store::ends_to_come(transaction);
              }));
  // Those that are to come are taken down by this as well.
  std::erase_if(due, [&](const auto& row) { return !deadlines.of(row.id, row.expires).passed(parts.clock); });
  for (std::size_t from = 0; from < due.size(); from += limits::accounts_ended_at_once) {
    const auto some =
        std::span(due).subspan(from, std::min(limits::accounts_ended_at_once, due.size() - from));
    VESTIGE_CHECKED(
        parts.sessions.write([&](state::Transaction& transaction, Sessions::Changes& changes) -> Status {
          for (const auto& row : some)
            VESTIGE_CHECKED(put_on_record(transaction, changes, row.tenant, row.id));
          return {};
        }));
    for (const auto& row : some) deadlines.forget(row.id);
  }
  return {};
}

}  // namespace vestige::access
