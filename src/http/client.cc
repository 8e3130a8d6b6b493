#include "http/client.h"

#include <fmt/format.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <optional>
#include <variant>

#include "base/check.h"
#include "http/internal/tls.h"
#include "http/url.h"
#include "platform/asio.h"
#include "platform/clock.h"

namespace vestige::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace protocol = boost::beast::http;
using boost::system::error_code;
using PlainStream = beast::tcp_stream;
using TlsStream = beast::ssl_stream<beast::tcp_stream>;
using Message = protocol::request<protocol::string_body>;
using OnPiece = std::function<bool(std::string_view)>;

Result<Url> parse_origin(const std::string& text) {
  constexpr std::string_view advice = " Write http://host:port or https://host:port.";
  auto url = parse_url(text);
  if (!url) return fail(ErrorKind::invalid, url.error().message + std::string(advice));
  if (!url->query.empty() || text.ends_with('?'))
    return fail(ErrorKind::invalid,
                fmt::format("\"{}\" has more than a host, a port and a path.{}", text, advice));
  while (url->path.ends_with('/')) url->path.pop_back();
  return url;
}

ClientResponse head_of(const protocol::response_header<>& header) {
  ClientResponse response;
  response.status = header.result_int();
  response.content_type = header[protocol::field::content_type];
  for (const auto& field : header) {
    std::string name(field.name_string());
    for (char& c : name)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    response.headers.emplace_back(std::move(name), std::string(field.value()));
  }
  return response;
}

}  // namespace

struct Client::State {
  explicit State(ClientOptions given) : options(std::move(given)) {}

  // How one attempt to exchange a request for an answer went wrong.
  struct Failure {
    Error error;
    bool stale = false;  // closed before a byte of the answer came, as a server does with an idle connection
  };
  template <typename T>
  using Attempt = std::expected<T, Failure>;

  Status prepare();
  Status connect();
  Status connect_tcp(beast::tcp_stream& stream);
  Status connect_tls(std::unique_ptr<TlsStream> stream);
  bool connected() const { return plain || tls; }
  void disconnect();
  Message message(const std::string& method, const std::string& target, const std::string& body,
                  const std::string& content_type, const Fields& headers) const;
  Result<ClientResponse> exchange(Message message, const OnPiece* on_piece);
  Attempt<ClientResponse> attempt(Message& message, const OnPiece* on_piece);
  template <typename Stream>
  Attempt<ClientResponse> attempt_on(Stream& stream, Message& message, const OnPiece* on_piece);
  template <typename Stream>
  Attempt<ClientResponse> read_answer(Stream& stream, bool head_only, error_code write_error,
                                      const OnPiece* on_piece);
  template <typename Stream, typename Parser>
  Attempt<bool> read_body(Stream& stream, Parser& parser, ClientResponse& response, const OnPiece* on_piece);

  // Runs one asynchronous operation to its end, within the time limit: `start` is given the stream's timer
  // and its completion.
  template <typename Start>
  error_code await(beast::tcp_stream& lowest, Start start);
  Failure failed(std::string_view doing, error_code error, bool stale) const;

  ClientOptions options;
  std::optional<Url> origin;
  std::optional<std::chrono::nanoseconds> deadline;  // of the exchange at hand, on the monotonic clock
  asio::io_context context{1};
  std::optional<asio::ssl::context> tls_context;
  std::unique_ptr<PlainStream> plain;
  std::unique_ptr<TlsStream> tls;
  beast::flat_buffer buffer;
};

template <typename Start>
error_code Client::State::await(beast::tcp_stream& lowest, Start start) {
  error_code outcome;
  std::chrono::nanoseconds patience = std::chrono::seconds(options.timeout_seconds);
  if (deadline) {
    patience = std::min(patience, *deadline - platform::system_clock().monotonic());
    if (patience <= patience.zero()) return beast::error::timeout;
  }
  lowest.expires_after(patience);
  start([&outcome](error_code error, auto&&...) { outcome = error; });
  context.restart();
  if (!options.while_waiting) context.run();
  while (!context.stopped()) {
    context.run_for(waiting_period);
    if (!context.stopped() && !options.while_waiting()) lowest.cancel();
  }
  lowest.expires_never();
  return outcome;
}

