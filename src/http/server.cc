#include "http/server.h"

#include <fmt/format.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/check.h"
#include "http/internal/connection.h"
#include "http/internal/core.h"
#include "http/internal/tls.h"
#include "http/limits.h"
#include "platform/asio.h"

namespace vestige::http {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using internal::Connection;
using internal::Core;

// The socket that clients connect to. Its coroutines run on its strand and hold it until they end.
struct Listener {
  Listener(std::shared_ptr<Core> shared, platform::IoContext& loop)
      : core(std::move(shared)),
        context(loop),
        strand(asio::make_strand(loop)),
        acceptor(strand),
        pause(strand),
        sweep(strand) {}

  std::shared_ptr<Core> core;
  platform::IoContext& context;
  asio::any_io_executor strand;
  platform::TcpAcceptor acceptor;
  platform::SteadyTimer pause;
  platform::SteadyTimer sweep;
  bool swept = false;  // no further round
};

void welcome(Listener& listener, platform::TcpSocket socket) {
  const auto admission = listener.core->admission();
  listener.core->tally.connections_total.fetch_add(1, std::memory_order_relaxed);
  if (admission == Core::Admission::refused) {
    listener.core->tally.refused_total.fetch_add(1, std::memory_order_relaxed);
    return;  // the socket closes
  }
  const bool turned_away = admission == Core::Admission::turned_away;
  const auto connection = std::make_shared<Connection>(listener.core, std::move(socket), turned_away);
  if (listener.core->admit(connection)) connection->start();
}

asio::awaitable<void> accept_clients(std::shared_ptr<Listener> listener) {
  error_code error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  while (listener->acceptor.is_open()) {
    const asio::any_io_executor executor = asio::make_strand(listener->context);
    platform::TcpSocket socket(executor);
    co_await listener->acceptor.async_accept(socket, token);
    if (!error) {
      welcome(*listener, std::move(socket));
      continue;
    }
    if (error == asio::error::operation_aborted) break;
    // Out of descriptors or memory: the waiting client stays in the backlog until some are free.
    listener->pause.expires_after(limits::accept_pause);
    co_await listener->pause.async_wait(token);
  }
}

asio::awaitable<void> sweep_deadlines(std::shared_ptr<Listener> listener) {
  error_code error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  // Goes on while stopping: requests still running keep their time limits.
  while (!listener->swept) {
    const auto now = listener->core->now();
    for (const auto& connection : listener->core->connections()) connection->expire_if_due(now);
    listener->sweep.expires_after(limits::sweep_period);
    co_await listener->sweep.async_wait(token);
  }
}

Status listen_error(const ServerOptions& options, error_code error) {
  const auto where = fmt::format("port {} of {}", options.port, options.address);
  if (error == asio::error::address_in_use)
    return fail(ErrorKind::unavailable,
                fmt::format("Another program listens on {}; stop it, or choose another port.", where));
  if (error == asio::error::access_denied)
    return fail(ErrorKind::denied,
                fmt::format("This user may not listen on {}; ports below 1024 need a privilege. "
                            "Choose a port from 1024 on.",
                            where));
  if (error == boost::system::errc::address_not_available)
    return fail(ErrorKind::invalid,
                fmt::format("This machine has no address {}; listen on one of its own, or on "
                            "0.0.0.0 or :: for all.",
                            options.address));
  return fail(ErrorKind::unavailable, fmt::format("Listening on {} failed: {}.", where, error.message()));
}

Status listen_on(platform::TcpAcceptor& acceptor, const ServerOptions& options) {
  error_code error;
  const auto address = asio::ip::make_address(options.address, error);
  if (error)
    return fail(ErrorKind::invalid,
                fmt::format("\"{}\" is no IP address to listen on; write one such as 127.0.0.1, "
                            "0.0.0.0 or ::.",
                            options.address));
  const platform::TcpEndpoint endpoint(address, options.port);
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(platform::TcpAcceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(limits::listen_backlog, error);
  if (error) return listen_error(options, error);
  return {};
}

}  // namespace

struct Server::Impl {
  Impl(platform::EventLoop& event_loop, ServerOptions options, const Router& router, Gate gate)
      : loop(event_loop), core(std::make_shared<Core>(std::move(options), router, std::move(gate))) {}

  template <typename Coroutine>
  void spawn(Coroutine coroutine) {
    const bool entered = core->enter();
    CHECK(entered);
    asio::co_spawn(listener->strand, coroutine(listener),
                   [shared = core](const std::exception_ptr&) { shared->leave(); });
  }

  platform::EventLoop& loop;
  std::shared_ptr<Core> core;
  std::shared_ptr<Listener> listener;
  std::uint16_t port = 0;
};

Server::Server(platform::EventLoop& loop, ServerOptions options, const Router& router, Gate gate)
    : impl_(std::make_shared<Impl>(loop, std::move(options), router, std::move(gate))) {}

Server::~Server() { stop(); }

Status Server::start() {
  CHECK(!impl_->listener);  // once
  const auto& options = impl_->core->options;
  if (!options.tls_certificate_file.empty() || !options.tls_key_file.empty()) {
    VESTIGE_TRY(auto context, internal::server_tls(options.tls_certificate_file, options.tls_key_file));
    impl_->core->tls.emplace(std::move(context));
  }
  auto listener = std::make_shared<Listener>(impl_->core, impl_->loop.internals().context);
  VESTIGE_CHECKED(listen_on(listener->acceptor, options));
  error_code error;
  impl_->port = listener->acceptor.local_endpoint(error).port();
  impl_->listener = std::move(listener);
  impl_->spawn(accept_clients);
  impl_->spawn(sweep_deadlines);
  return {};
}

std::uint16_t Server::port() const { return impl_->port; }

void Server::stop() {
  auto& core = *impl_->core;
  const auto listener = std::exchange(impl_->listener, nullptr);
  core.begin_stop();
  if (!listener) return;
  asio::post(listener->strand, [listener] {
    error_code ignored;
    listener->acceptor.close(ignored);
    listener->pause.cancel();
  });
  for (const auto& connection : core.connections()) connection->drain();
  const bool loop_runs = !listener->context.stopped();
  if (loop_runs) core.wait_until_running(1, core.options.drain_timeout);  // 1: the sweep, which goes last
  for (const auto& connection : core.connections()) connection->abort();
  asio::post(listener->strand, [listener] {
    listener->swept = true;
    listener->sweep.cancel();
  });
  const bool gone = loop_runs && core.wait_until_running(0, limits::abort_timeout);
  if (!gone) core.forget_connections();
}

ServerFigures Server::figures() const {
  const auto& tally = impl_->core->tally;
  ServerFigures figures{.connections_open = impl_->core->connection_count(),
                        .connections_total = tally.connections_total.load(),
                        .requests_total = tally.requests_total.load(),
                        .bytes_in = tally.bytes_in.load(),
                        .bytes_out = tally.bytes_out.load(),
                        .refused_total = tally.refused_total.load(),
                        .answers_cut_total = tally.answers_cut_total.load(),
                        .responses_by_status = {}};
  for (unsigned status = 0; status < tally.responses_by_status.size(); ++status)
    if (const auto count = tally.responses_by_status[status].load(); count != 0)
      figures.responses_by_status.emplace(status, count);
  return figures;
}

}  // namespace vestige::http
