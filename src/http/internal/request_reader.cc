#include "http/internal/request_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>

#include "base/check.h"
#include "http/internal/body_decoder.h"
#include "http/internal/chunk_decoder.h"
#include "http/internal/target.h"
#include "http/limits.h"

namespace vestige::http::internal {
namespace {

namespace beast = boost::beast;
using beast::error_code;
using limits::body_reserve_bytes_max;
using limits::read_bytes_body;
using limits::zstd_window_log_max;

std::string_view standard(beast::string_view text) { return {text.data(), text.size()}; }

std::string in_lower_case(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return lower;
}

// Beast's parser for the header alone, writing straight into a Request. The body is framed by ourselves: its
// trailers would come back as header fields, after the gate has judged.
class HeaderParser final : public beast::http::basic_parser<true> {
 public:
  HeaderParser(Request& request, std::size_t header_bytes_max) : request_(request) {
    header_limit(static_cast<std::uint32_t>(header_bytes_max));
    body_limit(boost::none);
    skip(true);
    eager(true);
  }
  const std::string& target() const { return target_; }
  int version() const { return version_; }
  bool is_head() const { return is_head_; }

 private:
  void on_request_impl(beast::http::verb, beast::string_view method, beast::string_view target, int version,
                       error_code&) override {
    request_.method = standard(method);
    target_ = standard(target);
    version_ = version;
    is_head_ = method == "HEAD";
  }
  void on_field_impl(beast::http::field, beast::string_view name, beast::string_view value,
                     error_code&) override {
    request_.headers.emplace_back(in_lower_case(standard(name)), standard(value));
  }
  void on_response_impl(int, beast::string_view, int, error_code&) override {}
  void on_header_impl(error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  std::size_t on_body_impl(beast::string_view body, error_code&) override { return body.size(); }
  void on_chunk_header_impl(std::uint64_t, beast::string_view, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view body, error_code&) override {
    return body.size();
  }
  void on_finish_impl(error_code&) override {}

  Request& request_;
  std::string target_;
  int version_ = 11;
  bool is_head_ = false;
};

Response limit_problem(unsigned status, std::string_view title, std::string message, std::string limit) {
  return problem(
      status, title,
      Error{.kind = ErrorKind::exhausted, .message = std::move(message), .limit = std::move(limit)});
}

Response header_too_large(std::size_t header_bytes_max) {
  return limit_problem(
      431, "Request Header Fields Too Large",
      fmt::format("The request line and header fields take more than {} bytes; send fewer or shorter "
                  "ones.",
                  header_bytes_max),
      fmt::format("header_bytes_max={}", header_bytes_max));
}

Response body_too_large(std::size_t body_bytes_max) {
  return limit_problem(
      413, "Content Too Large",
      fmt::format("The body takes more than {} bytes (decompressed, where it is compressed); send it "
                  "in several requests.",
                  body_bytes_max),
      fmt::format("body_bytes_max={}", body_bytes_max));
}

Response overloaded() {
  return problem(503,
                 "The bodies of the requests being handled take all the memory set aside for them; send this "
                 "one again in a moment.");
}

struct Framing {
  std::size_t hosts = 0, lengths = 0, transfer_encodings = 0, encodings = 0;
  std::string_view transfer_encoding, encoding, expect, length;
};

Framing framing_of(const Request& request) {
  Framing framing;
  for (const auto& [name, value] : request.headers) {
    if (name == "host") ++framing.hosts;
    if (name == "content-length") ++framing.lengths, framing.length = value;
    if (name == "transfer-encoding") ++framing.transfer_encodings, framing.transfer_encoding = value;
    if (name == "content-encoding") ++framing.encodings, framing.encoding = value;
    if (name == "expect") framing.expect = value;
  }
  return framing;
}

// What would let two readers of the same bytes see different requests is refused, never repaired.
std::optional<Response> judge_framing(const Framing& framing, int version) {
  if (framing.hosts > 1 || (framing.hosts == 0 && version >= 11))
    return problem(400, "An HTTP/1.1 request has exactly one Host field; this one has none or several.");
  if (framing.lengths > 1 || framing.length.find(',') != std::string_view::npos)
    return problem(400, "Content-Length stands more than once in this request; send it once.");
  if (framing.transfer_encodings == 0) return std::nullopt;
  if (framing.lengths != 0 || framing.transfer_encodings > 1 || version < 11)
    return problem(
        400,
        "Transfer-Encoding stands beside Content-Length, twice, or in an HTTP/1.0 request; the end of "
        "the body would be ambiguous.");
  if (in_lower_case(framing.transfer_encoding) != "chunked")
    return problem(501,
                   "The only Transfer-Encoding that this server reads is chunked; compress with "
                   "Content-Encoding: gzip or zstd.");
  return std::nullopt;
}

std::optional<Response> judge_content(const Framing& framing, std::optional<std::uint64_t> length,
                                      std::size_t body_bytes_max) {
  if (!framing.expect.empty() && in_lower_case(framing.expect) != "100-continue")
    return problem(417, "The only expectation that this server meets is 100-continue.");
  if (framing.encodings > 1 || !encoding_of(framing.encoding)) {
    auto refusal =
        problem(415, "The body's Content-Encoding is not supported; send it plain, or as gzip or zstd.");
    refusal.headers.emplace_back("Accept-Encoding", "gzip, zstd");
    return refusal;
  }
  if (length && *length > body_bytes_max) return body_too_large(body_bytes_max);
  return std::nullopt;
}

}  // namespace

struct RequestReader::State {
  State(Limits given, Budget& budget) : limits(given), reservation(budget) {}