Client::State::Failure Client::State::failed(std::string_view doing, error_code error, bool stale) const {
  const bool late = deadline && platform::system_clock().monotonic() >= *deadline;
  const auto why = error != beast::error::timeout ? error.message()
                   : late ? fmt::format("it took longer than {} seconds", options.total_seconds)
                          : fmt::format("nothing moved for {} seconds", options.timeout_seconds);
  return {.error = Error{.kind = ErrorKind::unavailable,
                         .message =
                             fmt::format("{} {} failed: {}. Check that the server runs and that the address "
                                         "is right.",
                                         doing, options.url, why)},
          .stale = stale};
}

Status Client::State::prepare() {
  if (origin) return {};
  VESTIGE_TRY(auto parsed, parse_origin(options.url));
  if (parsed.encrypted && !tls_context) {
    VESTIGE_TRY(auto made, internal::client_tls(options.ca_file));
    tls_context.emplace(std::move(made));
  }
  origin = std::move(parsed);
  return {};
}

Status Client::State::connect_tcp(beast::tcp_stream& stream) {
  error_code error;
  platform::TcpResolver resolver(context);
  const auto addresses = resolver.resolve(origin->host, origin->port, error);
  if (error) return std::unexpected(failed("Looking up the host of", error, true).error);
  error = await(stream, [&](auto done) { stream.async_connect(addresses, std::move(done)); });
  if (error) return std::unexpected(failed("Connecting to", error, true).error);
  static_cast<void>(stream.socket().set_option(asio::ip::tcp::no_delay(true), error));  // slower without
  return {};
}

Status Client::State::connect_tls(std::unique_ptr<TlsStream> stream) {
  error_code error;
  asio::ip::make_address(origin->host, error);
  // A name is sent so that the server can choose its certificate; an address never is (RFC 6066 §3).
  if (error && SSL_set_tlsext_host_name(stream->native_handle(), origin->host.c_str()) != 1)
    return fail(ErrorKind::invalid, fmt::format("\"{}\" is no host name that TLS can carry.", origin->host));
  stream->set_verify_callback(asio::ssl::host_name_verification(origin->host), error);
  if (!error)
    error = await(beast::get_lowest_layer(*stream), [&](auto done) {
      stream->async_handshake(asio::ssl::stream_base::client, std::move(done));
    });
  if (const auto verdict = SSL_get_verify_result(stream->native_handle()); error && verdict != X509_V_OK)
    return fail(
        ErrorKind::unavailable,
        fmt::format("The certificate of {} is not trusted: {}. Name the authority that signed it (ca_file), "
                    "and use the host name that it was issued for.",
                    options.url, X509_verify_cert_error_string(verdict)));
  if (error) return std::unexpected(failed("The TLS handshake with", error, true).error);
  tls = std::move(stream);
  return {};
}

Status Client::State::connect() {
  buffer.clear();
  if (!origin->encrypted) {
    auto stream = std::make_unique<PlainStream>(context);
    VESTIGE_CHECKED(connect_tcp(*stream));
    plain = std::move(stream);
    return {};
  }
  auto stream = std::make_unique<TlsStream>(context, *tls_context);
  VESTIGE_CHECKED(connect_tcp(beast::get_lowest_layer(*stream)));
  return connect_tls(std::move(stream));
}

void Client::State::disconnect() {
  plain.reset();
  tls.reset();
}

Message Client::State::message(const std::string& method, const std::string& target, const std::string& body,
                               const std::string& content_type, const Fields& headers) const {
  Message message;
  message.version(11);
  message.method_string(method);
  message.target(origin->path + target);
  message.set(protocol::field::host, origin->authority);
  message.set(protocol::field::user_agent, "vestige");
  if (!options.bearer_token.empty())
    message.set(protocol::field::authorization, "Bearer " + options.bearer_token);
  if (!content_type.empty()) message.set(protocol::field::content_type, content_type);
  for (const auto& [name, value] : options.headers) message.set(name, value);
  for (const auto& [name, value] : headers) message.set(name, value);
  message.body() = body;
  message.prepare_payload();
  return message;
}

template <typename Stream, typename Parser>
Client::State::Attempt<bool> Client::State::read_body(Stream& stream, Parser& parser,
                                                      ClientResponse& response, const OnPiece* on_piece) {
  std::array<char, 16 << 10> room;
  while (!parser.is_done()) {
    auto& body = parser.get().body();
    body.data = room.data();
    body.size = room.size();
    auto error = await(beast::get_lowest_layer(stream), [&](auto done) {
      protocol::async_read_some(stream, buffer, parser, std::move(done));
    });
    if (error == protocol::error::need_buffer) error = {};
    const std::string_view piece(room.data(), room.size() - body.size);
    if (on_piece && response.status == 200) {
      if (!piece.empty() && !(*on_piece)(piece)) return false;
    } else {
      if (piece.size() > options.body_bytes_max - response.body.size())
        return std::unexpected(
            Failure{.error = Error{.kind = ErrorKind::exhausted,
                                   .message = fmt::format("The answer of {} takes more than {} "
                                                          "bytes; ask for less at a time.",
                                                          options.url, options.body_bytes_max)}});
      response.body.append(piece);
    }
    if (error) return std::unexpected(failed("Reading the answer of", error, false));
  }
  return parser.keep_alive();
}

