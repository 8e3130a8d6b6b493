#include "http/internal/connection.h"

#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/check.h"
#include "http/limits.h"

namespace vestige::http::internal {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

std::string address_of(const platform::TcpSocket& socket) {
  error_code error;
  const auto endpoint = socket.remote_endpoint(error);
  if (error) return {};  // it went before it was looked at
  return endpoint.address().to_string(error);
}

Response too_many_connections() {
  return problem(503,
                 "This server has as many connections open as it allows (connections_max); try again in a "
                 "moment, or reuse a connection.");
}

}  // namespace

Connection::Connection(std::shared_ptr<Core> core, platform::TcpSocket socket, bool turned_away)
    : core_(std::move(core)),
      transport_(std::move(socket), core_->tls ? &*core_->tls : nullptr),
      peer_address_(address_of(transport_.socket())),
      turned_away_(turned_away),
      reader_({.header_bytes_max = core_->options.header_bytes_max,
               .body_bytes_max = core_->options.body_bytes_max},
              core_->budget),
      input_(core_->options.header_bytes_max + limits::read_bytes_body),
      held_(core_->answers) {
  reader_.start();
  error_code ignored;  // a connection that is already gone shows at the first read
  static_cast<void>(transport_.socket().set_option(asio::ip::tcp::no_delay(true), ignored));
  static_cast<void>(transport_.socket().non_blocking(true, ignored));
}

void Connection::start() {
  auto self = shared_from_this();
  asio::co_spawn(transport_.executor(), run(self), [self](const std::exception_ptr&) { self->finish(); });
}

void Connection::finish() {
  if (answer_) answer_->close();
  if (queue_) queue_->close();
  reader_.reservation().release();
  transport_.close();
  core_->dismiss(shared_from_this());
}

void Connection::drain() {
  asio::post(transport_.executor(), [self = shared_from_this()] {
    self->draining_ = true;
    if (self->phase_ == Phase::idle) self->transport_.cancel();
    if (self->queue_) self->queue_->end();
  });
}

void Connection::abort() {
  asio::post(transport_.executor(), [self = shared_from_this()] {
    self->draining_ = true;
    self->broken_ = true;
    self->transport_.close();
    if (self->answer_) self->answer_->abandon();
    if (self->queue_) self->queue_->cut();
  });
}

void Connection::set_deadline(std::chrono::nanoseconds patience) {
  deadline_.store((core_->now() + patience).count(), std::memory_order_relaxed);
}

void Connection::clear_deadline() { deadline_.store(0, std::memory_order_relaxed); }

void Connection::expire_if_due(std::chrono::nanoseconds now) {
  const auto deadline = deadline_.load(std::memory_order_relaxed);
  if (deadline == 0 || now.count() < deadline) return;
  asio::post(transport_.executor(), [self = shared_from_this()] { self->on_expired(); });
}

void Connection::on_expired() {
  const auto deadline = deadline_.load(std::memory_order_relaxed);
  if (deadline == 0 || core_->now().count() < deadline) return;  // moved on in the meantime
  clear_deadline();
  expired_ = true;
  // A request that comes too slowly is told so; everything else has nobody left who listens.
  if (phase_ == Phase::idle || phase_ == Phase::reading) return transport_.cancel();
  broken_ = true;
  transport_.close();
  if (queue_) queue_->cut();
}

Awaitable<void> Connection::run(std::shared_ptr<Connection> self) { co_await self->converse(); }

Awaitable<void> Connection::converse() {
  const bool secured = co_await shake_hands();
  if (!secured) co_return;
  if (turned_away_) {
    input_abandoned_ = true;
    refuse(too_many_connections(), Then::close);
    if (!write_now()) co_await write_rest();
  } else {
    bool more = true;
    while (more) more = co_await exchange();
  }
  co_await farewell();
}

Awaitable<bool> Connection::shake_hands() {
  if (!transport_.encrypted()) co_return true;
  set_deadline(core_->options.request_timeout);
  error_code error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  co_await transport_.tls().async_handshake(asio::ssl::stream_base::server, token);
  co_return !error;
}

// One request and its answer. False when the connection is to end.
Awaitable<bool> Connection::exchange() {
  const Reading reading = co_await read_request();
  if (reading == Reading::gone) co_return false;
  if (reading == Reading::refusal) {
    bool told = write_now();
    if (!told) told = co_await write_rest();
    co_return told&& keep_alive_;
  }
  phase_ = Phase::handling;
  clear_deadline();
  auto answer = std::make_shared<Answer>(transport_.executor(), core_->options.stream_buffer_bytes_max);
  answer_ = answer;
  hand_over(answer);
  while (!answer->settled()) co_await answer->async_wait(asio::use_awaitable);
  auto queue = answer->queue();
  auto response = answer->take();
  answer_.reset();
  answer->close();
  reader_.reservation().release();
  if (!response) co_return false;
  if (queue) {
    response_ = *std::move(response);
    co_await serve_stream(queue);
    co_return false;
  }
  prepare_response(*std::move(response), Framing::length);
  bool written = write_now();
  if (!written && hold_answer()) written = co_await write_rest();
  held_.release();
  co_return written&& keep_alive_;
}

