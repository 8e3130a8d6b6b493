// An HTTP/1.1 server: keep-alive, TLS, gzip and zstd request bodies, limits on everything, back-pressure,
// graceful drain. Handlers answer from any thread, now or later; the connection waits without a thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "http/message.h"
#include "platform/event_loop.h"

namespace vestige::http {

struct ServerOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 8080;  // 0: any free one, see Server::port()
  // PEM files; both or none. Without them the server speaks plain HTTP.
  std::string tls_certificate_file{};
  std::string tls_key_file{};

  std::size_t header_bytes_max = 16 << 10;
  std::size_t body_bytes_max = 16 << 20;               // after content-encoding is undone; 413 past it
  std::size_t connections_max = 1024;                  // past it: accepted, answered 503, closed
  std::size_t bodies_in_flight_bytes_max = 256 << 20;  // of all requests being read or handled; 503 past it
  // Of all answers that wait for their readers; past it the connection of one that does not fit is cut.
  std::size_t answers_in_flight_bytes_max = 256 << 20;
  std::chrono::seconds idle_timeout{60};     // between requests
  std::chrono::seconds request_timeout{30};  // to read one request's header and body
  std::chrono::seconds write_timeout{30};    // without progress
  // Whoever takes an answer slower than this, for longer than write_timeout, is left: others need the room.
  std::size_t answer_bytes_per_second_min = 16 << 10;
  std::chrono::seconds drain_timeout{10};
  std::size_t stream_buffer_bytes_max =
      4 << 20;  // of one event stream's unsent bytes; past it the stream is closed
};

// The open end of an answer that is sent piece by piece, such as server-sent events. Thread-safe. The
// connection closes when the last copy goes.
class EventStream {
 public:
  virtual ~EventStream() = default;
  // Queues bytes (already in the form of the answer's type). False once the client is gone or too slow.
  virtual bool send(std::string bytes) = 0;
  virtual bool open() const = 0;
  virtual std::size_t unsent_bytes() const = 0;
};

// Answers one request, exactly once; movable. A Responder destroyed without an answer sends a 500 problem.
// Callable from any thread.
class Responder {
 public:
  // Where the answer goes: a connection of the server, or a recorder in a test. Exactly one of the two is
  // called, once, from any thread.
  struct Sink {
    virtual ~Sink() = default;
    virtual void respond(Response response) = 0;
    // `head` is the answer without a body.
    virtual std::shared_ptr<EventStream> stream(Response head) = 0;
  };
  explicit Responder(std::shared_ptr<Sink> sink);
  ~Responder();
  Responder(Responder&&) noexcept;
  Responder& operator=(Responder&&) noexcept;

  void respond(Response response);
  // Sends the header of a text/event-stream answer, or one of another type, and hands over the stream.
  std::shared_ptr<EventStream> stream(std::vector<std::pair<std::string, std::string>> headers = {},
                                      std::string content_type = "text/event-stream");

 private:
  std::shared_ptr<Sink> sink_;
};

using Handler = std::function<void(Request, Responder)>;

// Called after the header and before the body is read: an answer here refuses the request without reading
// its body (the connection is then closed if a body was announced). Must not block.
using Gate = std::function<std::optional<Response>(const Request&)>;

// Paths are literal segments and {name} captures of one segment; "{name...}" at the end captures the rest.
// A known path with another method gives 405 with Allow; HEAD is answered by GET without a body; OPTIONS
// with Allow. Where two patterns match, the one with the earlier literal segment wins. A capture never takes
// an empty segment, "." or "..", so "//" and "/../" match no route.
class Router {
 public:
  Router();
  ~Router();
  Router(Router&&) noexcept;
  void add(std::string method, std::string pattern, Handler handler);
  void handle(Request request, Responder responder) const;
  std::vector<std::pair<std::string, std::string>> routes() const;  // (method, pattern) in order of adding

 private:
  struct Table;
  std::unique_ptr<Table> table_;
};

struct ServerFigures {  // for /metrics; all since start
  std::uint64_t connections_open, connections_total, requests_total, bytes_in, bytes_out, refused_total,
      answers_cut_total;
  std::map<unsigned, std::uint64_t> responses_by_status;
};

class Server {
 public:
  // `router` and `gate` are used from the loop's threads until stop() returned.
  Server(platform::EventLoop& loop, ServerOptions options, const Router& router, Gate gate);
  ~Server();

  // Binds and listens. unavailable where the port is taken (the message names address and port and says
  // what to do), invalid where address or certificate are wrong.
  Status start();
  std::uint16_t port() const;
  // Stops accepting, lets running requests finish (answers carry Connection: close), closes streams and
  // idle connections, and returns when all are gone or drain_timeout has passed.
  void stop();
  ServerFigures figures() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace vestige::http
