#include "cli/internal/event_stream.h"

#include <fmt/format.h>

namespace vestige::cli {

Result<bool> EventStreamParser::feed(std::string_view piece, const OnEvent& on_event) {
  for (const char c : piece) {
    const bool half_of_an_end = after_return_ && c == '\n';
    after_return_ = c == '\r';
    if (half_of_an_end) continue;
    if (c != '\n' && c != '\r') {
      if (line_.size() + data_.size() >= stream_event_bytes_max)
        return fail(ErrorKind::exhausted,
                    fmt::format("The server sent an event of more than {} bytes.", stream_event_bytes_max));
      line_ += c;
      continue;
    }
    std::string_view line = line_;
    if (at_start_ && line.starts_with("\xEF\xBB\xBF")) line.remove_prefix(3);
    at_start_ = false;
    if (line.empty()) {
      if (!dispatch(on_event)) return false;
    } else {
      take_line(line);
    }
    line_.clear();
  }
  return true;
}

void EventStreamParser::take_line(std::string_view line) {
  const auto colon = line.find(':');
  if (colon == 0) return;  // a comment
  const auto field = line.substr(0, colon);
  auto value = colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (field == "data") {
    if (has_data_) data_ += '\n';
    data_ += value;
    has_data_ = true;
  } else if (field == "event") {
    type_ = value;
  } else if (field == "id" && value.find('\0') == std::string_view::npos) {
    id_ = value;
  }
}

bool EventStreamParser::dispatch(const OnEvent& on_event) {
  bool go_on = true;
  if (has_data_) {
    const StreamEvent event{
        .id = id_, .type = type_.empty() ? "message" : std::move(type_), .data = std::move(data_)};
    go_on = on_event(event);
  }
  data_.clear();
  type_.clear();
  has_data_ = false;
  return go_on;
}

}  // namespace vestige::cli