void Connection::hand_over(const std::shared_ptr<Answer>& answer) {
  Responder responder{answer};
  // The border to handlers: whatever they throw becomes a 500 by the responder that goes with the frame.
  try {
    core_->router.handle(std::move(reader_.request()), std::move(responder));
  } catch (const std::exception& exception) {
    answer->respond(problem(500, fmt::format("The request failed inside the server: {}.", exception.what())));
  }
}

void Connection::begin_request() {
  phase_ = Phase::idle;
  expired_ = false;
  continue_said_ = false;
  response_ = {};
  reader_.start();
  if (input_.size() == 0 && input_.capacity() > limits::read_bytes_header) input_.shrink_to_fit();
  set_deadline(core_->options.idle_timeout);
}

Connection::Advance Connection::advance() {
  for (;;) {
    std::string_view bytes(static_cast<const char*>(input_.data().data()), input_.size());
    if (phase_ == Phase::idle && !bytes.empty()) {
      phase_ = Phase::reading;
      set_deadline(core_->options.request_timeout);
    }
    const auto before = bytes.size();
    const auto step = reader_.feed(bytes);
    input_.consume(before - bytes.size());
    switch (step) {
      case RequestReader::Step::need_more:
        if (reader_.expects_continue() && !continue_said_ && input_.size() == 0) return Advance::say_continue;
        return Advance::read_more;
      case RequestReader::Step::refused:
        input_abandoned_ = true;
        refuse(std::move(reader_.refusal()), Then::close);
        return Advance::refusal;
      case RequestReader::Step::complete:
        return Advance::request;
      case RequestReader::Step::header_done:
        break;
    }
    reader_.request().peer_address = peer_address_;
    keep_alive_ = reader_.keep_alive();
    if (auto refused = judge()) {
      input_abandoned_ = reader_.body_announced();
      refuse(*std::move(refused), input_abandoned_ ? Then::close : Then::keep_open);
      return Advance::refusal;
    }
  }
}

std::optional<Response> Connection::judge() {
  if (!core_->gate) return std::nullopt;
  try {
    return core_->gate(reader_.request());
  } catch (const std::exception& exception) {
    return problem(500, fmt::format("The request failed inside the server: {}.", exception.what()));
  }
}

Awaitable<Connection::Reading> Connection::read_request() {
  begin_request();
  error_code error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  for (;;) {
    const Advance next = advance();
    if (next == Advance::request) co_return Reading::request;
    if (next == Advance::refusal) co_return Reading::refusal;
    if (phase_ == Phase::idle && (draining_ || core_->stopping())) co_return Reading::gone;
    if (next == Advance::say_continue) {
      continue_said_ = true;
      head_ = "HTTP/1.1 100 Continue\r\n\r\n";
      written_ = 0;
      body_withheld_ = true;
      if (!write_now()) {
        const bool written = co_await write_rest();
        if (!written) co_return Reading::gone;
      }
    }
    const auto room = room_to_read();
    const std::size_t count = co_await transport_.async_read_some(room, token);
    if (!take_in(count, error))
      co_return expired_&& phase_ == Phase::reading ? Reading::refusal : Reading::gone;
  }
}

boost::asio::mutable_buffer Connection::room_to_read() {
  const auto wanted =
      std::clamp(reader_.body_bytes_wanted(), limits::read_bytes_header, limits::read_bytes_body);
  return input_.prepare(std::min(wanted, input_.max_size() - input_.size()));
}

// False when no more can come; a request that took too long has its refusal prepared then.
bool Connection::take_in(std::size_t count, error_code error) {
  input_.commit(count);
  core_->tally.bytes_in.fetch_add(count, std::memory_order_relaxed);
  if (expired_ && phase_ == Phase::reading && !broken_) {
    input_abandoned_ = true;
    refuse(problem(408, fmt::format("The request did not arrive within {} seconds (request_timeout).",
                                    core_->options.request_timeout.count())),
           Then::close);
    return false;
  }
  if (error || expired_) {
    broken_ = broken_ || (error && error != asio::error::eof && error != asio::error::operation_aborted);
    return false;
  }
  return true;
}

// An answer that the server, or its gate, gives instead of a handler's.
void Connection::refuse(Response response, Then then) {
  keep_alive_ = keep_alive_ && then == Then::keep_open;
  core_->tally.refused_total.fetch_add(1, std::memory_order_relaxed);
  reader_.reservation().release();
  prepare_response(std::move(response), Framing::length);
}

