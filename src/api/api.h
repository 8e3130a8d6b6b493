// HTTP resources mapped to calls of audit. Owns openapi.json and the static pages (assets/).
//
// Owner: app. Handlers run on the loop's threads and answer from there, from the committer or from the
// query threads. Authorisation happens here, once: what lies below gets a decided caller.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "access/identity.h"
#include "access/policies.h"
#include "access/tenants.h"
#include "audit/tenant_trail.h"
#include "http/server.h"
#include "platform/clock.h"
#include "platform/event_loop.h"
#include "trail/log/log.h"

namespace vestige::api {

inline constexpr std::size_t event_streams_max = 256;
inline constexpr std::ptrdiff_t event_streams_of_one_max =
    32;                                        // by one person or key, so that others get theirs
inline constexpr std::size_t exports_max = 8;  // at a time
inline constexpr std::ptrdiff_t exports_of_one_max = 3;
inline constexpr std::size_t letting_in_max = 64;  // people, at a time

// One source of captured changes, for /metrics.
struct CaptureFigures {
  std::string name;
  bool connected = false;
  // Nothing where the source has no such thing.
  std::optional<std::uint64_t> lag_bytes{}, lag_messages{};
  std::uint64_t rows = 0;
  std::optional<std::uint64_t> unattributed{}, refused{};
  std::uint64_t gaps = 0;
  std::optional<std::uint64_t> rebalances{};
};

struct ApiParts {
  platform::EventLoop& loop;       // where answers are put together
  platform::EventLoop& queries;    // where searches run, so that they hold up nobody else
  platform::EventLoop& acts;       // where erasures run, one after the other
  platform::EventLoop& signing;    // where passwords are hashed and state is written
  platform::EventLoop& providers;  // where OpenID providers are asked, each of which may be slow
  platform::Clock& clock;
  trail::Log& log;
  // Null where there is none.
  std::function<audit::TenantTrail*(std::string_view tenant)> trail_of;
  const audit::KindRegistry& kinds;
  state::Database& database;
  state::Fields& fields;
  state::Outbox& outbox;
  access::Policies& policies;
  access::Identity& identity;
  access::Tenants& tenants;
  // What is known of a person who was just erased besides the trail goes too.
  std::function<Status(std::string_view tenant, std::string_view subject)> forget_in_state;
  std::vector<access::AddressRange> trusted_proxies{};  // whose X-Forwarded-For is believed
  bool over_tls = false;                                // as browsers see it, so that cookies can say so
  std::string public_url{};  // as browsers reach the server; empty where nobody said
  std::function<http::ServerFigures()> http_figures;
  std::function<std::vector<CaptureFigures>()> capture_figures;
  std::string version;
};

class Api {
 public:
  explicit Api(ApiParts parts);
  ~Api();

  void add_routes(http::Router& router);
  // Refuses what needs a key and brings none, before its body is read.
  http::Gate gate();
  // Ends all event streams and exports; none is accepted afterwards.
  void close_streams();

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace vestige::api