template <typename Stream>
Client::State::Attempt<ClientResponse> Client::State::read_answer(Stream& stream, bool head_only,
                                                                  error_code write_error,
                                                                  const OnPiece* on_piece) {
  protocol::response_parser<protocol::buffer_body> parser;
  parser.body_limit(boost::none);
  parser.header_limit(64 << 10);
  parser.skip(head_only);
  const auto error = await(beast::get_lowest_layer(stream), [&](auto done) {
    protocol::async_read_header(stream, buffer, parser, std::move(done));
  });
  if (error) {
    // A silent server may be at work on the request; one that closed at once never saw it.
    const bool stale = !parser.got_some() && error != beast::error::timeout;
    return std::unexpected(failed("Asking", write_error ? write_error : error, stale));
  }
  auto response = head_of(parser.get().base());
  auto reusable = read_body(stream, parser, response, on_piece);
  if (!reusable) return std::unexpected(std::move(reusable).error());
  if (!*reusable || write_error) disconnect();
  return response;
}

template <typename Stream>
Client::State::Attempt<ClientResponse> Client::State::attempt_on(Stream& stream, Message& message,
                                                                 const OnPiece* on_piece) {
  protocol::request_serializer<protocol::string_body> serializer(message);
  error_code error;
  while (!serializer.is_done() && !error)
    error = await(beast::get_lowest_layer(stream),
                  [&](auto done) { protocol::async_write_some(stream, serializer, std::move(done)); });
  // A server that refuses a body may answer and close before it has read it; that answer is worth reading.
  if (error == beast::error::timeout) return std::unexpected(failed("Sending to", error, false));
  return read_answer(stream, message.method() == protocol::verb::head, error, on_piece);
}

Client::State::Attempt<ClientResponse> Client::State::attempt(Message& message, const OnPiece* on_piece) {
  if (!connected()) {
    if (auto status = connect(); !status) return std::unexpected(Failure{.error = std::move(status).error()});
  }
  auto outcome = tls ? attempt_on(*tls, message, on_piece) : attempt_on(*plain, message, on_piece);
  if (!outcome) disconnect();
  return outcome;
}

Result<ClientResponse> Client::State::exchange(Message message, const OnPiece* on_piece) {
  if (options.total_seconds > 0)
    deadline = platform::system_clock().monotonic() + std::chrono::seconds(options.total_seconds);
  const bool reused = connected();
  auto outcome = attempt(message, on_piece);
  if (!outcome && reused && outcome.error().stale) outcome = attempt(message, on_piece);
  if (!outcome) return std::unexpected(std::move(outcome).error().error);
  return *std::move(outcome);
}

Client::Client(ClientOptions options) : state_(std::make_unique<State>(std::move(options))) {}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;

Result<ClientResponse> Client::send(const std::string& method, const std::string& target,
                                    const std::string& body, const std::string& content_type,
                                    const Fields& headers) {
  VESTIGE_CHECKED(state_->prepare());
  return state_->exchange(state_->message(method, target, body, content_type, headers), nullptr);
}

Result<ClientResponse> Client::stream(const std::string& target, const Fields& headers,
                                      const OnPiece& on_piece) {
  VESTIGE_CHECKED(state_->prepare());
  auto message = state_->message("GET", target, {}, {}, headers);
  if (message.find(protocol::field::accept) == message.end())
    message.set(protocol::field::accept, "text/event-stream");
  auto outcome = state_->exchange(std::move(message), &on_piece);
  state_->disconnect();
  return outcome;
}

Result<ClientResponse> Client::post_for_stream(const std::string& target, const std::string& body,
                                               const std::string& content_type, const OnPiece& on_piece) {
  VESTIGE_CHECKED(state_->prepare());
  auto outcome = state_->exchange(state_->message("POST", target, body, content_type, {}), &on_piece);
  state_->disconnect();
  return outcome;
}

}  // namespace vestige::http
