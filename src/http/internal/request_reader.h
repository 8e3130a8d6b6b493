// Turns bytes as they come into requests, one after the other, and refuses what is malformed, too large or
// not supported. Pure: it neither waits nor writes.
//
// 1. It takes no byte past the end of a request, so pipelined requests stay in the caller's buffer.
// 2. Nothing of a body is kept before the header was judged (Step::header_done).
// 3. After Step::refused the connection cannot be used again: where the next request would start is unknown.
#pragma once

#include <memory>
#include <string_view>

#include "http/internal/budget.h"
#include "http/message.h"

namespace vestige::http::internal {

class RequestReader {
 public:
  enum class Step {
    need_more,
    header_done,  // once for each request; call feed() again to go on to its body
    complete,
    refused,
  };
  struct Limits {
    std::size_t header_bytes_max;
    std::size_t body_bytes_max;
  };

  RequestReader(Limits limits, Budget& budget);
  ~RequestReader();

  // Forgets everything and expects the start of a request.
  void start();
  // Takes bytes from the front of `in`, which it shortens; what it leaves is offered again with more behind
  // it.
  Step feed(std::string_view& in);

  Request& request();   // from header_done on
  Response& refusal();  // after refused
  Reservation& reservation();

  // The request's own, as far as it has been read; they survive request() being moved away.
  bool request_is_head() const;
  bool http_1_0() const;
  bool keep_alive() const;      // as the client asked
  bool body_announced() const;  // and it is not empty
  bool expects_continue() const;
  std::size_t body_bytes_wanted() const;  // at most, of what was announced; a hint for the next read

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vestige::http::internal
