#include "state/outbox.h"

#include <fmt/format.h>

#include "state/internal/outbox_rows.h"
#include "state/limits.h"

namespace vestige::state {
namespace {

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= limits::name_bytes_max &&
         std::ranges::none_of(name, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

}  // namespace

Outbox::Outbox(Database& database, const Fields& fields, platform::Clock& clock, platform::Entropy& entropy)
    : clock_(clock), entropy_(entropy), rows_(std::make_unique<OutboxRows>(database, fields)) {}
Outbox::~Outbox() = default;

Result<Uuid> Outbox::add(Transaction& transaction, std::string_view tenant, std::string_view stream,
                         std::string event) {
  if (!is_name(tenant) || !is_name(stream))
    return fail(ErrorKind::invalid,
                fmt::format("The name of a tenant or stream has 1 to {} bytes without controls.",
                            limits::name_bytes_max));
  if (event.size() > limits::event_bytes_max)
    return std::unexpected(
        Error{.kind = ErrorKind::invalid,
              .message = fmt::format("An event of {} bytes is longer than the trail takes.", event.size()),
              .limit = fmt::format("event_bytes_max {}", limits::event_bytes_max)});
  const auto now = clock_.now();
  const OutboxEvent added{make_uuid_v7(now, entropy_.bytes<16>()), std::string(tenant), std::string(stream),
                          std::move(event)};
  VESTIGE_CHECKED(rows_->add(transaction, added, now));
  transaction.after_commit([this] { wake(); });
  return added.id;
}

void Outbox::wake() {
  if (wake_ && !woken_.exchange(true)) wake_();
}

Result<std::uint64_t> Outbox::when_relayed(const Uuid& id, std::function<void(Status)> then) {
  std::uint64_t number = 0;
  {
    Lock lock(mutex_);
    if (waiters_.size() >= limits::waiters_max)
      return std::unexpected(
          Error{.kind = ErrorKind::exhausted,
                .message = fmt::format("{} callers wait for their events to be put on record "
                                       "already. Try again.",
                                       waiters_.size()),
                .limit = fmt::format("waiters_max {}", limits::waiters_max)});
    number = ++last_waiter_;
    waiters_.emplace(number, Waiter{id, std::move(then)});
  }
  // It may have been relayed before it was waited for.
  if (auto settled = settle({number}); !settled) {
    forget(number);
    return std::unexpected(std::move(settled).error());
  }
  return number;
}

void Outbox::forget(std::uint64_t waiter) {
  Lock lock(mutex_);
  waiters_.erase(waiter);
}

Status Outbox::settle() {
  std::vector<std::uint64_t> numbers;
  {
    Lock lock(mutex_);
    for (const auto& [number, waiter] : waiters_) numbers.push_back(number);
  }
  return numbers.empty() ? Status{} : settle(numbers);
}

Status Outbox::settle(const std::vector<std::uint64_t>& numbers) {
  std::vector<Uuid> ids;
  {
    Lock lock(mutex_);
    for (const auto number : numbers) {
      const auto found = waiters_.find(number);
      ids.push_back(found == waiters_.end() ? Uuid{} : found->second.id);
    }
  }
  VESTIGE_TRY(const auto places, rows_->places(ids));
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (places[i] == OutboxRows::Place::waiting) continue;
    const auto then = take_waiter(numbers[i]);
    if (!then) continue;
    if (places[i] == OutboxRows::Place::neither) {
      then({});
    } else {
      then(fail(ErrorKind::invalid,
                fmt::format("The trail does not take event {}: it was set aside in the outbox. "
                            "The server's log says why.",
                            format_uuid(ids[i]))));
    }
  }
  return {};
}

std::function<void(Status)> Outbox::take_waiter(std::uint64_t number) {
  Lock lock(mutex_);
  const auto found = waiters_.find(number);
  if (found == waiters_.end()) return {};
  auto then = std::move(found->second.then);
  waiters_.erase(found);
  return then;
}

Status Outbox::wait_until_relayed(const Uuid& id, std::chrono::milliseconds limit) {
  struct Shared {
    Mutex mutex;
    Condition told;
    std::optional<Status> outcome GUARDED_BY(mutex);
  };
  const auto shared = std::make_shared<Shared>();
  VESTIGE_TRY(const auto waiter, when_relayed(id, [shared](Status status) {
                Lock lock(shared->mutex);
                shared->outcome = std::move(status);
                shared->told.notify_all();
              }));
  {
    Lock lock(shared->mutex);
    while (!shared->outcome && shared->told.wait_for(shared->mutex, limit)) {
    }
    if (shared->outcome) return *shared->outcome;
  }
  forget(waiter);
  return fail(
      ErrorKind::unavailable,
      fmt::format("Event {} is not on record yet. It waits in the outbox and will be; the server's log says "
                  "what keeps it.",
                  format_uuid(id)));
}

Status Outbox::wait_for_all(std::chrono::milliseconds limit) {
  VESTIGE_TRY(const auto newest, rows_->newest());
  for (const auto& id : newest)
    if (auto relayed = wait_until_relayed(id, limit);
        !relayed && relayed.error().kind != ErrorKind::invalid)  // invalid: it was set aside
      return relayed;
  return {};
}

Result<Outbox::Figures> Outbox::figures() { return rows_->figures(clock_.now()); }

Result<std::vector<RefusedEvent>> Outbox::refused(std::optional<Uuid> after, std::size_t rows_max) {
  return rows_->refused(after, rows_max);
}

Status Outbox::offer_again(const Uuid& id) {
  VESTIGE_CHECKED(rows_->put_back(id));
  wake();
  return {};
}

Status Outbox::offer_all_again() {
  VESTIGE_CHECKED(rows_->put_all_back());
  wake();
  return {};
}

Result<Outbox::Evicted> Outbox::evict(const std::function<bool(const OutboxEvent&)>& concerns) {
  Evicted evicted;
  for (const auto table : {OutboxRows::Table::waiting, OutboxRows::Table::refused}) {
    for (std::int64_t after = 0;;) {
      VESTIGE_TRY(auto page, rows_->page(table, after, limits::look_through_rows));
      if (page.empty()) break;
      after = page.back().position;
      std::vector<OutboxRow> concerned;
      for (auto& row : page) {
        if (row.damage) {
          ++evicted.damaged;
        } else if (concerns(row.event)) {
          concerned.push_back(std::move(row));
        }
      }
      if (concerned.empty()) continue;
      VESTIGE_TRY(auto removed, rows_->remove(table, std::move(concerned)));
      for (auto& row : removed) evicted.events.push_back(std::move(row.event));
    }
  }
  return evicted;
}

}  // namespace vestige::state
