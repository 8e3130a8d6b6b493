#include "http/internal/chunk_decoder.h"

#include <algorithm>
#include <charconv>

#include "http/limits.h"

namespace vestige::http::internal {

// `data` here: a whole line stands in line_.
ChunkDecoder::Outcome ChunkDecoder::take_line(std::string_view& in, std::size_t bytes_max) {
  while (!in.empty()) {
    const char c = in.front();
    in.remove_prefix(1);
    const bool after_return = !line_.empty() && line_.back() == '\r';
    if (c == '\n') {
      if (!after_return) return Outcome::malformed;
      line_.pop_back();
      return Outcome::data;
    }
    const bool is_control = static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\r';
    if (after_return || is_control || line_.size() >= bytes_max) return Outcome::malformed;
    line_.push_back(c);
  }
  return Outcome::need_more;
}

bool ChunkDecoder::open_chunk() {
  const auto digits = std::min(line_.find_first_not_of("0123456789abcdefABCDEF"), line_.size());
  if (digits == 0 || digits > 16) return false;
  const auto rest = std::string_view(line_).substr(digits);
  const auto extension = rest.find_first_not_of(" \t");
  if (extension != std::string_view::npos && rest[extension] != ';') return false;
  // Blanks without an extension after them are an old smuggling trick.
  if (extension == std::string_view::npos && !rest.empty()) return false;
  std::from_chars(line_.data(), line_.data() + digits, left_, 16);
  line_.clear();
  return true;
}

ChunkDecoder::Outcome ChunkDecoder::next(std::string_view& in, std::string_view& piece) {
  for (;;) {
    switch (state_) {
      case State::size_line: {
        const auto outcome = take_line(in, limits::chunk_line_bytes_max);
        if (outcome != Outcome::data) return outcome;
        if (!open_chunk()) return Outcome::malformed;
        state_ = left_ == 0 ? State::trailer : State::data;
        break;
      }
      case State::data:
        if (in.empty()) return Outcome::need_more;
        piece = in.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left_, in.size())));
        in.remove_prefix(piece.size());
        left_ -= piece.size();
        if (left_ == 0) state_ = State::data_end;
        return Outcome::data;
      case State::data_end: {
        const auto outcome = take_line(in, 2);
        if (outcome != Outcome::data) return outcome;
        if (!line_.empty()) return Outcome::malformed;
        state_ = State::size_line;
        break;
      }
      case State::trailer: {
        const auto outcome = take_line(in, limits::trailer_bytes_max);
        if (outcome != Outcome::data) return outcome;
        trailer_bytes_ += line_.size();
        if (trailer_bytes_ > limits::trailer_bytes_max) return Outcome::malformed;
        if (line_.empty()) state_ = State::done;
        line_.clear();
        break;
      }
      case State::done:
        return Outcome::done;
    }
  }
}

}  // namespace vestige::http::internal
