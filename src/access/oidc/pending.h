// Logins that were begun and not completed: what has to be remembered between sending a browser to the
// provider and its coming back. In memory only; a restart makes those few people begin again.
//
// Invariants:
// 1. A state is taken once at most, by whoever presents it first, in the right browser or in a wrong one.
// 2. Nothing is given out after login_lifetime, or to a browser without the value that was given to it when
//    the login began.
// 3. At most `capacity` are kept; past that the oldest goes. Turning new ones away instead would let a few
//    requests a second keep everybody out for as long as they go on.
// 4. Neither states nor browsers' values are kept, only their SHA-256; looking one up takes no time that
//    tells another.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "access/oidc/secret_text.h"
#include "base/bytes.h"
#include "base/mutex.h"
#include "base/result.h"
#include "platform/clock.h"
#include "platform/entropy.h"

namespace vestige::access::oidc {

struct PendingLogin {
  std::string provider;
  std::string nonce;
  SecretText verifier;  // of PKCE (RFC 7636)
  std::string return_to;
};

// Thread-safe.
class PendingLogins {
 public:
  PendingLogins(platform::Clock& clock, platform::Entropy& entropy, std::size_t capacity);

  struct Keys {
    std::string state;    // travels through the provider
    std::string browser;  // stays in the browser, as a cookie
  };
  Keys put(PendingLogin login) EXCLUDES(mutex_);
  // denied where there is no such login any more, or where another browser began it.
  Result<PendingLogin> take(std::string_view state, std::string_view browser) EXCLUDES(mutex_);
  std::size_t size() EXCLUDES(mutex_);

  // 256 random bits as text (43 characters).
  std::string random_text();

 private:
  struct Entry {
    PendingLogin login;
    Hash browser;
    std::uint64_t number;  // in order of beginning, and so of expiry
    std::chrono::nanoseconds expires_at;
  };
  void drop_expired(std::chrono::nanoseconds now) REQUIRES(mutex_);
  void drop_oldest() REQUIRES(mutex_);

  platform::Clock& clock_;
  platform::Entropy& entropy_;
  const std::size_t capacity_;
  Mutex mutex_;
  std::map<Hash, Entry> entries_ GUARDED_BY(mutex_);  // by the digest of the state
  std::map<std::uint64_t, Hash> order_ GUARDED_BY(mutex_);
  std::uint64_t next_number_ GUARDED_BY(mutex_) = 0;
};

}  // namespace vestige::access::oidc
