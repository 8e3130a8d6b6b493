#include "sources/kafka/capture.h"

#include <set>

#include "platform/thread.h"
#include "sources/kafka/internal/session.h"
#include "sources/kafka/limits.h"

namespace vestige::sources::kafka {

struct Capture::Impl {
  Impl(Configuration given, CaptureParts all) : configuration(std::move(given)), parts(std::move(all)) {}

  void run();

  const Configuration configuration;
  CaptureParts parts;
  Control control;
  internal::Tally tally;
  std::unique_ptr<platform::Thread> thread;
};

void Capture::Impl::run() {
  std::set<int> troubles;
  keep_at_it(control, configuration.name, {limits::retry_first, limits::retry_last}, parts.warn, [&] {
    internal::Session session(configuration, parts, control, tally, troubles);
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
          .lag_messages = tally.lag_messages,
          .commands = tally.commands,
          .refused = tally.refused,
          .gaps = tally.gaps,
          .rebalances = tally.rebalances};
}

}  // namespace vestige::sources::kafka
