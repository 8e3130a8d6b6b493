// Server-sent events (HTML Living Standard, 9.2.6) out of the pieces of a stream.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace vestige::cli {

struct StreamEvent {
  std::string id;    // the last one that was sent
  std::string type;  // "message" where none was sent
  std::string data;
  bool operator==(const StreamEvent&) const = default;
};

inline constexpr std::size_t stream_event_bytes_max = 8 << 20;

// Not thread-safe. After a failure it is of no further use.
class EventStreamParser {
 public:
  using OnEvent = std::function<bool(const StreamEvent&)>;  // false: no more, please

  // False where on_event said so; exhausted where one event takes more than stream_event_bytes_max.
  Result<bool> feed(std::string_view piece, const OnEvent& on_event);

 private:
  void take_line(std::string_view line);
  bool dispatch(const OnEvent& on_event);

  std::string line_;
  std::string data_;
  std::string type_;
  std::string id_;
  bool has_data_ = false;
  bool after_return_ = false;  // a '\n' that follows belongs to the line end before
  bool at_start_ = true;
};

}  // namespace vestige::cli
