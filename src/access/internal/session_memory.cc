#include "access/internal/session_memory.h"

#include "base/check.h"

namespace vestige::access {

std::string owner_key(std::string_view tenant, const Uuid& account) {
  return std::string(tenant) + "\naccount\n" + format_uuid(account);
}
std::string owner_key(std::string_view tenant, std::string_view subject) {
  return std::string(tenant) + "\ncustomer\n" + std::string(subject);
}
std::string owner_key(const Session& session) {
  return session.kind == PrincipalKind::customer ? owner_key(session.tenant, session.subject.value_or(""))
                                                 : owner_key(session.tenant, session.account);
}

void SessionIndex::insert(StoredSession stored) {
  const auto id = stored.session.id;
  CHECK(by_digest_.emplace(stored.digest, id).second);
  by_owner_.emplace(owner_key(stored.session), id);
  ++by_tenant_[stored.session.tenant];
  CHECK(by_id_.emplace(id, std::move(stored)).second);
}

void SessionIndex::renew(const Sessions::Changes::Renewed& renewed) {
  auto* const stored = find(renewed.id);
  CHECK(stored != nullptr);
  by_digest_.erase(stored->digest);
  stored->digest = renewed.digest;
  stored->session.roles = renewed.roles;
  stored->session.restricted = renewed.restricted;
  CHECK(by_digest_.emplace(renewed.digest, renewed.id).second);
}

void SessionIndex::erase(const Uuid& id) {
  const auto place = by_id_.find(id);
  if (place == by_id_.end()) return;
  by_digest_.erase(place->second.digest);
  by_owner_.erase({owner_key(place->second.session), id});
  const auto tenant = by_tenant_.find(place->second.session.tenant);
  if (--tenant->second == 0) by_tenant_.erase(tenant);
  by_id_.erase(place);
}

std::size_t SessionIndex::count_of(const std::string& tenant) const {
  const auto place = by_tenant_.find(tenant);
  return place == by_tenant_.end() ? 0 : place->second;
}

StoredSession* SessionIndex::find(const Uuid& id) {
  const auto place = by_id_.find(id);
  return place == by_id_.end() ? nullptr : &place->second;
}

StoredSession* SessionIndex::find(const Hash& digest) {
  const auto place = by_digest_.find(digest);
  return place == by_digest_.end() ? nullptr : find(place->second);
}

std::vector<const StoredSession*> SessionIndex::of(const std::string& owner) const {
  std::vector<const StoredSession*> found;
  for (auto at = by_owner_.lower_bound({owner, Uuid{}}); at != by_owner_.end() && at->first == owner; ++at)
    found.push_back(&by_id_.at(at->second));
  return found;
}

}  // namespace vestige::access
