// The sessions that are, found by token, by id and by whose they are. Part of Sessions.
#pragma once

#include <set>
#include <unordered_map>

#include "access/sessions.h"
#include "base/mutex.h"

namespace vestige::access {

struct StoredSession {
  Session session;
  Hash digest{};
  std::chrono::nanoseconds created_at{}, seen_at{};  // on the clock that never goes back
  UnixMs seen_written{};
};

struct Sessions::Changes {
  std::vector<StoredSession> opened;
  struct Renewed {
    Uuid id;
    Hash digest;
    std::vector<std::string> roles;
    bool restricted;
  };
  std::vector<Renewed> renewed;
  struct Capped {
    Uuid id;
    std::optional<Deadline> until;
  };
  std::vector<Capped> capped;
  std::vector<Uuid> ended;
};

// Not thread-safe.
//
// Invariants: 1. every session is in all indexes; 2. no two have one digest; 3. a tenant without sessions is
// in none.
class SessionIndex {
 public:
  void insert(StoredSession stored);
  void renew(const Sessions::Changes::Renewed& renewed);
  void erase(const Uuid& id);

  StoredSession* find(const Uuid& id);
  StoredSession* find(const Hash& digest);
  // What belongs to one person, see owner_key().
  std::vector<const StoredSession*> of(const std::string& owner) const;
  std::size_t size() const { return by_id_.size(); }
  std::size_t count_of(const std::string& tenant) const;
  template <typename Visit>
  void for_each(Visit&& visit) {
    for (auto& [id, stored] : by_id_) visit(stored);
  }

 private:
  struct ByPrefix {
    std::size_t operator()(const Hash& digest) const { return load_le<std::size_t>(digest.data()); }
  };
  std::map<Uuid, StoredSession> by_id_;
  std::unordered_map<Hash, Uuid, ByPrefix> by_digest_;
  std::set<std::pair<std::string, Uuid>> by_owner_;
  std::map<std::string, std::size_t> by_tenant_;  // how many
};

std::string owner_key(std::string_view tenant, const Uuid& account);
std::string owner_key(std::string_view tenant, std::string_view subject);
std::string owner_key(const Session& session);

}  // namespace vestige::access
