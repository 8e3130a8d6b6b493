// A TCP connection, plain or under TLS, as one asynchronous stream. Used on the connection's strand only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/system/error_code.hpp>
#include <optional>
#include <utility>

#include "platform/asio.h"

namespace vestige::http::internal {

class Transport {
 public:
  // Speaks TLS where `context` is given; it outlives the transport.
  Transport(platform::TcpSocket socket, boost::asio::ssl::context* context) : socket_(std::move(socket)) {
    if (context) tls_.emplace(socket_, *context);
  }

  bool encrypted() const { return tls_.has_value(); }
  boost::asio::any_io_executor executor() { return socket_.get_executor(); }
  platform::TcpSocket& socket() { return socket_; }
  boost::asio::ssl::stream<platform::TcpSocket&>& tls() { return *tls_; }

  template <typename Buffers, typename Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_initiate<Token, void(boost::system::error_code, std::size_t)>(Read{this}, token,
                                                                                            buffers);
  }
  template <typename Buffers, typename Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_initiate<Token, void(boost::system::error_code, std::size_t)>(Write{this},
                                                                                            token, buffers);
  }

  // Pending operations end with an error; the connection stays usable.
  void cancel() {
    boost::system::error_code ignored;
    static_cast<void>(socket_.cancel(ignored));
  }
  void close() {
    boost::system::error_code ignored;
    static_cast<void>(socket_.close(ignored));
  }

 private:
  struct Read {
    Transport* transport;
    template <typename Handler, typename Buffers>
    void operator()(Handler&& handler, const Buffers& buffers) const {
      if (transport->tls_) {
        transport->tls_->async_read_some(buffers, std::forward<Handler>(handler));
      } else {
        transport->socket_.async_read_some(buffers, std::forward<Handler>(handler));
      }
    }
  };
  struct Write {
    Transport* transport;
    template <typename Handler, typename Buffers>
    void operator()(Handler&& handler, const Buffers& buffers) const {
      if (transport->tls_) {
        transport->tls_->async_write_some(buffers, std::forward<Handler>(handler));
      } else {
        transport->socket_.async_write_some(buffers, std::forward<Handler>(handler));
      }
    }
  };

  platform::TcpSocket socket_;
  std::optional<boost::asio::ssl::stream<platform::TcpSocket&>> tls_;
};

}  // namespace vestige::http::internal
