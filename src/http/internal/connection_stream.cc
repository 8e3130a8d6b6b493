// The part of a connection that serves an event stream, until the client or the handler ends it.
#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "http/internal/connection.h"

namespace vestige::http::internal {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

}  // namespace

Awaitable<void> Connection::serve_stream(std::shared_ptr<StreamQueue> queue) {
  phase_ = Phase::streaming;
  queue_ = queue;
  queue->set_on_cut([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->broken_ = true;
    self->transport_.close();
  });
  keep_alive_ = false;
  if (draining_ || core_->stopping()) queue->end();
  Response head = std::move(response_);
  prepare_response(std::move(head), reader_.http_1_0() ? Framing::until_close : Framing::chunked);
  bool written = write_now();
  if (!written) written = co_await write_rest();
  if (written && !reader_.request_is_head()) {
    asio::co_spawn(transport_.executor(), watch_for_end(shared_from_this(), queue), asio::detached);
    co_await pump_stream(queue);
  }
  // Also ends the watch, which is still reading.
  transport_.close();
  queue->close();
}

Awaitable<void> Connection::pump_stream(std::shared_ptr<StreamQueue> queue) {
  for (;;) {
    const auto next = queue->next(response_.body);
    if (next == StreamQueue::Next::cut || broken_) co_return;
    if (next == StreamQueue::Next::wait) {
      co_await queue->async_wait(asio::use_awaitable);
      continue;
    }
    const bool ended = next == StreamQueue::Next::ended;
    const auto bytes = ended ? 0 : response_.body.size();
    if (ended) response_.body.clear();
    frame_chunk();
    bool written = write_now();
    if (!written) written = co_await write_rest();
    queue->written(bytes);
    if (!written || ended) co_return;
  }
}

// An empty body is the last chunk.
void Connection::frame_chunk() {
  written_ = 0;
  head_.clear();
  if (reader_.http_1_0()) return;
  head_ = fmt::format("{:x}\r\n", response_.body.size());
  response_.body += "\r\n";
}

// A client says nothing while it listens; a read that ends says that it has gone.
Awaitable<void> Connection::watch_for_end(std::shared_ptr<Connection> self,
                                          std::shared_ptr<StreamQueue> queue) {
  std::array<char, 512> ignored{};
  const auto room = asio::buffer(ignored);
  error_code error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  while (!error) co_await self->transport_.async_read_some(room, token);
  queue->cut();
}

}  // namespace vestige::http::internal
