// The state database with all that lives in it, assembled: fields, outbox and relay, who comes in. Format:
// docs/formats/state.md, docs/formats/accounts.md.
//
// The relay has a thread of its own, which waits for the trail. Order of stop: whoever adds events, this, the
// trail; what still waits then is relayed at the next start.
#pragma once

#include <memory>

#include "access/identity.h"
#include "access/policies.h"
#include "access/tenants.h"
#include "platform/event_loop.h"
#include "state/database.h"
#include "state/fields.h"
#include "state/lease.h"
#include "state/outbox.h"
#include "state/relay.h"

namespace vestige::app {

class TrailService;

inline constexpr std::string_view state_file_name = "state.db";

class StateService {
 public:
  static Result<std::unique_ptr<StateService>> open(TrailService& trail, platform::Clock& clock,
                                                    platform::Entropy& entropy, const std::string& node,
                                                    std::vector<access::oidc::Configuration> providers);
  ~StateService();
  StateService(const StateService&) = delete;
  StateService& operator=(const StateService&) = delete;

  // Relays what a stop or a crash left and what the trail refused before, then, on a thread of its own, what
  // comes. The trail runs already.
  void start();
  void stop();

  // After a person was erased: ends their sessions and what was asked about them,
  // sees what waits about them into the trail, which keeps
  // nothing personal of it any more, and leaves no copy in the database's files. Right to call again. Not on
  // the relay's thread. unavailable where the trail takes too long.
  Status forget(std::string_view tenant, std::string_view subject);

  state::Database& database() { return *database_; }
  state::Fields& fields() { return *fields_; }
  state::Outbox& outbox() { return *outbox_; }
  access::Policies& policies() { return *policies_; }
  access::Identity& identity() { return *identity_; }
  access::Tenants& tenants() { return *tenants_; }

 private:
  StateService(TrailService& trail, platform::Clock& clock) : trail_(trail), clock_(clock) {}
  Status relay_into_trail(std::span<const state::OutboxEvent> events);
  void relay();
  void sweep();

  TrailService& trail_;
  platform::Clock& clock_;
  platform::EventLoop loop_{1};
  std::unique_ptr<state::Database> database_;
  std::unique_ptr<state::Fields> fields_;
  std::unique_ptr<state::Outbox> outbox_;
  std::unique_ptr<state::Lease> lease_;
  std::unique_ptr<state::Relay> relay_;
  std::unique_ptr<access::Policies> policies_;
  std::unique_ptr<access::Identity> identity_;
  std::unique_ptr<access::Tenants> tenants_;
};

}  // namespace vestige::app
