// Takes the chunked transfer coding (RFC 9112 §7.1) apart, strictly: CRLF only, extensions and trailers
// bounded, read and dropped. A trailer never becomes a header, since the gate has already judged those.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace vestige::http::internal {

class ChunkDecoder {
 public:
  enum class Outcome { need_more, data, done, malformed };

  // Takes some of `in` (which it shortens). `data` gives a piece of the body that lies in `in`; call again.
  Outcome next(std::string_view& in, std::string_view& piece);

 private:
  enum class State { size_line, data, data_end, trailer, done };

  Outcome take_line(std::string_view& in, std::size_t bytes_max);
  bool open_chunk();

  State state_ = State::size_line;
  std::string line_;  // of the size or trailer line being read, without its CRLF once complete
  std::uint64_t left_ = 0;
  std::size_t trailer_bytes_ = 0;
};

}  // namespace vestige::http::internal
