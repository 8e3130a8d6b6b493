// Who calls, and what was decided about this call: made once, before a handler runs, and handed down.
#pragma once

#include <optional>
#include <string>

#include "access/client.h"
#include "access/operations.h"
#include "access/policy.h"
#include "access/principal.h"
#include "audit/tenant_trail.h"

namespace vestige::api {

struct Caller {
  access::Principal principal;
  access::Client client;
  audit::TenantTrail* trail = nullptr;  // of the caller's tenant: there is no way to another one's
  std::string session_token{};          // of the cookie; empty for who came with an API key
  const access::Operation* operation = nullptr;
  std::shared_ptr<const access::Policy> policy{};  // by which it was decided
  access::Decision decision;
  std::string reason{};                 // X-Vestige-Reason
  std::optional<std::string> person{};  // whom the request is about, where it names one
  bool prints = false;                  // X-Vestige-Access: print
  std::string purpose{};                // X-Vestige-Purpose, of a look
  std::string approval{};               // that this request used up
  std::string approved_by{};            // its rule
  std::string approval_told{};          // how an entry that is recorded under it names it, as JSON
};

// What a handler tells of a look, for the record.
struct LookedAt {
  std::string query{};        // as audit::QueryDigests write it
  std::string counted{};      // audit::counted_form()
  std::string target_type{};  // where it was one thing
  std::string target_id{};
};

}  // namespace vestige::api
