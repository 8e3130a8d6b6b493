// One client's connection: a coroutine on a strand of its own that reads requests, hands them to the router
// and writes the answers in order.
//
// 1. Everything but drain(), abort() and expire_if_due() runs on the strand; those three post to it.
// 2. At most one request is being handled, so pipelined answers cannot overtake each other; what the client
//    sends meanwhile waits in the kernel and slows it down.
// 3. Its memory is bounded: one header, one body within the budget, and one answer within that of answers.
//    A reader may take its time over an answer, but not as long as it likes.
// 4. While it waits for the client a deadline stands; the server's sweep notices when it has passed.
#pragma once

#include <array>
#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "http/internal/answer.h"
#include "http/internal/core.h"
#include "http/internal/request_reader.h"
#include "http/internal/response_head.h"
#include "http/internal/transport.h"

namespace vestige::http::internal {

template <typename T>
using Awaitable = boost::asio::awaitable<T>;

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<Core> core, platform::TcpSocket socket, bool turned_away);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Runs until the connection is done; then it has dismissed itself from the core, which has admitted it.
  void start();

  // Thread-safe. No further request; ends at once where none is being read or answered.
  void drain();
  // Thread-safe. Ends at once, whatever it does.
  void abort();
  // Thread-safe.
  void expire_if_due(std::chrono::nanoseconds now);

 private:
  enum class Phase { handshake, idle, reading, handling, writing, streaming, closing };
  enum class Advance { read_more, say_continue, request, refusal };
  enum class Reading { request, refusal, gone };
  using Deadline = std::atomic<std::chrono::nanoseconds::rep>;

  static Awaitable<void> run(std::shared_ptr<Connection> self);
  static Awaitable<void> watch_for_end(std::shared_ptr<Connection> self, std::shared_ptr<StreamQueue> queue);
  Awaitable<void> converse();
  Awaitable<bool> shake_hands();
  Awaitable<bool> exchange();
  Awaitable<Reading> read_request();
  Awaitable<bool> write_rest();
  Awaitable<void> serve_stream(std::shared_ptr<StreamQueue> queue);
  Awaitable<void> pump_stream(std::shared_ptr<StreamQueue> queue);
  Awaitable<void> farewell();
  Awaitable<void> linger();
  Awaitable<void> shut_down_tls();

  void begin_request();
  Advance advance();
  bool take_in(std::size_t count, boost::system::error_code error);
  boost::asio::mutable_buffer room_to_read();
  enum class Then { close, keep_open };
  void refuse(Response response, Then then);
  std::optional<Response> judge();
  void hand_over(const std::shared_ptr<Answer>& answer);
  void prepare_response(Response response, Framing framing);
  void frame_chunk();
  // Sends what fits without waiting. True when all is out.
  bool write_now();
  // Before waiting for the reader of an answer: false where there is no room to keep it meanwhile.
  bool hold_answer();
  void advance_output(std::size_t count);
  std::array<boost::asio::const_buffer, 2> output() const;
  void set_deadline(std::chrono::nanoseconds patience);
  void clear_deadline();
  void on_expired();
  void finish();
  void count_answer(unsigned status);
  std::string_view date();

  const std::shared_ptr<Core> core_;
  Transport transport_;
  const std::string peer_address_;
  const bool turned_away_;

  RequestReader reader_;
  boost::beast::flat_buffer input_;
  std::shared_ptr<Answer> answer_;  // of the request being handled
  std::shared_ptr<StreamQueue> queue_;

  Response response_;
  std::string head_;
  std::size_t written_ = 0;     // of head_ and response_.body together
  Reservation held_;            // of the answer that waits for its reader
  bool body_withheld_ = false;  // HEAD, 204, 304

  Phase phase_ = Phase::handshake;
  Deadline deadline_{0};  // monotonic; none where 0
  bool keep_alive_ = true;
  bool continue_said_ = false;
  bool input_abandoned_ = false;  // unread bytes are, or may be, on their way
  bool broken_ = false;           // nothing more can be written
  bool expired_ = false;
  bool draining_ = false;

  std::int64_t date_second_ = -1;
  std::string date_text_;
};

}  // namespace vestige::http::internal
