// Who calls, and what was decided about this call: made once, before a handler runs, and handed down.
#pragma once

#include <optional>
#include <string>

#include "access/operations.h"
#include "access/policy.h"
#include "base/uuid.h"

namespace vestige::api {

struct Caller {
  Uuid id{};  // of the API key
  std::string name;
  std::string tenant;
  const access::Operation* operation = nullptr;
  access::Decision decision;
  std::string reason{};                 // X-Vestige-Reason
  std::optional<std::string> person{};  // whom the request is about, where it names one
  bool prints = false;                  // X-Vestige-Access: print
  std::string ip{};
  std::string user_agent{};
};

// What a handler tells of a look, for the record.
struct LookedAt {
  std::string query{};        // as audit::QueryDigests write it
  std::string target_type{};  // where it was one thing
  std::string target_id{};
};

}  // namespace vestige::api
