// Asio as the adapters of this project use it: for .cc files that speak to sockets, and for nobody else's
// headers. The names below are the only ones for these types, so that a change of transport has one place.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "platform/event_loop.h"

namespace vestige::platform {

using IoContext = boost::asio::io_context;
using TcpSocket = boost::asio::ip::tcp::socket;
using TcpAcceptor = boost::asio::ip::tcp::acceptor;
using TcpEndpoint = boost::asio::ip::tcp::endpoint;
using TcpResolver = boost::asio::ip::tcp::resolver;
using SteadyTimer = boost::asio::steady_timer;

// The members stand in the order in which they may be destroyed from the last to the first: timers need the
// context, and the context drops the handlers that nobody will run any more.
struct EventLoop::Internals {
  explicit Internals(unsigned threads);
  ~Internals();
  Internals(const Internals&) = delete;
  Internals& operator=(const Internals&) = delete;

  struct Ticker;

  IoContext context;
  boost::asio::executor_work_guard<IoContext::executor_type> work;
  const unsigned thread_count;
  Mutex mutex;
  std::vector<std::unique_ptr<Ticker>> tickers GUARDED_BY(mutex);
  std::vector<std::thread> threads GUARDED_BY(mutex);
};

}  // namespace vestige::platform
