#include "http/internal/core.h"

#include "base/check.h"
#include "http/limits.h"

namespace vestige::http::internal {

bool Core::enter() {
  Lock lock(mutex_);
  if (stopping()) return false;
  ++running_;
  return true;
}

void Core::leave() {
  Lock lock(mutex_);
  CHECK(running_ > 0);
  --running_;
  changed_.notify_all();
}

Core::Admission Core::admission() const {
  Lock lock(mutex_);
  if (stopping()) return Admission::refused;
  if (connections_.size() < options.connections_max) return Admission::welcome;
  return connections_.size() < options.connections_max + limits::turned_away_max ? Admission::turned_away
                                                                                 : Admission::refused;
}

bool Core::admit(const std::shared_ptr<Connection>& connection) {
  Lock lock(mutex_);
  if (stopping()) return false;
  connections_.insert(connection);
  ++running_;
  return true;
}

void Core::dismiss(const std::shared_ptr<Connection>& connection) {
  Lock lock(mutex_);
  connections_.erase(connection);  // it may have been forgotten
  CHECK(running_ > 0);
  --running_;
  changed_.notify_all();
}

std::vector<std::shared_ptr<Connection>> Core::connections() const {
  Lock lock(mutex_);
  return {connections_.begin(), connections_.end()};
}

std::size_t Core::connection_count() const {
  Lock lock(mutex_);
  return connections_.size();
}

void Core::begin_stop() {
  Lock lock(mutex_);
  stopping_.store(true, std::memory_order_release);
}

bool Core::wait_until_running(std::size_t count, std::chrono::nanoseconds patience) {
  const auto end = now() + patience;
  Lock lock(mutex_);
  while (running_ > count) {
    const auto left = end - now();
    if (left <= std::chrono::nanoseconds::zero()) return false;
    changed_.wait_for(mutex_, left);
  }
  return true;
}

void Core::forget_connections() {
  std::unordered_set<std::shared_ptr<Connection>> forgotten;
  Lock lock(mutex_);
  forgotten.swap(connections_);
}

}  // namespace vestige::http::internal
