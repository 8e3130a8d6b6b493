// Facts that wait to be put into the trail. A change of state and the event that tells of it are written in one
// transaction (transactional outbox); the relay then appends the event under the id that it has here, as often as it
// takes, and the trail keeps it once. So a crash between the two neither loses nor doubles anything.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/uuid.h"
#include "platform/clock.h"
#include "platform/entropy.h"
#include "state/database.h"
#include "state/fields.h"

namespace vestige::state {

struct OutboxEvent {
  Uuid id{};           // of the event in the trail; a v7 made by make_event_id()
  std::string tenant;
  std::string stream;  // "audit" or "access"
  std::string event;   // JSON without "id"; its "time" is that of the change
};

// Writes are encrypted at rest: an event names people.
class Outbox {
 public:
  Outbox(Database& database, Fields& fields, platform::Clock& clock, platform::Entropy& entropy);
  // Within the transaction that makes the change. Gives the id that the event will have.
  Result<Uuid> add(Transaction& transaction, std::string_view tenant, std::string_view stream, std::string event);

  struct Figures {
    std::uint64_t waiting = 0;
    std::uint64_t refused = 0;             // set aside, because the trail called them invalid
    std::chrono::milliseconds oldest{0};   // how long the first has waited
  };
  Result<Figures> figures();
};

// Appends events, durably and each once by its id; in the order given. invalid where the trail will never take one of
// them (the relay then offers each alone and sets that one aside); any other error is tried again.
using OutboxSink = std::function<Status(std::span<const OutboxEvent>)>;

}  // namespace vestige::state