  enum class Phase { before, header, body, complete, refused };

  Step refuse(Response response) {
    refusal = std::move(response);
    phase = Phase::refused;
    return Step::refused;
  }
  Step feed_header(std::string_view& in);
  Step finish_header();
  Step malformed_header(error_code error, char first);
  Step feed_sized(std::string_view& in);
  Step feed_chunked(std::string_view& in);
  std::optional<Step> keep(std::string_view piece);
  Step finish_body();

  Limits limits;
  Reservation reservation;
  Phase phase = Phase::before;
  std::optional<HeaderParser> parser;
  std::size_t header_bytes = 0;
  Request request;
  Response refusal;
  std::optional<BodyDecoder> decoder;
  ChunkDecoder chunks;
  std::uint64_t wire_bytes = 0;       // of the body, as sent
  std::uint64_t wire_bytes_left = 0;  // where Content-Length says
  bool expects_continue = false;
};

RequestReader::Step RequestReader::State::malformed_header(error_code error, char first) {
  if (error == beast::http::error::header_limit) return refuse(header_too_large(limits.header_bytes_max));
  if (first == '\x16')
    return refuse(
        problem(400, "This looks like a TLS handshake, and this port speaks plain HTTP; use http://."));
  return refuse(problem(400, fmt::format("The request is not well-formed HTTP/1.1: {}.", error.message())));
}

RequestReader::Step RequestReader::State::feed_header(std::string_view& in) {
  if (phase == Phase::before) {
    if (in.empty() || in == "\r") return Step::need_more;
    // One empty line before a request is tolerated (RFC 9112 §2.2), and no second one.
    if (in.starts_with("\r\n")) in.remove_prefix(2);
    phase = Phase::header;
  }
  const char first = in.empty() ? ' ' : in.front();
  error_code error;
  const auto taken = parser->put(boost::asio::const_buffer(in.data(), in.size()), error);
  in.remove_prefix(taken);
  header_bytes += taken;
  const bool unfinished = error == beast::http::error::need_more;
  if (error && !unfinished) return malformed_header(error, first);
  if (header_bytes + (unfinished ? in.size() : 0) > limits.header_bytes_max)
    return refuse(header_too_large(limits.header_bytes_max));
  return unfinished ? Step::need_more : finish_header();
}

RequestReader::Step RequestReader::State::finish_header() {
  const auto framing = framing_of(request);
  const auto announced = parser->content_length();
  const auto length = announced ? std::optional<std::uint64_t>(*announced) : std::nullopt;
  if (auto refused = judge_framing(framing, parser->version())) return refuse(*std::move(refused));
  auto target = parse_target(parser->target());
  if (!target) return refuse(problem(target.error()));
  request.path = std::move(target->path);
  request.encoded_path = std::move(target->encoded_path);
  request.query = std::move(target->query);
  if (auto refused = judge_content(framing, length, limits.body_bytes_max))
    return refuse(*std::move(refused));
  wire_bytes_left = length.value_or(0);
  if (wire_bytes_left > reservation.budget().available()) return refuse(overloaded());
  expects_continue = !framing.expect.empty() && parser->version() >= 11;
  decoder.emplace(encoding_of(framing.encoding).value_or(Encoding::identity), limits.body_bytes_max);
  phase = Phase::body;
  return Step::header_done;
}

std::optional<RequestReader::Step> RequestReader::State::keep(std::string_view piece) {
  wire_bytes += piece.size();
  if (wire_bytes > limits.body_bytes_max) return refuse(body_too_large(limits.body_bytes_max));
  switch (decoder->feed(piece, request.body)) {
    case BodyDecoder::Outcome::good:
      break;
    case BodyDecoder::Outcome::too_large:
      return refuse(body_too_large(limits.body_bytes_max));
    case BodyDecoder::Outcome::damaged:
      return refuse(
          problem(400, fmt::format("The compressed body is damaged within its first {} bytes, or needs a "
                                   "window larger than {} MiB to decompress.",
                                   wire_bytes, (1 << zstd_window_log_max) >> 20)));
  }
  if (!reservation.grow_to(request.body.size())) return refuse(overloaded());
  return std::nullopt;
}

RequestReader::Step RequestReader::State::feed_sized(std::string_view& in) {
  if (wire_bytes == 0 && !in.empty())
    request.body.reserve(std::min<std::uint64_t>(wire_bytes_left, body_reserve_bytes_max));
  const auto piece =
      in.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(wire_bytes_left, in.size())));
  in.remove_prefix(piece.size());
  wire_bytes_left -= piece.size();
  if (!piece.empty()) {
    if (const auto refused = keep(piece)) return *refused;
  }
  return wire_bytes_left == 0 ? finish_body() : Step::need_more;
}

