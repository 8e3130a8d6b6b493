// A socket without any HTTP of its own, for tests that send what no client library would.
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace vestige::http::testing {

class RawClient {
 public:
  // `receive_bytes`: the size of the receive buffer where it is to be small.
  explicit RawClient(std::uint16_t port, int receive_bytes = 0) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    if (receive_bytes != 0)
      ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    const int on = 1;
    ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  ~RawClient() { close(); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool connected() const { return connected_; }
  void close() {
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
  }
  void shutdown_sending() { ::shutdown(socket_, SHUT_WR); }

  // False where the server has gone.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto count = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
  }

  // Up to and with the first `end`; what had come where the connection closed before.
  std::string read_until(std::string_view end) {
    while (pending_.find(end) == std::string::npos && receive()) {
    }
    const auto found = pending_.find(end);
    return take(found == std::string::npos ? pending_.size() : found + end.size());
  }
  std::string read_exactly(std::size_t count) {
    while (pending_.size() < count && receive()) {
    }
    return take(std::min(count, pending_.size()));
  }
  std::string read_to_end() {
    while (receive()) {
    }
    return take(pending_.size());
  }

  struct Answer {
    unsigned status = 0;  // 0: the connection closed instead
    std::string head;
    std::string body;
  };
  // One answer with Content-Length, or without a body.
  Answer read_answer(bool head_only = false) {
    Answer answer;
    answer.head = read_until("\r\n\r\n");
    if (!answer.head.starts_with("HTTP/1.1 ")) return answer;
    answer.status = static_cast<unsigned>(std::stoul(answer.head.substr(9, 3)));
    const auto length = answer.head.find("Content-Length: ");
    if (length != std::string::npos && !head_only)
      answer.body = read_exactly(std::stoull(answer.head.substr(length + 16)));
    return answer;
  }
  // Whether the server closes (or resets) the connection; waits for it.
  bool closed_by_server() { return read_to_end().empty(); }

 private:
  bool receive() {
    pollfd readable{.fd = socket_, .events = POLLIN, .revents = 0};
    constexpr int patience_ms = 20'000;  // a failing test ends instead of hanging
    if (::poll(&readable, 1, patience_ms) <= 0) return false;
    char room[16 << 10];
    const auto count = ::recv(socket_, room, sizeof room, 0);
    if (count <= 0) return false;
    pending_.append(room, static_cast<std::size_t>(count));
    return true;
  }
  std::string take(std::size_t count) {
    std::string taken = pending_.substr(0, count);
    pending_.erase(0, count);
    return taken;
  }

  int socket_;
  bool connected_ = false;
  std::string pending_;
};

}  // namespace vestige::http::testing
