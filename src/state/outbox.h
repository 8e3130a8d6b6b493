// Facts that wait to be put into the trail. A change of state and the event that tells of it are written in
// one transaction (transactional outbox); the relay (relay.h) then appends the event under the id that it has
// here, as often as it takes, and the trail keeps it once. So a crash between the two neither loses nor
// doubles anything. docs/decisions/0081.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "base/uuid.h"
#include "platform/clock.h"
#include "platform/entropy.h"
#include "state/database.h"
#include "state/fields.h"

namespace vestige::state {

class OutboxRows;

struct StreamName {
  std::string tenant;
  std::string stream;
  auto operator<=>(const StreamName&) const = default;
};

struct OutboxEvent {
  Uuid id{};  // of the event in the trail; version 7
  std::string tenant;
  std::string stream;  // "audit" or "access"
  std::string event;   // JSON without "id"; its "time" is that of the change
};

// An event that was set aside, because the trail will never take it. Its content stays encrypted; see
// Outbox::refused.
struct RefusedEvent {
  Uuid id{};
  std::string tenant;
  std::string stream;
  UnixMs refused_at{};
  std::string reason;  // may quote the event
};

// Thread-safe. Events are encrypted at rest: they name people. A stream's events are relayed in the order in
// which they were added.
class Outbox {
 public:
  Outbox(Database& database, const Fields& fields, platform::Clock& clock, platform::Entropy& entropy);
  ~Outbox();
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  // Within the transaction that makes the change. Gives the id that the event will have. exhausted where
  // limits::waiting_max of the stream wait: the change must then fail too.
  Result<Uuid> add(Transaction& transaction, std::string_view tenant, std::string_view stream,
                   std::string event);

  // Called on the thread that added, after a commit that brought events, and not again before the relay has
  // run; set once, before the first add().
  void on_added(std::function<void()> wake) { wake_ = std::move(wake); }

  // Calls `then` once the event is in the trail, so that an act can wait for its intent to be on record; with
  // invalid where the event was set aside. Not before the write that added it has returned. Called within
  // this call or on the thread of the relay; it must be quick. An event that is in no table counts as
  // relayed. Gives a number for forget(); exhausted where limits::waiters_max wait.
  Result<std::uint64_t> when_relayed(const Uuid& id, std::function<void(Status)> then) EXCLUDES(mutex_);
  // The call will not come any more, save where it is under way.
  void forget(std::uint64_t waiter) EXCLUDES(mutex_);
  // The same, blocking; unavailable where it takes longer than `limit`: the event still waits then and will
  // be relayed. Not on the thread of the relay.
  Status wait_until_relayed(const Uuid& id, std::chrono::milliseconds limit);

  // The same for everything that waits as this is called: it is relayed or set aside on success.
  Status wait_for_all(std::chrono::milliseconds limit);

  struct Figures {
    std::uint64_t waiting = 0;
    std::uint64_t refused = 0;            // set aside, because the trail called them invalid
    std::chrono::milliseconds oldest{0};  // how long the first has waited: the figure to raise an alarm by
  };
  Result<Figures> figures();

  // What was set aside, in the order of adding, after the event `after`.
  Result<std::vector<RefusedEvent>> refused(std::optional<Uuid> after, std::size_t rows_max);
  // Lets it wait for the relay again, in its old place; not_found where it was not set aside.
  Status offer_again(const Uuid& id);
  Status offer_all_again();

  struct Evicted {
    std::vector<OutboxEvent> events;
    std::uint64_t damaged = 0;  // could not be read, and were left
  };
  // Takes out every event, waiting or set aside, that `concerns` says yes to: events about a person who is
  // being erased. Those added while this runs may be left out, so the person is barred before. One of them
  // may be on its way into the trail at this moment: whoever records it in another form does so under the
  // same id. Database::purge() then removes the last copy of the bytes.
  Result<Evicted> evict(const std::function<bool(const OutboxEvent&)>& concerns);

 private:
  friend class Relay;
  struct Waiter {
    Uuid id{};
    std::function<void(Status)> then;
  };

  void wake();
  // Tells those whose event is relayed or set aside.
  Status settle() EXCLUDES(mutex_);
  Status settle(const std::vector<std::uint64_t>& waiters) EXCLUDES(mutex_);
  // Empty where it was told or forgotten.
  std::function<void(Status)> take_waiter(std::uint64_t number) EXCLUDES(mutex_);

  platform::Clock& clock_;
  platform::Entropy& entropy_;
  std::unique_ptr<OutboxRows> rows_;
  std::function<void()> wake_;
  std::atomic<bool> woken_ = false;  // and the relay has not begun to run since
  Mutex mutex_;
  std::uint64_t last_waiter_ GUARDED_BY(mutex_) = 0;
  std::map<std::uint64_t, Waiter> waiters_ GUARDED_BY(mutex_);
};

// Appends events, durably and each once by its id; in the order given. invalid where the trail will never
// take one of them (the relay then offers each alone and sets that one aside; an id that the trail has with
// other content is such a case); any other error is tried again.
using OutboxSink = std::function<Status(std::span<const OutboxEvent>)>;

}  // namespace vestige::state