void Connection::prepare_response(Response response, Framing framing) {
  response_ = std::move(response);
  if (response_.status < 200 || response_.status > 599)
    response_ =
        problem(500,
                "The handler of this request gave an answer without a valid status; this is a defect of "
                "the server.");
  keep_alive_ = keep_alive_ && !draining_ && !core_->stopping();
  head_.clear();
  written_ = 0;
  const HeadPlan plan{
      .framing = framing, .keep_alive = keep_alive_, .http_1_0 = reader_.http_1_0(), .date = date()};
  append_head(head_, response_, plan);
  body_withheld_ = reader_.request_is_head() || !has_content(response_.status);
  count_answer(response_.status);
}

void Connection::count_answer(unsigned status) {
  core_->tally.requests_total.fetch_add(1, std::memory_order_relaxed);
  core_->tally.responses_by_status[status].fetch_add(1, std::memory_order_relaxed);
}

std::string_view Connection::date() {
  const auto now = core_->clock.now();
  if (const auto second = now.value / 1000; second != date_second_) {
    date_second_ = second;
    date_text_ = imf_fixdate(now);
  }
  return date_text_;
}

std::array<asio::const_buffer, 2> Connection::output() const {
  const auto head_left = head_.size() - std::min(written_, head_.size());
  const auto body_size = body_withheld_ ? 0 : response_.body.size();
  const auto body_from = std::min(written_ - std::min(written_, head_.size()), body_size);
  return {asio::const_buffer(head_.data() + (head_.size() - head_left), head_left),
          asio::const_buffer(response_.body.data() + body_from, body_size - body_from)};
}

void Connection::advance_output(std::size_t count) {
  written_ += count;
  core_->tally.bytes_out.fetch_add(count, std::memory_order_relaxed);
}

// Most answers fit the socket's buffer; trying first spares them a round through the scheduler.
bool Connection::write_now() {
  if (transport_.encrypted() || broken_) return false;
  error_code error;
  const auto count = transport_.socket().write_some(output(), error);
  if (error && error != asio::error::would_block && error != asio::error::try_again) {
    broken_ = true;
    return false;
  }
  advance_output(error ? 0 : count);
  return asio::buffer_size(output()) == 0;
}

bool Connection::hold_answer() {
  const auto bytes = body_withheld_ ? 0 : response_.body.size();
  if (bytes <= limits::answer_bytes_uncounted || held_.grow_to(bytes)) return true;
  // It cannot become a refusal any more: what was asked for is done, and part of the answer may be out.
  core_->tally.answers_cut_total.fetch_add(1, std::memory_order_relaxed);
  broken_ = true;
  return false;
}

Awaitable<bool> Connection::write_rest() {
  const Phase before = phase_;
  if (phase_ != Phase::streaming) phase_ = Phase::writing;
  const auto patience = core_->options.write_timeout;
  const auto until =
      core_->now() + patience +
      std::chrono::seconds(asio::buffer_size(output()) / core_->options.answer_bytes_per_second_min);
  error_code error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  while (!broken_ && asio::buffer_size(output()) != 0) {
    set_deadline(phase_ == Phase::streaming
                     ? patience
                     : std::min<std::chrono::nanoseconds>(patience, until - core_->now()));
    const auto buffers = output();
    const std::size_t count = co_await transport_.async_write_some(buffers, token);
    advance_output(count);
    if (error) broken_ = true;
  }
  clear_deadline();
  if (before == Phase::reading) {
    phase_ = before;
    set_deadline(core_->options.request_timeout);
  }
  co_return !broken_;
}

Awaitable<void> Connection::farewell() {
  phase_ = Phase::closing;
  if (broken_ || !transport_.socket().is_open()) co_return;
  set_deadline(limits::linger_timeout);
  if (transport_.encrypted()) {
    co_await shut_down_tls();
  } else if (input_abandoned_ || input_.size() != 0) {
    co_await linger();
  }
}

// Closing a socket with unread bytes resets it, and a reset can overtake the answer that was just written.
Awaitable<void> Connection::linger() {
  error_code error;
  static_cast<void>(transport_.socket().shutdown(platform::TcpSocket::shutdown_send, error));
  auto token = asio::redirect_error(asio::use_awaitable, error);
  std::size_t dropped = 0;
  while (!error && dropped < limits::linger_bytes_max) {
    input_.clear();
    const auto room = room_to_read();
    dropped += co_await transport_.socket().async_read_some(room, token);
  }
}

Awaitable<void> Connection::shut_down_tls() {
  error_code error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  if (!input_abandoned_) {
    co_await transport_.tls().async_shutdown(token);
    co_return;
  }
  co_await linger();
}

}  // namespace vestige::http::internal
