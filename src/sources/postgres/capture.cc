#include "sources/postgres/capture.h"

#include <fmt/format.h>

#include "platform/thread.h"
#include "sources/postgres/internal/session.h"
#include "sources/postgres/limits.h"

namespace vestige::sources::postgres {

struct Capture::Impl {
  Impl(Configuration given, CaptureParts all) : configuration(std::move(given)), parts(std::move(all)) {}

  void run();
  void remove_left_overs();

  const Configuration configuration;
  CaptureParts parts;
  Control control;
  internal::Tally tally;
  std::unique_ptr<platform::Thread> thread;
};

// Files of transactions that were under way in a process that is gone: their keys are gone with it.
void Capture::Impl::remove_left_overs() {
  const auto prefix = internal::spool_prefix(configuration.name);
  const auto entries = parts.data.list("");
  if (!entries) return;
  for (const auto& entry : *entries)
    if (!entry.is_directory && entry.name.starts_with(prefix) && entry.name.ends_with(".tmp"))
      if (const auto removed = parts.data.remove(entry.name); !removed)
        parts.warn(fmt::format("capture {}: {}", configuration.name, removed.error().message));
}

void Capture::Impl::run() {
  remove_left_overs();
  keep_at_it(control, configuration.name, {limits::retry_first, limits::retry_last}, parts.warn, [&] {
    internal::Session session(configuration, parts, control, tally);
    auto status = session.run();
    tally.connected = false;
    return Ended{std::move(status), session.served()};
  });
}

Capture::Capture(Configuration configuration, CaptureParts parts)
    : impl_(std::make_unique<Impl>(std::move(configuration), std::move(parts))) {}

Capture::~Capture() { stop(); }

void Capture::start() {
  impl_->thread = std::make_unique<platform::Thread>("capture", [impl = impl_.get()] { impl->run(); });
}

void Capture::stop() {
  impl_->control.stop();
  impl_->thread.reset();
}

CaptureFigures Capture::figures() const {
  const auto& tally = impl_->tally;
  return {.name = impl_->configuration.name,
          .connected = tally.connected,
          .lag_bytes = tally.lag_bytes,
          .lsn = tally.lsn,
          .transactions = tally.transactions,
          .rows = tally.rows,
          .unattributed = tally.unattributed,
          .gaps = tally.gaps};
}

}  // namespace vestige::sources::postgres
