// Puts refused logins on record, and no more of them than a trail can bear: so many a minute and tenant are
// events of their own, the rest is counted and told as a sum when the minute is over.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "access/client.h"
#include "base/mutex.h"
#include "platform/clock.h"
#include "state/database.h"
#include "state/outbox.h"

namespace vestige::access {

// One refusal, as facts of kind access.security have it.
struct Refusal {
  std::string tenant;
  std::string_view event_type = "failed_login";
  std::string why;        // unknown_name, wrong_password, wrong_code, locked, ...: never what was typed
  std::string target_id;  // account, or a keyed index of the name that nobody has
  std::string_view target_type;
  std::string subject{};  // the account
  const Client* client = nullptr;
  std::string response{};  // what was done about it by itself
  std::string_view severity = "low";
  bool always = false;  // told whatever the minute has seen
};

// Owner: app. Thread-safe.
class Failures {
 public:
  Failures(state::Database& database, state::Outbox& outbox, platform::Clock& clock)
      : database_(database), outbox_(outbox), clock_(clock) {}

  // Durable when it returns, or counted. `also` is done in the same transaction, which there is in any case
  // then.
  Status tell(const Refusal& refusal, const std::function<Status(state::Transaction&)>& also = {});
  // Tells the sums of minutes that are over. To be called about once a minute.
  Status sweep();

 private:
  struct Minute {
    std::chrono::nanoseconds began{};
    std::size_t told = 0;
    std::uint64_t counted = 0;  // and not told yet
  };
  // Tenant and type of event: a flood of one hides nothing of the other.
  using Kind = std::pair<std::string, std::string>;
  bool may_tell(const Kind& kind) EXCLUDES(mutex_);

  state::Database& database_;
  state::Outbox& outbox_;
  platform::Clock& clock_;
  Mutex mutex_;
  std::map<Kind, Minute> minutes_ GUARDED_BY(mutex_);
};

}  // namespace vestige::access