RequestReader::Step RequestReader::State::feed_chunked(std::string_view& in) {
  for (;;) {
    std::string_view piece;
    switch (chunks.next(in, piece)) {
      case ChunkDecoder::Outcome::need_more:
        return Step::need_more;
      case ChunkDecoder::Outcome::done:
        return finish_body();
      case ChunkDecoder::Outcome::malformed:
        return refuse(
            problem(400,
                    "The chunked body is malformed: a chunk's size, its end or a trailer is wrong or "
                    "too long."));
      case ChunkDecoder::Outcome::data:
        break;
    }
    if (const auto refused = keep(piece)) return *refused;
  }
}

RequestReader::Step RequestReader::State::finish_body() {
  if (wire_bytes != 0 && !decoder->may_end())
    return refuse(
        problem(400, fmt::format("The compressed body ends in the middle, after {} bytes.", wire_bytes)));
  phase = Phase::complete;
  return Step::complete;
}

RequestReader::RequestReader(Limits limits, Budget& budget)
    : state_(std::make_unique<State>(limits, budget)) {}
RequestReader::~RequestReader() = default;

void RequestReader::start() {
  auto& state = *state_;
  state.phase = State::Phase::before;
  state.header_bytes = 0;
  state.request = {};
  state.parser.emplace(state.request, state.limits.header_bytes_max);
  state.decoder.reset();
  state.chunks = {};
  state.wire_bytes = 0;
  state.wire_bytes_left = 0;
  state.expects_continue = false;
  state.reservation.release();
}

RequestReader::Step RequestReader::feed(std::string_view& in) {
  switch (state_->phase) {
    case State::Phase::before:
    case State::Phase::header:
      return state_->feed_header(in);
    case State::Phase::body:
      return state_->parser->chunked() ? state_->feed_chunked(in) : state_->feed_sized(in);
    case State::Phase::complete:
      return Step::complete;
    case State::Phase::refused:
      return Step::refused;
  }
  return Step::refused;
}

Request& RequestReader::request() { return state_->request; }
Response& RequestReader::refusal() { return state_->refusal; }
Reservation& RequestReader::reservation() { return state_->reservation; }
bool RequestReader::request_is_head() const { return state_->parser->is_head(); }
bool RequestReader::http_1_0() const { return state_->parser->version() < 11; }
bool RequestReader::keep_alive() const {
  return state_->parser->is_header_done() && state_->parser->keep_alive();
}
bool RequestReader::body_announced() const {
  return state_->parser->is_header_done() &&
         (state_->parser->chunked() || state_->parser->content_length().value_or(0) != 0);
}
bool RequestReader::expects_continue() const { return state_->expects_continue; }
std::size_t RequestReader::body_bytes_wanted() const {
  if (state_->phase != State::Phase::body) return 0;
  return state_->parser->chunked() ? read_bytes_body : static_cast<std::size_t>(state_->wire_bytes_left);
}

}  // namespace vestige::http::internal
