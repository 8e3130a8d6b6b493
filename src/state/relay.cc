#include "state/relay.h"

#include "state/internal/outbox_rows.h"

namespace vestige::state {

Relay::Relay(Outbox& outbox, Lease& lease, OutboxSink sink, RelayReports reports, platform::Clock& clock,
             RelayOptions options)
    : outbox_(outbox),
      lease_(lease),
      sink_(std::move(sink)),
      reports_(std::move(reports)),
      clock_(clock),
      options_(options) {}
Relay::~Relay() = default;

// Round by round, a batch of each stream, so that a long queue of one does not keep the others.
Result<Relay::Run> Relay::run_once() {
  Run run;
  outbox_.woken_ = false;  // before it looks, so that what is added from now on wakes it again
  std::size_t batches = 0;
  for (bool moved = true; moved && !run.more;) {
    moved = false;
    VESTIGE_TRY(const bool ours, lease_.keep());
    if (!ours) break;
    VESTIGE_TRY(const auto streams, outbox_.rows_->streams());
    std::erase_if(delays_, [&](const auto& one) { return !std::ranges::binary_search(streams, one.first); });
    for (const auto& stream : streams) {
      const auto found = delays_.find(stream);
      if (found != delays_.end() && clock_.monotonic() < found->second.until) continue;
      if (batches++ == options_.batches_max) {
        run.more = true;
        break;
      }
      VESTIGE_TRY(const bool stream_moved, relay_batch(stream, run));
      moved = moved || stream_moved;
    }
  }
  VESTIGE_CHECKED(outbox_.settle());
  return run;
}

Result<bool> Relay::relay_batch(const StreamName& stream, Run& run) {
  VESTIGE_TRY(auto rows, outbox_.rows_->first(stream, options_.batch_events_max, options_.batch_bytes_max));
  if (rows.empty()) return false;
  if (rows.front().damage) return set_aside(stream, rows.front(), *rows.front().damage, run);
  std::vector<OutboxEvent> events;
  for (const auto& row : rows) events.push_back(row.event);
  if (const auto taken = sink_(events); !taken) {
    if (taken.error().kind == ErrorKind::invalid) return relay_alone(stream, std::move(rows), run);
    delay(stream, taken.error());
    return false;
  }
  VESTIGE_CHECKED(remove(stream, std::move(rows), run));
  return true;
}

// One of the events is invalid. Each is removed before the next is offered, so that a failure in between
// offers again only what was not taken.
Result<bool> Relay::relay_alone(const StreamName& stream, std::vector<OutboxRow> rows, Run& run) {
  bool moved = false;
  for (auto& row : rows) {
    const auto taken = sink_(std::span(&row.event, 1));
    if (taken) {
      std::vector<OutboxRow> one;
      one.push_back(std::move(row));
      VESTIGE_CHECKED(remove(stream, std::move(one), run));
    } else if (taken.error().kind == ErrorKind::invalid) {
      VESTIGE_TRY(const bool aside, set_aside(stream, row, taken.error(), run));
      if (!aside) return moved;
    } else {
      delay(stream, taken.error());
      return moved;
    }
    moved = true;
  }
  return moved;
}

Result<bool> Relay::set_aside(const StreamName& stream, const OutboxRow& row, const Error& reason, Run& run) {
  if (auto aside = outbox_.rows_->set_aside(row, reason.message, clock_.now()); !aside) {
    if (aside.error().kind != ErrorKind::exhausted) return std::unexpected(std::move(aside).error());
    delay(stream, aside.error());
    return false;
  }
  ++run.set_aside;
  delays_.erase(stream);
  if (reports_.set_aside) reports_.set_aside({row.event.id, row.event.tenant, row.event.stream, {}}, reason);
  return true;
}

Status Relay::remove(const StreamName& stream, std::vector<OutboxRow> rows, Run& run) {
  VESTIGE_TRY(const auto removed, outbox_.rows_->remove(OutboxRows::Table::waiting, std::move(rows)));
  run.relayed += removed.size();
  delays_.erase(stream);
  return {};
}

void Relay::delay(const StreamName& stream, const Error& error) {
  auto& delay = delays_[stream];
  auto pause = options_.retry_first;
  for (std::uint32_t i = 0; i < delay.failures && pause < options_.retry_last; ++i) pause *= 2;
  ++delay.failures;
  delay.until = clock_.monotonic() + std::min(pause, options_.retry_last);
  if (reports_.failed) reports_.failed(stream, error);
}

}  // namespace vestige::state
