// Signing in by OpenID Connect: the authorization code flow with PKCE (OpenID Connect Core §3.1, RFC 7636),
// as a client of one or several providers. No HTTP server is in it; `api` maps two routes to it:
//
//   begin     → the browser is sent to the provider, with a cookie
//   complete  → the browser comes back with a code and that cookie; gives a SignedIn
//
// What stands between a stranger and a session:
//
//   login CSRF, stolen answers     state: 256 random bits, good once, for 10 minutes, in the browser
//                                  that began
//   replayed or injected codes     PKCE S256 and the nonce in the ID token, both of this one login
//   a provider posing as another   a login belongs to one provider; iss of the answer, the discovery
//                                  document and the ID token have to be exactly the configured issuer
//   forged ID tokens               jwt.h, claims.h
//   open redirects                 return_to is a path of this server, or "/"
//
// Both calls may ask the provider and then block for seconds: they belong on a worker thread. Thread-safe.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "access/oidc/configuration.h"
#include "access/oidc/identity.h"
#include "access/oidc/limits.h"
#include "access/oidc/pending.h"
#include "access/oidc/provider.h"
#include "base/result.h"
#include "platform/clock.h"
#include "platform/entropy.h"

namespace vestige::access::oidc {

// Where to send the browser, and the cookie that it has to bring back: HttpOnly, SameSite=Lax, Secure, and
// no longer than `lifetime`. The name is that of this login, so that two tabs do not get into each other's
// way.
struct Begun {
  std::string location;
  std::string cookie_name;
  std::string cookie_value;
  std::chrono::seconds lifetime = limits::login_lifetime;
};

// The query of the request that the provider sent the browser back with, and its cookie; empty where absent.
struct Callback {
  std::string state{};
  std::string code{};
  std::string error{};
  std::string error_description{};
  std::string issuer{};        // "iss" (RFC 9207)
  std::string cookie_value{};  // of cookie_name_of(state)
};

std::string cookie_name_of(std::string_view state);

// `wanted` where it is a path of this server, else "/".
std::string local_path(std::string_view wanted);

class Logins {
 public:
  // Reads the client secrets. invalid or not_found with a message for the operator.
  static Result<std::unique_ptr<Logins>> open(std::vector<Configuration> providers, platform::Clock& clock,
                                              platform::Entropy& entropy,
                                              std::size_t pending_max = limits::pending_max);

  // Name, label and audience of each, for the page on which to choose.
  std::vector<const Configuration*> providers() const;

  // not_found where no such provider is configured, unavailable where it cannot be asked.
  Result<Begun> begin(std::string_view provider, std::string_view return_to);
  // denied where somebody is refused, unavailable where the provider cannot be asked or makes no sense. The
  // messages hold no secret and can be shown.
  Result<SignedIn> complete(std::string_view provider, const Callback& callback);

 private:
  Logins(std::vector<std::unique_ptr<Provider>> providers, platform::Clock& clock, platform::Entropy& entropy,
         std::size_t pending_max);
  Result<Provider*> find(std::string_view name) const;
  Result<SignedIn> redeem(Provider& provider, const Callback& callback, const PendingLogin& login);

  const std::vector<std::unique_ptr<Provider>> providers_;
  platform::Clock& clock_;
  PendingLogins pending_;
};

}  // namespace vestige::access::oidc
