// One identity provider as it is reached over the network: what its discovery document says, the keys that it
// publishes, and the questions that a login asks it.
//
// Every call may block for up to a few seconds (limits.h) and belongs on a worker thread, never on the event
// loop. Thread-safe; callers that need the same document wait for one fetch of it.
//
// Nothing here is durable and no session depends on it: while a provider is down, logins fail with its
// message, and who is signed in stays so.
//
// Keys. The set is fetched when it is first needed and again after `keys_lifetime`, so a key that the
// provider withdrew dies within that time and one that it still lists goes on being accepted. A token that
// names an unknown key has the set fetched anew, at most once in `keys_refetch_interval`.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "access/oidc/configuration.h"
#include "access/oidc/jwt.h"
#include "access/oidc/keys.h"
#include "access/oidc/secret_text.h"
#include "base/mutex.h"
#include "base/result.h"
#include "platform/clock.h"

namespace vestige::access::oidc {

// What a discovery document says (OpenID Connect Discovery §3, RFC 8414).
struct Discovery {
  std::string authorization_endpoint;
  std::string token_endpoint;
  std::string jwks_uri;
  std::string userinfo_endpoint;  // may be empty
  bool names_issuer = false;      // in every answer to a login (RFC 9207)
};

// invalid where the document is none, describes another issuer, or cannot do what this client needs. Pure.
Result<Discovery> read_discovery(std::string_view text, const Configuration& configuration);

struct Tokens {
  SecretText id_token;
  SecretText access_token;
};

class Provider {
 public:
  // The configuration has been validated.
  Provider(Configuration configuration, SecretText client_secret, platform::Clock& clock);

  const Configuration& configuration() const { return configuration_; }

  Result<Discovery> discovery() EXCLUDES(mutex_);
  // Redeems the code of a login: unavailable where the provider cannot be asked, denied where it refuses.
  Result<Tokens> exchange(std::string_view code, const SecretText& verifier) EXCLUDES(mutex_);
  // The token's claims, once one of the provider's keys has verified it.
  Result<json::Document> verify(const Token& token) EXCLUDES(mutex_);
  // What userinfo says about `subject`; denied where it speaks of somebody else.
  Result<json::Document> userinfo(const SecretText& access_token, std::string_view subject) EXCLUDES(mutex_);

 private:
  using Instant = std::chrono::nanoseconds;  // of the monotonic clock
  template <typename T>
  struct Cached {
    std::optional<T> value{};
    Instant fetched_at{};
    std::optional<Error> failure{};  // of the last attempt
    Instant failed_at{};
  };
  using Keys = std::shared_ptr<const KeySet>;  // a login verifies with one while another replaces it

  Result<Discovery> discovery_held() REQUIRES(mutex_);
  Result<Keys> fetch_keys() REQUIRES(mutex_);
  Result<Keys> keys() EXCLUDES(mutex_);
  Result<Keys> newer_keys(const Keys& known) EXCLUDES(mutex_);
  // `cached` where it is young enough, else what `fetch` gives; a failure is repeated for a while instead.
  template <typename T, typename Fetch>
  Result<T> fresh(Cached<T>& cached, std::chrono::nanoseconds lifetime, Fetch fetch) REQUIRES(mutex_);

  const Configuration configuration_;
  const SecretText client_secret_;
  platform::Clock& clock_;
  Mutex mutex_;
  Cached<Discovery> discovery_ GUARDED_BY(mutex_);
  Cached<Keys> keys_ GUARDED_BY(mutex_);
};

}  // namespace vestige::access::oidc
