// Links by which a customer reaches their own data: whoever was allowed to make one sends it, whoever opens
// it is that customer for a session. The link carries all that it means, encrypted, so that nothing is stored
// until it is used and nobody on its way can read whose it is (docs/decisions/0086,
// docs/formats/accounts.md).
//
// Owner: app. Thread-safe. Durable when a call returns success.
#pragma once

#include <string>
#include <string_view>

#include "access/client.h"
#include "access/failures.h"
#include "access/principal.h"
#include "access/sessions.h"
#include "base/result.h"
#include "base/strong.h"
#include "platform/clock.h"
#include "platform/entropy.h"
#include "state/database.h"
#include "state/fields.h"
#include "state/outbox.h"

namespace vestige::access {

inline constexpr std::string_view customer_role = "customer";

class CustomerLinks {
 public:
  // `key` is the vault's purpose key "customer-link".
  CustomerLinks(state::Database& database, state::Outbox& outbox, state::Fields& fields, Sessions& sessions,
                Failures& failures, platform::Clock& clock, platform::Entropy& entropy, const Key& key)
      : database_(database),
        outbox_(outbox),
        fields_(fields),
        sessions_(sessions),
        failures_(failures),
        clock_(clock),
        entropy_(entropy),
        key_(key) {}
  ~CustomerLinks();
  CustomerLinks(const CustomerLinks&) = delete;
  CustomerLinks& operator=(const CustomerLinks&) = delete;

  struct Wanted {
    std::string subject;  // whose data
    std::chrono::milliseconds valid{};
    bool reusable = false;  // good again and again until it ends, which is sooner then (limits.h)
  };
  struct Made {
    std::string token;  // shown once
    UnixMs expires{};
  };
  // For a customer of the caller's tenant.
  Result<Made> make(const Principal& by, const Client& client, const Wanted& wanted);
  // Signs the customer in; `tenant` is one that there is. denied, always with the same words, where the link
  // is not of this server and tenant, is too old, or was used.
  Result<Sessions::Opened> redeem(std::string_view tenant, std::string_view token, const Client& client);

  // To be called about once a minute, on a thread that may wait.
  Status sweep();

 private:
  struct Content {
    bool reusable = false;
    UnixMs expires{};
    Block16 id{};
    std::string tenant, subject;
  };
  std::string seal(const Content& content);
  std::optional<Content> open(std::string_view token) const;

  state::Database& database_;
  state::Outbox& outbox_;
  state::Fields& fields_;
  Sessions& sessions_;
  Failures& failures_;
  platform::Clock& clock_;
  platform::Entropy& entropy_;
  Key key_;
};

}  // namespace vestige::access
