#include "access/tenants.h"

#include <fmt/format.h>

#include <algorithm>

#include "access/internal/errors.h"
#include "access/internal/facts.h"
#include "access/internal/tenants_store.h"
#include "access/limits.h"
#include "base/encoding.h"

namespace vestige::access {
namespace {

constexpr std::pair<std::string_view, Tier> tiers[] = {
    {"standard", Tier::standard}, {"premium", Tier::premium}, {"enterprise", Tier::enterprise}};
constexpr std::pair<std::string_view, TenantState> states[] = {{"active", TenantState::active},
                                                               {"suspended", TenantState::suspended}};

template <typename Table, typename Value>
std::string_view name_in(const Table& table, Value value) {
  return std::ranges::find(table, value, [](const auto& row) { return row.second; })->first;
}

template <typename Value, std::size_t n>
std::optional<Value> value_in(const std::pair<std::string_view, Value> (&table)[n], std::string_view name) {
  const auto found = std::ranges::find(table, name, [](const auto& row) { return row.first; });
  return found == std::end(table) ? std::nullopt : std::optional(found->second);
}

bool is_letter_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

store::TenantRow row_of(const Tenant& tenant) {
  return {.id = tenant.id,
          .name = tenant.name,
          .tier = std::string(name_of(tenant.tier)),
          .state = std::string(name_of(tenant.state)),
          .created = tenant.created,
          .changed = tenant.changed};
}

Result<Tenant> tenant_of(const store::TenantRow& row) {
  const auto tier = parse_tier(row.tier);
  const auto state = value_in(states, row.state);
  if (!is_tenant_id(row.id) || !tier || !state)
    return corrupt("access_tenants", 0, fmt::format("the tenant {} in the database does not read", row.id));
  return Tenant{.id = row.id,
                .name = row.name,
                .tier = *tier,
                .state = *state,
                .created = row.created,
                .changed = row.changed};
}

Status check_wanted(const Tenants::Wanted& wanted) {
  if (!is_tenant_id(wanted.id))
    return invalid_at(
        "/id",
        fmt::format("the id of a tenant has 1 to {} of the characters a-z, 0-9 and -, and begins "
                    "and ends with a letter or digit",
                    limits::tenant_id_bytes_max),
        fmt::format("tenant_id_bytes_max = {}", limits::tenant_id_bytes_max));
  if (wanted.name.empty() || wanted.name.size() > limits::tenant_name_bytes_max || !is_utf8(wanted.name))
    return invalid_at("/name",
                      fmt::format("the name of a tenant has 1 to {} bytes", limits::tenant_name_bytes_max),
                      fmt::format("tenant_name_bytes_max = {}", limits::tenant_name_bytes_max));
  return {};
}

}  // namespace

std::string_view name_of(Tier tier) { return name_in(tiers, tier); }
std::string_view name_of(TenantState state) { return name_in(states, state); }
std::optional<Tier> parse_tier(std::string_view name) { return value_in(tiers, name); }

bool is_tenant_id(std::string_view id) {
  return !id.empty() && id.size() <= limits::tenant_id_bytes_max && is_letter_or_digit(id.front()) &&
         is_letter_or_digit(id.back()) &&
         std::ranges::all_of(id, [](char c) { return is_letter_or_digit(c) || c == '-'; });
}

Result<std::unique_ptr<Tenants>> Tenants::open(state::Database& database, state::Outbox& outbox,
                                               Sessions& sessions, platform::Clock& clock, Provide provide) {
  std::unique_ptr<Tenants> tenants(new Tenants(database, outbox, sessions, clock, std::move(provide)));
  VESTIGE_CHECKED(tenants->load());
  for (const auto& tenant : tenants->list()) VESTIGE_CHECKED(tenants->provide_(tenant.id));
  return tenants;
}

Status Tenants::check_manages(const Principal& by) {
  if (by.tenant == home_tenant_id) return {};
  return fail(ErrorKind::denied, fmt::format("tenants are managed from the tenant {}", home_tenant_id));
}

Status Tenants::load() {
  const auto now = clock_.now();
  VESTIGE_TRY(const auto rows,
              database_.write([&](state::Transaction& transaction) -> Result<std::vector<store::TenantRow>> {
                auto found = store::all_tenants(transaction);
                if (std::ranges::find(found, home_tenant_id, &store::TenantRow::id) == found.end()) {
                  // The tier that keeps longest: what nobody decided about is not lost early.
                  found.push_back(row_of({.id = std::string(home_tenant_id),
                                          .name = std::string(home_tenant_id),
                                          .tier = Tier::enterprise,
                                          .created = now,
                                          .changed = now}));
                  store::put_tenant(transaction, found.back());
                }
                return found;
              }));
  Lock lock(mutex_);
  for (const auto& row : rows) {
    VESTIGE_TRY(auto tenant, tenant_of(row));
    if (tenant.id == home_tenant_id && tenant.state != TenantState::active)
      return corrupt("access_tenants", 0, fmt::format("the tenant {} is suspended in the database", row.id));
    tenants_.emplace(row.id, std::move(tenant));
  }
  return {};
}

std::optional<Tenant> Tenants::find(std::string_view id) const {
  Lock lock(mutex_);
  const auto found = tenants_.find(id);
  return found == tenants_.end() ? std::nullopt : std::optional(found->second);
}

std::vector<Tenant> Tenants::list() const {
  Lock lock(mutex_);
  std::vector<Tenant> all;
  all.reserve(tenants_.size());
  for (const auto& [id, tenant] : tenants_) all.push_back(tenant);
  return all;
}

bool Tenants::alone() const {
  Lock lock(mutex_);
  return tenants_.size() == 1;
}

Status Tenants::admit(std::string_view tenant, Use use) const {
  Lock lock(mutex_);
  const auto found = tenants_.find(tenant);
  if (found == tenants_.end()) return fail(ErrorKind::denied, "there is no such tenant");
  if (found->second.state == TenantState::suspended && use != Use::record)
    return fail(
        ErrorKind::denied,
        "this tenant is suspended: only keys with the scope ingest alone go on, and record. Whoever runs the "
        "server can resume it");
  return {};
}

Result<Tenant> Tenants::known(std::string_view id) const {
  if (auto found = find(id)) return *std::move(found);
  return fail(ErrorKind::not_found, "there is no tenant of this id");
}

Result<Tenant> Tenants::create(const Principal& by, const Client& client, const Wanted& wanted) {
  VESTIGE_CHECKED(check_manages(by));
  VESTIGE_CHECKED(check_wanted(wanted));
  const auto now = clock_.now();
  const Tenant made{
      .id = wanted.id, .name = wanted.name, .tier = wanted.tier, .created = now, .changed = now};
  Lock writing(writing_);
  {
    Lock lock(mutex_);
    if (tenants_.contains(wanted.id))
      return fail(ErrorKind::conflict, fmt::format("there is a tenant {} already", wanted.id));
    if (tenants_.size() >= limits::tenants_max)
      return exhausted("there are as many tenants as one server takes; start another one for more",
                       fmt::format("tenants_max = {}", limits::tenants_max));
  }
  // A crash in between leaves what the next attempt finds.
  VESTIGE_CHECKED(provide_(made.id));
  VESTIGE_CHECKED(database_.write([&](state::Transaction& transaction) -> Status {
    store::put_tenant(transaction, row_of(made));
    return record(transaction, by, client, nullptr, made, "CREATED");
  }));
  Lock lock(mutex_);
  return tenants_[made.id] = made;
}

Result<Tenant> Tenants::set_tier(const Principal& by, const Client& client, std::string_view id, Tier tier) {
  VESTIGE_CHECKED(check_manages(by));
  Lock writing(writing_);
  VESTIGE_TRY(const auto before, known(id));
  auto after = before;
  after.tier = tier;
  return change(by, client, before, std::move(after), "CHANGED");
}

Result<Tenant> Tenants::suspend(const Principal& by, const Client& client, std::string_view id) {
  VESTIGE_CHECKED(check_manages(by));
  if (id == home_tenant_id)
    return fail(ErrorKind::conflict,
                fmt::format("the tenant {} runs the server and cannot be suspended", home_tenant_id));
  Lock writing(writing_);
  VESTIGE_TRY(const auto before, known(id));
  auto after = before;
  after.state = TenantState::suspended;
  VESTIGE_TRY(auto suspended, change(by, client, before, std::move(after), "SUSPENDED"));
  VESTIGE_CHECKED(sessions_.revoke_tenant(id));
  return suspended;
}

Result<Tenant> Tenants::resume(const Principal& by, const Client& client, std::string_view id) {
  VESTIGE_CHECKED(check_manages(by));
  Lock writing(writing_);
  VESTIGE_TRY(const auto before, known(id));
  if (before.state == TenantState::active) return before;
  // What a crash or an error while suspending left.
  VESTIGE_CHECKED(sessions_.revoke_tenant(id));
  auto after = before;
  after.state = TenantState::active;
  return change(by, client, before, std::move(after), "RESUMED");
}

Result<Tenant> Tenants::change(const Principal& by, const Client& client, const Tenant& before, Tenant after,
                               std::string_view action) {
  if (after.tier == before.tier && after.state == before.state) return before;
  after.changed = std::max(clock_.now(), before.changed);  // a clock that is set back says nothing false
  VESTIGE_CHECKED(database_.write([&](state::Transaction& transaction) -> Status {
    store::put_tenant(transaction, row_of(after));
    return record(transaction, by, client, &before, after, action);
  }));
  Lock lock(mutex_);
  return tenants_[after.id] = std::move(after);
}

Status Tenants::record_offer(const Principal& by, const Client& client, const Tenant& tenant) {
  VESTIGE_CHECKED(check_manages(by));
  auto now = tenant;
  now.changed = clock_.now();
  return database_.write([&](state::Transaction& transaction) {
    return record(transaction, by, client, &tenant, now, "ADMINISTRATOR_INVITED");
  });
}

// Into the home tenant's stream, with who did it; and into the tenant's own, where that was not just made, as
// an act of the server: who runs it is none of the tenant's concern.
Status Tenants::record(state::Transaction& transaction, const Principal& by, const Client& client,
                       const Tenant* before, const Tenant& after, std::string_view action) {
  Fact fact{.kind = "system.tenant",
            .action = action,
            .time = after.changed,
            .source = Doer::of(by),
            .target_id = after.id,
            .target_type = "TENANT",
            .client = &client,
            .detail = {{.name = "name", .value = after.name},
                       {.name = "tier", .value = std::string(name_of(after.tier))},
                       {.name = "state", .value = std::string(name_of(after.state))}}};
  const auto changed = [&](std::string_view field, std::string_view from, std::string_view to) {
    if (from != to)
      fact.changes.push_back({.field = field, .before = std::string(from), .after = std::string(to)});
  };
  if (before != nullptr) {
    changed("tier", name_of(before->tier), name_of(after.tier));
    changed("state", name_of(before->state), name_of(after.state));
  }
  const auto home = outbox_.add(transaction, home_tenant_id, acts_stream, to_json(fact));
  if (!home) return std::unexpected(home.error());
  if (before == nullptr || after.id == home_tenant_id) return {};
  fact.source = Doer::system();
  fact.client = nullptr;
  const auto own = outbox_.add(transaction, after.id, acts_stream, to_json(fact));
  if (!own) return std::unexpected(own.error());
  return {};
}

}  // namespace vestige::access
