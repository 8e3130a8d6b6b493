#include "access/oidc/pending.h"

#include "access/oidc/limits.h"
#include "base/check.h"
#include "base/encoding.h"
#include "crypto/digest.h"

namespace vestige::access::oidc {

PendingLogins::PendingLogins(platform::Clock& clock, platform::Entropy& entropy, std::size_t capacity)
    : clock_(clock), entropy_(entropy), capacity_(capacity) {
  CHECK(capacity > 0);
}

std::string PendingLogins::random_text() { return to_base64url(entropy_.bytes<32>()); }

PendingLogins::Keys PendingLogins::put(PendingLogin login) {
  Keys keys{.state = random_text(), .browser = random_text()};
  Entry entry{.login = std::move(login),
              .browser = crypto::sha256(view(keys.browser)),
              .number = 0,
              .expires_at = clock_.monotonic() + limits::login_lifetime};
  Lock lock(mutex_);
  drop_expired(clock_.monotonic());
  if (entries_.size() >= capacity_) drop_oldest();
  entry.number = next_number_++;
  const auto digest = crypto::sha256(view(keys.state));
  order_.emplace(entry.number, digest);
  const bool is_new = entries_.emplace(digest, std::move(entry)).second;
  CHECK(is_new);
  return keys;
}

Result<PendingLogin> PendingLogins::take(std::string_view state, std::string_view browser) {
  Lock lock(mutex_);
  drop_expired(clock_.monotonic());
  const auto found = entries_.find(crypto::sha256(view(state)));
  if (found == entries_.end())
    return fail(ErrorKind::denied,
                "This login is not known here: it was completed already, it took longer than 10 minutes, or "
                "the server "
                "was restarted meanwhile. Begin again.");
  Entry entry = std::move(found->second);
  order_.erase(entry.number);
  entries_.erase(found);
  if (!crypto::constant_time_equal(crypto::sha256(view(browser)), entry.browser))
    return fail(ErrorKind::denied,
                "This login was begun in another browser, or this one does not keep cookies. Begin again.");
  return std::move(entry.login);
}

std::size_t PendingLogins::size() {
  Lock lock(mutex_);
  drop_expired(clock_.monotonic());
  return entries_.size();
}

void PendingLogins::drop_oldest() {
  const auto oldest = order_.begin();
  entries_.erase(oldest->second);
  order_.erase(oldest);
}

void PendingLogins::drop_expired(std::chrono::nanoseconds now) {
  while (!order_.empty() && entries_.at(order_.begin()->second).expires_at <= now) drop_oldest();
}

}  // namespace vestige::access::oidc
