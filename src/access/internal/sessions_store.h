// The table access_sessions.
#pragma once

#include <string>
#include <vector>

#include "base/strong.h"
#include "state/database.h"

namespace vestige::access::store {

struct SessionRow {
  std::string id, digest, tenant, kind, owner, roles, method;
  bool restricted = false;
  UnixMs created{}, seen{};
  UnixMs until{};  // the end of its account; 0: that has none
  std::string sealed_person;
};

std::vector<SessionRow> all_sessions(state::Transaction& transaction);
void insert_session(state::Transaction& transaction, const SessionRow& row);
void renew_session(state::Transaction& transaction, const std::string& id, const std::string& digest,
                   const std::string& roles, bool restricted);
void delete_session(state::Transaction& transaction, const std::string& id);
void set_until(state::Transaction& transaction, const std::string& id, UnixMs until);
void set_seen(state::Transaction& transaction, const std::string& id, UnixMs seen);

// The table access_used_links: customers' links that are good once and were used.
// False: it was used.
bool use_link(state::Transaction& transaction, const std::string& tenant, const std::string& digest,
              UnixMs expires);
std::size_t count_used_links(state::Transaction& transaction, const std::string& tenant);
void drop_expired_links(state::Transaction& transaction, UnixMs before);

}  // namespace vestige::access::store
