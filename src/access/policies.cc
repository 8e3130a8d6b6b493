#include "access/policies.h"

#include <fmt/format.h>

#include "access/internal/facts.h"
#include "access/internal/policies_store.h"
#include "base/encoding.h"
#include "crypto/digest.h"

namespace vestige::access {
namespace {

std::string digest_of(const Policy& policy) { return to_hex(crypto::sha256(view(policy.text()))); }

}  // namespace

Result<std::unique_ptr<Policies>> Policies::open(state::Database& database, state::Outbox& outbox,
                                                 platform::Clock& clock) {
  std::unique_ptr<Policies> policies(new Policies(database, outbox, clock));
  VESTIGE_CHECKED(policies->load());
  return policies;
}

Status Policies::load() {
  VESTIGE_TRY(const auto rows,
              database_.read([](state::Transaction& transaction) -> Result<std::vector<store::PolicyRow>> {
                return store::all_policies(transaction);
              }));
  Lock lock(mutex_);
  for (const auto& row : rows) {
    auto policy = Policy::parse(row.text);
    if (!policy)
      return corrupt("access_policies", 0,
                     fmt::format("the policy of the tenant {} does not read: {} {}", row.tenant,
                                 policy.error().path, policy.error().message));
    changed_[row.tenant] = {.policy = *std::move(policy), .version = row.version, .changed = row.changed};
  }
  return {};
}

Policies::InForce Policies::of(std::string_view tenant) const {
  Lock lock(mutex_);
  const auto found = changed_.find(tenant);
  return found == changed_.end() ? InForce{.policy = Policy::shipped()} : found->second;
}

bool Policies::has_role(std::string_view tenant, std::string_view role) const {
  return of(tenant).policy->find_role(role) != nullptr;
}

std::optional<RoleTerms> Policies::terms_of(std::string_view tenant, std::string_view role) const {
  const auto policy = of(tenant).policy;
  const auto* found = policy->find_role(role);
  return found == nullptr ? std::nullopt : std::optional(found->terms);
}

Result<Policies::InForce> Policies::change(const Principal& by, const Client& client, std::string_view text,
                                           std::uint64_t expected) {
  VESTIGE_TRY(auto policy, Policy::parse(text));
  Lock writing(writing_);
  const auto before = of(by.tenant);
  if (before.version != expected)
    return fail(ErrorKind::conflict,
                fmt::format("the policy was changed since: version {} is in force, not {}; read it anew and "
                            "make the change in that one",
                            before.version, expected));
  InForce next{.policy = std::move(policy), .version = before.version + 1, .changed = clock_.now()};
  VESTIGE_CHECKED(database_.write([&](state::Transaction& transaction) -> Status {
    store::put_policy(
        transaction,
        {.tenant = by.tenant, .version = next.version, .changed = next.changed, .text = next.policy->text()});
    const auto added = outbox_.add(
        transaction, by.tenant, acts_stream,
        to_json({.kind = "system.policy",
                 .action = "CHANGED",
                 .time = next.changed,
                 .source = Doer::of(by),
                 .target_id = by.tenant,
                 .target_type = "POLICY",
                 .client = &client,
                 .detail = {{.name = "version", .value = fmt::format("{}", next.version), .raw = true},
                            {.name = "before", .value = digest_of(*before.policy)},
                            {.name = "sha256", .value = digest_of(*next.policy)},
                            {.name = "policy", .value = next.policy->text(), .raw = true}}}));
    if (!added) return std::unexpected(added.error());
    return {};
  }));
  Lock lock(mutex_);
  return changed_[by.tenant] = std::move(next);
}

}  // namespace vestige::access
